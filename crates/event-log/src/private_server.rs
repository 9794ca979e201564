//! A nats-server of our own in the data directory, for `up`, the demo and the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use tracing::info;
use uuid::Uuid;

use crate::connection::{Connection, Limits, Tls};
use crate::error::LogError;
use crate::safety::{Durability, SyncKnowledge};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// A running private server; dropping it kills the process.
#[derive(Debug)]
pub struct PrivateServer {
    child: Child,
    /// Where it listens.
    pub url: String,
    /// Its user and password, made for this run.
    pub credentials: (String, SecretString),
}

#[derive(Deserialize)]
struct Ports {
    #[serde(default)]
    nats: Vec<String>,
}

fn failed(what: impl Into<String>) -> LogError {
    LogError::PrivateServer(what.into())
}

impl PrivateServer {
    /// How to reach it: it keeps what it acknowledges, and is alone.
    #[must_use]
    pub fn connection(&self) -> Connection {
        Connection {
            url: self.url.clone(),
            credentials: Some(self.credentials.clone()),
            tls: Tls::default(),
            replicas: 1,
            durability: Durability::Refuse,
            sync: SyncKnowledge::Private,
            keys: None,
            limits: Limits::default(),
        }
    }

    /// Starts the server whose data is under `dir`, with every acknowledged event on disk, on a free loopback port.
    /// One that an earlier run left behind is stopped first: the caller holds the lock on the data directory.
    ///
    /// # Errors
    /// When there is no nats-server, or it does not start.
    pub async fn start(dir: &Path) -> Result<Self, LogError> {
        let io = |what: &str, path: &Path, e: std::io::Error| failed(format!("{what} {}: {e}", path.display()));
        fs::create_dir_all(dir).map_err(|e| io("can't create", dir, e))?;
        let dir = dir.canonicalize().map_err(|e| io("can't find", dir, e))?;
        let (config, pid_file, log) = (dir.join("nats.conf"), dir.join("nats.pid"), dir.join("nats.log"));
        stop_leftover(&pid_file, &config).await?;
        remove_old_ports(&dir);
        let user = "rollcall".to_owned();
        let password = Uuid::new_v4().simple().to_string();
        let store = dir.join("jetstream");
        let text = format!(
            "host: 127.0.0.1\nport: -1\nserver_name: rollcall\nports_file_dir: {dir:?}\npid_file: {pid_file:?}\n\
             log_file: {log:?}\nmax_payload: 1MB\njetstream {{ store_dir: {store:?}, sync_interval: always }}\n\
             authorization {{ user: {user}, password: \"{password}\" }}\n"
        );
        write_private(&config, &text).map_err(|e| io("can't write", &config, e))?;
        let binary = find_binary()?;
        let child = Command::new(&binary)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Its own process group: Ctrl-C reaches us first, so that the log is the last to stop.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| io("can't run", &binary, e))?;
        let mut server = Self { child, url: String::new(), credentials: (user, SecretString::from(password)) };
        server.url = server.wait_for_address(&dir, &log).await?;
        info!(url = server.url, store = %store.display(), "private nats-server started");
        Ok(server)
    }

    async fn wait_for_address(&mut self, dir: &Path, log: &Path) -> Result<String, LogError> {
        let pid = self.child.id().ok_or_else(|| failed("it stopped at once"))?;
        let name = self.child_name(pid);
        let ports = dir.join(name);
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(address) = read_ports(&ports) {
                return Ok(address);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(failed(format!("it stopped with {status}; see {}", log.display())));
            }
            if Instant::now() > deadline {
                return Err(failed(format!("it did not listen within {START_TIMEOUT:?}; see {}", log.display())));
            }
            sleep(POLL).await;
        }
    }

    fn child_name(&self, pid: u32) -> String {
        let binary = find_binary().ok();
        let name = binary.as_deref().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
        format!("{}_{pid}.ports", name.as_deref().unwrap_or("nats-server"))
    }

    /// Stops it, and waits until it has.
    pub async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

fn read_ports(path: &Path) -> Option<String> {
    let ports: Ports = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    ports.nats.into_iter().next()
}

/// A process id may come back, and with it the ports file of an earlier server.
fn remove_old_ports(dir: &Path) {
    let files = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    for file in files.filter(|path| path.extension().is_some_and(|e| e == "ports")) {
        let _ = fs::remove_file(file);
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// `ROLLCALL_NATS_SERVER`, else the one on PATH.
fn find_binary() -> Result<PathBuf, LogError> {
    if let Some(path) = std::env::var_os("ROLLCALL_NATS_SERVER") {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(failed(format!("ROLLCALL_NATS_SERVER is {}, which is not a file", path.display())))
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join("nats-server")).find(|file| file.is_file()).ok_or_else(|| {
        failed(
            "there is no nats-server on PATH: install version 2.12 or newer, name it in ROLLCALL_NATS_SERVER, or set \
             nats.url to a server that runs",
        )
    })
}

/// Stops the server of a run that was killed, if it still runs with our configuration.
async fn stop_leftover(pid_file: &Path, config: &Path) -> Result<(), LogError> {
    let Some(id) = fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse::<i32>().ok()) else {
        return Ok(());
    };
    let ours = || {
        let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let config = config.to_string_lossy();
        command.split(|byte| *byte == 0).any(|arg| arg == config.as_bytes())
    };
    let Some(pid) = Pid::from_raw(id) else { return Ok(()) };
    let deadline = Instant::now() + STOP_TIMEOUT;
    let mut signal = Signal::TERM;
    while ours() {
        let _ = kill_process(pid, signal);
        if Instant::now() > deadline {
            if signal == Signal::KILL {
                return Err(failed(format!("process {id} of an earlier run can't be stopped")));
            }
            signal = Signal::KILL;
        }
        sleep(POLL).await;
    }
    let _ = fs::remove_file(pid_file);
    Ok(())
}

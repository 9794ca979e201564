//! nats-servers as operators run them: settled by a file, shared by the services; alone, or three as a cluster.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::rollcall::{free_port, until};

/// A nats-server process with its store.
pub struct NatsServer {
    /// For clients.
    pub url: String,
    /// For the check of its sync setting.
    pub monitoring_url: String,
    config: PathBuf,
    child: Option<Child>,
    _folder: Option<TempDir>,
}

impl NatsServer {
    /// Its process id, while it runs.
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref()?.id()
    }

    /// Starts one that syncs each write.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = folder.path().join("jetstream");
        let mut server = Self::at(folder.path().join("nats.conf"), &store, "")?;
        server._folder = Some(folder);
        server.run().await?;
        Ok(server)
    }

    /// One that keeps its events in `store` and does not run yet.
    ///
    /// # Errors
    /// When its configuration can't be written.
    pub fn at(config: PathBuf, store: &std::path::Path, more: &str) -> anyhow::Result<Self> {
        let (port, monitoring) = (free_port(), free_port());
        let text = format!(
            "host: 127.0.0.1\nport: {port}\nhttp: \"127.0.0.1:{monitoring}\"\n\
             jetstream {{ store_dir: {store:?}, sync_interval: always }}\n{more}"
        );
        std::fs::write(&config, text)?;
        let url = format!("nats://127.0.0.1:{port}");
        Ok(Self { url, monitoring_url: format!("http://127.0.0.1:{monitoring}"), config, child: None, _folder: None })
    }

    fn spawn(&mut self) -> anyhow::Result<()> {
        let child = Command::new(std::env::var_os("ROLLCALL_NATS_SERVER").unwrap_or_else(|| "nats-server".into()))
            .arg("-c")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("nats-server: ./dev test installs it")?;
        self.child = Some(child);
        Ok(())
    }

    /// Starts it, again perhaps, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn run(&mut self) -> anyhow::Result<()> {
        self.spawn()?;
        self.healthy().await
    }

    async fn healthy(&self) -> anyhow::Result<()> {
        let health = format!("{}/healthz", self.monitoring_url);
        until("nats-server answers", || async {
            Ok(reqwest::get(&health).await.ok().filter(|a| a.status().is_success()).map(drop))
        })
        .await
    }

    /// SIGTERM, and waits until it has ended.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        self.child.take().context("no process")?.wait().await?;
        Ok(())
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it can't be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        match self.child.take() {
            Some(mut child) => Ok(child.kill().await?),
            None => Ok(()),
        }
    }

    /// Stops it for a while, or lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.process().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(kill_process(pid.context("no process")?, signal)?)
    }
}

/// Servers that keep the log together.
pub struct NatsCluster {
    /// Each of them.
    pub servers: Vec<NatsServer>,
    _folder: TempDir,
}

impl NatsCluster {
    /// Starts so many; one alone is no cluster.
    ///
    /// # Errors
    /// When they do not come together.
    pub async fn start(count: usize) -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?, count).await
    }

    /// The same with everything they keep in a folder of its own.
    ///
    /// # Errors
    /// When they do not come together.
    pub async fn start_in(folder: TempDir, count: usize) -> anyhow::Result<Self> {
        let mut cluster = Self::at(folder, count)?;
        cluster.run().await?;
        Ok(cluster)
    }

    /// The same, none of which runs yet.
    ///
    /// # Errors
    /// When their configuration can't be written.
    pub fn at(folder: TempDir, count: usize) -> anyhow::Result<Self> {
        let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let routes = ports.iter().map(|p| format!("\"nats://127.0.0.1:{p}\"")).collect::<Vec<_>>().join(", ");
        let mut servers = Vec::new();
        for (n, port) in ports.iter().enumerate() {
            let more = format!(
                "server_name: n{n}\ncluster {{ name: rollcall, listen: \"127.0.0.1:{port}\", no_advertise: true, routes: [{routes}] }}\n"
            );
            let more = if count == 1 { String::new() } else { more };
            let path = folder.path();
            servers.push(NatsServer::at(path.join(format!("n{n}.conf")), &path.join(format!("n{n}")), &more)?);
        }
        Ok(Self { servers, _folder: folder })
    }

    /// Starts those that do not run, and waits until all have found together.
    ///
    /// # Errors
    /// When they do not.
    pub async fn run(&mut self) -> anyhow::Result<()> {
        self.servers.iter_mut().filter(|s| s.child.is_none()).try_for_each(NatsServer::spawn)?;
        for server in &self.servers {
            server.healthy().await?;
        }
        Ok(())
    }

    /// Where clients find them.
    #[must_use]
    pub fn url(&self) -> String {
        self.servers.iter().map(|s| s.url.as_str()).collect::<Vec<_>>().join(",")
    }

    /// Where their settings can be read.
    #[must_use]
    pub fn monitoring_url(&self) -> String {
        self.servers.iter().map(|s| s.monitoring_url.as_str()).collect::<Vec<_>>().join(",")
    }
}

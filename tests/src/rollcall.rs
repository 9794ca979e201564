//! Rollcall as a process that can be killed.

use std::fs::{self, File};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Client, Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::nats::NatsServer;

/// The secrets of the tests; none may appear in a log, an event or a metric.
pub const SOURCE_TOKEN: &str = "source-secret-5f1d";
/// See [`SOURCE_TOKEN`].
pub const API_TOKEN: &str = "api-secret-77ab";
/// See [`SOURCE_TOKEN`].
pub const APP_TOKEN: &str = "app-secret-c0de";

/// An app in the configuration.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct App {
    pub id: &'static str,
    pub base_url: String,
    pub assign: &'static str,
    pub deprovision: &'static str,
    pub leaver_sla: &'static str,
    /// More lines of its table, and more tables of it.
    pub keys: &'static str,
    pub tables: &'static str,
}

impl App {
    /// One for everyone who is active, whose leavers are deactivated and have time for it.
    #[must_use]
    pub const fn usual(id: &'static str, base_url: String) -> Self {
        let (assign, deprovision, leaver_sla) = ("active eq true", "deactivate", "10m");
        Self { id, base_url, assign, deprovision, leaver_sla, keys: "", tables: "" }
    }
}

/// How it runs.
enum Form {
    /// `up`: all in one process, with a private nats-server.
    Together,
    /// `run` once per service, on a shared nats-server.
    Apart { nats: Nats, projector: u16, second_projector: u16, services: &'static [&'static str] },
}

/// The server that processes share.
enum Nats {
    Own(Box<NatsServer>),
    /// Someone else starts and stops it.
    Elsewhere {
        settings: String,
    },
}

impl Nats {
    fn settings(&self) -> String {
        match self {
            Self::Own(nats) => format!("url = \"{}\"\nmonitoring_url = \"{}\"\n", nats.url, nats.monitoring_url),
            Self::Elsewhere { settings } => settings.clone(),
        }
    }
}

/// A Rollcall with its data, whether it runs or not.
pub struct Rollcall {
    folder: TempDir,
    port: u16,
    /// More keys of `[server]`.
    server: String,
    form: Form,
    running: Mutex<Vec<(&'static str, Child)>>,
    http: Client,
    extra: String,
    apps: Vec<App>,
    monitor_port: std::sync::atomic::AtomicU16,
}

const WATCHING: [&str; 3] = ["gateway", "projector", "sla-monitor"];
const SERVICES: [&str; 4] = ["gateway", "projector", "provisioner", "sla-monitor"];

/// How long a process may take to become ready; a benchmark has much to read.
const READY: Duration = Duration::from_secs(300);

/// How many ports each of the tests has that run at once, and of how many that are at most.
const PORTS: u16 = 1375;
const AT_ONCE: u16 = 16;

/// A loopback port that was free a moment ago, from below those that the system gives to whoever asks for any: a server that
/// starts meanwhile is not given it. Tests that run at once have ports of their own, and no test is given one twice.
pub fn free_port() -> u16 {
    static GIVEN: std::sync::Mutex<std::collections::BTreeSet<u16>> =
        std::sync::Mutex::new(std::collections::BTreeSet::new());
    let slot = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|slot| slot.parse::<u16>().ok());
    let slot = slot.unwrap_or_else(|| (std::process::id() % u32::from(AT_ONCE)) as u16) % AT_ONCE;
    let any = || 10_000 + slot * PORTS + (uuid::Uuid::new_v4().as_u128() % u128::from(PORTS)) as u16;
    let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let is_free = |port: &u16| given.insert(*port) && std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(any).take(1000).find(is_free).unwrap_or_default()
}

/// The program that `./dev test` has built.
#[must_use]
pub fn command() -> Command {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/debug/rollcall");
    Command::new(std::env::var_os("ROLLCALL_BINARY").unwrap_or_else(|| built.into()))
}

/// Asks until there is an answer; says what did not come.
///
/// # Errors
/// When asking fails, or a minute has passed.
pub async fn until<T, F: Future<Output = anyhow::Result<Option<T>>>>(
    what: &str,
    ask: impl Fn() -> F,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + Duration::from_secs(90);
    let mut every = tokio::time::interval(Duration::from_millis(50));
    loop {
        every.tick().await;
        if let Some(found) = ask().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("{what}: did not come true in time");
        }
    }
}

impl Drop for Rollcall {
    fn drop(&mut self) {
        for (_, child) in self.running.get_mut() {
            let _ = child.start_kill();
        }
        // A private server outlives a killed Rollcall, so that it can be told to give way at the next start.
        let pid = fs::read_to_string(self.data_dir().join("nats/nats.pid")).ok();
        if let Some(pid) = pid.and_then(|text| text.trim().parse().ok()).and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

async fn terminate(name: &str, mut child: Child) -> anyhow::Result<()> {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    kill_process(pid.context("no process")?, Signal::TERM)?;
    let status = tokio::time::timeout(Duration::from_secs(60), child.wait()).await??;
    if status.success() { Ok(()) } else { bail!("{name} stopped with {status}") }
}

impl Rollcall {
    /// A Rollcall with these apps that does not run yet; `extra` is appended to its configuration.
    ///
    /// # Errors
    /// When there is no temporary folder.
    pub fn new(apps: &[App], extra: &str) -> anyhow::Result<Self> {
        Self::of(Form::Together, apps, extra)
    }

    /// The same with more keys of `[server]`.
    #[must_use]
    pub fn with_server(mut self, keys: &str) -> Self {
        keys.clone_into(&mut self.server);
        self
    }

    /// The same with a process per service, on a nats-server that is started here.
    ///
    /// # Errors
    /// When there is no temporary folder, or no nats-server.
    pub async fn apart(apps: &[App], extra: &str) -> anyhow::Result<Self> {
        let nats = Nats::Own(Box::new(NatsServer::start().await?));
        Self::of(
            Form::Apart { nats, projector: free_port(), second_projector: free_port(), services: &SERVICES },
            apps,
            extra,
        )
    }

    /// Has an app no more from the next start on.
    pub fn take_out(&mut self, id: &str) {
        self.apps.retain(|app| app.id != id);
    }

    /// Has the first app at another address from the next start on.
    pub fn reach_at(&mut self, base_url: String) {
        if let Some(app) = self.apps.first_mut() {
            app.base_url = base_url;
        }
    }

    /// Has other settings of the first app from its next start on.
    pub fn change_app(&mut self, keys: &'static str) {
        if let Some(app) = self.apps.first_mut() {
            app.keys = keys;
        }
    }

    /// Has another end of its configuration from its next start on.
    pub fn change_configuration(&mut self, extra: &str) {
        extra.clone_into(&mut self.extra);
    }

    /// The same on servers that someone else starts and stops; `settings` are those under `[nats]`.
    ///
    /// # Errors
    /// When there is no temporary folder.
    pub fn on(settings: String, apps: &[App], extra: &str) -> anyhow::Result<Self> {
        let nats = Nats::Elsewhere { settings };
        Self::of(
            Form::Apart { nats, projector: free_port(), second_projector: free_port(), services: &SERVICES },
            apps,
            extra,
        )
    }

    /// The gateway and nothing else, for its speed.
    ///
    /// # Errors
    /// When there is no temporary folder, or no nats-server.
    pub async fn gateway_alone(extra: &str) -> anyhow::Result<Self> {
        let nats = Nats::Own(Box::new(NatsServer::start().await?));
        Self::of(
            Form::Apart { nats, projector: free_port(), second_projector: free_port(), services: &SERVICES[..1] },
            &[],
            extra,
        )
    }

    /// Everything but the provisioner: obligations open, and nothing ends them.
    ///
    /// # Errors
    /// When there is no temporary folder, or no nats-server.
    pub async fn without_provisioner(apps: &[App], extra: &str) -> anyhow::Result<Self> {
        let nats = Nats::Own(Box::new(NatsServer::start().await?));
        Self::of(
            Form::Apart { nats, projector: free_port(), second_projector: free_port(), services: &WATCHING },
            apps,
            extra,
        )
    }

    /// The processes that run, by name and process id.
    pub async fn processes(&self) -> Vec<(&'static str, u32)> {
        let running = self.running.lock().await;
        running.iter().filter_map(|(name, child)| Some((*name, child.id()?))).collect()
    }

    fn of(form: Form, apps: &[App], extra: &str) -> anyhow::Result<Self> {
        let http = Client::builder().timeout(Duration::from_secs(20)).build()?;
        let (extra, apps, running) = (extra.to_owned(), apps.to_vec(), Mutex::new(Vec::new()));
        let monitor_port = std::sync::atomic::AtomicU16::new(0);
        Ok(Self {
            folder: tempfile::tempdir()?,
            port: free_port(),
            form,
            running,
            http,
            extra,
            server: String::new(),
            apps,
            monitor_port,
        })
    }

    /// Where it keeps what it writes.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("rollcall.log")
    }

    /// Where its projections are.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its configuration, once it has been started.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("rollcall.toml")
    }

    fn configuration(&self) -> String {
        let mut text = format!(
            "[server]\nlisten = \"127.0.0.1:{0}\"\npublic_url = \"http://127.0.0.1:{0}\"\n{2}[[sources]]\nname = \"hr\"\ntoken_env = \"TEST_SOURCE\"\nmax_requests_per_second = 1000000\n\
             [[api_tokens]]\nname = \"auditor\"\nrole = \"auditor\"\ntoken_env = \"TEST_API\"\n{1}\n",
            self.port, self.extra, self.server
        );
        if let Form::Apart { nats, projector, second_projector, .. } = &self.form {
            text.push_str(&format!("[nats]\n{}", nats.settings()));
            text = text.replacen(
                "[server]",
                &format!("[server]\nprojector = \"http://127.0.0.1:{projector}, http://127.0.0.1:{second_projector}\""),
                1,
            );
        }
        for app in &self.apps {
            let usual = [
                ("request_timeout", "5s"),
                ("carried_out_within", "1s"),
                ("retry_min", "100ms"),
                ("retry_max", "500ms"),
                ("probe_every", "200ms"),
            ];
            let usual = usual.iter().filter(|(key, _)| !app.keys.contains(key));
            let usual: String = usual.map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
            text.push_str(&format!(
                "[[apps]]\nid = \"{}\"\nbase_url = \"{}\"\nowner = \"o@example.com\"\ntoken_env = \"TEST_APP\"\n\
                 assign = '{}'\ndeprovision = \"{}\"\nmax_requests_per_second = 2000\nmax_in_flight = 4\n\
                 {usual}{}\n\
                 [apps.sla]\nleaver = \"{}\"\n{}\n",
                app.id, app.base_url, app.assign, app.deprovision, app.keys, app.leaver_sla, app.tables
            ));
        }
        text
    }

    /// Writes its configuration, for what is done before it starts.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn configure(&self) -> anyhow::Result<()> {
        Ok(fs::write(self.config_file(), self.configuration())?)
    }

    /// Starts it, and waits until it says that it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start(&self) -> anyhow::Result<()> {
        self.configure()?;
        let mut running = self.running.lock().await;
        match &self.form {
            Form::Together => running.push(("up", self.start_one(&["up"], self.port, &self.data_dir()).await?)),
            Form::Apart { projector, services, .. } => {
                for service in *services {
                    let port = match *service {
                        "gateway" => self.port,
                        "projector" => *projector,
                        "sla-monitor" => {
                            let port = free_port();
                            self.monitor_port.store(port, std::sync::atomic::Ordering::SeqCst);
                            port
                        }
                        _ => free_port(),
                    };
                    running.push((*service, self.start_one(&["run", *service], port, &self.data_dir()).await?));
                }
            }
        }
        Ok(())
    }

    /// Starts one more gateway on the same log, and gives its address.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn second_gateway(&self) -> anyhow::Result<String> {
        let port = free_port();
        let child = self.start_one(&["run", "gateway"], port, &self.folder.path().join("data-2")).await?;
        self.running.lock().await.push(("gateway", child));
        Ok(format!("http://127.0.0.1:{port}"))
    }

    /// Stops the nats-server of services that run apart, for a while.
    ///
    /// # Errors
    /// When there is none.
    pub fn pause_log(&self) -> anyhow::Result<()> {
        self.signal_log(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When there is none.
    pub fn resume_log(&self) -> anyhow::Result<()> {
        self.signal_log(Signal::CONT)
    }

    fn signal_log(&self, signal: Signal) -> anyhow::Result<()> {
        let Form::Apart { nats: Nats::Own(nats), .. } = &self.form else { bail!("the log is not ours to stop") };
        nats.signal(signal)
    }

    /// Starts one more of a service on the same log, with a state of its own.
    ///
    /// # Errors
    /// When there is no second one of it, or it does not become ready.
    pub async fn second(&self, service: &str) -> anyhow::Result<()> {
        let (name, port) = match (service, &self.form) {
            ("projector", Form::Apart { second_projector, .. }) => ("projector-2", *second_projector),
            ("provisioner", _) => ("provisioner-2", free_port()),
            ("sla-monitor", _) => ("sla-monitor-2", free_port()),
            _ => bail!("there is no second {service}"),
        };
        let child = self.start_one(&["run", service], port, &self.folder.path().join("data-2")).await?;
        self.running.lock().await.push((name, child));
        Ok(())
    }

    /// Waits until the monitor has applied an event.
    ///
    /// # Errors
    /// When it does not.
    pub async fn monitor_reached(&self, sequence: u64) -> anyhow::Result<()> {
        let port = self.monitor_port.load(std::sync::atomic::Ordering::SeqCst);
        until("the monitor has read everything", || async {
            let text = self.http.get(format!("http://127.0.0.1:{port}/readyz")).send().await?.text().await?;
            let state: Value = serde_json::from_str(&text)?;
            Ok((state["services"]["sla-monitor"]["at"].as_u64() >= Some(sequence)).then_some(()))
        })
        .await
    }

    /// Starts one of the services that run apart again.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_service(&self, name: &'static str) -> anyhow::Result<()> {
        let port = match (name, &self.form) {
            ("gateway", _) => self.port,
            ("projector", Form::Apart { projector, .. }) => *projector,
            _ => free_port(),
        };
        let child = self.start_one(&["run", name], port, &self.data_dir()).await?;
        self.running.lock().await.push((name, child));
        Ok(())
    }

    /// SIGKILL to one of the services that run apart.
    ///
    /// # Errors
    /// When it does not run, or can't be killed.
    pub async fn kill_service(&self, name: &str) -> anyhow::Result<()> {
        let mut running = self.running.lock().await;
        let at = running.iter().position(|(service, _)| *service == name).context("it does not run")?;
        let (_, mut child) = running.remove(at);
        Ok(child.kill().await?)
    }

    /// Stops one of the services that run apart for a while, or lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        let running = self.running.lock().await;
        let found = running.iter().find(|(service, _)| *service == name).context("it does not run")?;
        let pid = found.1.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(kill_process(pid.context("no process")?, signal)?)
    }

    async fn start_one(&self, arguments: &[&str], port: u16, data: &Path) -> anyhow::Result<Child> {
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut child = command()
            .args(arguments)
            .arg("--config")
            .arg(self.config_file())
            .arg("--data-dir")
            .arg(data)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .env("TEST_SOURCE", SOURCE_TOKEN)
            .env("TEST_API", API_TOKEN)
            .env("TEST_APP", APP_TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("rollcall: build it first, ./dev test does")?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let line = tokio::time::timeout(READY, lines.next_line()).await.context("not ready")??;
        if line.as_deref() != Some(&format!("ready http://127.0.0.1:{port}")) {
            bail!("{arguments:?} is not ready: {line:?}\n{}", fs::read_to_string(self.log_file())?);
        }
        Ok(child)
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// SIGKILL to every process: no time for anything.
    ///
    /// # Errors
    /// When one can't be killed.
    pub async fn kill(&self) -> anyhow::Result<()> {
        for (_, mut child) in self.running.lock().await.drain(..) {
            child.kill().await?;
        }
        Ok(())
    }

    /// SIGTERM to every process, and each must end well.
    ///
    /// # Errors
    /// When one does not.
    pub async fn stop(&self) -> anyhow::Result<()> {
        for (name, child) in self.running.lock().await.drain(..) {
            terminate(name, child).await?;
        }
        Ok(())
    }

    /// The same to one of the services that run apart.
    ///
    /// # Errors
    /// When it does not run, or does not end well.
    pub async fn stop_service(&self, name: &str) -> anyhow::Result<()> {
        let mut running = self.running.lock().await;
        let at = running.iter().position(|(service, _)| *service == name).context("it does not run")?;
        let (name, child) = running.remove(at);
        terminate(name, child).await
    }

    /// One SCIM request with any body; the answer whatever it is.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<String>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.address())).bearer_auth(token);
        if let Some(body) = body {
            request = request.header("content-type", "application/scim+json").body(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// One SCIM request that must succeed.
    ///
    /// # Errors
    /// When it does not.
    pub async fn scim(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let path = format!("/scim/v2{path}");
        let (status, answer) = self.raw(method, &path, SOURCE_TOKEN, Some(body.to_string())).await?;
        if status.is_success() { Ok(answer) } else { bail!("{path} answered {status}: {answer}") }
    }

    /// One request to the API that must succeed.
    ///
    /// # Errors
    /// When it does not.
    pub async fn api(&self, path: &str) -> anyhow::Result<Value> {
        let (status, answer) = self.raw(Method::GET, path, API_TOKEN, None).await?;
        if status.is_success() { Ok(answer) } else { bail!("{path} answered {status}: {answer}") }
    }

    /// Every item of a list.
    ///
    /// # Errors
    /// When a page can't be had.
    pub async fn items(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        let separator = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self.api(&format!("{path}{separator}limit=200{cursor}")).await?;
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }
}

//! A deployment, as whoever operates it sees it: compose, the engine, and the one address.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use reqwest::{Client, Method, StatusCode};
use rollcall_tests::until;
use serde_json::Value;
use tokio::process::Command;

pub const PROJECT: &str = "rollcall-test";

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub fn say(text: &str) {
    println!("{text}");
}

pub async fn run(
    program: &str,
    arguments: &[&str],
    folder: &Path,
    environment: &[(String, String)],
) -> anyhow::Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.envs(environment.iter().map(|(k, v)| (k.as_str(), v.as_str())));
    let output = command.output().await.with_context(|| format!("{program} can't be run"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{program} {}:\n{text}{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

/// How long it is watched idle.
const IDLE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, Default)]
struct Used {
    seconds: f64,
    bytes: f64,
}

/// What is deployed.
pub struct Shape {
    /// The compose file, from the top.
    pub file: &'static str,
    /// Every container that stays.
    pub services: &'static [&'static str],
    /// Whose network is cut.
    pub cut: &'static [&'static str],
    /// What is there besides.
    pub profile: Option<&'static str>,
}

/// The deployment under test.
pub struct Deployment {
    pub shape: Shape,
    pub compose: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub address: String,
    pub source: String,
    pub api: String,
    pub http: Client,
}

impl Deployment {
    pub async fn compose(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let (program, first) = self.compose.split_first().context("no compose")?;
        let mut all: Vec<&str> = first.iter().map(String::as_str).collect();
        all.extend(["-f", self.shape.file, "-p", PROJECT]);
        all.extend(self.shape.profile.iter().flat_map(|profile| ["--profile", profile]));
        all.extend(arguments);
        run(program, &all, &root(), &self.environment).await
    }

    /// The same where it may fail: whether it worked, and all that was said.
    pub async fn try_compose(&self, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
        let (program, first) = self.compose.split_first().context("no compose")?;
        let mut command = Command::new(program);
        command.args(first).args(["-f", self.shape.file, "-p", PROJECT]).args(arguments);
        command.current_dir(root()).stdin(Stdio::null());
        let output = command.envs(self.environment.iter().map(|(k, v)| (k, v))).output().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Ok((output.status.success(), text))
    }

    /// Takes all of it away. The engine lets go of an endpoint some time after its container, and of the network only then.
    pub async fn clear(&self) -> anyhow::Result<()> {
        until("all of it is gone", || async {
            match self.compose(&["down", "-v", "--remove-orphans"]).await {
                Ok(_) => Ok(Some(())),
                Err(e) if format!("{e:#}").contains("has active endpoints") => {
                    self.let_go().await?;
                    Ok(None)
                }
                Err(e) => Err(e),
            }
        })
        .await
    }

    /// Takes endpoints of containers that are gone from the networks: an engine that is busy may keep one for ever.
    async fn let_go(&self) -> anyhow::Result<()> {
        let label = format!("label=com.docker.compose.project={PROJECT}");
        let networks = self.docker(&["network", "ls", "-q", "--filter", &label]).await?;
        for network in networks.split_whitespace() {
            let names = "{{range .Containers}}{{.Name}} {{end}}";
            let held = self.docker(&["network", "inspect", "-f", names, network]).await?;
            for name in held.split_whitespace() {
                // It may have gone just now.
                let _ = self.docker(&["network", "disconnect", "-f", network, name]).await;
            }
        }
        Ok(())
    }

    /// What all of it uses while nothing happens: its share of a core for a minute, health checks included, and memory.
    pub async fn idle(&self) -> anyhow::Result<String> {
        let (before, started) = (self.used().await?, Instant::now());
        tokio::time::sleep(IDLE).await;
        let (after, took) = (self.used().await?, started.elapsed());
        let share = (after.seconds - before.seconds) / took.as_secs_f64() * 100.0;
        Ok(format!("{share:.1} % of a core, {:.0} MB", after.bytes / 1e6))
    }

    /// What every container has used, as the engine counts it.
    async fn used(&self) -> anyhow::Result<Used> {
        let mut used = Used::default();
        for service in self.shape.services {
            let address =
                format!("http://engine/containers/{}/stats?stream=false&one-shot=true", self.container(service).await?);
            let ask = ["-s", "-f", "--unix-socket", "/var/run/docker.sock", &address];
            let stats: Value = serde_json::from_str(&run("curl", &ask, &root(), &self.environment).await?)?;
            used.seconds += stats["cpu_stats"]["cpu_usage"]["total_usage"].as_f64().context("no CPU time")? / 1e9;
            // Files that are only cached are given back when they must be.
            let memory = &stats["memory_stats"];
            let cached = memory["stats"]["inactive_file"].as_f64().or(memory["stats"]["total_inactive_file"].as_f64());
            used.bytes += memory["usage"].as_f64().context("no memory")? - cached.unwrap_or_default();
        }
        Ok(used)
    }

    pub async fn docker(&self, arguments: &[&str]) -> anyhow::Result<String> {
        run("docker", arguments, &root(), &self.environment).await
    }

    pub async fn container(&self, service: &str) -> anyhow::Result<String> {
        let id = self.compose(&["ps", "-a", "-q", service]).await?;
        id.lines().next().map(str::to_owned).with_context(|| format!("there is no container of {service}"))
    }

    /// The first container of a service.
    pub fn first(&self, service: &str) -> anyhow::Result<&'static str> {
        self.shape.services.iter().copied().find(|name| name.starts_with(service)).context("no such service")
    }

    /// The network that the containers share.
    fn network() -> String {
        format!("{PROJECT}_default")
    }

    /// The address of this machine that containers can reach.
    pub async fn host(&self) -> anyhow::Result<String> {
        let gateway = "{{(index .IPAM.Config 0).Gateway}}";
        Ok(self.docker(&["network", "inspect", "-f", gateway, &Self::network()]).await?.trim().to_owned())
    }

    /// Where a service that is not published can be asked from this machine.
    pub async fn inner_address(&self, service: &str, port: u16) -> anyhow::Result<String> {
        let template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let ip = self.docker(&["inspect", "-f", template, &self.container(service).await?]).await?;
        Ok(format!("http://{}:{port}", ip.trim()))
    }

    /// Takes a container off the network.
    pub async fn cut_off(&self, service: &str) -> anyhow::Result<()> {
        self.docker(&["network", "disconnect", &Self::network(), &self.container(service).await?]).await?;
        Ok(())
    }

    /// Puts it back.
    pub async fn reconnect(&self, service: &str) -> anyhow::Result<()> {
        let id = self.container(service).await?;
        self.docker(&["network", "connect", "--alias", service, &Self::network(), &id]).await?;
        Ok(())
    }

    /// Waits until every container is healthy, or runs, where nothing says more.
    pub async fn healthy(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        'again: loop {
            ensure!(
                started.elapsed() < Duration::from_secs(180),
                "not healthy in time:\n{}",
                self.compose(&["ps"]).await?
            );
            for service in self.shape.services {
                let Ok(id) = self.container(service).await else {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    continue 'again;
                };
                let state = self
                    .docker(&[
                        "inspect",
                        "-f",
                        "{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}",
                        &id,
                    ])
                    .await?;
                if !matches!(state.trim(), "healthy" | "running") {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    continue 'again;
                }
            }
            return Ok(());
        }
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.address)).bearer_auth(token);
        if let Some(body) = body {
            request = request.header("content-type", "application/scim+json").body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Sends a change until it is acknowledged, as an identity provider does.
    pub async fn push(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let started = Instant::now();
        loop {
            match self.ask(method.clone(), path, &self.source, Some(body)).await {
                Ok((status, answer)) if status.is_success() => return Ok(answer),
                // Created before the answer was lost.
                Ok((StatusCode::CONFLICT, _)) => {
                    let name = body["userName"].as_str().unwrap_or_default();
                    let search = format!("/scim/v2/Users?filter=userName%20eq%20%22{name}%22");
                    if let Ok((StatusCode::OK, found)) = self.ask(Method::GET, &search, &self.source, None).await
                        && found["totalResults"] == 1
                    {
                        return Ok(found["Resources"][0].clone());
                    }
                }
                Ok((status, answer)) => ensure!(status.is_server_error(), "{path}: {status} {answer}"),
                Err(_) => {}
            }
            ensure!(started.elapsed() < Duration::from_secs(120), "{path} was not acknowledged in time");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub async fn items(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        let separator = if path.contains('?') { '&' } else { '?' };
        loop {
            let (status, page) =
                self.ask(Method::GET, &format!("{path}{separator}limit=200{cursor}"), &self.api, None).await?;
            ensure!(status.is_success(), "{path}: {status} {page}");
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    /// Waits until nothing is open any more.
    pub async fn all_ended(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let mut open = 0;
            for status in ["open", "applied", "overdue"] {
                match self.items(&format!("/v1/obligations?status={status}")).await {
                    Ok(found) => open += found.len(),
                    Err(_) => open += 1,
                }
            }
            if open == 0 {
                return Ok(());
            }
            ensure!(started.elapsed() < Duration::from_secs(120), "{open} obligations are still open");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

//! Rollcall as its users have it: a process, its SCIM door and its API.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Client, Method};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::apps::App;

/// How long a leaver's access may last in the demo.
pub const LEAVER_SLA: &str = "5s";

/// A running Rollcall.
pub struct Rollcall {
    pub address: String,
    pub api_token: String,
    source_token: String,
    http: Client,
    /// The process and its log; none when it is a deployment.
    own: Option<(Child, PathBuf)>,
}

impl Rollcall {
    /// Writes a configuration and starts `rollcall up` with it.
    pub async fn start(folder: &Path, apps: &[App], alerts: &str) -> anyhow::Result<Self> {
        let secret = || uuid::Uuid::new_v4().simple().to_string();
        let (source_token, api_token) = (secret(), secret());
        let config = folder.join("rollcall.toml");
        fs::write(&config, configuration(apps, alerts)).context("the configuration can't be written")?;
        let log = folder.join("rollcall.log");
        let binary = std::env::current_exe().context("this program can't find itself")?;
        let mut command = Command::new(binary);
        command.arg("up").arg("--config").arg(&config).arg("--data-dir").arg(folder.join("data"));
        command.env("DEMO_SOURCE_TOKEN", &source_token).env("DEMO_API_TOKEN", &api_token);
        for app in apps {
            command.env(format!("DEMO_{}_TOKEN", app.role.id.to_uppercase()), &app.token);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).context("the log can't be written")?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("rollcall can't be started")?;
        let stdout = child.stdout.take().context("rollcall has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line())
            .await
            .context("rollcall was not ready in time")?;
        let address = line?.as_deref().and_then(|l| l.strip_prefix("ready ")).map(str::to_owned);
        let Some(address) = address else {
            bail!("rollcall did not start:\n{}", fs::read_to_string(&log).unwrap_or_default());
        };
        println!("  Rollcall at {address}");
        Ok(Self { address, api_token, source_token, http: http()?, own: Some((child, log)) })
    }

    /// One that is deployed already.
    pub fn elsewhere(address: &str, source_token: String, api_token: String) -> anyhow::Result<Self> {
        let address = address.trim_end_matches('/').to_owned();
        Ok(Self { address, api_token, source_token, http: http()?, own: None })
    }

    /// One SCIM request as the identity provider sends it.
    pub async fn scim(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .http
            .request(method.clone(), format!("{}/scim/v2{path}", self.address))
            .bearer_auth(&self.source_token)
            .header("content-type", "application/scim+json")
            .body(body.to_string());
        let answer = request.send().await.with_context(|| format!("{method} {path}"))?;
        let status = answer.status();
        let body: Value = answer.json().await.with_context(|| format!("{method} {path} answered {status}"))?;
        if !status.is_success() {
            bail!("{method} {path} answered {status}: {body}");
        }
        Ok(body)
    }

    /// One request to the API.
    pub async fn api(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.http.get(format!("{}{path}", self.address)).bearer_auth(&self.api_token);
        let answer = request.send().await.with_context(|| format!("GET {path}"))?;
        let status = answer.status();
        let body: Value = answer.json().await.with_context(|| format!("GET {path} answered {status}"))?;
        if !status.is_success() {
            bail!("GET {path} answered {status}: {body}");
        }
        Ok(body)
    }

    /// The items of a list, every page of it.
    pub async fn items(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut cursor = String::new();
        loop {
            let page = self.api(&format!("{path}{separator}limit=200{cursor}")).await?;
            items.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    /// Stops it as an operator would, and checks that it stops cleanly.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Some((mut child, log)) = self.own else { return Ok(()) };
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(pid.context("rollcall does not run any more")?, Signal::TERM).context("SIGTERM")?;
        let status = tokio::time::timeout(Duration::from_secs(60), child.wait()).await;
        let status = status.context("rollcall did not stop in time")??;
        if !status.success() {
            bail!("rollcall stopped with {status}; see {}", log.display());
        }
        Ok(())
    }
}

fn http() -> anyhow::Result<Client> {
    Client::builder().timeout(Duration::from_secs(20)).build().context("no HTTP client")
}

fn configuration(apps: &[App], alerts: &str) -> String {
    let mut text = String::from(
        r#"[server]
listen = "127.0.0.1:0"

[[sources]]
name = "idp"
token_env = "DEMO_SOURCE_TOKEN"

[[api_tokens]]
name = "auditor"
role = "auditor"
token_env = "DEMO_API_TOKEN"
"#,
    );
    text.push_str(&format!("\n[[alerts]]\nkind = \"webhook\"\nname = \"demo\"\nurl = \"{alerts}\"\n"));
    for app in apps {
        let token = format!("token_env = \"DEMO_{}_TOKEN\"", app.role.id.to_uppercase());
        text.push_str(&connected(app, &token, LEAVER_SLA));
    }
    text
}

/// An app in the configuration.
pub fn connected(app: &App, more: &str, leaver: &str) -> String {
    format!(
        r#"
[[apps]]
id = "{id}"
name = "{name}"
base_url = "{base_url}"
{more}
owner = "{id}-owners@example.com"
assign = '{assign}'
deprovision = "deactivate"
max_requests_per_second = 200
request_timeout = "2s"
retry_min = "300ms"
retry_max = "2s"
[apps.sla]
joiner = "1m"
mover = "1m"
leaver = "{leaver}"
"#,
        id = app.role.id,
        name = app.role.name,
        base_url = app.base_url,
        assign = app.role.assign(),
    )
}

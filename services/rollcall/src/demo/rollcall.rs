//! Rollcall as its users have it: a process, its SCIM door and its API.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::apps::{App, CHAT, CRM};
use super::play::ENTERPRISE;

/// How long a leaver's access may last in the demo.
pub const LEAVER_SLA: &str = "5s";

/// The configuration, and the folder of its policies.
/// Which tokens there are, and whose.
const INVENTORY: &str = "code-host";

const CONFIG: &str = "rollcall.toml";
const POLICIES: &str = "policies";

/// The role that can be asked for.
pub const ASKED_FOR: &str = "crm-guest";

/// An app that people change.
pub const BADGES: &str = "badges";

/// The department whose people have badges.
pub const FACILITIES: &str = "Facilities";

/// Who does something about it, each with a token of their own.
const ACTORS: [(&str, &str); 2] =
    [("dana.okafor@example.com", "DEMO_DANA_TOKEN"), ("eli.okafor@example.com", "DEMO_ELI_TOKEN")];

/// A running Rollcall.
pub struct Rollcall {
    pub address: String,
    pub api_token: String,
    source_token: String,
    /// By user name.
    personal_tokens: HashMap<&'static str, String>,
    http: Client,
    /// The process; none when it is a deployment.
    own: Option<Own>,
}

/// A process of our own.
struct Own {
    child: Child,
    folder: PathBuf,
    /// What its configuration names.
    secrets: HashMap<String, String>,
}

impl Own {
    /// Starts `rollcall up` with the configuration of a folder; its address.
    async fn start(folder: PathBuf, secrets: HashMap<String, String>) -> anyhow::Result<(Self, String)> {
        let log = folder.join("rollcall.log");
        let binary = std::env::current_exe().context("this program can't find itself")?;
        let mut command = Command::new(binary);
        command.arg("up").arg("--config").arg(folder.join(CONFIG)).arg("--data-dir").arg(folder.join("data"));
        let file = File::options().create(true).append(true).open(&log).context("the log can't be written")?;
        let mut child = command
            .envs(&secrets)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
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
        Ok((Self { child, folder, secrets }, address))
    }

    /// Stops it as an operator would, and checks that it stops cleanly.
    async fn stop(&mut self) -> anyhow::Result<()> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(pid.context("rollcall does not run any more")?, Signal::TERM).context("SIGTERM")?;
        let status = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        let status = status.context("rollcall did not stop in time")??;
        if !status.success() {
            bail!("rollcall stopped with {status}; see {}", self.folder.display());
        }
        Ok(())
    }
}

impl Rollcall {
    /// Writes a configuration and starts `rollcall up` with it.
    pub async fn start(folder: &Path, apps: &[App], alerts: &str) -> anyhow::Result<Self> {
        let secret = || uuid::Uuid::new_v4().simple().to_string();
        let (source_token, api_token) = (secret(), secret());
        let personal_tokens: HashMap<_, _> = ACTORS.iter().map(|(name, _)| (*name, secret())).collect();
        fs::create_dir(folder.join(POLICIES)).context("no folder for policies")?;
        fs::write(folder.join(CONFIG), configuration(folder, apps, alerts))
            .context("the configuration can't be written")?;
        let mut secrets = HashMap::from([
            ("DEMO_SOURCE_TOKEN".to_owned(), source_token.clone()),
            ("DEMO_API_TOKEN".to_owned(), api_token.clone()),
        ]);
        for (name, variable) in ACTORS {
            secrets.insert(variable.to_owned(), personal_tokens.get(name).cloned().unwrap_or_default());
        }
        for app in apps {
            secrets.insert(token_of(app), app.token.clone());
        }
        let (own, address) = Own::start(folder.to_owned(), secrets).await?;
        println!("  Rollcall at {address}");
        Ok(Self { address, api_token, source_token, personal_tokens, http: http()?, own: Some(own) })
    }

    /// Stops it, and starts it with what its configuration is now.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let mut own = self.own.take().context("it is a deployment")?;
        own.stop().await?;
        let (own, address) = Own::start(own.folder, own.secrets).await?;
        (self.own, self.address) = (Some(own), address);
        Ok(())
    }

    /// What its configuration, as it is now, would change, before it is started with it.
    pub async fn preview(&self) -> anyhow::Result<Value> {
        let own = self.own.as_ref().context("it is a deployment")?;
        let config = rollcall_config::load(&own.folder.join(CONFIG), &|name| own.secrets.get(name).cloned())?;
        let request = self.http.post(format!("{}/v1/policies/preview", self.address)).bearer_auth(&self.api_token);
        answered(request.json(&config.access_spec()), "POST /v1/policies/preview").await
    }

    /// Where its policies are.
    pub fn policies(&self) -> anyhow::Result<PathBuf> {
        Ok(self.own.as_ref().context("it is a deployment")?.folder.join(POLICIES))
    }

    /// One that is deployed already.
    pub fn elsewhere(address: &str, source_token: String, api_token: String) -> anyhow::Result<Self> {
        let address = address.trim_end_matches('/').to_owned();
        Ok(Self { address, api_token, source_token, personal_tokens: HashMap::new(), http: http()?, own: None })
    }

    /// One SCIM request as the identity provider sends it.
    pub async fn scim(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .http
            .request(method.clone(), format!("{}/scim/v2{path}", self.address))
            .bearer_auth(&self.source_token)
            .header("content-type", "application/scim+json")
            .body(body.to_string());
        answered(request, &format!("{method} {path}")).await
    }

    /// Sends the list of the code host: the ids of tokens, and whose they are, as it was at a time.
    pub async fn list(&self, tokens: &[(&str, &str)], taken_at: Timestamp) -> anyhow::Result<Value> {
        let rows = tokens.iter().map(|(name, holder)| format!("{name},{holder}\n"));
        let body = format!("name,holder\n{}", rows.collect::<String>());
        let url = format!("{}/inventories/{INVENTORY}?taken_at={taken_at}", self.address);
        let request = self.http.put(url).bearer_auth(&self.source_token).header("content-type", "text/csv").body(body);
        answered(request, "the list of tokens").await
    }

    /// One request to the API.
    pub async fn api(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.http.get(format!("{}{path}", self.address)).bearer_auth(&self.api_token);
        answered(request, &format!("GET {path}")).await
    }

    /// Wants something of the API, as its operator.
    pub async fn want(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.http.post(format!("{}{path}", self.address)).bearer_auth(&self.api_token);
        answered(request, &format!("POST {path}")).await
    }

    /// The same with something to say.
    pub async fn say(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.http.post(format!("{}{path}", self.address)).bearer_auth(&self.api_token).json(body);
        answered(request, &format!("POST {path}")).await
    }

    /// One request to the API that somebody makes with their own token.
    pub async fn act(&self, path: &str, user_name: &str, body: &Value) -> anyhow::Result<Value> {
        let token = self.personal_tokens.get(user_name).with_context(|| format!("{user_name} has no token"))?;
        let request = self.http.post(format!("{}{path}", self.address)).bearer_auth(token).json(body);
        answered(request, &format!("POST {path}")).await
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
        match self.own {
            Some(mut own) => own.stop().await,
            None => Ok(()),
        }
    }
}

/// The variable that holds the token of an app.
fn token_of(app: &App) -> String {
    format!("DEMO_{}_TOKEN", app.role.id.to_uppercase())
}

/// What is answered, when it is a success.
async fn answered(request: RequestBuilder, what: &str) -> anyhow::Result<Value> {
    let answer = request.send().await.with_context(|| what.to_owned())?;
    let status = answer.status();
    let body: Value = answer.json().await.with_context(|| format!("{what} answered {status}"))?;
    if !status.is_success() {
        bail!("{what} answered {status}: {body}");
    }
    Ok(body)
}

fn http() -> anyhow::Result<Client> {
    Client::builder().timeout(Duration::from_secs(20)).build().context("no HTTP client")
}

fn configuration(folder: &Path, apps: &[App], alerts: &str) -> String {
    let mut text = format!(
        r#"[server]
listen = "127.0.0.1:0"

[[sources]]
name = "idp"
token_env = "DEMO_SOURCE_TOKEN"

[[inventories]]
name = "{INVENTORY}"
source = "idp"
kind = "personal_access_token"

[[api_tokens]]
name = "auditor"
role = "operator"
token_env = "DEMO_API_TOKEN"
"#,
    );
    text.push_str(&format!("\n[policies]\nfolder = \"{}\"\n", folder.join(POLICIES).display()));
    text.push_str(&format!("\n[[alerts]]\nkind = \"webhook\"\nname = \"demo\"\nurl = \"{alerts}\"\n"));
    for (name, variable) in ACTORS {
        let token = format!(
            "\n[[api_tokens]]\nname = \"{name}\"\nrole = \"viewer\"\ntoken_env = \"{variable}\"\nidentity = \"{name}\"\n"
        );
        text.push_str(&token);
    }
    text.push_str(&format!(
        r#"
[[roles]]
id = "{ASKED_FOR}"
name = "Guest of the CRM"
entitlements = ["{crm}"]
owner = "crm-owners@example.com"
requestable = true
max_duration = "8h"
approvers = ["manager"]

[[roles]]
id = "robots"
name = "What posts to Chat"
members = 'userName sw "svc-"'
entitlements = ["{chat}"]
owner = "chat-owners@example.com"
"#,
        crm = CRM.id,
        chat = CHAT.id
    ));
    for app in apps {
        let mut more = format!("token_env = \"{}\"", token_of(app));
        if app.role == CHAT {
            more.push_str("\nidentities = [\"user\", \"service_account\"]");
        }
        text.push_str(&connected(app, &more, LEAVER_SLA));
    }
    text.push_str(&format!(
        r#"
[[apps]]
id = "{BADGES}"
name = "Badges"
kind = "manual"
owner = "reception@example.com"
assign = 'active eq true and {ENTERPRISE}:department eq "{FACILITIES}"'
deprovision = "delete"
[apps.sla]
joiner = "1m"
leaver = "{LEAVER_SLA}"
"#
    ));
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
carried_out_within = "2s"
retry_min = "300ms"
retry_max = "2s"
[apps.sla]
joiner = "1m"
mover = "1m"
leaver = "{leaver}"
[apps.guard]
max_removals = 5
"#,
        id = app.role.id,
        name = app.role.name,
        base_url = app.base_url,
        assign = app.role.assign(),
    )
}

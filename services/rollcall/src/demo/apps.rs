//! The downstream apps: as processes of their own, or those of a deployment.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::composing;
use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

/// What an app is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    pub id: &'static str,
    pub name: &'static str,
    /// Who has an account: one department, or everyone.
    department: Option<&'static str>,
}

pub const CHAT: Role = Role { id: "chat", name: "Chat", department: None };
pub const CRM: Role = Role { id: "crm", name: "CRM", department: Some("Sales") };
/// Composes display names itself.
pub const WIKI: Role = Role { id: "wiki", name: "Wiki", department: None };
pub const CODE: Role = Role { id: "code", name: "Code", department: Some("Engineering") };

impl Role {
    /// The assignment rule.
    pub fn assign(self) -> String {
        let employee = r#"userType eq "Employee""#;
        self.department.map_or_else(
            || employee.to_owned(),
            |of| format!(r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "{of}""#),
        )
    }

    /// Whether the people of a department have an account.
    pub fn is_for(self, department: &str) -> bool {
        self.department.is_none_or(|of| of == department)
    }
}

/// A running app.
pub struct App {
    pub role: Role,
    pub base_url: String,
    pub token: String,
    made_of: &'static str,
    /// Where it runs elsewhere, there is none.
    child: Option<Child>,
}

/// Starts three scim2-servers, one of them behind something that composes display names, and one SCIMMY server, or a fourth
/// scim2-server where there is no SCIMMY.
pub async fn start(folder: &Path) -> anyhow::Result<Vec<App>> {
    let scim2 = std::env::var_os("ROLLCALL_SCIM2_SERVER").map(PathBuf::from);
    let scim2 = scim2.context("ROLLCALL_SCIM2_SERVER does not name a scim2-server: start the demo with ./dev demo")?;
    let scimmy = std::env::var_os("ROLLCALL_SCIMMY").map(PathBuf::from).filter(|path| path.is_file());
    let mut apps = Vec::new();
    for role in [CHAT, CRM, CODE, WIKI] {
        let id = role.id;
        let port = free_port()?;
        let token = uuid::Uuid::new_v4().simple().to_string();
        let log = File::create(folder.join(format!("{id}.log"))).context("an app's log can't be written")?;
        let (mut command, made_of, path) = match &scimmy {
            Some(script) if id == "code" => {
                let mut command = Command::new("node");
                command.arg(script).arg(port.to_string()).arg(&token);
                (command, "SCIMMY", "/scim/v2")
            }
            _ => {
                let mut command = Command::new(&scim2);
                command.args(["--port", &port.to_string(), "--bearer-token", &token]);
                (command, "scim2-server", "/v2")
            }
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("an app's log can't be shared")?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{made_of} can't be started"))?;
        let origin = format!("http://127.0.0.1:{port}");
        let (origin, made_of) = match role {
            WIKI => (composing::start(origin).await?, "scim2-server that composes display names"),
            _ => (origin, made_of),
        };
        let base_url = format!("{origin}{path}");
        apps.push(App { role, base_url, token, made_of, child: Some(child) });
    }
    for app in &mut apps {
        app.wait().await?;
        println!("  {:<5} {} at {}", app.role.name, app.made_of, app.base_url);
    }
    Ok(apps)
}

/// Chat and CRM where they run already, once they answer.
pub async fn elsewhere(chat: &str, crm: &str, token: &str) -> anyhow::Result<Vec<App>> {
    let app = |role, base_url: &str| App {
        role,
        base_url: base_url.trim_end_matches('/').to_owned(),
        token: token.to_owned(),
        made_of: "SCIM server",
        child: None,
    };
    let mut apps = vec![app(CHAT, chat), app(CRM, crm)];
    for app in &mut apps {
        app.wait().await?;
        println!("  {:<5} answers at {}", app.role.name, app.base_url);
    }
    Ok(apps)
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr().context("no free port")?.port())
}

impl App {
    async fn wait(&mut self) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while self.search("userName pr").await.is_err() {
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!("{} ({}) stopped with {status}", self.role.name, self.made_of);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("{} ({}) does not answer at {}", self.role.name, self.made_of, self.base_url);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// What the app itself says, past Rollcall.
    pub async fn search(&self, filter: &str) -> anyhow::Result<Vec<Value>> {
        let request = reqwest::Client::new()
            .get(format!("{}/Users", self.base_url))
            .query(&[("filter", filter)])
            .timeout(Duration::from_secs(5))
            .bearer_auth(&self.token);
        let page: Value = request.send().await?.error_for_status()?.json().await?;
        Ok(page.get("Resources").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Freezes the app: it takes connections and answers nothing.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets the app go on, with everything it had.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.child.as_ref().and_then(Child::id);
        let pid = id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pid = pid.with_context(|| format!("{} does not run here", self.role.name))?;
        kill_process(pid, signal).with_context(|| format!("{} can't be signalled", self.role.name))
    }
}

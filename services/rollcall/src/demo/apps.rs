//! Three downstream apps as processes of their own.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

/// A running app.
pub struct App {
    pub id: &'static str,
    pub name: &'static str,
    pub assign: &'static str,
    pub base_url: String,
    pub token: String,
    pub made_of: &'static str,
    child: Child,
}

const EVERYONE: &str = r#"userType eq "Employee""#;
const SALES: &str = r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "Sales""#;
const ENGINEERING: &str = r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "Engineering""#;

/// Starts two scim2-servers and one SCIMMY server, or a third scim2-server where there is no SCIMMY.
pub async fn start(folder: &Path) -> anyhow::Result<Vec<App>> {
    let scim2 = std::env::var_os("ROLLCALL_SCIM2_SERVER").map(PathBuf::from);
    let scim2 = scim2.context("ROLLCALL_SCIM2_SERVER does not name a scim2-server: start the demo with ./dev demo")?;
    let scimmy = std::env::var_os("ROLLCALL_SCIMMY").map(PathBuf::from).filter(|path| path.is_file());
    let mut apps = Vec::new();
    for (id, name, assign) in [("chat", "Chat", EVERYONE), ("crm", "CRM", SALES), ("code", "Code", ENGINEERING)] {
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
        let base_url = format!("http://127.0.0.1:{port}{path}");
        apps.push(App { id, name, assign, base_url, token, made_of, child });
    }
    for app in &mut apps {
        app.wait().await?;
        println!("  {:<5} {} at {}", app.name, app.made_of, app.base_url);
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
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ({}) stopped with {status}", self.name, self.made_of);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("{} ({}) does not answer at {}", self.name, self.made_of, self.base_url);
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
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pid = pid.with_context(|| format!("{} does not run any more", self.name))?;
        kill_process(pid, signal).with_context(|| format!("{} can't be signalled", self.name))
    }
}

//! Apps that other people wrote: django-scim2 and Canaille, as they come.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use reqwest::Client;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::rollcall::{APP_TOKEN, free_port, until};

/// Whose app it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Maker {
    DjangoScim2,
    Canaille,
}

fn script(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "apps", name].iter().collect()
}

/// Python with their packages; none: they are not installed here, which `./dev test` does.
fn python() -> Option<Command> {
    let mut command = Command::new(std::env::var_os("ROLLCALL_REAL_APPS")?);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    Some(command)
}

/// One of them, running.
pub struct RealApp {
    /// Its SCIM base address.
    pub base_url: String,
    _child: Child,
    _dir: tempfile::TempDir,
}

impl RealApp {
    /// Starts one, where it is installed.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start(maker: Maker) -> anyhow::Result<Option<Self>> {
        let Some(mut command) = python() else { return Ok(None) };
        let (port, dir) = (free_port().to_string(), tempfile::tempdir()?);
        match maker {
            Maker::DjangoScim2 => command.arg(script("django_scim2/project.py")).arg(&port).arg(dir.path().join("db")),
            Maker::Canaille => command.arg(script("canaille/app.py")).arg("serve").arg(&port),
        };
        let child = command.arg(APP_TOKEN).spawn().context("python")?;
        let app = Self { base_url: format!("http://127.0.0.1:{port}/scim/v2"), _child: child, _dir: dir };
        until("the app answers", || async { Ok(app.all("Users").await.ok().map(drop)) }).await?;
        Ok(Some(app))
    }

    /// Everything of one kind that it has, as it shows it to anyone.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn all(&self, kind: &str) -> anyhow::Result<Vec<Value>> {
        let request = Client::new().get(format!("{}/{kind}", self.base_url)).bearer_auth(APP_TOKEN);
        let list: Value = request.send().await?.error_for_status()?.json().await?;
        list["Resources"].as_array().cloned().context("no list")
    }
}

/// Canaille as an identity provider: one person, in the group Engineering, whom its own client pushes to a SCIM server.
pub struct Pusher {
    /// Canaille's id of the person, which is their `externalId`.
    pub id: String,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Pusher {
    /// Starts it, where it is installed, and lets it push the person and the group.
    ///
    /// # Errors
    /// When it fails.
    pub async fn start(base_url: &str, token: &str) -> anyhow::Result<Option<Self>> {
        let Some(mut command) = python() else { return Ok(None) };
        command.arg(script("canaille/app.py")).args(["push", base_url, token]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().context("python")?;
        let input = child.stdin.take().context("no input")?;
        let mut output = BufReader::new(child.stdout.take().context("no output")?).lines();
        let said = loop {
            let line = output.next_line().await?.context("Canaille ended")?;
            if let Ok(said) = serde_json::from_str::<Value>(&line) {
                break said;
            }
        };
        let id = said["id"].as_str().context("no id")?.to_owned();
        Ok(Some(Self { id, input, output, _child: child }))
    }

    /// Lets it do something to the person: `move`, `lock`, `unlock` or `delete`; it is pushed when this returns.
    ///
    /// # Errors
    /// When it fails.
    pub async fn tell(&mut self, what: &str) -> anyhow::Result<()> {
        self.input.write_all(format!("{what}\n").as_bytes()).await?;
        loop {
            let line = self.output.next_line().await?.context("Canaille ended")?;
            if line == "done" {
                return Ok(());
            }
            ensure!(!line.contains("Traceback"), "{line}");
        }
    }
}

//! An SMTP server (aiosmtpd) that keeps what it gets.

use std::process::Stdio;

use anyhow::Context as _;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::rollcall::{free_port, until};

/// A message.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub subject: String,
    pub auto_submitted: String,
    pub message_id: String,
    pub text: String,
}

/// A mail server.
pub struct MailServer {
    pub port: u16,
    folder: TempDir,
    _child: Child,
}

impl MailServer {
    /// Starts one that lets in everybody, or one user with a password.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start(login: Option<(&str, &str)>) -> anyhow::Result<Self> {
        let python = std::env::var("ROLLCALL_PYTHON")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/python/bin").to_owned());
        let (port, folder) = (free_port(), TempDir::new()?);
        let child = Command::new(format!("{python}/python"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/apps/mailbox.py"))
            .arg(port.to_string())
            .arg(folder.path())
            .args(login.iter().flat_map(|(user, password)| [*user, *password]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("python: ./dev test installs aiosmtpd")?;
        until("the mail server answers", || async { Ok(TcpStream::connect(("127.0.0.1", port)).await.ok()) }).await?;
        Ok(Self { port, folder, _child: child })
    }

    /// Takes nothing from now on, or everything again.
    ///
    /// # Errors
    /// When that can't be told.
    pub fn refuses(&self, refuses: bool) -> anyhow::Result<()> {
        let word = self.folder.path().join("refuse");
        if refuses {
            std::fs::write(word, "")?
        } else {
            std::fs::remove_file(word)?
        }
        Ok(())
    }

    /// Knows nobody of this address.
    ///
    /// # Errors
    /// When that can't be told.
    pub fn does_not_know(&self, address: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.folder.path().join(format!("nobody-{address}")), "")?)
    }

    /// What it has got, in order.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn all(&self) -> anyhow::Result<Vec<Mail>> {
        let mut files: Vec<_> = std::fs::read_dir(self.folder.path())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
            .collect();
        files.sort();
        files.iter().map(|path| Ok(serde_json::from_slice(&std::fs::read(path)?)?)).collect()
    }

    /// The first message with this in its subject, once it is there.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn with_subject(&self, text: &str) -> anyhow::Result<Mail> {
        until(&format!("mail with the subject '{text}'"), || async {
            Ok(self.all()?.into_iter().find(|mail| mail.subject.contains(text)))
        })
        .await
    }
}

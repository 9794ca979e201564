//! A nats-server as operators run one: settled by a file, shared by the services.

use std::process::Stdio;

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::rollcall::{free_port, until};

/// A nats-server process with its store.
pub struct NatsServer {
    /// For clients.
    pub url: String,
    /// For the check of its sync setting.
    pub monitoring_url: String,
    child: Child,
    _folder: TempDir,
}

impl NatsServer {
    /// Its process id.
    pub fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// Starts one that syncs each write.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start() -> anyhow::Result<Self> {
        let (port, monitoring) = (free_port(), free_port());
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("nats.conf");
        let text = format!(
            "host: 127.0.0.1\nport: {port}\nhttp: \"127.0.0.1:{monitoring}\"\n\
             jetstream {{ store_dir: {:?}, sync_interval: always }}\n",
            folder.path().join("jetstream")
        );
        std::fs::write(&config, text)?;
        let child = Command::new(std::env::var_os("ROLLCALL_NATS_SERVER").unwrap_or_else(|| "nats-server".into()))
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("nats-server: ./dev test installs it")?;
        let monitoring_url = format!("http://127.0.0.1:{monitoring}");
        let health = format!("{monitoring_url}/healthz");
        until("nats-server answers", || async {
            Ok(reqwest::get(&health).await.ok().filter(|a| a.status().is_success()).map(drop))
        })
        .await?;
        Ok(Self { url: format!("nats://127.0.0.1:{port}"), monitoring_url, child, _folder: folder })
    }
}

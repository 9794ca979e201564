//! Noticing that the configuration file has changed.

use std::path::Path;
use std::time::Duration;

use tracing::{error, info};

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// Returns when the file is not what it was, `seen`, and is a valid configuration. One that can't be read is not looked at.
pub async fn valid_change(file: &Path, mut seen: Option<Vec<u8>>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let now = tokio::fs::read(file).await.ok();
        if now.is_none() || now == seen {
            continue;
        }
        seen = now;
        match rollcall_config::load(file, &|name| std::env::var(name).ok()) {
            Ok(_) => {
                info!(file = %file.display(), "the configuration has changed: stopping, to be started again with it");
                return;
            }
            Err(e) => error!(error = %e, "the configuration has changed and is not taken: mend it"),
        }
    }
}

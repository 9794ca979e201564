//! With what configuration a process has started is an event: who looks back knows what was so, and since when.

use std::time::Duration;

use anyhow::Context as _;
use rollcall_config::Config;
use rollcall_domain::governance::configuration::{ConfigurationRead, changed};
use rollcall_domain::{Event, NewEvent};
use rollcall_event_log::{EventLog, Expect, Subject, Unit, by_service};
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};
use uuid::Uuid;

/// The most settings that one event has whole; of more it has the digest and what differs.
const MAX_SETTINGS_BYTES: usize = 400 << 10;

/// The same for what differs.
const MAX_CHANGES_BYTES: usize = 200 << 10;

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says with what configuration `service` starts. That it can't be said, such as where the log's server does not allow it yet,
/// keeps nobody from starting.
pub async fn say(log: &EventLog, config: &Config, service: &str) {
    let failed = match tokio::time::timeout(PATIENCE, append(log, config, service)).await {
        Ok(Ok(())) => return,
        Ok(Err(e)) => format!("{e:#}"),
        Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
    };
    warn!(service, error = failed, "with what configuration this starts is not on the log");
}

async fn append(log: &EventLog, config: &Config, service: &str) -> anyhow::Result<()> {
    let before = log.last(&Subject::configuration(service)).await?.map(|recorded| recorded.event);
    let before = match before {
        Some(Event::ConfigurationRead(read)) => read.settings,
        _ => rollcall_domain::governance::configuration::Settings::new(),
    };
    let mut settings = config.settings.clone();
    let text = serde_json::to_vec(&settings).context("the settings can't be written")?;
    let changed = if before.is_empty() { Vec::new() } else { changed(&before, &settings) };
    let mut read = ConfigurationRead {
        service: service.to_owned(),
        digest: Sha256::digest(&text).to_vec(),
        settings: std::mem::take(&mut settings),
        changed,
    };
    if text.len() > MAX_SETTINGS_BYTES {
        read.settings.clear();
    }
    let differing =
        serde_json::to_vec(&read.changed.iter().map(|c| (&c.path, &c.before, &c.after)).collect::<Vec<_>>());
    if differing.map_or(0, |text| text.len()) > MAX_CHANGES_BYTES {
        read.changed.clear();
    }
    info!(service, changed = read.changed.len(), "the configuration is read");
    let meta = by_service(service, &Uuid::now_v7().to_string(), None);
    log.append(&Unit::one(NewEvent { meta, event: Event::ConfigurationRead(read) }, Expect::Any)).await?;
    Ok(())
}

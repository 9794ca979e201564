//! Apps are events too: what the configuration says differently from the log is appended at start, before the first
//! change is accepted, so that every change finds the apps it concerns.

use std::time::Duration;

use rollcall_domain::app::AppSpec;
use rollcall_domain::directory::app_changes::configure;
use rollcall_domain::{Event, NewEvent, Sequence, directory};
use rollcall_event_log::{EventLog, Expect, LogError, Unit, by_service};
use rollcall_projection::Store;
use tracing::info;
use uuid::Uuid;

use crate::error::GatewayError;
use crate::state::NAME;

/// Appends until log and configuration agree. Another gateway may be doing the same.
pub async fn register_apps(log: &EventLog, store: &Store, apps: &[AppSpec]) -> Result<(), GatewayError> {
    loop {
        store.wait_for(log.head().await?, Duration::from_secs(3600)).await?;
        let known = directory::apps(&store.view())?;
        let events = configure(&known, apps);
        if events.is_empty() {
            return Ok(());
        }
        let correlation = Uuid::now_v7().to_string();
        for event in events {
            let id = match &event {
                Event::AppConfigured(spec) => spec.id.clone(),
                Event::AppRemoved(id) => id.clone(),
                _ => continue,
            };
            let version = known.iter().find(|a| a.spec.id == id).map_or(Sequence(0), |a| a.version);
            let mut meta = by_service(NAME, &correlation, None);
            meta.reason = "the configuration has changed".into();
            match log.append(&Unit::one(NewEvent { meta, event }, Expect::Last(version))).await {
                Ok(_) => info!(app = %id, "app registered"),
                Err(LogError::Conflict { .. }) => info!(app = %id, "app registered by another gateway"),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

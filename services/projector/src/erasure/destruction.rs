//! Destroying the keys of who was erased: as soon as the log says it, and again at each start, in case an earlier process was killed
//! before it could.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rollcall_domain::kv::KvError;
use rollcall_domain::{Event, IdentityId, KeyRef};
use rollcall_event_log::{EventLog, KeyRing, Subject};
use rollcall_projection::Store;
use rollcall_telemetry::metrics::metrics;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::erasure::register;
use crate::state::keys;

/// How long it takes until a failure is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// Destroys keys.
#[derive(Debug)]
pub struct Eraser {
    log: EventLog,
    store: Arc<Store>,
    register: Option<PathBuf>,
}

impl Eraser {
    /// With the file of the register, if one is kept.
    pub const fn new(log: EventLog, store: Arc<Store>, register: Option<PathBuf>) -> Self {
        Self { log, store, register }
    }

    /// Destroys what has to be destroyed, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Some(ring) = self.log.keys().cloned() else { return };
        let mut news = self.store.watch();
        let (mut done, mut swept) = (BTreeSet::new(), false);
        loop {
            if !swept {
                match ring.sweep().await {
                    Ok(()) => swept = true,
                    Err(e) => warn!(error = %e, "what is left of destroyed keys can't be overwritten yet"),
                }
            }
            let failed = self.destroy(&ring, &mut done).await.inspect_err(|e| {
                warn!(error = %e, "what was erased can't be read here");
            });
            let pause = if swept && failed.is_ok_and(|all| all) { None } else { Some(PAUSE) };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = news.changed(), if pause.is_none() => {}
                () = tokio::time::sleep(pause.unwrap_or(PAUSE)), if pause.is_some() => {}
            }
        }
    }

    /// Adds to the register whoever is not in it; whether that could be done.
    async fn register(&self, id: IdentityId, registered: &mut Option<BTreeSet<IdentityId>>) -> bool {
        let Some(file) = &self.register else { return true };
        let added = async {
            let known = match registered {
                Some(known) => known,
                None => registered.insert(register::registered(file)?),
            };
            if known.contains(&id) {
                return Ok(());
            }
            let event = self.log.last(&Subject::erased(id)).await.map_err(std::io::Error::other)?;
            let Some((event, Event::IdentityErased(erased))) = event.as_ref().map(|event| (event, &event.event)) else {
                // A server of the log that lags does not have it yet.
                return Err(std::io::Error::other("the log does not answer with the erasure"));
            };
            register::add(file, event, erased)?;
            known.insert(id);
            Ok(())
        };
        added
            .await
            .inspect_err(|e| {
                let file = file.display();
                warn!(error = %e, %file, "an erasure can't be written to the register: its keys are not destroyed yet");
            })
            .is_ok()
    }

    /// Whether all are destroyed.
    async fn destroy(&self, ring: &KeyRing, done: &mut BTreeSet<KeyRef>) -> Result<bool, KvError> {
        let (mut unfinished, mut registered) = (0, None);
        for (person, keys) in keys::destroyed(&self.store.view())? {
            let keys: Vec<KeyRef> = keys.into_iter().filter(|key| !done.contains(key)).collect();
            if keys.is_empty() {
                continue;
            }
            if !self.register(person, &mut registered).await {
                unfinished += 1;
                continue;
            }
            match ring.destroy(&keys).await {
                Ok(()) => {
                    info!(keys = keys.len(), "the keys of somebody who was erased are destroyed");
                    done.extend(keys);
                }
                Err(e) => {
                    warn!(error = %e, "a key can't be destroyed, trying again");
                    unfinished += 1;
                }
            }
        }
        metrics().erasures_unfinished.record(unfinished, &[]);
        Ok(unfinished == 0)
    }
}

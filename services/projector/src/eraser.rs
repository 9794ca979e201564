//! Destroying the keys of who was erased: as soon as the log says it, and again at each start, in case an earlier process was killed
//! before it could.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rollcall_domain::kv::KvError;
use rollcall_event_log::{EventLog, KeyRing};
use rollcall_projection::Store;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::state::keys;

/// How long it takes until a failure is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// Destroys keys.
#[derive(Debug)]
pub struct Eraser {
    log: EventLog,
    store: Arc<Store>,
}

impl Eraser {
    pub const fn new(log: EventLog, store: Arc<Store>) -> Self {
        Self { log, store }
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

    /// Whether all are destroyed.
    async fn destroy(&self, ring: &KeyRing, done: &mut BTreeSet<String>) -> Result<bool, KvError> {
        let mut all = true;
        for (person, keys) in keys::destroyed(&self.store.view())? {
            if done.contains(&person) {
                continue;
            }
            match ring.destroy(&keys).await {
                Ok(()) => {
                    info!(keys = keys.len(), "the keys of somebody who was erased are destroyed");
                    done.insert(person);
                }
                Err(e) => {
                    warn!(error = %e, "a key can't be destroyed, trying again");
                    all = false;
                }
            }
        }
        Ok(all)
    }
}

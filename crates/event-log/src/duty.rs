//! Work that one of several processes does, while the others stand by: whoever has the lease is on duty.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error::LogError;
use crate::lease::Lease;
use crate::leases::{Held, Leases, Remembered, TERM, TURN};
use crate::log::EventLog;
use crate::shared_ticks::SharedTicks;

/// The name of the work, and of who would do it.
#[derive(Debug)]
pub struct Duty {
    work: &'static str,
    holder: String,
    lease: Arc<Lease>,
    known: watch::Sender<bool>,
}

impl Duty {
    /// The duty to do some work, which nobody has yet.
    #[must_use]
    pub fn new(work: &'static str, holder: String) -> Self {
        Self { work, holder, lease: Arc::new(Lease::lapsed()), known: watch::channel(false).0 }
    }

    /// Holds while this process is on duty.
    #[must_use]
    pub fn lease(&self) -> Arc<Lease> {
        Arc::clone(&self.lease)
    }

    /// Whether it is known who is on duty.
    #[must_use]
    pub fn known(&self) -> watch::Receiver<bool> {
        self.known.subscribe()
    }

    /// Takes the duty whenever nobody has it, and keeps it, until `stop`; then another may take it at once.
    pub async fn keep(self, log: EventLog, stop: CancellationToken) {
        let mut leases: Option<Leases> = None;
        let mut patient_until = Instant::now();
        let mut turns = SharedTicks::every(TURN);
        loop {
            let turn = async {
                turns.turn().await;
                let ours = self.turn(&log, &mut leases, &mut patient_until).await;
                self.known.send_if_modified(|known| std::mem::replace(known, ours.is_ok()) != ours.is_ok());
                if let Err(error) = ours {
                    warn!(%error, work = self.work, "who is on duty can't be told, trying again");
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = turn => {}
            }
        }
        if self.lease.is_held() {
            self.lease.end();
            if let Some(mut leases) = leases {
                leases.release(self.work).await;
            }
        }
    }

    async fn turn(
        &self,
        log: &EventLog,
        leases: &mut Option<Leases>,
        patient_until: &mut Instant,
    ) -> Result<(), LogError> {
        let leases = match leases {
            Some(leases) => leases,
            None => leases.insert(log.leases(&self.holder).await?),
        };
        // Whoever was on duty when the leases were lost may still believe in theirs.
        if leases.look().await?.memory == Remembered::Lost {
            *patient_until = Instant::now() + TERM;
        }
        let (asked, had) = (Instant::now(), self.lease.is_held());
        if !had && asked < *patient_until {
            return Ok(());
        }
        match leases.hold(self.work).await? {
            Held::Ours => {
                self.lease.renew(asked);
                if !had {
                    info!(work = self.work, "on duty");
                }
            }
            Held::Theirs => {
                self.lease.end();
                if had {
                    info!(work = self.work, "another one is on duty");
                }
            }
        }
        Ok(())
    }
}

//! When an app is compared: on schedule, and when someone asks; what came of it is said.

use std::sync::Arc;
use std::time::Duration;

use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::app::health::Quarantined;
use rollcall_domain::drift::reconciliation::ReconciliationEvent;
use rollcall_domain::{Event, ledger};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::comparison::{Pass, say};
use crate::work::connector::Connector;
use crate::work::error::WorkError;

/// How soon after the start an app that was never compared is, and one that could not be read to its end.
const SOON: Duration = Duration::from_secs(60);

/// The same in times of how long it took, so that an app is not read all the time for something that stays as it is.
const SOON_TIMES: u32 = 20;

/// When the app is compared, and the comparison that runs.
pub struct Schedule {
    connector: Arc<Connector>,
    every: Duration,
    due: Instant,
    started: Instant,
    running: Option<AbortOnDropHandle<()>>,
}

impl Schedule {
    /// Goes on where an earlier process was.
    pub fn new(connector: Arc<Connector>, every: Duration) -> Self {
        let last = ledger::reconciled(&connector.store.view(), &connector.app).unwrap_or_default();
        let since = last.completed_at.map(|at| Duration::try_from((connector.clock)().duration_since(at)));
        let wait = match since {
            Some(since) => every.saturating_sub(since.unwrap_or_default()),
            None => every.min(SOON),
        };
        Self { connector, every, due: Instant::now() + wait, started: Instant::now(), running: None }
    }

    /// Starts a comparison when it is time, or when someone has asked for one.
    pub fn turn(&mut self) {
        if self.running.is_some() || self.connector.link.is_none() {
            return;
        }
        let asked =
            ledger::reconciled(&self.connector.store.view(), &self.connector.app).is_ok_and(|r| r.requested.is_some());
        if !asked && self.due > Instant::now() {
            return;
        }
        self.started = Instant::now();
        self.due = self.started + self.every;
        let connector = Arc::clone(&self.connector);
        self.running = Some(AbortOnDropHandle::new(tokio::spawn(async move { run(&connector).await })));
    }

    /// There is something else to compare: it is time.
    pub fn at_once(&mut self) {
        self.due = Instant::now();
    }

    /// Whether one runs.
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// When it is time again.
    pub const fn wake(&self) -> Instant {
        self.due
    }

    /// Waits for the end of the comparison that runs; for ever when none does.
    pub async fn ended(&mut self) {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let _ = running.await;
        self.running = None;
        let failed =
            ledger::reconciled(&self.connector.store.view(), &self.connector.app).is_ok_and(|r| r.failure.is_some());
        if failed {
            self.due = self.due.min(Instant::now() + SOON.max(self.started.elapsed() * SOON_TIMES));
        }
    }

    /// Ends the comparison that runs; the next process goes on with it.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await;
        }
    }
}

async fn run(connector: &Connector) {
    let Some(link) = &connector.link else { return };
    let outcome = async {
        let mut pass = Pass::start(connector, link).await?;
        pass.accounts().await?;
        pass.finish().await
    };
    match outcome.await {
        Ok(progress) => {
            info!(app = %connector.app, accounts = progress.accounts, findings = progress.findings, "compared as a whole");
        }
        Err(WorkError::App(failure)) => {
            if failure.rejection.cause == RejectionCause::Vanished {
                let quarantined =
                    Quarantined { app: connector.app.clone(), rejection: failure.of_the_app(), failures: 1 };
                if let Err(e) = connector.say(Event::AppQuarantined(quarantined)).await {
                    warn!(app = %connector.app, error = %e, "the quarantine is not on the log");
                }
            }
            warn!(app = %connector.app, detail = failure.rejection.detail, "the app can't be compared");
            failed(connector, failure.of_the_app().detail).await;
        }
        Err(WorkError::Ours(e)) => {
            warn!(app = %connector.app, error = %e, "the app can't be compared now");
            // What can't be kept of it, such as a value that is too large, will be there the next time as well.
            failed(connector, e.to_string()).await;
        }
    }
}

/// Says that a comparison has not read everything.
async fn failed(connector: &Connector, detail: String) {
    if let Err(e) = say(connector, ReconciliationEvent::Failed { detail }).await {
        warn!(app = %connector.app, error = %e, "that the app can't be compared is not on the log");
    }
}

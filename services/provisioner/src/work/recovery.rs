//! An app that is left alone, or that may be another one than we know: what is done there until it is believed again.

use std::collections::BTreeMap;
use std::sync::Arc;

use rollcall_domain::access::desired::Queue;
use rollcall_domain::access::rejection::{Rejection, RejectionCause};
use rollcall_domain::app::health::{Quarantined, Recovered};
use rollcall_domain::ids::IdentityId;
use rollcall_domain::{Event, Sequence, ledger};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::app_client::client::Failure;
use crate::app_client::discovery::probe;
use crate::error::ProvisionerError;
use crate::search::control::{Unread, shows_what_is_known};
use crate::search::look::Search;
use crate::work::error::WorkError;
use crate::work::worker::{CHUNK, Standing, Worker, work};

/// What was looked for before an app is believed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Only whether it answers.
    Nobody,
    /// An account that we know was found.
    Recognized,
}

impl Worker {
    /// Waits until the log has the address by which we reach the app: what is known of its accounts is known of that at the log's.
    pub(super) async fn wait_for_settings(&self, stop: &CancellationToken) {
        warn!(app = %self.app, "the app is configured here with another address than on the log: nothing is done there");
        let mut news = self.connector.store.watch();
        while matches!(self.standing(), Ok(Standing::Elsewhere)) {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = news.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }

    /// The app has another address: before anything is done there, one of the accounts that we know must be found. An id alone proves
    /// nothing: elsewhere it is somebody else's.
    pub(super) async fn recognize(&self, stop: &CancellationToken) {
        let mut said = self.shows_what_is_known(Unread::Failed).await;
        for n in 1..self.quarantine_after {
            match &said {
                Err(WorkError::App(failure)) if failure.rejection.cause != RejectionCause::Vanished => {}
                _ => break,
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.retry_min) => {}
            }
            let unread = if n + 1 < self.quarantine_after { Unread::Failed } else { Unread::Missing };
            said = self.shows_what_is_known(unread).await;
        }
        let event = match said {
            Ok(()) => self.recovered(Look::Recognized),
            Err(WorkError::App(failure)) => {
                warn!(app = %self.app, detail = failure.rejection.detail, "the app has another address, and may be another one");
                let failures =
                    if failure.rejection.cause == RejectionCause::Vanished { 1 } else { self.quarantine_after };
                Event::AppQuarantined(Quarantined { app: self.app.clone(), rejection: failure.of_the_app(), failures })
            }
            Err(WorkError::Ours(e)) => {
                error!(app = %self.app, error = %e, "whether the app is the one that we know can't be told");
                tokio::time::sleep(self.retry_min).await;
                return;
            }
        };
        if let Err(e) = self.connector.say(event).await {
            error!(app = %self.app, error = %e, "whether the app is the one that we know is not on the log");
            tokio::time::sleep(self.retry_min).await;
        }
    }

    /// Whether the app shows accounts that we know.
    async fn shows_what_is_known(&self, unread: Unread) -> Result<(), WorkError> {
        let Some(link) = &self.connector.link else { return Err(self.connector.not_connected().into()) };
        let view = self.connector.store.view();
        let can = self.connector.capabilities(&link.config)?;
        let (client, controls) = (&link.client, &self.connector.controls);
        let search = Search { client, can: &can, max_scan: link.config.max_scan, controls };
        shows_what_is_known(&search, &view, &self.app, unread).await
    }

    /// That the app answers again, and whether it was recognized.
    fn recovered(&self, look: Look) -> Event {
        let address = self.connector.link.as_ref().map(|link| link.config.spec.base_url.clone());
        let recognized_at = address.filter(|_| look == Look::Recognized);
        Event::AppRecovered(Recovered { app: self.app.clone(), recognized_at })
    }

    fn quarantined(&self) -> Result<bool, ProvisionerError> {
        Ok(self.connector.link.is_some() && ledger::quarantine(&self.connector.store.view(), &self.app)?.is_some())
    }

    /// Switches off in an app that is left alone whom a person has switched off: each once, until `tried` is emptied.
    async fn switch_off(&self, tried: &mut BTreeMap<IdentityId, Sequence>, stop: &CancellationToken) {
        // Where it may be another app an id says nothing: somebody else would be switched off.
        if !matches!(ledger::moved_from(&self.connector.store.view(), &self.app), Ok(None)) {
            return;
        }
        let mut after = None;
        while !stop.is_cancelled() {
            let view = self.connector.store.view();
            let Ok(chunk) = ledger::pending(&view, &self.app, Queue::Off, after, CHUNK) else { return };
            let Some((last, _)) = chunk.last() else { return };
            after = Some(*last);
            for (id, version) in chunk {
                if tried.insert(id, version) == Some(version) {
                    continue;
                }
                let Ok(Some(account)) = ledger::account(&view, id, &self.app) else { continue };
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    (_, _, outcome) = work(Arc::clone(&self.connector), account, 0) => if let Err(e) = outcome {
                        error!(app = %self.app, error = %e, "an account could not be worked on");
                    },
                }
            }
        }
    }

    /// Leaves the app alone but for a probe, and for whom a person has switched off, until it answers.
    pub(super) async fn wait_for_recovery(&self, stop: &CancellationToken) {
        let Some(link) = &self.connector.link else { return };
        let mut news = self.connector.store.watch();
        let (mut tried, mut probe_at) = (BTreeMap::new(), Instant::now() + self.probe_every);
        let look = loop {
            news.mark_unchanged();
            self.switch_off(&mut tried, stop).await;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = sleep_until(probe_at) => {}
                changed = news.changed() => match self.quarantined() {
                    // A person may have said that what is missing is gone.
                    Ok(false) => return,
                    Ok(true) | Err(_) if changed.is_ok() => continue,
                    Ok(true) | Err(_) => return,
                },
            }
            tried.clear();
            probe_at = Instant::now() + self.probe_every;
            let view = self.connector.store.view();
            // A person may have said that what is missing is gone.
            let Ok(Some(quarantine)) = ledger::quarantine(&view, &self.app) else { return };
            let vanished = quarantine.rejection.cause == RejectionCause::Vanished;
            match probe(&link.client).await {
                Ok(()) if !vanished => break Look::Nobody,
                Ok(()) => {
                    if self.shows_what_is_known(Unread::Failed).await.is_ok() {
                        break Look::Recognized;
                    }
                }
                Err(failure) if !failure.is_of_the_app() && !vanished => break Look::Nobody,
                Err(failure) => self.say_again(&failure, &quarantine.rejection).await,
            }
        };
        info!(app = %self.app, "the app answers again");
        if let Err(e) = self.connector.say(self.recovered(look)).await {
            error!(app = %self.app, error = %e, "the recovery of the app is not on the log");
        }
        self.learn(stop).await;
    }

    /// A list is left alone for another reason by now: who decides about it decides about that.
    async fn say_again(&self, failure: &Failure, said: &Rejection) {
        if self.list().is_none() || failure.rejection.detail == said.detail {
            return;
        }
        let quarantined = Quarantined { app: self.app.clone(), rejection: failure.of_the_app(), failures: 1 };
        if let Err(e) = self.connector.say(Event::AppQuarantined(quarantined)).await {
            warn!(app = %self.app, error = %e, "why the list is not believed is not on the log");
        }
    }
}

//! Keeping a projection up to date.

use std::sync::Arc;
use std::time::Duration;

use rollcall_domain::Recorded;
use rollcall_domain::kv::KvError;
use rollcall_event_log::{EventLog, Tail};
use rollcall_telemetry::metrics::{label, metrics};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::error::ProjectionError;
use crate::store::Store;
use crate::transaction::Transaction;

/// The most events in one commit.
const BATCH: usize = 1024;

/// How many commits' worth of events is read ahead.
const AHEAD: usize = 2;

/// The most changes in one commit, whatever events they come from: one event may touch every app, or everyone.
const MAX_CHANGES: usize = 50_000;

const LAG_EVERY: Duration = Duration::from_secs(10);

/// Derives state from events, one after the other. Given the same events it derives the same state.
pub trait Projection: Send + 'static {
    /// Brings the state up to date with one event.
    ///
    /// # Errors
    /// When the state can't be read.
    fn apply(&mut self, state: &mut Transaction, event: &Recorded) -> Result<(), KvError>;
}

/// Applies the log to a projection, for ever.
#[derive(Debug)]
pub struct Runner {
    log: EventLog,
    store: Arc<Store>,
}

impl Runner {
    /// A runner that goes on where the store is.
    #[must_use]
    pub const fn new(log: EventLog, store: Arc<Store>) -> Self {
        Self { log, store }
    }

    /// Runs until `stop`; what was applied is on disk then.
    ///
    /// # Errors
    /// When the storage fails or belongs to another log: the service can't go on.
    pub async fn run(self, mut projection: impl Projection, stop: CancellationToken) -> Result<(), ProjectionError> {
        let name = self.store.name();
        let head = self.log.head().await.map_err(|source| ProjectionError::Log { name, source })?;
        if self.store.cursor() > head {
            return Err(ProjectionError::OtherLog { name, at: self.store.cursor().0, head: head.0 });
        }
        self.same_log().await?;
        let (ahead, mut batches) = mpsc::channel(AHEAD);
        let mut reading = JoinSet::new();
        reading.spawn(read_ahead(self.log.tail(self.store.cursor()), ahead));
        let measure = tokio::spawn(measure_lag(self.log.clone(), Arc::clone(&self.store), stop.clone()));
        loop {
            let events = tokio::select! {
                () = stop.cancelled() => break,
                events = batches.recv() => events,
            };
            let Some(events) = events else { return Err(unexpected(name, "reading")) };
            let store = Arc::clone(&self.store);
            // sled blocks, and one event may touch every identity.
            let worked = tokio::task::spawn_blocking(move || {
                let outcome = apply(&store, &mut projection, &events);
                (projection, outcome)
            });
            let Ok((back, outcome)) = worked.await else { return Err(unexpected(name, "applying")) };
            projection = back;
            outcome?;
        }
        let _ = measure.await;
        self.store.flush()
    }
}

impl Runner {
    /// A log that was restored from a backup may have grown past where the store is, with other events.
    async fn same_log(&self) -> Result<(), ProjectionError> {
        let (name, at) = (self.store.name(), self.store.cursor());
        let Some(held) = self.store.last_event()? else { return Ok(()) };
        let found = self.log.event(at).await.map_err(|source| ProjectionError::Log { name, source })?;
        match found {
            Some(found) if found.meta.event_id != held => Err(ProjectionError::OtherEvent { name, at: at.0 }),
            _ => Ok(()),
        }
    }
}

/// Applies events, which follow on those that the store holds, and commits them.
///
/// # Errors
/// When the state can't be read or written; nothing has changed then.
pub fn apply(store: &Store, projection: &mut impl Projection, events: &[Recorded]) -> Result<(), ProjectionError> {
    let Some(last) = events.last().map(|e| e.sequence) else { return Ok(()) };
    let mut state = store.begin();
    for event in events {
        state.by(event);
        projection.apply(&mut state, event).map_err(|source| ProjectionError::State { name: store.name(), source })?;
        // Never within an event: what it changes is committed together.
        if state.changes() >= MAX_CHANGES && event.sequence < last {
            store.commit(std::mem::replace(&mut state, store.begin()), event.sequence)?;
        }
    }
    store.commit(state, last)
}

fn unexpected(name: &'static str, what: &str) -> ProjectionError {
    ProjectionError::Storage { name, reason: format!("{what} events failed unexpectedly") }
}

/// Reads while what was read before is applied, until nobody wants more.
async fn read_ahead(mut tail: Tail, ahead: mpsc::Sender<Vec<Recorded>>) {
    while ahead.send(tail.next(BATCH).await).await.is_ok() {}
}

async fn measure_lag(log: EventLog, store: Arc<Store>, stop: CancellationToken) {
    let mut every = tokio::time::interval(LAG_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {}
        }
        match log.head().await {
            Ok(head) => {
                let lag = head.0.saturating_sub(store.cursor().0);
                metrics().projection_lag_events.record(lag, &[label("service", store.name())]);
            }
            Err(e) => debug!(error = %e, "the lag can't be measured"),
        }
    }
}

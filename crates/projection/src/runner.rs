//! Keeping a projection up to date.

use std::sync::Arc;
use std::time::Duration;

use rollcall_domain::kv::KvError;
use rollcall_domain::{Recorded, Sequence};
use rollcall_event_log::{Batch, EventLog, SharedTicks, Tail};
use rollcall_telemetry::metrics::{label, metrics};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::error::ProjectionError;
use crate::pipeline::Pipeline;
use crate::store::Store;
use crate::transaction::Transaction;

/// The most events in one commit: the more there are, the fewer changes each makes that others make too.
pub const BATCH: usize = 4096;

/// From so many events on a state that is empty is built as one.
const BUILT_FROM: u64 = 10_000;

/// How many commits' worth of events is read ahead, beside those that are being applied.
const AHEAD: usize = 1;

const LAG_EVERY: Duration = Duration::from_secs(10);

/// Derives state from events, one after the other. Given the same events it derives the same state.
pub trait Projection: Send + 'static {
    /// Brings the state up to date with one event.
    ///
    /// # Errors
    /// When the state can't be read.
    fn apply(&mut self, state: &mut Transaction, event: &Recorded) -> Result<(), KvError>;

    /// Goes on with what can wait, while there are no events: what it changes belongs to the state as it is. Whoever waits for an
    /// event waits until this returns.
    ///
    /// # Errors
    /// When the state can't be read.
    fn idle(&mut self, _state: &mut Transaction) -> Result<Idle, KvError> {
        Ok(Idle::Done)
    }
}

/// Whether there is more to do while there are no events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// Not until there has been another event.
    Done,
    /// There may be.
    More,
}

/// What a turn is for.
enum Turn {
    Events(Batch),
    /// Nothing came: what was applied is committed.
    Settle,
    /// And that is done.
    Idle,
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
        let _following = self.store.follow();
        let name = self.store.name();
        let head = self.log.head().await.map_err(|source| ProjectionError::Log { name, source })?;
        if self.store.cursor() > head {
            return Err(ProjectionError::OtherLog { name, at: self.store.cursor().0, head: head.0 });
        }
        self.same_log().await?;
        let mut pipeline = Pipeline::new(Arc::clone(&self.store));
        let mut rest = Idle::More;
        // Much is built as one; a little is kept as it comes.
        let mut building = self.is_built_as_one(head);
        if building {
            info!(projection = name, events = head.0, "the state is built from nothing");
            self.store.build(head)?;
            // What is kept beside, such as indexes, is kept from the start.
            while pipeline.idle(&mut projection)? == Idle::More {}
        }
        let mut reading = JoinSet::new();
        let mut batches = match building {
            true => self.log.read_together(BATCH),
            false => self.read(&mut reading),
        };
        let measure = tokio::spawn(measure_lag(self.log.clone(), Arc::clone(&self.store), stop.clone()));
        while !stop.is_cancelled() {
            let turn = match batches.try_recv() {
                Ok(events) => Turn::Events(events),
                // All that there is was read: now it is committed as well.
                Err(TryRecvError::Empty) if !pipeline.is_settled() => Turn::Settle,
                Err(TryRecvError::Empty) if rest == Idle::More && self.store.cursor() >= head => Turn::Idle,
                Err(_) => tokio::select! {
                    () = stop.cancelled() => break,
                    events = batches.recv() => Turn::Events(events.ok_or_else(|| self.store.unexpected("reading"))?),
                },
            };
            // sled blocks, and one event may touch every identity.
            let worked = tokio::task::spawn_blocking(move || {
                let outcome = match turn {
                    Turn::Events(events) => pipeline.apply(&mut projection, &events).map(|()| Idle::More),
                    Turn::Settle => pipeline.settle().map(|()| Idle::More),
                    Turn::Idle => pipeline.idle(&mut projection),
                };
                (projection, pipeline, outcome)
            });
            let outcome;
            (projection, pipeline, outcome) = worked.await.map_err(|_| self.store.unexpected("applying"))?;
            rest = outcome?;
            if building && self.store.gathered() >= Some(head) {
                let store = Arc::clone(&self.store);
                let kept = tokio::task::spawn_blocking(move || {
                    pipeline.settle().and_then(|()| store.built()).map(|()| pipeline)
                });
                pipeline = kept.await.map_err(|_| self.store.unexpected("keeping"))??;
                building = false;
                // From here on nobody waits for another.
                batches = self.read(&mut reading);
                info!(projection = name, events = self.store.cursor().0, "the state is built");
            }
        }
        let settled = tokio::task::spawn_blocking(move || pipeline.settle());
        settled.await.map_err(|_| self.store.unexpected("committing"))??;
        let _ = measure.await;
        self.store.flush()
    }
}

impl Runner {
    /// What follows on what the state holds.
    fn read(&self, reading: &mut JoinSet<()>) -> mpsc::Receiver<Batch> {
        let (ahead, batches) = mpsc::channel(AHEAD);
        reading.spawn(read_ahead(self.log.tail(self.store.cursor()), ahead));
        batches
    }

    /// Whether a state with little in it is built from nothing rather than brought up to date: event by event that would take longer.
    fn is_built_as_one(&self, head: Sequence) -> bool {
        let at = self.store.cursor();
        head.0 >= BUILT_FROM && at.0 <= head.0 / 8 && at.0 <= BUILT_FROM
    }

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

/// Reads while what was read before is applied, until nobody wants more.
async fn read_ahead(mut tail: Tail, ahead: mpsc::Sender<Batch>) {
    while ahead.send(Arc::new(tail.next(BATCH).await)).await.is_ok() {}
}

async fn measure_lag(log: EventLog, store: Arc<Store>, stop: CancellationToken) {
    let mut turns = SharedTicks::every(LAG_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = turns.turn() => {}
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

//! The service: a projection of the ledger, its clocks and its sinks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rollcall_config::{AlertSink, Config};
use rollcall_domain::kv::KvError;
use rollcall_domain::ledger::Ledger;
use rollcall_domain::{Recorded, Sequence};
use rollcall_event_log::EventLog;
use rollcall_projection::{Projection, Runner, Store, Transaction};
use rollcall_scim::Catalogue;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::alerts::AlertLoop;
use crate::error::MonitorError;
use crate::measure;
use crate::overdue::{call_overdue, say_holds};
use crate::webhook::Webhook;

/// The name in events, metrics and folders.
pub const NAME: &str = "sla-monitor";

/// Changes whenever the state would be derived otherwise than before.
const STAMP: u32 = 5;

/// How late a deadline may be noticed.
const TICK: Duration = Duration::from_millis(500);

/// Tells the time.
pub type Clock = fn() -> Timestamp;

/// The monitor.
#[derive(Debug)]
pub struct Monitor {
    log: EventLog,
    store: Arc<Store>,
    sinks: Vec<AlertSink>,
    catalogue: Catalogue,
    clock: Clock,
}

struct LedgerProjection {
    ledger: Ledger,
    /// Events up to here were measured by an earlier run: a rebuild must not count them again.
    measured: Sequence,
}

impl Projection for LedgerProjection {
    fn apply(&mut self, state: &mut Transaction, event: &Recorded) -> Result<(), KvError> {
        let facts = self.ledger.evolve(state, event)?;
        if event.sequence > self.measured {
            measure::record(&facts);
        }
        Ok(())
    }
}

impl Monitor {
    /// Opens its state.
    ///
    /// # Errors
    /// When the folder is taken or damaged.
    pub fn open(config: &Config, log: EventLog, clock: Clock) -> Result<Self, MonitorError> {
        let folder = config.server.data_dir.join(NAME);
        let store = Store::open(NAME, &folder, STAMP, config.server.cache_bytes)?;
        Ok(Self { log, store, sinks: config.alerts.clone(), catalogue: config.scim.catalogue, clock })
    }

    /// Its state, for readiness.
    #[must_use]
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// Runs until `stop`.
    ///
    /// # Errors
    /// When its own state or the log fails for good.
    pub async fn run(self, stop: CancellationToken) -> Result<(), MonitorError> {
        let head = self.log.head().await?;
        let rebuilding = self.store.cursor() == Sequence(0);
        let projection = LedgerProjection {
            ledger: Ledger::new(self.catalogue),
            measured: if rebuilding { head } else { Sequence(0) },
        };
        let runner = Runner::new(self.log.clone(), Arc::clone(&self.store));
        let projected = async {
            let ended = runner.run(projection, stop.clone()).await;
            stop.cancel();
            ended
        };
        let (projected, watched) = tokio::join!(projected, self.effects(head, stop.clone()));
        projected?;
        watched
    }

    async fn effects(&self, head: Sequence, stop: CancellationToken) -> Result<(), MonitorError> {
        // What was verified while the monitor was away must be known before anything is called overdue.
        let mut caught_up = self.store.watch();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = caught_up.wait_for(|at| *at >= head) => {}
        }
        let mut sinks = JoinSet::new();
        for sink in &self.sinks {
            let alerts = AlertLoop { log: self.log.clone(), store: Arc::clone(&self.store), sink: Webhook::new(sink)? };
            sinks.spawn(alerts.run(stop.clone()));
        }
        let mut said = BTreeSet::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            let now = (self.clock)();
            if let Err(e) = call_overdue(&self.log, &self.store, now).await {
                warn!(error = %e, "deadlines can't be watched, trying again");
            }
            if let Err(e) = say_holds(&self.log, &self.store, &mut said).await {
                warn!(error = %e, "that removals wait is not on the log, trying again");
            }
            if let Err(e) = measure::gauges(&self.store.view(), now) {
                warn!(error = %e, "the gauges can't be set");
            }
        }
        while sinks.join_next().await.is_some() {}
        Ok(())
    }
}

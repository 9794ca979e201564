//! The service: a projection of the ledger, its clocks and its sinks.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use jiff::SignedDuration;
use rollcall_config::{AlertingConfig, Config, News, SourceConfig, WithoutOwner};
use rollcall_domain::kv::KvError;
use rollcall_domain::ledger::{Ledger, List, Remembered};
use rollcall_domain::{Recorded, Sequence};
use rollcall_event_log::{Clock, Duty, EventLog, SharedTicks, holder_name};
use rollcall_projection::{History, Projection, Runner, Store, Transaction};
use rollcall_scim::Catalogue;
use rollcall_telemetry::metrics::metrics;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::alerts::condition::{Away, Rules};
use crate::alerts::delivery::{AlertLoop, Shared};
use crate::alerts::message::Context;
use crate::alerts::sinks::Sink;
use crate::clock_check::{Reading, SteadyClock};
use crate::error::MonitorError;
use crate::meta::NAME;
use crate::over_age::OverAge;
use crate::{deadlines, measure};

/// Changes whenever the state would be derived otherwise than before.
const STAMP: u32 = 33;

/// The same where tasks are told, for which more is derived.
const STAMP_WITH_TASKS: u32 = STAMP + 10_000;

const WITH_TASKS: &[List] = &[List::Clock, List::Stories, List::Pending];

/// The most tasks that people are told of at once.
const MOST_TASKS: usize = 2000;

/// How late a deadline may be noticed.
const TICK: Duration = Duration::from_millis(500);

/// How long people are decided for whom a change concerns until clocks are looked at again.
const REEVALUATE_FOR: Duration = Duration::from_secs(2);

/// How often gauges are set.
const MEASURE_EVERY: Duration = Duration::from_secs(2);

/// How often the monitor looks after what it needs itself.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The monitor.
pub struct Monitor {
    log: EventLog,
    store: Arc<Store>,
    sinks: Vec<Sink>,
    alerting: AlertingConfig,
    rules: Rules,
    context: Context,
    catalogue: Catalogue,
    clock: Clock,
    duty: Duty,
    max_credential_age: Duration,
    without_owner: WithoutOwner,
    /// Its own folder.
    folder: PathBuf,
}

/// The projection whose clocks are watched.
#[derive(Debug)]
pub struct Clocks {
    ledger: Ledger,
    /// Events up to here were measured by an earlier run: a rebuild must not count them again.
    measured: Sequence,
}

impl Clocks {
    fn new(catalogue: Catalogue, measured: Sequence, lists: &'static [List]) -> Self {
        Self { ledger: Ledger::new(catalogue).keeping(lists).remembering(Remembered::Leavers), measured }
    }
}

impl Default for Clocks {
    fn default() -> Self {
        Self::new(Catalogue::default(), Sequence(0), WITH_TASKS)
    }
}

impl Projection for Clocks {
    fn apply(&mut self, state: &mut Transaction, event: &Recorded) -> Result<(), KvError> {
        let facts = self.ledger.evolve(state, event)?;
        if event.sequence > self.measured {
            measure::record(&facts, &event.meta.trace);
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
        let tells_tasks = config.alerts.iter().any(|sink| sink.tells.contains(&News::Tasks));
        let stamp = if tells_tasks { STAMP_WITH_TASKS } else { STAMP };
        let store = Store::open(NAME, &folder, stamp, config.server.cache_bytes, History::NONE)?;
        let known: Weak<Store> = Arc::downgrade(&store);
        let log = log.knowing(known);
        let holder = holder_name(&folder).map_err(|e| MonitorError::Name { reason: e.to_string() })?;
        let duty = Duty::new(NAME, holder);
        let named = |s: &SourceConfig| s.name.clone();
        let rules = Rules {
            escalate_after: config.alerting.escalate_after.clone(),
            silent_after: config.sources.iter().filter_map(|s| Some((named(s), s.silent_after?))).collect(),
            far_ahead: Some(config.alerting.far_ahead),
            remind_before: config.alerting.remind_before,
            most_tasks: if tells_tasks { MOST_TASKS } else { 0 },
            listening_since: clock(),
        };
        let link_key = config.tasks.link_key.as_ref().and_then(|key| key.secret()).cloned();
        let context = Context {
            public_url: config.server.public_url.as_ref().map(ToString::to_string),
            owners: config.sources.iter().filter_map(|s| Some((named(s), s.owner.clone()?))).collect(),
            links: link_key.zip(SignedDuration::try_from(config.tasks.links_last).ok()),
        };
        let sinks = config.alerts.iter().map(Sink::new).collect::<Result<_, _>>()?;
        let alerting = config.alerting.clone();
        let max_credential_age = config.machines.max_credential_age;
        Ok(Self {
            log,
            store,
            sinks,
            alerting,
            rules,
            context,
            catalogue: config.scim.catalogue,
            clock,
            duty,
            max_credential_age,
            without_owner: config.machines.without_owner,
            folder,
        })
    }

    /// Its state, for readiness.
    #[must_use]
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// Whether it is known who watches, this one or another.
    #[must_use]
    pub fn watched(&self) -> tokio::sync::watch::Receiver<bool> {
        self.duty.known()
    }

    /// Runs until `stop`. Of several monitors one watches, says and tells; the others stand by, with the same state.
    ///
    /// # Errors
    /// When its own state or the log fails for good.
    pub async fn run(self, stop: CancellationToken) -> Result<(), MonitorError> {
        let head = self.log.head().await?;
        let rebuilding = self.store.cursor() == Sequence(0);
        let lists: &[List] = if self.rules.most_tasks == 0 { &[List::Clock, List::Stories] } else { WITH_TASKS };
        let projection = Clocks::new(self.catalogue, if rebuilding { head } else { Sequence(0) }, lists);
        let runner = Runner::new(self.log.clone(), Arc::clone(&self.store));
        let projected = async {
            let ended = runner.run(projection, stop.clone()).await;
            stop.cancel();
            ended
        };
        let watched = async {
            let ended = self.effects(head, stop.clone()).await;
            // One that watches nothing does not go on as if it did.
            if ended.is_err() {
                stop.cancel();
            }
            ended
        };
        let (projected, watched) = tokio::join!(projected, watched);
        projected?;
        watched
    }

    async fn effects(self, head: Sequence, stop: CancellationToken) -> Result<(), MonitorError> {
        // What was verified while the monitor was away must be known before anything is called overdue.
        let mut caught_up = self.store.watch();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = caught_up.wait_for(|at| *at >= head) => {}
        }
        let start = (self.clock)();
        let lease = self.duty.lease();
        let shared = Arc::new(Shared {
            log: self.log.clone(),
            store: Arc::clone(&self.store),
            rules: Rules { listening_since: start, ..self.rules.clone() },
            context: self.context.clone(),
            patience: self.alerting.patience,
            lease: Arc::clone(&lease),
            surroundings: Mutex::default(),
            now: Mutex::new(start),
        });
        let mut sinks = JoinSet::new();
        for sink in self.sinks {
            sinks.spawn(AlertLoop::new(Arc::clone(&shared), sink, &self.folder).run(stop.clone()));
        }
        sinks.spawn(look_around(Arc::clone(&shared), self.alerting.clone(), stop.clone()));
        let keeping = tokio::spawn(self.duty.keep(self.log.clone(), stop.clone()));
        let mut clock = SteadyClock::new(start);
        let mut last = Instant::now();
        let mut measured: Option<Instant> = None;
        let mut over_age = OverAge::new(self.max_credential_age);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            let elapsed = std::mem::replace(&mut last, Instant::now()).elapsed();
            let reading = clock.read((self.clock)(), elapsed);
            match reading {
                Reading::SteadyClock(_) => {}
                Reading::Jumped(at, by) => {
                    warn!(%at, by = %format!("{by:#}"), "the clock of this machine has jumped and is not gone by");
                    metrics().clock_jumps.add(1, &[]);
                }
                Reading::Believed(at) => warn!(%at, "the clock of this machine has stayed where it jumped to"),
            }
            let now = reading.time();
            *shared.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
            if lease.is_held() {
                // One that is told to stop no longer knows what became of what it said.
                if let Err(e) = deadlines::bring_into_effect(&self.log, &self.store, now, self.without_owner).await
                    && !stop.is_cancelled()
                {
                    warn!(error = %e, "what is scheduled can't be brought into effect, trying again");
                }
                if let Err(e) = deadlines::append_due(&self.log, &self.store, now).await
                    && !stop.is_cancelled()
                {
                    warn!(error = %e, "deadlines can't be watched, trying again");
                }
                if let Err(e) = deadlines::reevaluate(&self.log, &self.store, REEVALUATE_FOR).await
                    && !stop.is_cancelled()
                {
                    warn!(error = %e, "what a change means for many can't be decided, trying again");
                }
            }
            if measured.is_none_or(|at| at.elapsed() >= MEASURE_EVERY) {
                measured = Some(Instant::now());
                let rules = &shared.rules;
                let view = self.store.view();
                if let Err(e) = measure::gauges(&view, now, rules).and_then(|()| over_age.turn(&view, now)) {
                    warn!(error = %e, "the gauges can't be set");
                }
            }
        }
        while sinks.join_next().await.is_some() {}
        // Another takes over only when nothing is told here any more.
        let _ = keeping.await;
        Ok(())
    }
}

/// Watches what the monitor itself needs: the log, and that its state keeps up with it.
async fn look_around(shared: Arc<Shared>, alerting: AlertingConfig, stop: CancellationToken) {
    let (mut away_since, mut behind_since): (Option<Instant>, Option<Instant>) = (None, None);
    let mut looks = SharedTicks::every(LOOK_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = looks.turn() => {}
        }
        let head = tokio::time::timeout(LOOK_EVERY * 2, shared.log.head()).await;
        let long = |since: &mut Option<Instant>| since.get_or_insert_with(Instant::now).elapsed() >= alerting.patience;
        match head {
            Ok(Ok(head)) => {
                away_since = None;
                let lag = head.0.saturating_sub(shared.store.cursor().0);
                let lags = if lag > alerting.max_lag_events {
                    long(&mut behind_since)
                } else {
                    behind_since = None;
                    false
                };
                shared.see(|s| {
                    s.log_is_away = None;
                    s.lag = lags.then_some(lag);
                });
            }
            _ => {
                if long(&mut away_since) {
                    shared.see(|s| s.log_is_away = Some(Away));
                }
            }
        }
    }
}

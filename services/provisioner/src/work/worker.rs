//! One worker per app: a slow or dead app never delays another's leaver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use rollcall_domain::access::account::{Account, Causation};
use rollcall_domain::access::desired::Queue;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::app::capability::Discovered;
use rollcall_domain::app::health::Quarantined;
use rollcall_domain::app::kind::AppKind;
use rollcall_domain::governance::hold::{Decision, HoldDecided};
use rollcall_domain::ids::IdentityId;
use rollcall_domain::{AppId, Event, Sequence, directory, ledger};
use rollcall_telemetry::TraceParts;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, field, info, info_span, warn};

use crate::app_client::client::Failure;
use crate::app_client::discovery::discover;
use crate::comparison::schedule::Schedule;
use crate::drill::Drills;
use crate::error::ProvisionerError;
use crate::list::listed::ListedApp;
use crate::work::breaker::{Breaker, Verdict};
use crate::work::conflicts::Conflicts;
use crate::work::connector::Connector;
use crate::work::outcome::Outcome;

/// How many pending accounts are read at once.
pub(super) const CHUNK: usize = 256;

/// The longest that an app's Retry-After is obeyed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Whose account it is that a list can't be read: it is about nobody's in particular.
const NOBODY: IdentityId = IdentityId(uuid::Uuid::nil());

/// How long nothing may happen before the worker looks again by itself.
const IDLE: Duration = Duration::from_secs(30);

/// Works on the pending accounts of one app.
pub struct Worker {
    pub app: AppId,
    /// How it is reached; `None`: it is not in the configuration.
    pub kind: Option<AppKind>,
    pub connector: Arc<Connector>,
    pub max_in_flight: usize,
    pub retry_min: Duration,
    pub retry_max: Duration,
    pub quarantine_after: u32,
    pub probe_every: Duration,
    pub reconcile_every: Duration,
}

struct Waiting {
    until: Instant,
    version: Sequence,
    pauses: ExponentialBackoff,
    /// How often in a row the app has refused for good.
    refusals: u32,
}

pub(super) type Done = (IdentityId, Sequence, Result<Outcome, ProvisionerError>);

impl Worker {
    /// Runs until `stop`, then lets what is in flight end.
    pub async fn run(self, stop: CancellationToken) {
        if !self.is_readable() {
            return self.leave_to_people(&stop).await;
        }
        self.catch_up(&stop).await;
        self.note_what_may_be_under_way();
        let mut schedule = Schedule::new(Arc::clone(&self.connector), self.reconcile_every);
        let mut drills = Drills::new(Arc::clone(&self.connector));
        let mut known = Knowledge::Nothing;
        while !stop.is_cancelled() {
            // What another address can do is nothing that is known of this app.
            let is_ours = matches!(self.standing(), Ok(Standing::Usual | Standing::LeftAlone));
            if known == Knowledge::Nothing && is_ours {
                // On the heap, as long as it takes: there may be a thousand workers that have nothing to do.
                known = Box::pin(self.learn(&stop)).await;
            }
            match self.standing() {
                Ok(Standing::Elsewhere) => self.wait_for_settings(&stop).await,
                Ok(Standing::Moved) => Box::pin(self.recognize(&stop)).await,
                Ok(Standing::LeftAlone) => Box::pin(self.wait_for_recovery(&stop)).await,
                Ok(Standing::Usual) => Box::pin(self.work(&stop, &mut schedule, &mut drills)).await,
                Err(e) => {
                    error!(app = %self.app, error = %e, "the state of the app can't be read");
                    tokio::time::sleep(self.retry_min).await;
                }
            }
        }
        schedule.stop().await;
        drills.stop().await;
    }

    /// Whoever worked on this app before has said what they did: first that is known here, too.
    async fn catch_up(&self, stop: &CancellationToken) {
        let mut known = self.connector.store.watch();
        loop {
            let pause = match self.connector.log.head().await {
                Ok(head) => tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    _ = known.wait_for(|at| *at >= head) => return,
                },
                Err(e) => {
                    warn!(app = %self.app, error = %e, "where the log ends can't be told, trying again");
                    tokio::time::sleep(self.retry_min)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = pause => {}
            }
        }
    }

    /// Whoever worked on this app before may have been ended in the middle of a change.
    fn note_what_may_be_under_way(&self) {
        let view = self.connector.store.view();
        let pending = |queue| ledger::pending(&view, &self.app, queue, None, usize::MAX).unwrap_or_default();
        let parked = ledger::parked(&view, &self.app, usize::MAX).unwrap_or_default();
        let all = Queue::ALL.into_iter().flat_map(pending).chain(parked).map(|(id, _)| id).collect();
        self.connector.unanswered.begin(all, self.connector.store.cursor(), (self.connector.clock)());
    }

    /// Whether what the app shows can be read; of one that is not in the configuration any more the log knows it.
    fn is_readable(&self) -> bool {
        let known = || directory::app(&self.connector.store.view(), &self.app).ok().flatten().map(|app| app.spec.kind);
        self.kind.or_else(known).is_none_or(AppKind::is_readable)
    }

    /// Ends only the holds that hold nothing any more.
    async fn leave_to_people(&self, stop: &CancellationToken) {
        let mut news = self.connector.store.watch();
        while !stop.is_cancelled() {
            news.mark_unchanged();
            if let Err(e) = self.end_empty_holds().await {
                error!(app = %self.app, error = %e, "whether a hold still holds something can't be told");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                changed = news.changed() => if changed.is_err() {
                    return;
                },
                () = tokio::time::sleep(IDLE) => {}
            }
        }
    }

    /// The list that is all that can be read of the app; `None`: it is asked itself.
    pub(super) fn list(&self) -> Option<&ListedApp> {
        self.connector.link.as_ref()?.list.as_deref()
    }

    /// Whether anything may be done in the app.
    pub(super) fn standing(&self) -> Result<Standing, ProvisionerError> {
        let view = self.connector.store.view();
        let Some(link) = &self.connector.link else { return Ok(Standing::Usual) };
        let known = directory::app(&view, &self.app)?;
        if known.is_some_and(|app| app.spec.base_url != link.config.spec.base_url) {
            return Ok(Standing::Elsewhere);
        }
        if ledger::quarantine(&view, &self.app)?.is_some() {
            return Ok(Standing::LeftAlone);
        }
        Ok(if ledger::moved_from(&view, &self.app)?.is_some() { Standing::Moved } else { Standing::Usual })
    }

    /// Reads the app's discovery documents; what they say that is new becomes an event. An app that can't be read is
    /// worked on all the same, as far as it goes.
    pub(super) async fn learn(&self, stop: &CancellationToken) -> Knowledge {
        let Some(link) = &self.connector.link else { return Knowledge::Tried };
        let found = tokio::select! {
            biased;
            () = stop.cancelled() => return Knowledge::Nothing,
            found = discover(&link.client, &link.config.spec.attributes) => found,
        };
        let learned = match found {
            Ok(learned) => learned,
            Err(failure) => {
                let rejection = &failure.rejection;
                warn!(app = %self.app, cause = rejection.cause.name(), detail = rejection.detail, "discovery failed");
                return Knowledge::Tried;
            }
        };
        let before = ledger::capabilities(&self.connector.store.view(), &self.app).ok().flatten();
        let learned = match &before {
            Some(before) => learned.with_experience(before),
            None => learned,
        };
        if before.as_ref() != Some(&learned) {
            let event = Event::AppDiscovered(Discovered { app: self.app.clone(), capabilities: learned });
            if let Err(e) = self.connector.say(event).await {
                error!(app = %self.app, error = %e, "what was learned of the app is not on the log");
                return Knowledge::Nothing;
            }
        }
        Knowledge::Tried
    }

    /// Works on accounts until `stop`, or until the app has to be left alone.
    async fn work(&self, stop: &CancellationToken, schedule: &mut Schedule, drills: &mut Drills) {
        let mut waiting: BTreeMap<IdentityId, Waiting> = BTreeMap::new();
        let mut busy: BTreeSet<IdentityId> = BTreeSet::new();
        let mut tasks: JoinSet<Done> = JoinSet::new();
        let mut breaker = Breaker::new(self.quarantine_after);
        let mut throttled_until = Instant::now();
        let mut news = self.connector.store.watch();
        let mut opened = None;
        let (mut list_due, mut generation) = (Instant::now(), 0);
        let mut conflicts = Conflicts::new(self.retry_max);
        while !stop.is_cancelled() && opened.is_none() {
            news.mark_unchanged();
            // It may be on the log although we were not told that it got there.
            if !matches!(self.standing(), Ok(Standing::Usual)) {
                break;
            }
            if let Some(list) = self.list()
                && list_due <= Instant::now()
            {
                list_due = Instant::now() + self.probe_every;
                match list.current().await {
                    Ok(newest) if newest.generation == generation => {}
                    Ok(newest) => {
                        generation = newest.generation;
                        waiting.clear();
                        schedule.at_once();
                    }
                    Err(failure) => {
                        if let Verdict::Opened { failures, rejection } = breaker.failed(NOBODY, &failure) {
                            opened = Some(Quarantined { app: self.app.clone(), rejection, failures });
                            continue;
                        }
                    }
                }
            }
            // One at a time: a comparison would find the canary.
            if !drills.is_running() {
                schedule.turn();
            }
            if !schedule.is_running() {
                drills.turn();
            }
            if let Err(e) = self.end_empty_holds().await {
                error!(app = %self.app, error = %e, "whether a hold still holds something can't be told");
            }
            let free = self.max_in_flight.saturating_sub(busy.len());
            // An app that asks for a pause is asked all the same to switch somebody off.
            let which = if throttled_until <= Instant::now() { &Queue::ALL[..] } else { &[Queue::Off] };
            if free > 0 {
                match self.next(which, &waiting, &busy, free) {
                    Ok(mut accounts) => {
                        let most = free.saturating_sub(accounts.len());
                        if which.contains(&Queue::Present) {
                            accounts.extend(conflicts.next(&self.connector, &busy, most).unwrap_or_default());
                        }
                        for account in accounts {
                            busy.insert(account.identity);
                            let refusals = waiting.get(&account.identity).map_or(0, |w| w.refusals);
                            tasks.spawn(work(Arc::clone(&self.connector), account, refusals));
                        }
                    }
                    Err(e) => error!(app = %self.app, error = %e, "the pending accounts can't be read"),
                }
            }
            let now = Instant::now();
            let retries = waiting.iter().filter(|(id, _)| !busy.contains(id)).map(|(_, w)| w.until);
            let wake = retries
                .chain([throttled_until, schedule.wake()])
                .chain(drills.wake())
                .chain(self.list().map(|_| list_due))
                .filter(|until| *until > now)
                .min();
            let wake = wake.unwrap_or(now + IDLE).min(now + IDLE);
            // In this order, so that the same seed is the same run.
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(done) = tasks.join_next(), if !tasks.is_empty() => match done {
                    Ok((id, version, outcome)) => {
                        busy.remove(&id);
                        match &outcome {
                            Ok(Outcome::Failed(failure)) => {
                                if let Some(pause) = throttle(failure) {
                                    throttled_until = throttled_until.max(Instant::now() + pause);
                                }
                                if let Verdict::Opened { failures, rejection } = breaker.failed(id, failure) {
                                    opened = Some(Quarantined { app: self.app.clone(), rejection, failures });
                                }
                            }
                            Ok(_) => breaker.succeeded(),
                            Err(_) => {}
                        }
                        self.settle(&mut waiting, id, version, outcome);
                    }
                    // A task that panicked is forgotten as busy, so that the account is tried again.
                    Err(e) => {
                        error!(app = %self.app, error = %e, "work on an account stopped unexpectedly");
                        busy.clear();
                        tasks.abort_all();
                        while tasks.join_next().await.is_some() {}
                    }
                },
                () = schedule.ended() => {}
                () = drills.ended() => {}
                changed = news.changed(), if busy.len() < self.max_in_flight => {
                    if changed.is_err() {
                        break;
                    }
                }
                () = sleep_until(wake) => {}
            }
        }
        let settle = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(5), settle).await;
        if let Some(quarantined) = opened {
            warn!(app = %self.app, failures = quarantined.failures, detail = quarantined.rejection.detail, "left alone");
            if let Err(e) = self.connector.say(Event::AppQuarantined(quarantined)).await {
                error!(app = %self.app, error = %e, "the quarantine is not on the log");
            }
        }
    }

    /// Says that a hold on removals in this app ended where all that it kept from being done is wanted again.
    async fn end_empty_holds(&self) -> Result<(), ProvisionerError> {
        let view = self.connector.store.view();
        for hold in ledger::holds(&view)?.into_iter().filter(|hold| hold.app == self.app) {
            // First it is told that it began.
            if !ledger::is_hold_said(&view, &hold)? || ledger::holds_something(&view, &hold)? {
                continue;
            }
            let (cause, through) = (hold.cause, self.connector.store.cursor());
            info!(app = %self.app, %cause, "no removal waits any more");
            let lapsed = HoldDecided { cause, through, decision: Decision::Lapse, reason: String::new() };
            self.connector.say(Event::HoldDecided(lapsed)).await?;
        }
        Ok(())
    }

    /// The accounts to work on now, the most urgent first.
    fn next(
        &self,
        queues: &[Queue],
        waiting: &BTreeMap<IdentityId, Waiting>,
        busy: &BTreeSet<IdentityId>,
        free: usize,
    ) -> Result<Vec<Account>, ProvisionerError> {
        let view = self.connector.store.view();
        let now = Instant::now();
        let (holds, counting) = (ledger::holds(&view)?, ledger::reevaluations(&view)?);
        let app_version = self.connector.app_version()?;
        let ripe = |id: &IdentityId, version: Sequence| {
            !busy.contains(id) && waiting.get(id).is_none_or(|w| w.until <= now || w.version != version)
        };
        let mut ready = Vec::new();
        for queue in queues.iter().copied() {
            let mut after = None;
            loop {
                // Those that wait are passed over, however many they are: behind them may be someone who has to go.
                let chunk = ledger::pending(&view, &self.app, queue, after, CHUNK)?;
                let Some((last, _)) = chunk.last() else { break };
                after = Some(*last);
                for (id, version) in chunk {
                    if ready.len() == free {
                        return Ok(ready);
                    }
                    if !ripe(&id, version) {
                        continue;
                    }
                    let Some(account) = ledger::account(&view, id, &self.app)?.filter(Account::is_pending) else {
                        continue;
                    };
                    let held = holds.iter().any(|hold| hold.covers(&account))
                        || counting.iter().any(|running| running.keeps_waiting(&account));
                    let stays = match queue {
                        // A person has decided, and that goes before every other decision.
                        Queue::Off => false,
                        // A person has to look at it first, or has decided.
                        Queue::Absent => held || ledger::is_waived(&view, &self.app, id, (self.connector.clock)())?,
                        // Asked again when the identity changes, which makes another version, or when the app does.
                        Queue::Present => account.parked_at.is_some() && account.parked_at >= app_version,
                    };
                    if !stays {
                        ready.push(account);
                    }
                }
            }
        }
        Ok(ready)
    }

    fn settle(
        &self,
        waiting: &mut BTreeMap<IdentityId, Waiting>,
        id: IdentityId,
        version: Sequence,
        outcome: Result<Outcome, ProvisionerError>,
    ) {
        let mut refused = false;
        let at_least = match outcome {
            Ok(Outcome::Verified) => {
                waiting.remove(&id);
                return;
            }
            Ok(Outcome::Again(Some(pause))) => {
                // It is on its way: looked at again soon, without growing impatience.
                let pauses = self.pauses();
                waiting.insert(id, Waiting { until: Instant::now() + pause, version, pauses, refusals: 0 });
                return;
            }
            Ok(Outcome::Again(None)) => Duration::ZERO,
            Ok(Outcome::Failed(failure)) => {
                refused = failure.is_final();
                failure.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER)
            }
            Err(e) => {
                error!(app = %self.app, error = %e, "an account could not be worked on");
                Duration::ZERO
            }
        };
        let fresh = || Waiting { until: Instant::now(), version, pauses: self.pauses(), refusals: 0 };
        let entry = waiting.entry(id).or_insert_with(fresh);
        if entry.version != version {
            *entry = fresh();
        }
        entry.refusals = if refused { entry.refusals.saturating_add(1) } else { 0 };
        let pause = entry.pauses.next().unwrap_or(self.retry_max).max(at_least);
        entry.until = Instant::now() + pause;
    }

    /// Longer and longer up to the configured ceiling, and never an end: an obligation is not dropped.
    fn pauses(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.retry_min)
            .with_max_delay(self.retry_max)
            .with_jitter()
            .without_max_times()
            .build()
    }
}

/// Whether anything may be done in an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Usual,
    /// It has failed too often, or shows less than it must.
    LeftAlone,
    /// It has another address, and nothing that we know was found there yet.
    Moved,
    /// We reach it at another address than the log says.
    Elsewhere,
}

/// Whether the discovery documents were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knowledge {
    Nothing,
    Tried,
}

/// How long an app that is asked too much is not asked at all.
fn throttle(failure: &Failure) -> Option<Duration> {
    let asked = failure.rejection.cause == RejectionCause::Throttled;
    asked.then(|| failure.retry_after.unwrap_or(Duration::from_secs(1)).min(MAX_RETRY_AFTER))
}

pub(super) async fn work(connector: Arc<Connector>, account: Account, refusals: u32) -> Done {
    let span = info_span!(
        "provision",
        otel.kind = "consumer",
        app = %account.app,
        identity = %account.identity,
        version = account.desired_version.0,
        trace_id = field::Empty,
    );
    // One of which nothing is known begins a trace of its own.
    let story = ledger::causation_of(&connector.store.view(), &account).ok().flatten();
    let parts = story
        .map(|Causation { trace, .. }| TraceParts { traceparent: trace.traceparent, tracestate: trace.tracestate });
    rollcall_telemetry::adopt(&span, &parts.unwrap_or_default());
    let outcome = connector.work_on(&account, refusals).instrument(span).await;
    if let Err(e) = connector.learn_ways().await {
        error!(app = %account.app, error = %e, "what the app has taught is not on the log");
    }
    (account.identity, account.desired_version, outcome)
}

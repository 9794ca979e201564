//! One worker per app: a slow or dead app never delays another's leaver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use rollcall_domain::account::{Account, Target};
use rollcall_domain::ids::IdentityId;
use rollcall_domain::{AppId, Sequence, ledger};
use rollcall_telemetry::TraceParts;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, field, info_span};

use crate::error::ProvisionerError;
use crate::step::{Desk, Outcome};

/// How many pending accounts are read at once.
const CHUNK: usize = 256;

/// The longest that an app's Retry-After is obeyed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// How long nothing may happen before the worker looks again by itself.
const IDLE: Duration = Duration::from_secs(30);

/// Works on the pending accounts of one app.
#[derive(Debug)]
pub struct Worker {
    pub app: AppId,
    pub desk: Arc<Desk>,
    pub max_in_flight: usize,
    pub retry_min: Duration,
    pub retry_max: Duration,
}

struct Waiting {
    until: Instant,
    version: Sequence,
    pauses: ExponentialBackoff,
}

type Done = (IdentityId, Sequence, Result<Outcome, ProvisionerError>);

impl Worker {
    /// Runs until `stop`, then lets what is in flight end.
    pub async fn run(self, stop: CancellationToken) {
        let mut waiting: BTreeMap<IdentityId, Waiting> = BTreeMap::new();
        let mut busy: BTreeSet<IdentityId> = BTreeSet::new();
        let mut tasks: JoinSet<Done> = JoinSet::new();
        let mut news = self.desk.store.watch();
        while !stop.is_cancelled() {
            news.mark_unchanged();
            let free = self.max_in_flight.saturating_sub(busy.len());
            if free > 0 {
                match self.next(&waiting, &busy, free) {
                    Ok(accounts) => {
                        for account in accounts {
                            busy.insert(account.identity);
                            tasks.spawn(work(Arc::clone(&self.desk), account));
                        }
                    }
                    Err(e) => error!(app = %self.app, error = %e, "the pending accounts can't be read"),
                }
            }
            let idle = Instant::now() + IDLE;
            let wake = waiting
                .iter()
                .filter(|(id, _)| !busy.contains(id))
                .map(|(_, w)| w.until)
                .filter(|until| *until > Instant::now())
                .min()
                .map_or(idle, |until| until.min(idle));
            tokio::select! {
                () = stop.cancelled() => {}
                Some(done) = tasks.join_next(), if !tasks.is_empty() => match done {
                    Ok((id, version, outcome)) => {
                        busy.remove(&id);
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
    }

    /// The accounts to work on now, departures first.
    fn next(
        &self,
        waiting: &BTreeMap<IdentityId, Waiting>,
        busy: &BTreeSet<IdentityId>,
        free: usize,
    ) -> Result<Vec<Account>, ProvisionerError> {
        let view = self.desk.store.view();
        let now = Instant::now();
        let ripe = |id: &IdentityId, version: Sequence| {
            !busy.contains(id) && waiting.get(id).is_none_or(|w| w.until <= now || w.version != version)
        };
        let mut ready = Vec::new();
        for target in [Target::Absent, Target::Present] {
            let mut after = None;
            loop {
                // Those that wait are passed over, however many they are: behind them may be someone who has to go.
                let chunk = ledger::pending(&view, &self.app, target, after, CHUNK)?;
                let Some((last, _)) = chunk.last() else { break };
                after = Some(*last);
                for (id, version) in chunk {
                    if ready.len() == free {
                        return Ok(ready);
                    }
                    if ripe(&id, version) {
                        ready.extend(ledger::account(&view, id, &self.app)?.filter(Account::is_pending));
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
        let at_least = match outcome {
            Ok(Outcome::Verified) => {
                waiting.remove(&id);
                return;
            }
            Ok(Outcome::Again(at_least)) => at_least.unwrap_or_default().min(MAX_RETRY_AFTER),
            Err(e) => {
                error!(app = %self.app, error = %e, "an account could not be worked on");
                Duration::ZERO
            }
        };
        let fresh = || Waiting { until: Instant::now(), version, pauses: self.pauses() };
        let entry = waiting.entry(id).or_insert_with(fresh);
        if entry.version != version {
            *entry = fresh();
        }
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

async fn work(desk: Arc<Desk>, account: Account) -> Done {
    let span = info_span!(
        "provision",
        otel.kind = "consumer",
        app = %account.app,
        identity = %account.identity,
        version = account.desired_version.0,
        trace_id = field::Empty,
    );
    let trace = &account.trace;
    let parts = TraceParts { traceparent: trace.traceparent.clone(), tracestate: trace.tracestate.clone() };
    rollcall_telemetry::adopt(&span, &parts);
    let outcome = desk.work_on(&account).instrument(span).await;
    (account.identity, account.desired_version, outcome)
}

//! What is wrong now: from the state, the time, and what the monitor sees of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rollcall_config::News;
use rollcall_domain::access::account::Account;
use rollcall_domain::access::case::Case;
use rollcall_domain::access::grant::Grant;
use rollcall_domain::access::obligation::Obligation;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::subject::Subject;
use rollcall_domain::alert::{About, Alert, AlertChanged, Level};
use rollcall_domain::app::drill::Drilled;
use rollcall_domain::app::health::Quarantine;
use rollcall_domain::app::{App, Connection};
use rollcall_domain::drift::reconciliation::Unfinished;
use rollcall_domain::governance::hold::Hold;
use rollcall_domain::identity::EffectFailed;
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger::{self, Late, Scheduled};
use rollcall_domain::{AppId, Event, SourceName, directory};

/// The most changes that are far ahead that people are told of at once: a wrong feed has them by the thousand.
const MOST_FAR: usize = 100;

/// The most grants that end soon that people are reminded of at once.
const MOST_ENDING: usize = 100;

/// How many accounts are looked at for tasks at once, and in all.
const PAGE: usize = 1000;
const MOST_LOOKED_AT: usize = 20_000;

/// The most departures of which hand-overs are late that people are told of at once.
const MOST_HANDED_OVER: usize = 10_000;

/// The most people and machines whose credentials are late that people are told of at once.
const MOST_REVOKED: usize = 10_000;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum AlertCondition {
    Leaver(Case),
    Access(Obligation),
    Handovers(Late),
    Revocations(Late),
    Quarantine(Quarantine),
    Drill(AppId, Drilled),
    Uncompared(AppId, Unfinished),
    Hold(Hold),
    Stuck(EffectFailed),
    FarAhead(Scheduled),
    GrantEnds(Grant),
    Task(Box<Account>),
    Silence { source: SourceName, last: Option<Timestamp> },
    Sink { name: String, reason: String },
    Log,
    Lag { events: u64 },
}

/// What is wrong with the monitor's own surroundings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The log can't be reached for too long.
    pub log_is_away: Option<Away>,
    /// The state is behind the log, for too long, by so many events.
    pub lag: Option<u64>,
    /// The sinks that fail for too long, and why.
    pub failing_sinks: BTreeMap<String, String>,
}

/// The log is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away;

/// When people are told, and told again.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// How long something is overdue when it is said again.
    pub escalate_after: Vec<Duration>,
    /// How long nothing may come from a source.
    pub silent_after: BTreeMap<SourceName, Duration>,
    /// How far ahead a change may be said to take effect; `None`: for ever.
    pub far_ahead: Option<Duration>,
    /// How long before a grant ends people are reminded; zero: never.
    pub remind_before: Duration,
    /// The most tasks that people are told of at once; 0: nobody is told of tasks.
    pub most_tasks: usize,
    /// Since when the monitor has listened: a source that it has never heard is silent from then on.
    pub listening_since: Timestamp,
}

impl Rules {
    /// After when something takes effect too far ahead; `None`: never.
    #[must_use]
    pub fn far_from(&self, now: Timestamp) -> Option<Timestamp> {
        now.checked_add(SignedDuration::try_from(self.far_ahead?).ok()?).ok()
    }
}

impl AlertCondition {
    /// What it is about.
    #[must_use]
    pub fn about(&self) -> About {
        match self {
            Self::Leaver(l) => About::Leaver { identity: l.identity, opened_by: l.opened_by },
            Self::Access(o) => {
                let opened_by = o.id.opened_by;
                match (o.id.subject.clone(), o.change) {
                    (Subject::Handover { owner, .. }, _) => About::Handover { owner, opened_by },
                    (Subject::Credential { holder, .. }, _) => About::Revocation { holder, opened_by },
                    (Subject::Account { app, identity }, ChangeKind::Disable) => {
                        About::Disable { app, identity, opened_by }
                    }
                    (Subject::Account { app, identity }, ChangeKind::Grant) => {
                        About::Grant { app, identity, opened_by }
                    }
                    (Subject::Account { app, identity }, _) => About::Zombie { app, identity, opened_by },
                }
            }
            Self::Handovers(late) => About::Handover { owner: late.whose, opened_by: late.opened_by },
            Self::Revocations(late) => About::Revocation { holder: late.whose, opened_by: late.opened_by },
            Self::Quarantine(q) if q.rejection.cause == RejectionCause::Vanished => {
                About::Vanished { app: q.app.clone(), by: q.by }
            }
            Self::Quarantine(q) => About::Quarantine { app: q.app.clone(), by: q.by },
            Self::Drill(app, drilled) => {
                About::Drill { app: app.clone(), by: drilled.failing_since.unwrap_or_default() }
            }
            Self::Uncompared(app, unfinished) => About::Uncompared { app: app.clone(), by: unfinished.by },
            Self::Hold(h) => About::Hold { cause: h.cause.clone(), by: h.by },
            Self::Stuck(failed) => About::Stuck { identity: failed.id, by: failed.version },
            Self::FarAhead(scheduled) => About::FarAhead { identity: scheduled.identity, by: scheduled.version },
            Self::GrantEnds(grant) => About::GrantEnds { identity: grant.identity, by: grant.requested_in },
            Self::Task(account) => {
                About::Task { app: account.app.clone(), identity: account.identity, by: account.desired_version }
            }
            Self::Silence { source, .. } => About::Silence { source: source.clone() },
            Self::Sink { name, .. } => About::Sink { name: name.clone() },
            Self::Log => About::Log,
            Self::Lag { .. } => About::Lag,
        }
    }

    /// How bad it is by now.
    #[must_use]
    pub fn level(&self, now: Timestamp, rules: &Rules) -> Level {
        let since = match self {
            Self::Leaver(leaver) => match leaver.overdue_since {
                Some(since) => Some(since),
                None => return Level::AT_RISK,
            },
            Self::Access(obligation) => obligation.overdue_at,
            Self::Handovers(late) | Self::Revocations(late) => Some(late.since),
            Self::FarAhead(_) | Self::GrantEnds(_) | Self::Drill(..) | Self::Uncompared(..) | Self::Task(_) => {
                return Level::AT_RISK;
            }
            _ => None,
        };
        let Some(since) = since else { return Level::WRONG };
        let age = now.duration_since(since);
        let passed = |step: &&Duration| SignedDuration::try_from(**step).is_ok_and(|step| age >= step);
        let steps = rules.escalate_after.iter().take_while(passed).count();
        Level::escalated(u32::try_from(steps).unwrap_or(u32::MAX))
    }
}

/// Everything that is wrong.
///
/// # Errors
/// When the state can't be read.
pub fn conditions(
    state: &impl Read,
    now: Timestamp,
    rules: &Rules,
    surroundings: &Surroundings,
) -> Result<Vec<AlertCondition>, KvError> {
    let mut all: Vec<AlertCondition> =
        ledger::alerting_leavers(state)?.into_iter().map(AlertCondition::Leaver).collect();
    all.extend(ledger::overdue_access(state)?.into_iter().map(AlertCondition::Access));
    all.extend(ledger::late_handovers(state, MOST_HANDED_OVER)?.into_iter().map(AlertCondition::Handovers));
    all.extend(ledger::late_revocations(state, MOST_REVOKED)?.into_iter().map(AlertCondition::Revocations));
    all.extend(ledger::quarantines(state)?.into_iter().map(AlertCondition::Quarantine));
    for (id, drilled) in ledger::failing_drills(state)? {
        let is_drilled = |app: &App| app.connection == Connection::Configured && !app.spec.kind.is_by_people();
        if directory::app(state, &id)?.is_some_and(|app| is_drilled(&app)) {
            all.push(AlertCondition::Drill(id, drilled));
        }
    }
    all.extend(
        not_compared(state, now)?.into_iter().map(|(app, unfinished)| AlertCondition::Uncompared(app, unfinished)),
    );
    all.extend(ledger::holds(state)?.into_iter().map(AlertCondition::Hold));
    all.extend(ledger::stuck(state)?.into_iter().map(AlertCondition::Stuck));
    if let Some(far) = rules.far_from(now) {
        all.extend(ledger::far_ahead(state, far, MOST_FAR)?.into_iter().map(AlertCondition::FarAhead));
    }
    let ending = ledger::grants_ending(state, now, rules.remind_before, MOST_ENDING)?;
    all.extend(ending.into_iter().map(AlertCondition::GrantEnds));
    all.extend(tasks(state, rules.most_tasks, now)?.into_iter().map(|account| AlertCondition::Task(Box::new(account))));
    for (source, patience) in &rules.silent_after {
        let last = ledger::last_heard(state, source)?;
        let quiet = now.duration_since(last.unwrap_or(rules.listening_since));
        if SignedDuration::try_from(*patience).is_ok_and(|patience| quiet > patience) {
            all.push(AlertCondition::Silence { source: source.clone(), last });
        }
    }
    let failing = surroundings.failing_sinks.iter();
    all.extend(failing.map(|(name, reason)| AlertCondition::Sink { name: name.clone(), reason: reason.clone() }));
    all.extend(surroundings.log_is_away.map(|_| AlertCondition::Log));
    all.extend(surroundings.lag.map(|events| AlertCondition::Lag { events }));
    Ok(all)
}

/// How many times in a row an app may not be compared when it should before people are told.
const MISSED: u32 = 3;

/// How long a comparison that has not failed may run before people are told: one of a large app takes hours.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The apps whose comparisons have failed, or not come to their end, for so long that people are told, and since when.
///
/// # Errors
/// When the state can't be read.
pub fn not_compared(state: &impl Read, now: Timestamp) -> Result<Vec<(AppId, Unfinished)>, KvError> {
    let mut all = Vec::new();
    for (id, reconciled) in ledger::unfinished_comparisons(state)? {
        let (Some(app), Some(unfinished)) = (directory::app(state, &id)?, reconciled.unfinished) else { continue };
        let missed = app.spec.reconcile_every.saturating_mul(MISSED);
        let patience = if reconciled.failure.is_some() { missed } else { missed.max(LONGEST) };
        let is_due = now.duration_since(unfinished.since) > patience.try_into().unwrap_or(SignedDuration::MAX);
        // One that is left alone is told of by itself.
        if is_due && app.connection == Connection::Configured && ledger::quarantine(state, &id)?.is_none() {
            all.push((id, unfinished));
        }
    }
    Ok(all)
}

/// The tasks that somebody has to do now, at most so many.
fn tasks(state: &impl Read, most: usize, now: Timestamp) -> Result<Vec<Account>, KvError> {
    let (mut all, mut after, mut looked) = (Vec::new(), None::<String>, 0);
    while all.len() < most && looked < MOST_LOOKED_AT {
        let page = ledger::tasks_after(state, None, after.as_deref(), PAGE)?;
        looked += page.pairs.len();
        for (_, account) in page.pairs {
            if all.len() < most && ledger::is_to_be_done(state, &account, now)? {
                all.push(account);
            }
        }
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    Ok(all)
}

/// What a sink has to be told.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum AlertChange {
    /// It is new, or worse than it was told.
    Fire(AlertCondition, Level),
    /// It is over.
    Resolve(Alert),
    /// The sink is told nothing of its kind any more: whether it is over is not said.
    Forget(Alert),
}

impl AlertChange {
    /// What it is about.
    #[must_use]
    pub fn about(&self) -> About {
        match self {
            Self::Fire(wrong, _) => wrong.about(),
            Self::Resolve(alert) | Self::Forget(alert) => alert.about.clone(),
        }
    }

    /// The event by which it is on the log that a sink was told; `summary` is what is wrong, in words.
    #[must_use]
    pub fn event(&self, sink: &str, summary: String) -> Event {
        let about = self.about();
        let level = match self {
            Self::Fire(_, level) => *level,
            Self::Resolve(alert) | Self::Forget(alert) => alert.level,
        };
        let changed = AlertChanged { key: about.key(), sink: sink.to_owned(), about, level, summary };
        match self {
            Self::Fire(..) => Event::AlertFired(changed),
            Self::Resolve(_) | Self::Forget(_) => Event::AlertResolved(changed),
        }
    }
}

/// The difference between what is wrong and what a sink was told, of what it is told.
#[must_use]
pub fn changes(
    wrong: &[AlertCondition],
    message: &[Alert],
    (sink, tells): (&str, &BTreeSet<News>),
    now: Timestamp,
    rules: &Rules,
) -> Vec<AlertChange> {
    let concerns = |w: &&AlertCondition| match w {
        AlertCondition::Task(_) => tells.contains(&News::Tasks),
        // A sink does not hear about itself: others do.
        AlertCondition::Sink { name, .. } => name != sink && tells.contains(&News::Alerts),
        _ => tells.contains(&News::Alerts),
    };
    let wrong: BTreeMap<String, &AlertCondition> =
        wrong.iter().filter(concerns).map(|w| (w.about().key(), w)).collect();
    let levels: BTreeMap<&str, Level> = message.iter().map(|alert| (alert.key.as_str(), alert.level)).collect();
    let known: BTreeSet<&str> = wrong.keys().map(String::as_str).collect();
    let fire = wrong.iter().filter_map(|(key, w)| {
        let level = w.level(now, rules);
        let news = levels.get(key.as_str()).is_none_or(|message| *message < level);
        news.then(|| AlertChange::Fire((*w).clone(), level))
    });
    let over = message.iter().filter(|alert| !known.contains(alert.key.as_str())).cloned().map(|alert| {
        let news = if matches!(alert.about, About::Task { .. }) { News::Tasks } else { News::Alerts };
        if tells.contains(&news) { AlertChange::Resolve(alert) } else { AlertChange::Forget(alert) }
    });
    fire.chain(over).collect()
}

//! What the clock has to say: decided from the state and the time, appended once. Nothing here asks the provisioner.

use std::time::Duration;

use jiff::Timestamp;
use rollcall_config::WithoutOwner;
use rollcall_domain::access::case::Case;
use rollcall_domain::access::departure::{AppOutcome, LeaverCompleted};
use rollcall_domain::access::grant::{GrantChanged, GrantEnd, GrantStep};
use rollcall_domain::access::obligation::{AtRisk, End, Obligation, Overdue};
use rollcall_domain::access::subject::Subject as About;
use rollcall_domain::identity::switch::{Switch, Switched};
use rollcall_domain::identity::{EffectFailed, take_effect, without_owner};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger::{self, Scheduled};
use rollcall_domain::{Event, EventMeta, NewEvent, Sequence};
use rollcall_event_log::{Expect, Log, LogError, Newest, Unit, by_service, newest};
use rollcall_projection::Store;
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use crate::error::MonitorError;
use crate::meta::{NAME, meta};

/// The most that is said in one go.
const BATCH: usize = 500;

/// How long the state may take to hold what was said.
const SETTLE: Duration = Duration::from_secs(60);

/// Something to append: its name makes sure that saying it twice says it once.
#[derive(Debug, Clone, PartialEq)]
pub struct DueEvent {
    /// What it says, once and for all.
    pub name: String,
    /// The event.
    pub event: Event,
}

/// What has to be said now, but for what was scheduled.
///
/// # Errors
/// When the state can't be read.
pub fn due_events(state: &impl Read, now: Timestamp) -> Result<Vec<DueEvent>, KvError> {
    let mut words = Vec::new();
    for obligation in ledger::ringing(state, now, BATCH)? {
        let (id, change) = (obligation.id.clone(), obligation.change);
        if obligation.may_become_at_risk() && obligation.risk_at <= now {
            let event = Event::ObligationAtRisk(AtRisk { id: id.clone(), change, deadline: obligation.deadline });
            words.push(DueEvent { name: format!("at-risk {id}"), event });
        }
        let deadline = obligation.rings_at();
        if deadline <= now {
            let name = format!("overdue {id} {deadline}");
            words.push(DueEvent { name, event: Event::ObligationOverdue(Overdue { id, change, deadline }) });
        }
    }
    for (of, grant) in ledger::grants_ringing(state, now, BATCH)? {
        let why = if grant.active_since.is_some() { GrantEnd::Expired } else { GrantEnd::Unanswered };
        let step = GrantStep::Ended { why, of: Some(of), reason: String::new() };
        let name = format!("grant {} {} {of}", why.name(), grant.id);
        let event = Event::Grant(GrantChanged { id: grant.id, identity: grant.identity, step });
        words.push(DueEvent { name, event });
    }
    for id in ledger::carried_over(state, BATCH)? {
        let reason = "whoever has this name was switched off, and was added again by their source".to_owned();
        let event = Event::IdentitySwitched(Switched { id, to: Switch::Off, reason });
        words.push(DueEvent { name: format!("switched off again {id}"), event });
    }
    for hold in ledger::holds(state)? {
        if !ledger::is_hold_said(state, &hold)? {
            words.push(DueEvent { name: format!("hold {} {}", hold.cause, hold.by), event: Event::HoldPlaced(hold) });
        }
    }
    for leaver in ledger::unsaid_completions(state)? {
        if let Some(record) = completion(state, &leaver)? {
            let name = format!("completed {} {}", leaver.identity, leaver.opened_by);
            words.push(DueEvent { name, event: Event::LeaverCompleted(record) });
        }
    }
    Ok(words)
}

/// The record of a departure for which nothing is owed any more.
fn completion(state: &impl Read, leaver: &Case) -> Result<Option<LeaverCompleted>, KvError> {
    let Some(completed_at) = leaver.ended_at() else { return Ok(None) };
    let outcome = |o: Obligation| match &o.id.subject {
        About::Account { app, .. } => Some(AppOutcome {
            app: app.clone(),
            deadline: o.deadline,
            applied_at: o.applied_at,
            verified_at: o.verified_at(),
            attested: match &o.end {
                Some(End::Attested { at, who, .. }) => Some((*at, who.clone())),
                _ => None,
            },
            overdue_at: o.overdue_at,
        }),
        About::Handover { .. } | About::Credential { .. } => None,
    };
    let apps = ledger::obligations_of_leaver(state, leaver)?.into_iter().filter_map(outcome).collect();
    let (identity, opened_by, left_at) = (leaver.identity, leaver.opened_by, leaver.opened_at);
    Ok(Some(LeaverCompleted { identity, opened_by, left_at, completed_at, apps }))
}

/// Says what has to be said; returns how much that was.
///
/// # Errors
/// When the log or the state fails: it is said the next time.
pub async fn append_due(log: &dyn Log, store: &Store, now: Timestamp) -> Result<usize, MonitorError> {
    if due_events(&store.view(), now)?.is_empty() {
        return Ok(0);
    }
    // Proof that is in the log already must not be overlooked.
    store.wait_for(log.head().await?, SETTLE).await?;
    let words = due_events(&store.view(), now)?;
    let mut last = None;
    for word in &words {
        match &word.event {
            Event::ObligationOverdue(o) => warn!(obligation = %o.id, deadline = %o.deadline, "overdue"),
            Event::HoldPlaced(h) => warn!(cause = %h.cause, app = %h.app, "removals wait for a decision"),
            _ => {}
        }
        let meta = meta(store, word)?;
        let unit = Unit::one(NewEvent { meta, event: word.event.clone() }, Expect::Any);
        last = Some(log.append(&unit).await?.last);
    }
    if let Some(last) = last {
        store.wait_for(last, SETTLE).await?;
    }
    Ok(words.len())
}

/// Brings into effect what was said before and whose time has come, from the newest state on the log. What can't take effect
/// is said to be so, and keeps nobody else waiting. `unowned` is what is configured of machines without an owner.
///
/// # Errors
/// When the log or the state fails: it is done the next time.
pub async fn bring_into_effect(
    log: &dyn Log,
    store: &Store,
    now: Timestamp,
    unowned: WithoutOwner,
) -> Result<usize, MonitorError> {
    let (mut place, mut done) = (None::<String>, 0);
    loop {
        let view = store.view();
        let (due, next) = ledger::taking_effect(&view, now, place.as_deref(), BATCH)?;
        let mut last: Option<Sequence> = None;
        for scheduled in &due {
            last = last.max(take_effect_of(log, store, scheduled, now, unowned).await?);
        }
        done += due.len();
        if let Some(last) = last {
            store.wait_for(last, SETTLE).await?;
        }
        place = next;
        if place.is_none() {
            return Ok(done);
        }
    }
}

/// Brings one into effect, or says that it can't be; the last event of that.
async fn take_effect_of(
    log: &dyn Log,
    store: &Store,
    scheduled: &Scheduled,
    now: Timestamp,
    unowned: WithoutOwner,
) -> Result<Option<Sequence>, MonitorError> {
    let id = scheduled.identity;
    let Some(Newest { recorded, last }) = newest(log, id, Some(scheduled.version)).await? else {
        // It is known here, and nothing is ever taken off the log: a server of it lags.
        warn!(identity = %id, version = %scheduled.version, "a server of the log does not have yet what takes effect now");
        return Ok(None);
    };
    // Something newer was said: it is looked at once it is known here. A server of the log that lags answers with something older.
    if recorded.sequence != scheduled.version {
        return Ok(None);
    }
    if recorded.seal.is_closed() {
        return failed(log, scheduled, "what it says is sealed, and its key is not here").await;
    }
    let Event::Identity(before) = &recorded.event else {
        return failed(log, scheduled, "a newer version of Rollcall has written it").await;
    };
    let Some(changed) = take_effect(before, now) else {
        return failed(log, scheduled, "it would change nothing").await;
    };
    // Who answered for a machine that is to begin may have left meanwhile.
    let has_owner = match changed.ownership.owner {
        Some(owner) => ledger::can_own(&store.view(), owner)?,
        None => false,
    };
    let may_begin = has_owner || unowned == WithoutOwner::Allow;
    let changed = if may_begin { changed } else { without_owner(changed) };
    if changed.before == Some(changed.after) {
        return failed(log, scheduled, "nobody answers for the machine who is there").await;
    }
    info!(identity = %id, "what was said before takes effect");
    let mut meta = by_service(NAME, &recorded.meta.correlation_id, Some(recorded.meta.event_id));
    meta.source.clone_from(&recorded.meta.source);
    meta.trace.clone_from(&recorded.meta.trace);
    meta.reason = "its time has come".to_owned();
    let name = format!("effect {id} {}", recorded.sequence);
    meta.event_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    let unit = Unit::one(NewEvent { meta, event: Event::Identity(changed) }, Expect::Last(last));
    match log.append(&unit).await {
        Ok(appended) => Ok(Some(appended.last)),
        // Someone changed it meanwhile: looked at again the next time.
        Err(LogError::Conflict { .. }) => Ok(None),
        // It will never fit.
        Err(e @ LogError::TooLarge { .. }) => failed(log, scheduled, &e.to_string()).await,
        Err(e) => Err(e.into()),
    }
}

/// Says that something can't take effect.
async fn failed(log: &dyn Log, scheduled: &Scheduled, reason: &str) -> Result<Option<Sequence>, MonitorError> {
    let Scheduled { identity: id, at: effective_at, version } = *scheduled;
    warn!(identity = %id, %effective_at, reason, "what was said before can't take effect");
    let name = format!("effect failed {id} {version}");
    let event_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    let meta = EventMeta { event_id, ..by_service(NAME, &event_id.to_string(), None) };
    let event = Event::EffectFailed(EffectFailed { id, version, effective_at, reason: reason.to_owned() });
    Ok(Some(log.append(&Unit::one(NewEvent { meta, event }, Expect::Any)).await?.last))
}

/// Decides for the next people whom a change concerns that is decided in pieces. Each piece is waited for, and then as long again as it
/// took, so that what others append comes between and no service falls far behind. Returns how many pieces it were.
///
/// # Errors
/// When the log or the state fails: it goes on the next time.
pub async fn reevaluate(log: &dyn Log, store: &Store, within: Duration) -> Result<usize, MonitorError> {
    let (started, mut pieces) = (Instant::now(), 0);
    while started.elapsed() < within {
        if ledger::reevaluations(&store.view())?.is_empty() {
            break;
        }
        // A piece that is on the log already is not said again.
        store.wait_for(log.head().await?, SETTLE).await?;
        let view = store.view();
        let Some(running) = ledger::reevaluations(&view)?.into_iter().next() else { break };
        let piece = ledger::next_piece(&view, &running)?;
        drop(view);
        if pieces == 0 {
            info!(since = %running.since, pass = running.pass.name(), "a change is decided for many people");
        }
        let name = format!("reevaluated {} {} {:?}", piece.since, piece.pass.name(), piece.through);
        let mut meta = by_service(NAME, &running.story.correlation_id, Some(running.story.caused_by));
        meta.event_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        meta.source = running.source;
        meta.trace = running.story.trace;
        let unit = Unit::one(NewEvent { meta, event: Event::Reevaluated(piece) }, Expect::Any);
        let begun = Instant::now();
        store.wait_for(log.append(&unit).await?.last, SETTLE).await?;
        pieces += 1;
        tokio::time::sleep(begun.elapsed().min(within)).await;
    }
    Ok(pieces)
}

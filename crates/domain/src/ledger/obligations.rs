//! Obligations as they open, ring and end, and the departures that they belong to.

use std::collections::BTreeSet;

use super::read::{
    account_key, accounts_of, alerting_key, at_key, deadline_key, ended_key, found, leaver, leaver_key, leaving_key,
    obligation_key, open_key, pending_key, risk_key, unsaid_key, zombie_key,
};
use super::{Fact, counts};
use crate::account::{Account, Desired, Target};
use crate::event::{Recorded, TraceContext};
use crate::exception::{Exception, Waived};
use crate::ids::{AppId, IdentityId, Sequence};
use crate::kv::{KvError, Read, Write, load, load_all, store, suffixes};
use crate::leaver::{Leaver, LeaverCompleted};
use crate::lifecycle::ChangeKind;
use crate::obligation::{AtRisk, Because, Change, End, Obligation, ObligationId, Overdue};

/// Opens an obligation, and makes its account what it asks for.
pub fn open(
    state: &mut impl Write,
    obligation: Obligation,
    before: Option<Account>,
    desired: Desired,
    event: &Recorded,
) -> Result<(), KvError> {
    let ObligationId { app, identity, opened_by } = obligation.id.clone();
    let opposite = |o: &Obligation| o.target == obligation.target.opposite();
    let because = match obligation.change {
        ChangeKind::Joiner => Because::Rehired,
        ChangeKind::Leaver => Because::Left,
        ChangeKind::Mover | ChangeKind::Repair => Because::Changed,
    };
    let end = End::Superseded { at: event.recorded_at, by: opened_by, because };
    for ended in end_those(state, identity, &app, opposite, &end)? {
        leaver_obligation_ended(state, &ended, event, &mut Vec::new())?;
    }
    let obligation = Obligation { source: event.meta.source.clone(), ..obligation };
    store(state, obligation_key(&obligation.id), &obligation);
    store(state, open_key(&obligation.id), &obligation.id);
    store(state, deadline_key(&obligation), &obligation.id);
    if obligation.target == Target::Absent {
        store(state, risk_key(&obligation), &obligation.id);
    }
    counts::opened(state, &obligation)?;
    let target = desired.target();
    state.delete(&pending_key(&app, target.opposite(), identity));
    store(state, pending_key(&app, target, identity), &opened_by);
    if before.is_none() {
        store(state, at_key(&app, identity), &());
    }
    let account = Account {
        desired,
        desired_version: opened_by,
        caused_by: event.meta.event_id,
        correlation_id: event.meta.correlation_id.clone(),
        trace: event.meta.trace.clone(),
        source: event.meta.source.clone(),
        rejection: None,
        parked_at: None,
        ..before.unwrap_or(Account {
            app: app.clone(),
            identity,
            desired: Desired::Absent,
            desired_version: opened_by,
            caused_by: event.meta.event_id,
            correlation_id: String::new(),
            trace: TraceContext::default(),
            source: None,
            remote_id: None,
            applied_version: None,
            verified_version: None,
            observed: None,
            verified_at: None,
            rejection: None,
            parked_at: None,
            confirmed: Vec::new(),
        })
    };
    store(state, account_key(identity, &app), &account);
    Ok(())
}

/// The open obligations of an account.
pub fn open_of(state: &(impl Read + ?Sized), app: &AppId, identity: IdentityId) -> Result<Vec<Obligation>, KvError> {
    let ids: Vec<(String, ObligationId)> = load_all(state, &format!("open/{app}/{identity}/"), None, usize::MAX)?;
    found(state, ids.into_iter().map(|(_, id)| obligation_key(&id)))
}

/// Ends the open obligations of an account that `which` chooses; returns them as they are now.
pub fn end_those(
    state: &mut impl Write,
    identity: IdentityId,
    app: &AppId,
    which: impl Fn(&Obligation) -> bool,
    end: &End,
) -> Result<Vec<Obligation>, KvError> {
    let mut ended = Vec::new();
    for mut obligation in open_of(state, app, identity)?.into_iter().filter(which) {
        state.delete(&open_key(&obligation.id));
        state.delete(&deadline_key(&obligation));
        state.delete(&risk_key(&obligation));
        state.delete(&zombie_key(&obligation.id));
        counts::ended(state, &obligation)?;
        obligation.end = Some(end.clone());
        obligation.waived = None;
        if let End::Verified { at, .. } = end {
            store(state, ended_key(*at, &obligation.id), &obligation.id);
        }
        store(state, obligation_key(&obligation.id), &obligation);
        ended.push(obligation);
    }
    Ok(ended)
}

/// The clock of an obligation has rung: its deadline has passed, or its exception has expired.
pub fn overdue(state: &mut impl Write, overdue: &Overdue, event: &Recorded) -> Result<(), KvError> {
    let Some(mut obligation) = load::<Obligation>(state, &obligation_key(&overdue.id))? else { return Ok(()) };
    // Verified while the clock's word was on its way, or said before.
    let excepted = obligation.waived.as_ref().is_some_and(|exception| exception.holds_at(overdue.deadline));
    let said = obligation.waived.is_none() && obligation.overdue_at.is_some();
    if obligation.end.is_some() || excepted || said {
        return Ok(());
    }
    state.delete(&deadline_key(&obligation));
    obligation.waived = None;
    if obligation.deadline <= overdue.deadline || obligation.overdue_at.is_some() {
        obligation.overdue_at = obligation.overdue_at.or(Some(event.recorded_at));
        state.delete(&risk_key(&obligation));
        counts::overdue(state, &obligation)?;
        if obligation.change == ChangeKind::Repair && obligation.target == Target::Absent {
            store(state, zombie_key(&obligation.id), &obligation.id);
        }
    } else {
        // The exception ended before the time that was allowed anyway.
        store(state, deadline_key(&obligation), &obligation.id);
    }
    store(state, obligation_key(&obligation.id), &obligation);
    mark_leaver(state, &obligation)
}

/// A person leaves an obligation unmet for a while.
pub fn waived(state: &mut impl Write, waived: &Waived, event: &Recorded) -> Result<(), KvError> {
    let by = event.meta.actor.clone();
    let exception = Exception { by, reason: waived.reason.clone(), expires_at: waived.expires_at };
    waive(state, &waived.id, exception)
}

/// Leaves an obligation unmet for a while.
pub fn waive(state: &mut impl Write, id: &ObligationId, exception: Exception) -> Result<(), KvError> {
    let Some(mut obligation) = load::<Obligation>(state, &obligation_key(id))? else { return Ok(()) };
    if obligation.end.is_some() {
        return Ok(());
    }
    state.delete(&deadline_key(&obligation));
    state.delete(&zombie_key(id));
    counts::waived(state, &obligation)?;
    obligation.waived = Some(exception);
    store(state, deadline_key(&obligation), &obligation.id);
    store(state, obligation_key(&obligation.id), &obligation);
    mark_leaver(state, &obligation)
}

/// Keeps the lists of a departure in line with one of its obligations.
fn mark_leaver(state: &mut impl Write, obligation: &Obligation) -> Result<(), KvError> {
    let id = &obligation.id;
    if obligation.change != ChangeKind::Leaver {
        return Ok(());
    }
    let Some(mut leaver) = leaver(state, id.identity, id.opened_by)? else { return Ok(()) };
    leaver.unmark(&id.app);
    if obligation.waived.is_some() {
        leaver.waived.insert(id.app.clone());
    } else if let Some(at) = obligation.overdue_at {
        leaver.overdue.insert(id.app.clone());
        leaver.overdue_since = Some(leaver.overdue_since.map_or(at, |since| since.min(at)));
    } else if obligation.at_risk_at.is_some() {
        leaver.at_risk.insert(id.app.clone());
    }
    keep_leaver(state, &mut leaver);
    Ok(())
}

/// Stores a departure, and whether someone has to be told of it.
fn keep_leaver(state: &mut impl Write, leaver: &mut Leaver) {
    let place = alerting_key(leaver.identity, leaver.opened_by);
    if leaver.overdue.is_empty() {
        leaver.overdue_since = None;
    }
    if leaver.overdue.is_empty() && leaver.at_risk.is_empty() {
        state.delete(&place);
    } else {
        store(state, place, &());
    }
    store(state, leaver_key(leaver.identity, leaver.opened_by), leaver);
}

/// Most of the time that is allowed has passed.
pub fn at_risk(state: &mut impl Write, risk: &AtRisk, event: &Recorded) -> Result<(), KvError> {
    let Some(mut obligation) = load::<Obligation>(state, &obligation_key(&risk.id))? else { return Ok(()) };
    state.delete(&risk_key(&obligation));
    if obligation.end.is_some() || obligation.at_risk_at.is_some() || obligation.overdue_at.is_some() {
        return Ok(());
    }
    obligation.at_risk_at = Some(event.recorded_at);
    store(state, obligation_key(&obligation.id), &obligation);
    mark_leaver(state, &obligation)
}

/// The record of a departure is on the log.
pub fn completion_said(state: &mut impl Write, completed: &LeaverCompleted) {
    state.delete(&unsaid_key(completed.identity, completed.opened_by));
}

/// Begins a departure.
pub fn open_leaver(
    state: &mut impl Write,
    identity: IdentityId,
    change: Change,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let apps: BTreeSet<AppId> = accounts_of(state, identity)?.into_iter().map(|a| a.app).collect();
    let mut leaver = Leaver {
        identity,
        opened_by: change.sequence,
        left_at: change.at,
        source: event.meta.source.clone(),
        at_risk: BTreeSet::new(),
        overdue_since: None,
        open: apps.clone(),
        apps,
        overdue: BTreeSet::new(),
        waived: BTreeSet::new(),
        completed_at: None,
        superseded_by: None,
    };
    if leaver.open.is_empty() {
        leaver.completed_at = Some(change.at);
        store(state, unsaid_key(identity, change.sequence), &());
        facts.push(Fact::LeaverCompleted(leaver.clone()));
    } else {
        store(state, leaving_key(identity, change.sequence), &());
    }
    store(state, leaver_key(identity, change.sequence), &leaver);
    Ok(())
}

/// Whoever is back has not left: what is still owed for an earlier departure stays owed, and does not complete it.
pub fn came_back(state: &mut impl Write, identity: IdentityId, by: Sequence) -> Result<(), KvError> {
    for opened_by in suffixes(state, &format!("leaving/{identity}/"))?.iter().filter_map(|n| n.parse().ok()) {
        if let Some(mut leaver) = leaver(state, identity, Sequence(opened_by))? {
            leaver.superseded_by.get_or_insert(by);
            store(state, leaver_key(identity, leaver.opened_by), &leaver);
        }
    }
    Ok(())
}

/// Takes an obligation that has ended from the departure that it belongs to.
pub fn leaver_obligation_ended(
    state: &mut impl Write,
    obligation: &Obligation,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    if obligation.change != ChangeKind::Leaver {
        return Ok(());
    }
    let id = &obligation.id;
    let Some(mut leaver) = leaver(state, id.identity, id.opened_by)? else { return Ok(()) };
    leaver.open.remove(&id.app);
    leaver.unmark(&id.app);
    if let Some(End::Superseded { by, .. }) = obligation.end {
        leaver.superseded_by = Some(by);
    }
    if leaver.open.is_empty() {
        state.delete(&leaving_key(id.identity, id.opened_by));
        if leaver.superseded_by.is_none() {
            leaver.completed_at = Some(event.recorded_at);
            store(state, unsaid_key(id.identity, id.opened_by), &());
            facts.push(Fact::LeaverCompleted(leaver.clone()));
        }
    }
    keep_leaver(state, &mut leaver);
    Ok(())
}

//! Obligations as they open, ring and end, and the departures that they belong to.

use std::collections::{BTreeMap, BTreeSet};

use super::handovers::{self, handover, handover_key};
use super::late;
use super::lists::Kept;
use super::read::{
    account, account_key, alerting_key, ended_key, holder_key, leaver, leaver_key, leaving_key, obligation_key,
    open_departures, overdue_key, paging_key, parked_key, pending_key, unsaid_key,
};
use super::revocations::{self, revocation, revocation_key};
use super::{Fact, clock, counts};
use crate::access::account::Account;
use crate::access::case::Case;
use crate::access::departure::LeaverCompleted;
use crate::access::desired::{Desired, Target};
use crate::access::handover::Handover;
use crate::access::holding::Holdings;
use crate::access::obligation::{
    AtRisk, Because, Change, Count, End, Obligation, ObligationId, ObligationStatus, Overdue, Waived,
};
use crate::access::subject::Subject;
use crate::directory;
use crate::event::{Event, Recorded};
use crate::governance::exception::Exception;
use crate::identity::lifecycle::{ChangeKind, Urgency};
use crate::ids::{CredentialId, IdentityId, Sequence};
use crate::kv::{KvError, Write, load, store};

/// Opens an obligation, and makes its account what it asks for.
pub fn open(
    state: &mut Kept<'_, impl Write>,
    obligation: Obligation,
    before: Option<Account>,
    desired: Desired,
    event: &Recorded,
) -> Result<(), KvError> {
    let before_it = before.as_ref().map(|before| (before.urgency, before.holds.clone()));
    let (urgency, holds) = before_it.unwrap_or_default();
    open_decided(state, obligation, before, Decided { desired, urgency, holds }, event)
}

/// What was decided about an account.
#[derive(Debug, Clone)]
pub struct Decided {
    /// What it must be.
    pub desired: Desired,
    /// Whether a person has switched them off.
    pub urgency: Urgency,
    /// What is held with it.
    pub holds: Holdings,
}

/// The same, where what is held with the account changes, too.
pub fn open_decided(
    state: &mut Kept<'_, impl Write>,
    obligation: Obligation,
    before: Option<Account>,
    Decided { desired, urgency, holds }: Decided,
    event: &Recorded,
) -> Result<(), KvError> {
    let ObligationId { subject: Subject::Account { app, identity }, opened_by } = obligation.id.clone() else {
        // What is owed of anything else is no account.
        return Ok(());
    };
    let is_new = before.is_none();
    let pending = before.as_ref().filter(|before| before.is_pending()).map(Account::queue);
    let former_name = before.as_ref().and_then(|before| before.desired.user_name()).map(str::to_owned);
    let asked_for: BTreeSet<String> = before.as_ref().map(unseen_groups).unwrap_or_default();
    // Whom a person switches is removed, if at all, by whoever said so before.
    let source = match &event.event {
        Event::IdentitySwitched(_) => before.as_ref().and_then(|before| before.source.clone()),
        _ => event.meta.source.clone(),
    };
    let mut account = Account {
        desired,
        desired_version: opened_by,
        desired_at: event.recorded_at,
        story: event.sequence,
        source,
        rejection: None,
        parked_at: None,
        ..before.unwrap_or(Account {
            app: app.clone(),
            identity,
            desired: Desired::Absent,
            desired_version: opened_by,
            desired_at: event.recorded_at,
            story: event.sequence,
            source: None,
            remote_id: None,
            applied_version: None,
            verified_version: None,
            observed: None,
            verified_at: None,
            attested: None,
            rejection: None,
            parked_at: None,
            confirmed: Vec::new(),
            former_names: BTreeSet::new(),
            former_ids: BTreeMap::new(),
            entered: BTreeSet::new(),
            may_exist: None,
            accepted: false,
            urgency: Urgency::Usual,
            holds: Holdings::new(),
            owes: Vec::new(),
        })
    };
    (account.urgency, account.holds) = (urgency, holds);
    account.entered.extend(asked_for);
    account.former_names.extend(former_name.filter(|name| account.desired.user_name() != Some(name.as_str())));
    let opposite = |o: &Obligation| o.target == obligation.target.opposite();
    let because = match obligation.change {
        ChangeKind::Joiner => Because::Rehired,
        ChangeKind::Leaver => Because::Left,
        ChangeKind::Mover
        | ChangeKind::Repair
        | ChangeKind::Residue
        | ChangeKind::Disable
        | ChangeKind::Grant
        | ChangeKind::Compromise => Because::Changed,
    };
    let end = End::Superseded { at: event.recorded_at, by: opened_by, because };
    end_those(state, &mut account, opposite, &end, &mut Vec::new())?;
    let obligation = Obligation { source: event.meta.source.clone(), ..obligation };
    moved(state, None, &obligation)?;
    account.owes.push(obligation);
    let queue = account.queue();
    if let Some(other) = pending.filter(|pending| *pending != queue) {
        state.delete(&pending_key(&app, other, identity));
    }
    state.delete(&parked_key(&app, identity));
    store(state, pending_key(&app, queue, identity), &opened_by);
    if is_new {
        store(state, holder_key(&app, identity), &());
    }
    store(state, account_key(identity, &app), &account);
    Ok(())
}

/// The groups that an account was to be in and was not shown in: whoever was put into one without an answer may be in it.
fn unseen_groups(account: &Account) -> BTreeSet<String> {
    let Desired::Present(presence) = &account.desired else { return BTreeSet::new() };
    let shown = account.shown_groups();
    presence.groups.iter().filter(|group| !shown.contains(group.as_str())).cloned().collect()
}

/// Ends the open obligations of an account that `which` chooses, and returns them as they are now. The account owes them no
/// longer: it is for the caller to store it.
pub fn end_those(
    state: &mut Kept<'_, impl Write>,
    account: &mut Account,
    which: impl Fn(&Obligation) -> bool,
    end: &End,
    facts: &mut Vec<Fact>,
) -> Result<Vec<Obligation>, KvError> {
    let mut all = Vec::new();
    for before in account.owes.extract_if(.., |open| which(open)) {
        all.push(end_one(state, &before, end.clone(), facts)?);
    }
    Ok(all)
}

/// Ends one open obligation, and returns it as it is now. What owed it owes it no longer: it is for the caller to store that.
pub fn end_one(
    state: &mut Kept<'_, impl Write>,
    before: &Obligation,
    end: End,
    facts: &mut Vec<Fact>,
) -> Result<Obligation, KvError> {
    let ended = Obligation { end: Some(end), waived: None, ..before.clone() };
    facts.extend(moved(state, Some(before), &ended)?.map(Fact::LeaverCompleted));
    if state.remembers(&ended) {
        store(state, obligation_key(&ended.id), &ended);
    }
    Ok(ended)
}

/// Opens an obligation that a departure has besides those that it began with, or has again.
pub fn join(state: &mut Kept<'_, impl Write>, now: &Obligation) -> Result<(), KvError> {
    let key = obligation_key(&now.id);
    if let Some(ended) = load::<Obligation>(state, &key)? {
        moved(state, Some(&ended), now)?;
        state.delete(&key);
        return Ok(());
    }
    moved(state, None, now)?;
    if now.change == ChangeKind::Leaver {
        // A departure that only begins is counted once all of it is open.
        keep_leaver(state, now, Count::default(), Count::of(now))?;
    }
    Ok(())
}

/// Owes again what somebody's word had ended, as if it had never been given; returns the departure that was over, and is not any more.
pub fn reopen(
    state: &mut Kept<'_, impl Write>,
    ended: &Obligation,
    open: &Obligation,
) -> Result<Option<Case>, KvError> {
    moved(state, Some(ended), open)?;
    state.delete(&obligation_key(&open.id));
    let (identity, opened_by) = (open.id.subject.identity(), open.id.opened_by);
    let departure = match open.change {
        ChangeKind::Leaver => leaver(state, identity, opened_by)?,
        _ => None,
    };
    let Some(mut leaver) = departure else { return Ok(None) };
    // Whoever is back has not left: what is owed is owed, and no departure is open for it.
    if let Some(back) = directory::identity(state, identity)?.filter(|identity| identity.lifecycle.has_access()) {
        leaver.superseded_by.get_or_insert(back.version);
    }
    let was_over = leaver.attested_at.take().is_some();
    leaver.on_word = leaver.on_word.saturating_sub(1);
    state.delete(&unsaid_key(identity, opened_by));
    store(state, leaving_key(identity, opened_by), &());
    store(state, leaver_key(identity, opened_by), &leaver);
    Ok(Some(leaver).filter(|leaver| was_over && leaver.superseded_by.is_none()))
}

/// Changes one obligation to what `now` says; nothing, when it is not open any more, or `now` has nothing to say.
fn change(
    state: &mut impl Write,
    id: &ObligationId,
    now: impl FnOnce(&Obligation) -> Option<Obligation>,
) -> Result<(), KvError> {
    let (app, identity) = match &id.subject {
        Subject::Account { app, identity } => (app, identity),
        Subject::Handover { machine, owner } => return change_handover(state, id, *owner, *machine, now),
        Subject::Credential { credential, holder } => return change_revocation(state, id, *holder, *credential, now),
    };
    let Some(mut account) = account(state, *identity, app)? else { return Ok(()) };
    let Some(open) = account.owes.iter_mut().find(|open| open.id == *id) else { return Ok(()) };
    let Some(now) = now(open) else { return Ok(()) };
    moved(state, Some(open), &now)?;
    *open = now;
    store(state, account_key(*identity, app), &account);
    Ok(())
}

/// The same of a hand-over.
fn change_handover(
    state: &mut impl Write,
    id: &ObligationId,
    owner: IdentityId,
    machine: IdentityId,
    now: impl FnOnce(&Obligation) -> Option<Obligation>,
) -> Result<(), KvError> {
    let Some(handover) = handover(state, owner, machine)? else { return Ok(()) };
    let Some(open) = handover.obligation().filter(|open| open.id == *id) else { return Ok(()) };
    let Some(now) = now(&open) else { return Ok(()) };
    moved(state, Some(&open), &now)?;
    let owes = Some(now.known_as(|id| id.opened_by));
    store(state, handover_key(owner, machine), &Handover { owes, ..handover });
    Ok(())
}

/// The same of a credential that is to be revoked.
fn change_revocation(
    state: &mut impl Write,
    id: &ObligationId,
    holder: IdentityId,
    credential: CredentialId,
    now: impl FnOnce(&Obligation) -> Option<Obligation>,
) -> Result<(), KvError> {
    let Some(mut revocation) = revocation(state, holder, credential)? else { return Ok(()) };
    let Some(open) = revocation.obligations().into_iter().find(|open| open.id == *id) else { return Ok(()) };
    let Some(now) = now(&open) else { return Ok(()) };
    moved(state, Some(&open), &now)?;
    let now = now.known_as(|id| id.opened_by);
    revocation.owes.iter_mut().filter(|owed| owed.id == now.id).for_each(|owed| *owed = now.clone());
    store(state, revocation_key(holder, credential), &revocation);
    Ok(())
}

/// The clock of an obligation has rung: its deadline has passed, or its exception has expired.
pub fn overdue(state: &mut impl Write, overdue: &Overdue, event: &Recorded) -> Result<(), KvError> {
    change(state, &overdue.id, |before| {
        // Said before; or excepted while the clock's word was on its way.
        let excepted = before.waived.as_ref().is_some_and(|exception| exception.holds_at(overdue.deadline));
        let said = before.waived.is_none() && before.overdue_at.is_some();
        if excepted || said {
            return None;
        }
        let mut now = Obligation { waived: None, ..before.clone() };
        // Otherwise the exception ended before the time that was allowed anyway.
        if now.deadline <= overdue.deadline {
            now.overdue_at.get_or_insert(event.recorded_at);
        }
        Some(now)
    })
}

/// A person leaves an obligation unmet for a while.
pub fn waived(state: &mut impl Write, waived: &Waived, event: &Recorded) -> Result<(), KvError> {
    let by = event.meta.actor.clone();
    let exception = Exception { by, reason: waived.reason.clone(), expires_at: waived.expires_at };
    waive(state, &waived.id, exception)
}

/// Leaves an obligation unmet for a while.
pub fn waive(state: &mut impl Write, id: &ObligationId, exception: Exception) -> Result<(), KvError> {
    change(state, id, |before| Some(Obligation { waived: Some(exception), ..before.clone() }))
}

/// Most of the time that is allowed has passed.
pub fn at_risk(state: &mut impl Write, risk: &AtRisk, event: &Recorded) -> Result<(), KvError> {
    change(state, &risk.id, |before| {
        let is_new = before.at_risk_at.is_none() && before.overdue_at.is_none();
        is_new.then(|| Obligation { at_risk_at: Some(event.recorded_at), ..before.clone() })
    })
}

/// The app has done what the changes up to `version` ask; returns what was not said to be done before. It is for the caller
/// to store the account.
pub fn applied(
    state: &mut impl Write,
    account: &mut Account,
    version: Sequence,
    event: &Recorded,
) -> Result<Vec<Obligation>, KvError> {
    let mut all = Vec::new();
    for open in account.owes.iter_mut().filter(|o| o.id.opened_by <= version && o.applied_at.is_none()) {
        let now = Obligation { applied_at: Some(event.recorded_at), ..open.clone() };
        moved(state, Some(open), &now)?;
        *open = now.clone();
        all.push(now);
    }
    Ok(all)
}

/// Keeps in line with an obligation the lists that it is in, its clock, what is counted, and its departure; returns the
/// departure when this completed it.
pub fn moved(state: &mut impl Write, before: Option<&Obligation>, now: &Obligation) -> Result<Option<Case>, KvError> {
    let (was_in, is_in) = (before.map(lists).unwrap_or_default(), lists(now));
    was_in.difference(&is_in).for_each(|key| state.delete(key));
    is_in.difference(&was_in).for_each(|key| store(state, key.clone(), &()));
    clock::moved(state, &now.id, before.and_then(Obligation::next_ring), now.next_ring())?;
    let (was, is) = (before.map(Count::of).unwrap_or_default(), Count::of(now));
    counts::moved(state, now, was, is)?;
    match now.id.subject {
        Subject::Handover { .. } => late::moved(state, handovers::LATE, now, was, is)?,
        // Of a departure the leaver is late.
        Subject::Credential { .. } if now.change != ChangeKind::Leaver => {
            late::moved(state, revocations::LATE, now, was, is)?;
        }
        Subject::Account { .. } | Subject::Credential { .. } => {}
    }
    // A departure begins with all of its obligations.
    let is_leavers = before.is_some() && now.change == ChangeKind::Leaver;
    if is_leavers && was != is { keep_leaver(state, now, was, is) } else { Ok(None) }
}

/// The lists that an obligation is in.
fn lists(obligation: &Obligation) -> BTreeSet<String> {
    let is_overdue = obligation.status() == ObligationStatus::Overdue;
    let is_account = obligation.id.subject.app().is_some();
    let overdue = (is_overdue && is_account).then(|| overdue_key(obligation));
    let pages = match obligation.change {
        ChangeKind::Repair | ChangeKind::Disable => obligation.target == Target::Absent,
        // Of a group that is left the account stays.
        ChangeKind::Grant => true,
        ChangeKind::Joiner | ChangeKind::Mover | ChangeKind::Leaver | ChangeKind::Residue | ChangeKind::Compromise => {
            false
        }
    };
    let paging = (is_overdue && pages && is_account).then(|| paging_key(&obligation.id));
    let ended = obligation.verified_at().map(|at| ended_key(at, &obligation.id));
    [overdue, paging, ended].into_iter().flatten().collect()
}

/// Keeps a departure in line with one of its obligations, which counted for `was` and counts for `is`.
fn keep_leaver(state: &mut impl Write, now: &Obligation, was: Count, is: Count) -> Result<Option<Case>, KvError> {
    let Some(mut leaver) = leaver(state, now.id.subject.identity(), now.id.opened_by)? else { return Ok(None) };
    // What is late of a hand-over is told of itself: that somebody who has left has access is another thing.
    let counted = |count: Count| match now.id.subject {
        Subject::Account { .. } | Subject::Credential { .. } => count,
        Subject::Handover { .. } => Count { overdue: 0, at_risk: 0, ..count },
    };
    let (was, is) = (counted(was), counted(is));
    leaver.count = leaver.count.moved(was, is);
    if let Some(at) = now.overdue_at.filter(|_| is.overdue > 0) {
        leaver.overdue_since = Some(leaver.overdue_since.map_or(at, |since| since.min(at)));
    }
    if leaver.count.overdue == 0 {
        leaver.overdue_since = None;
    }
    match now.end {
        Some(End::Superseded { by, .. }) => leaver.superseded_by = Some(by),
        Some(End::Attested { .. }) => leaver.on_word += 1,
        Some(End::Verified { .. }) | None => {}
    }
    let (identity, opened_by) = (leaver.identity, leaver.opened_by);
    if leaver.count.overdue == 0 && leaver.count.at_risk == 0 {
        state.delete(&alerting_key(identity, opened_by));
    } else {
        store(state, alerting_key(identity, opened_by), &());
    }
    let mut completed = None;
    if leaver.count.open == 0 {
        state.delete(&leaving_key(identity, opened_by));
        if let (None, Some(at)) = (leaver.superseded_by, now.met_at()) {
            *(if leaver.on_word > 0 { &mut leaver.attested_at } else { &mut leaver.completed_at }) = Some(at);
            store(state, unsaid_key(identity, opened_by), &());
            completed = Some(leaver.clone());
        }
    }
    store(state, leaver_key(identity, opened_by), &leaver);
    Ok(completed)
}

/// The record of a departure is on the log.
pub fn completion_said(state: &mut impl Write, completed: &LeaverCompleted) {
    state.delete(&unsaid_key(completed.identity, completed.opened_by));
}

/// Begins a departure, which opened so many obligations: one for each app that ever had an account.
pub fn open_leaver(
    state: &mut impl Write,
    identity: IdentityId,
    change: Change,
    open: u64,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) {
    let mut leaver = Case {
        identity,
        opened_by: change.sequence,
        opened_at: change.at,
        source: event.meta.source.clone(),
        count: Count { open, ..Count::default() },
        overdue_since: None,
        completed_at: None,
        attested_at: None,
        on_word: 0,
        superseded_by: None,
    };
    if open == 0 {
        leaver.completed_at = Some(change.at);
        store(state, unsaid_key(identity, change.sequence), &());
        facts.push(Fact::LeaverCompleted(leaver.clone()));
    } else {
        store(state, leaving_key(identity, change.sequence), &());
    }
    store(state, leaver_key(identity, change.sequence), &leaver);
}

/// Whoever is back has not left: what is still owed for an earlier departure stays owed, and does not complete it.
pub fn came_back(state: &mut impl Write, identity: IdentityId, by: Sequence) -> Result<(), KvError> {
    for mut leaver in open_departures(state, identity)? {
        leaver.superseded_by.get_or_insert(by);
        store(state, leaver_key(identity, leaver.opened_by), &leaver);
    }
    Ok(())
}

//! Machines: who answers for each, and the hand-overs of those who leave.
//!
//! Keys: `machine/<id>`, `owns/<owner>/<machine>`: those that have access, `ownerless/<machine>`: those of them for which nobody answers who
//! is there, and `count-ownerless`.

use super::handovers::{handover, handover_key, handovers_of, handovers_of_machine, open_key};
use super::lists::Kept;
use super::read::accounts_of;
use super::switch::switched_off;
use super::{Fact, obligations};
use crate::access::account::{Account, Proof};
use crate::access::desired::Target;
use crate::access::handover::{Handover, HandoverChanged, HandoverEnd, HandoverStep, Machine, MachinePolicy};
use crate::access::obligation::{Because, Change, End, Obligation};
use crate::access::subject::Subject;
use crate::app::service_level::span;
use crate::directory;
use crate::event::Recorded;
use crate::identity::content::Content;
use crate::identity::lifecycle::ChangeKind;
use crate::identity::switch::{Switch, Switched};
use crate::identity::{IdentityChanged, IdentityKind};
use crate::ids::IdentityId;
use crate::kv::{KvError, Read, Write, load, load_all, store};

/// The key prefix of what is known of machines.
pub const MACHINES: &str = "machine/";

const OWNERLESS: &str = "ownerless/";
const COUNT_OWNERLESS: &str = "count-ownerless";

fn machine_key(id: IdentityId) -> String {
    format!("{MACHINES}{id}")
}

fn owns_prefix(owner: IdentityId) -> String {
    format!("owns/{owner}/")
}

fn ownerless_key(id: IdentityId) -> String {
    format!("{OWNERLESS}{id}")
}

/// Who answers for a machine; none: it is not known as one.
///
/// # Errors
/// When the state can't be read.
pub fn machine(state: &(impl Read + ?Sized), id: IdentityId) -> Result<Option<Machine>, KvError> {
    load(state, &machine_key(id))
}

/// The machines with access for which somebody answers, after one and at most `limit`.
///
/// # Errors
/// When the state can't be read.
pub fn machines_owned(
    state: &(impl Read + ?Sized),
    owner: IdentityId,
    after: Option<IdentityId>,
    limit: usize,
) -> Result<Vec<IdentityId>, KvError> {
    let prefix = owns_prefix(owner);
    let after = after.map(|id| format!("{prefix}{id}"));
    let found = load_all::<()>(state, &prefix, after.as_deref(), limit)?;
    Ok(found.into_iter().filter_map(|(key, ())| key.strip_prefix(&prefix)?.parse().ok()).collect())
}

/// The machines with access for which nobody answers who is there, after one and at most `limit`.
///
/// # Errors
/// When the state can't be read.
pub fn machines_without_owner(
    state: &(impl Read + ?Sized),
    after: Option<IdentityId>,
    limit: usize,
) -> Result<Vec<IdentityId>, KvError> {
    let found = load_all::<()>(state, OWNERLESS, after.map(ownerless_key).as_deref(), limit)?;
    Ok(found.into_iter().filter_map(|(key, ())| key.strip_prefix(OWNERLESS)?.parse().ok()).collect())
}

/// Whether a machine has access and nobody answers for it who is there.
///
/// # Errors
/// When the state can't be read.
pub fn is_without_owner(state: &(impl Read + ?Sized), id: IdentityId) -> Result<bool, KvError> {
    Ok(state.get(&ownerless_key(id))?.is_some())
}

/// How many machines with access nobody answers for who is there.
///
/// # Errors
/// When the state can't be read.
pub fn count_without_owner(state: &(impl Read + ?Sized)) -> Result<u64, KvError> {
    Ok(load(state, COUNT_OWNERLESS)?.unwrap_or_default())
}

/// Whether somebody is there who may answer for a machine: a person who has access, and whom nobody has switched off.
///
/// # Errors
/// When the state can't be read.
pub fn can_own(state: &(impl Read + ?Sized), id: IdentityId) -> Result<bool, KvError> {
    let owner = directory::identity(state, id)?;
    let is_there = owner.is_some_and(|owner| owner.kind == IdentityKind::User && owner.is_active());
    Ok(is_there && switched_off(state, id)?.is_none())
}

/// A machine was changed by its source, or came to its end.
pub(super) fn changed(
    state: &mut Kept<'_, impl Write>,
    changed: &IdentityChanged,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    if !changed.kind.is_machine() {
        return Ok(());
    }
    let (id, stated) = (changed.id, changed.ownership.owner);
    let before = machine(state, id)?;
    let says_anew = before.as_ref().is_none_or(|before| before.stated != stated);
    if changed.begins() || says_anew {
        own(state, id, stated, stated, before.as_ref(), event);
    }
    look(state, id, before.and_then(|before| before.owner), event, facts)
}

fn own(
    state: &mut impl Write,
    id: IdentityId,
    owner: Option<IdentityId>,
    stated: Option<IdentityId>,
    before: Option<&Machine>,
    event: &Recorded,
) {
    let same = before.filter(|before| before.owner == owner);
    let (since, since_at) = same.map_or((event.sequence, event.recorded_at), |before| (before.since, before.since_at));
    store(state, machine_key(id), &Machine { id, owner, stated, since, since_at });
}

/// Brings in line what is listed of a machine, and ends its hand-overs: once somebody else answers for it, or once it has ended and is
/// gone. One that is switched off for a while is somebody's all the same.
fn look(
    state: &mut Kept<'_, impl Write>,
    id: IdentityId,
    owner_before: Option<IdentityId>,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let Some(machine) = machine(state, id)? else { return Ok(()) };
    let identity = directory::identity(state, id)?;
    let is_active = identity.is_some_and(|identity| identity.is_active());
    let is_on = is_active && switched_off(state, id)?.is_none();
    for owner in [owner_before, machine.owner].into_iter().flatten() {
        let key = format!("{}{id}", owns_prefix(owner));
        match is_active && machine.owner == Some(owner) {
            true => store(state, key, &()),
            false => state.delete(&key),
        }
    }
    let there = match machine.owner {
        Some(owner) if can_own(state, owner)? => Some(owner),
        Some(_) | None => None,
    };
    let is_without = is_on && there.is_none();
    list_without_owner(state, id, is_without)?;
    let open_ones = handovers_of_machine(state, id)?;
    if is_without && open_ones.is_empty() {
        let change = Change::at_once(event.sequence, ChangeKind::Mover, event.recorded_at);
        open(state, id, machine.owner.unwrap_or(id), change, event)?;
    }
    if let Some(owner) = there.filter(|_| is_active) {
        for handover in open_ones {
            let what = if handover.owner == owner { HandoverEnd::Returned } else { HandoverEnd::Reassigned(owner) };
            end(state, handover, what, verified(event), facts)?;
        }
        return Ok(());
    }
    // Of one that is only switched off what somebody has decided to end ends.
    let ends = |handover: &Handover| !is_active || (!is_on && handover.retired_in.is_some());
    let ending: Vec<Handover> = open_ones.into_iter().filter(ends).collect();
    if !ending.is_empty()
        && let Some(how) = how_gone(state, id, event)?
    {
        for handover in ending {
            end(state, handover, HandoverEnd::Retired, how.clone(), facts)?;
        }
    }
    Ok(())
}

fn list_without_owner(state: &mut impl Write, id: IdentityId, is: bool) -> Result<(), KvError> {
    if is_without_owner(state, id)? == is {
        return Ok(());
    }
    let count = count_without_owner(state)?;
    if is {
        store(state, ownerless_key(id), &());
        store(state, COUNT_OWNERLESS.to_owned(), &(count + 1));
    } else {
        state.delete(&ownerless_key(id));
        store(state, COUNT_OWNERLESS.to_owned(), &count.saturating_sub(1));
    }
    Ok(())
}

/// That every app in which a machine had an account was read back without a live one, or that somebody says so of those that can't be
/// read; `None`: there is one.
fn how_gone(state: &impl Read, id: IdentityId, event: &Recorded) -> Result<Option<End>, KvError> {
    let must_go = |owed: &Obligation| owed.target == Target::Absent;
    let accounts = accounts_of(state, id)?;
    // One that is to be read once more proves nothing.
    let lives = |a: &Account| a.desired.target() == Target::Present || a.is_pending() || a.owes.iter().any(must_go);
    if accounts.iter().any(lives) {
        return Ok(None);
    }
    let by_word = accounts.iter().filter(|account| account.proof() == Proof::Word);
    Ok(Some(match by_word.filter_map(|account| account.attested.as_ref()).max_by_key(|said| said.by) {
        Some(said) => End::Attested { at: event.recorded_at, by: said.by, who: said.who.clone() },
        None => verified(event),
    }))
}

/// An account of a machine was read back, or the machine was switched off or on.
pub(super) fn read_back(
    state: &mut Kept<'_, impl Write>,
    id: IdentityId,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    // Of most there is nothing to look for.
    let Some(machine) = machine(state, id)? else { return Ok(()) };
    look(state, id, machine.owner, event, facts)
}

/// Somebody was switched off, or on: a machine, or a person who answers for some.
pub(super) fn switched(
    state: &mut Kept<'_, impl Write>,
    switched: &Switched,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    if switched.to == Switch::On {
        // Whoever switches it on again does not want it to end.
        for open in handovers_of_machine(state, switched.id)? {
            store(state, handover_key(open.owner, open.machine), &Handover { retired_in: None, ..open });
        }
    }
    read_back(state, switched.id, event, facts)?;
    // Whoever has left meanwhile is not back by that.
    if can_own(state, switched.id)? {
        came_back(state, switched.id, Because::Changed, event, facts)?;
    }
    owner_changed(state, switched.id, event, facts)
}

/// Somebody who may answer for machines has come, has left, or is back: what they answer for is listed anew.
pub(super) fn owner_changed(
    state: &mut Kept<'_, impl Write>,
    owner: IdentityId,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    for id in machines_owned(state, owner, None, usize::MAX)? {
        look(state, id, Some(owner), event, facts)?;
    }
    Ok(())
}

/// Somebody leaves: each machine that they answer for is to be handed over. Returns how many those are.
pub(super) fn owner_left(
    state: &mut Kept<'_, impl Write>,
    owner: IdentityId,
    change: Change,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<u64, KvError> {
    let mut opened = 0;
    for id in machines_owned(state, owner, None, usize::MAX)? {
        let before = handover(state, owner, id)?;
        // What has been retired, and is gone since, is handed over to nobody.
        let is_retired = before.as_ref().is_some_and(|before| before.end == Some(HandoverEnd::Retired));
        if is_retired && switched_off(state, id)?.is_some() && how_gone(state, id, event)?.is_some() {
            continue;
        }
        // What was owed before they left, such as since they were switched off, is part of their departure now.
        if let Some(before) = before.filter(|before| before.end.is_none()) {
            let end_of = End::Superseded { at: event.recorded_at, by: event.sequence, because: Because::Left };
            end(state, before, HandoverEnd::Returned, end_of, facts)?;
        }
        open(state, id, owner, change, event)?;
        opened += 1;
    }
    Ok(opened)
}

/// Opens the hand-over of a machine: by whoever leaves, or by itself where nobody ever answered for it.
fn open(
    state: &mut Kept<'_, impl Write>,
    machine: IdentityId,
    owner: IdentityId,
    change: Change,
    event: &Recorded,
) -> Result<(), KvError> {
    let MachinePolicy { handover_within, .. } = directory::machine_policy(state)?;
    let rule = format!("hand-over: {}", span(handover_within));
    let subject = Subject::Handover { machine, owner };
    let obligation = Obligation::within(change, subject, Target::Present, (handover_within, 100), rule);
    let obligation = Obligation { source: event.meta.source.clone(), ..obligation };
    obligations::moved(state, None, &obligation)?;
    let handover = Handover {
        machine,
        owner,
        opened_by: change.sequence,
        opened_at: event.recorded_at,
        passed_to: None,
        retired_in: None,
        owes: Some(obligation.known_as(|id| id.opened_by)),
        end: None,
    };
    store(state, handover_key(owner, machine), &handover);
    store(state, open_key(machine, owner), &());
    Ok(())
}

/// Who left is back: what they were to hand over stays theirs, where it still is.
pub(super) fn owner_came_back(
    state: &mut Kept<'_, impl Write>,
    owner: IdentityId,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    came_back(state, owner, Because::Rehired, event, facts)
}

fn came_back(
    state: &mut Kept<'_, impl Write>,
    owner: IdentityId,
    because: Because,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let end_of = End::Superseded { at: event.recorded_at, by: event.sequence, because };
    for open in handovers_of(state, owner)?.into_iter().filter(|open| open.end.is_none()) {
        let id = open.machine;
        end(state, open, HandoverEnd::Returned, end_of.clone(), facts)?;
        // Its source may name nobody by now.
        look(state, id, None, event, facts)?;
    }
    Ok(())
}

/// A person has done something about a hand-over.
pub(super) fn handed(
    state: &mut Kept<'_, impl Write>,
    changed: &HandoverChanged,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let HandoverChanged { machine: id, owner, step, .. } = *changed;
    let Some(open) = handover(state, owner, id)?.filter(|open| open.end.is_none()) else { return Ok(()) };
    match step {
        HandoverStep::Accepted(to) => {
            // Who has left meanwhile answers for nothing.
            if to == owner || !can_own(state, to)? {
                return Ok(());
            }
            let before = machine(state, id)?;
            let stated = before.as_ref().and_then(|before| before.stated);
            own(state, id, Some(to), stated, before.as_ref(), event);
            for open in handovers_of_machine(state, id)? {
                end(state, open, HandoverEnd::Accepted(to), verified(event), facts)?;
            }
            look(state, id, before.and_then(|before| before.owner), event, facts)
        }
        HandoverStep::Passed(to) => {
            store(state, handover_key(owner, id), &Handover { passed_to: Some(to), ..open });
            Ok(())
        }
        HandoverStep::Retired => {
            store(state, handover_key(owner, id), &Handover { retired_in: Some(event.sequence), ..open });
            read_back(state, id, event, facts)
        }
    }
}

/// Nothing is known any more of a machine that is erased; whoever is erased answers for nothing.
pub(super) fn erased(
    state: &mut Kept<'_, impl Write>,
    id: IdentityId,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    if directory::identity(state, id)?.is_none_or(|identity| identity.content != Content::Erased) {
        return Ok(());
    }
    owner_changed(state, id, event, facts)?;
    read_back(state, id, event, facts)
}

const fn verified(event: &Recorded) -> End {
    End::Verified { at: event.recorded_at, by: event.sequence }
}

fn end(
    state: &mut Kept<'_, impl Write>,
    handover: Handover,
    what: HandoverEnd,
    how: End,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let Some(open) = handover.obligation() else { return Ok(()) };
    obligations::end_one(state, &open, how, facts)?;
    let (owner, machine) = (handover.owner, handover.machine);
    store(state, handover_key(owner, machine), &Handover { owes: None, end: Some(what), ..handover });
    state.delete(&open_key(machine, owner));
    Ok(())
}

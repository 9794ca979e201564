//! Credentials that must not open anything any more: those of whoever has left or is switched off, and those that were reported.
//! What ends that is a list of their inventory, taken after it was asked for, that lacks them or shows them switched off.
//!
//! Keys: `unconfirmed/<inventory>/<credential>`: those that no longer work by a list that is older than what it would end.

use jiff::Timestamp;

use super::lists::Kept;
use super::read::leaver;
use super::revocations::{revocation, revocation_key, revocations_of, revocations_of_credential, revoking_key};
use super::switch::switched_off;
use super::{Fact, obligations};
use crate::access::case::Case;
use crate::access::credential::{Credential, Extent, InventoryRead, Presence, Revocation};
use crate::access::desired::Target;
use crate::access::obligation::{Because, Change, End, Obligation};
use crate::app::service_level::span;
use crate::directory;
use crate::event::{Event, Recorded};
use crate::identity::lifecycle::{ChangeKind, Lifecycle};
use crate::ids::{CredentialId, IdentityId, InventoryName, Sequence};
use crate::kv::{KvError, Write, store, suffixes};

/// After which part of the time that is allowed somebody is told, in percent.
const AT_RISK: u32 = 75;

fn unconfirmed_prefix(inventory: &InventoryName) -> String {
    format!("unconfirmed/{inventory}/")
}

/// Somebody leaves: each credential that they have, or know the secret of, is to be revoked. Returns how many those are.
pub(super) fn holder_left(
    state: &mut Kept<'_, impl Write>,
    holder: IdentityId,
    change: Change,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<u64, KvError> {
    let mut opened = 0;
    for id in directory::credentials_of(state, holder)? {
        let Some(credential) = directory::credential(state, id)?.filter(Credential::is_usable) else { continue };
        let before = owed(state, id, holder)?;
        let knows = before.obligations().iter().any(by_holder);
        if credential.listed.person() != holder && !knows {
            continue;
        }
        // What was owed before they left, such as since they were switched off, is part of their departure now.
        end_where(state, &before, by_holder, &superseded(event, Because::Left), facts)?;
        open(state, (id, holder), change, event)?;
        opened += 1;
    }
    Ok(opened)
}

/// Somebody has come, has left, is back, or was switched: what their credentials owe is looked at anew.
pub(super) fn holder_changed(
    state: &mut Kept<'_, impl Write>,
    holder: IdentityId,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    for id in directory::credentials_of(state, holder)? {
        look(state, id, event, facts)?;
    }
    Ok(())
}

/// A list was read to its end: what it says no longer works, as one before it did, is confirmed by it.
pub(super) fn list_read(
    state: &mut Kept<'_, impl Write>,
    read: &InventoryRead,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    if read.extent == Extent::Part {
        return Ok(());
    }
    let prefix = unconfirmed_prefix(&read.inventory);
    for id in suffixes(state, &prefix)?.iter().filter_map(|id| id.parse().ok()) {
        state.delete(&format!("{prefix}{id}"));
        look_at(state, id, Some(read.taken_at), event, facts)?;
    }
    Ok(())
}

/// Opens what a credential owes, and ends what it does not owe any more.
pub(super) fn look(
    state: &mut Kept<'_, impl Write>,
    id: CredentialId,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    look_at(state, id, None, event, facts)
}

/// The same by a list that was taken at this time, and in which it is as it is known; without it, by the last that said so.
fn look_at(
    state: &mut Kept<'_, impl Write>,
    id: CredentialId,
    taken_at: Option<Timestamp>,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let Some(credential) = directory::credential(state, id)? else { return Ok(()) };
    let seen_at = taken_at.unwrap_or(match credential.presence {
        Presence::Listed => credential.listed.taken_at,
        Presence::Gone { at, .. } => at,
    });
    let read_back = End::Verified { at: event.recorded_at, by: event.sequence };
    let because = match &event.event {
        Event::Identity(_) => Because::Rehired,
        _ => Because::Changed,
    };
    for before in revocations_of_credential(state, id)? {
        let passed_on_at = match before.holder == credential.listed.person() {
            true => None,
            false => before.passed_on_at.or(Some(seen_at)),
        };
        let revocation = Revocation { passed_on_at, ..before };
        keep(state, &revocation);
        end_where(state, &revocation, |owed| is_over(&credential, owed, passed_on_at, seen_at), &read_back, facts)?;
        if reason(state, revocation.holder)?.is_none() {
            let revocation = owed(state, id, revocation.holder)?;
            end_where(state, &revocation, by_holder, &superseded(event, because), facts)?;
        }
    }
    if !credential.is_usable() {
        let unconfirmed = format!("{}{id}", unconfirmed_prefix(&credential.listed.inventory));
        match revocations_of_credential(state, id)?.is_empty() {
            true => state.delete(&unconfirmed),
            false => store(state, unconfirmed, &()),
        }
        return Ok(());
    }
    open_what_is_missing(state, &credential, event)
}

/// Whether a list ends what is owed: it was taken after that was asked for, and lacks the credential, or shows it switched off or with
/// another secret.
fn is_over(credential: &Credential, owed: &Obligation, passed_on_at: Option<Timestamp>, seen_at: Timestamp) -> bool {
    if !credential.is_usable() {
        return seen_at >= owed.opened_at;
    }
    let rotated = credential.listed.rotated_at.map(|at| at.min(credential.listed.taken_at));
    // Who leaves may know the secret, whoever has it now: only another, made once it was not theirs, ends that.
    let since = match (by_holder(owed), passed_on_at) {
        (true, None) => return false,
        (true, Some(passed_on_at)) => owed.opened_at.max(passed_on_at),
        (false, _) => owed.opened_at,
    };
    rotated.is_some_and(|rotated| rotated > since)
}

fn open_what_is_missing(
    state: &mut Kept<'_, impl Write>,
    credential: &Credential,
    event: &Recorded,
) -> Result<(), KvError> {
    let (id, holder) = (credential.listed.id, credential.listed.person());
    let whose = (id, holder);
    let open_ones = revocations_of_credential(state, id)?;
    let is_reported = open_ones.iter().flat_map(Revocation::obligations).any(|owed| !by_holder(&owed));
    if let Some(report) = credential.compromised.as_ref().filter(|_| !is_reported) {
        let rotated = credential.listed.rotated_at.map(|at| at.min(credential.listed.taken_at));
        if rotated.is_none_or(|rotated| rotated <= report.at) {
            let change = Change::at_once(report.by, ChangeKind::Compromise, event.recorded_at);
            open(state, whose, change, event)?;
        }
    }
    let Some(kind) = reason(state, holder)? else { return Ok(()) };
    if owed(state, id, holder)?.obligations().iter().any(by_holder) {
        return Ok(());
    }
    let change = Change::at_once(event.sequence, kind, event.recorded_at);
    let departure = if kind == ChangeKind::Repair { departure(state, holder)? } else { None };
    let change = match departure {
        // Who is leaving is not gone while a list shows another credential of theirs.
        Some(leaver) => Change { sequence: leaver.opened_by, kind: ChangeKind::Leaver, ..change },
        None => change,
    };
    open(state, whose, change, event)
}

/// Why the credentials of somebody have to go; none: they may stay, or are nobody's.
fn reason(state: &Kept<'_, impl Write>, holder: IdentityId) -> Result<Option<ChangeKind>, KvError> {
    let Some(who) = directory::identity(state, holder)? else { return Ok(None) };
    if who.deleted || who.lifecycle == Lifecycle::Left {
        return Ok(Some(ChangeKind::Repair));
    }
    Ok(switched_off(state, holder)?.map(|_| ChangeKind::Disable))
}

/// Whether it is owed because of whose the credential is, and not because it was reported.
fn by_holder(owed: &Obligation) -> bool {
    owed.change != ChangeKind::Compromise
}

/// The departure of somebody that is not complete.
fn departure(state: &Kept<'_, impl Write>, holder: IdentityId) -> Result<Option<Case>, KvError> {
    let open = suffixes(state, &format!("leaving/{holder}/"))?;
    let newest = open.iter().filter_map(|n| n.parse().ok()).max();
    let found = newest.map(|opened_by| leaver(state, holder, Sequence(opened_by))).transpose()?.flatten();
    Ok(found.filter(|leaver| leaver.superseded_by.is_none()))
}

fn owed(state: &Kept<'_, impl Write>, credential: CredentialId, holder: IdentityId) -> Result<Revocation, KvError> {
    let none = || Revocation { credential, holder, passed_on_at: None, owes: Vec::new() };
    Ok(revocation(state, holder, credential)?.unwrap_or_else(none))
}

fn open(
    state: &mut Kept<'_, impl Write>,
    (credential, holder): (CredentialId, IdentityId),
    change: Change,
    event: &Recorded,
) -> Result<(), KvError> {
    let policy = directory::machine_policy(state)?;
    let mut revocation = owed(state, credential, holder)?;
    let (within, what) = match change.kind {
        ChangeKind::Compromise => (policy.compromised_within, "compromised"),
        _ => (policy.revoke_within, "revoke"),
    };
    let rule = format!("{what}: {}", span(within));
    let obligation = Obligation::within(change, revocation.subject(), Target::Absent, (within, AT_RISK), rule);
    let obligation = Obligation { source: event.meta.source.clone(), ..obligation };
    obligations::join(state, &obligation)?;
    revocation.owes.push(obligation.known_as(|id| id.opened_by));
    keep(state, &revocation);
    Ok(())
}

fn keep(state: &mut impl Write, revocation: &Revocation) {
    let open = revoking_key(revocation.credential, revocation.holder);
    if revocation.owes.is_empty() {
        state.delete(&open);
    } else {
        store(state, open, &());
    }
    store(state, revocation_key(revocation.holder, revocation.credential), revocation);
}

const fn superseded(event: &Recorded, because: Because) -> End {
    End::Superseded { at: event.recorded_at, by: event.sequence, because }
}

fn end_where(
    state: &mut Kept<'_, impl Write>,
    revocation: &Revocation,
    which: impl Fn(&Obligation) -> bool,
    how: &End,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let (ending, staying): (Vec<_>, Vec<_>) = revocation.obligations().into_iter().partition(which);
    if ending.is_empty() {
        return Ok(());
    }
    for open in ending {
        obligations::end_one(state, &open, how.clone(), facts)?;
    }
    let owes = staying.into_iter().map(|open| open.known_as(|id| id.opened_by)).collect();
    keep(state, &Revocation { owes, ..revocation.clone() });
    Ok(())
}

/// Whether something of somebody's is still to be revoked.
pub(super) fn opens_something(
    state: &(impl crate::kv::Read + ?Sized),
    holder: IdentityId,
) -> Result<Option<CredentialId>, KvError> {
    let open = revocations_of(state, holder)?.into_iter().find(|revocation| !revocation.owes.is_empty());
    Ok(open.map(|revocation| revocation.credential))
}

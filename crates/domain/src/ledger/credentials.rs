//! Credentials that must not open anything any more: those of whoever has left or is switched off, and those that were reported.
//! What ends that is a list of their inventory that lacks them, or shows them switched off.

use super::lists::Kept;
use super::read::leaver;
use super::revocations::{revocation, revocation_key, revocations_of_credential, revoking_key};
use super::switch::switched_off;
use super::{Fact, obligations};
use crate::access::case::Case;
use crate::access::credential::{Credential, Revocation};
use crate::access::desired::Target;
use crate::access::obligation::{Because, Change, End, Obligation};
use crate::app::service_level::span;
use crate::directory;
use crate::event::{Event, Recorded};
use crate::identity::lifecycle::{ChangeKind, Lifecycle};
use crate::ids::{CredentialId, IdentityId, Sequence};
use crate::kv::{KvError, Write, store, suffixes};

/// After which part of the time that is allowed somebody is told, in percent.
const AT_RISK: u32 = 75;

/// Somebody leaves: each of their credentials is to be revoked. Returns how many those are.
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
        // What was owed before they left, such as since they were switched off, is part of their departure now.
        let before = owed(state, &credential)?;
        end_where(state, &before, by_holder, &superseded(event, Because::Left), facts)?;
        open(state, &credential, change, event, Of::Beginning)?;
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

/// Why a credential has to go because of whose it is.
fn reason(state: &Kept<'_, impl Write>, credential: &Credential) -> Result<Option<ChangeKind>, KvError> {
    let Some(holder) = credential.listed.holder else { return Ok(None) };
    let Some(who) = directory::identity(state, holder)? else { return Ok(None) };
    if who.deleted || who.lifecycle == Lifecycle::Left {
        return Ok(Some(ChangeKind::Repair));
    }
    Ok(switched_off(state, holder)?.map(|_| ChangeKind::Disable))
}

/// Opens what a credential owes, and ends what it does not owe any more. At most one is opened by an event.
pub(super) fn look(
    state: &mut Kept<'_, impl Write>,
    id: CredentialId,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let Some(credential) = directory::credential(state, id)? else { return Ok(()) };
    let reason = reason(state, &credential)?;
    let read_back = End::Verified { at: event.recorded_at, by: event.sequence };
    let because = match &event.event {
        Event::Identity(_) => Because::Rehired,
        _ => Because::Changed,
    };
    for revocation in revocations_of_credential(state, id)? {
        let is_holders = revocation.holder == credential.listed.person();
        let is_over = |owed: &Obligation| {
            // Who leaves may know the secret, whoever has it now: only another secret, or none, ends that.
            let is_theirs = is_holders && by_holder(owed);
            !credential.is_usable()
                || (!is_theirs && credential.listed.rotated_at.is_some_and(|at| at > owed.opened_at))
        };
        end_where(state, &revocation, is_over, &read_back, facts)?;
        if is_holders && reason.is_none() {
            let revocation = owed(state, &credential)?;
            end_where(state, &revocation, by_holder, &superseded(event, because), facts)?;
        }
    }
    if !credential.is_usable() {
        return Ok(());
    }
    let owed = owed(state, &credential)?.obligations();
    let is_reported = is_reported(&credential) && owed.iter().all(by_holder);
    let is_left_over = reason.filter(|_| !owed.iter().any(by_holder));
    // A report has the shorter clock.
    if let Some(kind) = is_reported.then_some(ChangeKind::Compromise).or(is_left_over) {
        let change = Change::at_once(event.sequence, kind, event.recorded_at);
        let departure = match kind {
            ChangeKind::Repair => departure(state, credential.listed.person())?,
            _ => None,
        };
        match departure {
            // Who is leaving is not gone while a list shows another credential of theirs.
            Some(leaver) => {
                let change = Change { sequence: leaver.opened_by, kind: ChangeKind::Leaver, ..change };
                open(state, &credential, change, event, Of::Going)?;
            }
            None => open(state, &credential, change, event, Of::Beginning)?,
        }
    }
    Ok(())
}

/// The departure of somebody that is not complete.
fn departure(state: &Kept<'_, impl Write>, holder: IdentityId) -> Result<Option<Case>, KvError> {
    let open = suffixes(state, &format!("leaving/{holder}/"))?;
    let newest = open.iter().filter_map(|n| n.parse().ok()).max();
    let found = newest.map(|opened_by| leaver(state, holder, Sequence(opened_by))).transpose()?.flatten();
    Ok(found.filter(|leaver| leaver.superseded_by.is_none()))
}

/// Whether an obligation is one of those that its change begins with, or is found while what it began is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Beginning,
    Going,
}

/// Whether it is owed because of whose the credential is.
fn by_holder(owed: &Obligation) -> bool {
    owed.change != ChangeKind::Compromise
}

/// Whether others may know the secret that it has now.
fn is_reported(credential: &Credential) -> bool {
    let rotated = credential.listed.rotated_at;
    credential.compromised.as_ref().is_some_and(|report| rotated.is_none_or(|rotated| rotated <= report.at))
}

fn owed(state: &Kept<'_, impl Write>, credential: &Credential) -> Result<Revocation, KvError> {
    let (id, holder) = (credential.listed.id, credential.listed.person());
    let none = || Revocation { credential: id, holder, owes: Vec::new() };
    Ok(revocation(state, holder, id)?.unwrap_or_else(none))
}

fn open(
    state: &mut Kept<'_, impl Write>,
    credential: &Credential,
    change: Change,
    event: &Recorded,
    of: Of,
) -> Result<(), KvError> {
    let policy = directory::machine_policy(state)?;
    let mut revocation = owed(state, credential)?;
    let (within, what) = match change.kind {
        ChangeKind::Compromise => (policy.compromised_within, "compromised"),
        _ => (policy.revoke_within, "revoke"),
    };
    let rule = format!("{what}: {}", span(within));
    let obligation = Obligation::within(change, revocation.subject(), Target::Absent, (within, AT_RISK), rule);
    let obligation = Obligation { source: event.meta.source.clone(), ..obligation };
    match of {
        Of::Beginning => obligations::moved(state, None, &obligation).map(drop)?,
        Of::Going => obligations::join(state, &obligation)?,
    }
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

//! Credentials that must not open anything any more: those of whoever has left or is switched off, and those that were reported.
//! What ends that is a list of their inventory, taken after it was asked for, that lacks them or shows them switched off; it ends at the end
//! of that list, when all that is new in it is known.
//!
//! Keys: `unconfirmed/<inventory>/<credential>`: those of which a list has said what may end something.

use jiff::Timestamp;

use super::lists::Kept;
use super::read::open_departures;
use super::revocations::{owed_of_credential, revocation, revocation_key, revocations_of_credential, revoking_key};
use super::switch::switched_off;
use super::{Fact, obligations};
use crate::access::case::Case;
use crate::access::credential::{Credential, Extent, InventoryRead, Revocation};
use crate::access::desired::Target;
use crate::access::obligation::{Because, Change, End, Obligation};
use crate::app::service_level::span;
use crate::directory;
use crate::event::{Event, Recorded};
use crate::identity::lifecycle::{ChangeKind, Lifecycle};
use crate::ids::{CredentialId, IdentityId, InventoryName};
use crate::kv::{KvError, Write, store, suffixes};

/// After which part of the time that is allowed somebody is told, in percent.
const AT_RISK: u32 = 75;

fn unconfirmed_prefix(inventory: &InventoryName) -> String {
    format!("unconfirmed/{inventory}/")
}

/// The end of a list of its inventory tells whether something of a credential is over.
fn await_the_list(state: &mut impl Write, credential: &Credential) {
    let listed = &credential.listed;
    store(state, format!("{}{}", unconfirmed_prefix(&listed.inventory), listed.id), &());
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
        let Some(credential) = directory::credential(state, id)? else { continue };
        let before = owed(state, id, holder)?;
        let is_owed = before.obligations().iter().any(by_holder);
        let opens = credential.is_usable() && knows_secret(state, &credential, holder)?;
        if !is_owed && !opens {
            continue;
        }
        // What was owed before they left, such as since they were switched off, is part of their departure now.
        end_where(state, &before, by_holder, &superseded(event, Because::Left), facts)?;
        open(state, (id, holder), change, event)?;
        opened += 1;
    }
    Ok(opened)
}

/// Whether somebody knows the secret of a credential: it is theirs, or was, and is the same since.
fn knows_secret(state: &Kept<'_, impl Write>, credential: &Credential, holder: IdentityId) -> Result<bool, KvError> {
    let Some(holding) = directory::holding(state, holder, credential.listed.id)? else { return Ok(false) };
    Ok(is_known_to(credential, holding.passed_on_at))
}

/// The same of whoever has it, or passed it on at a time.
fn is_known_to(credential: &Credential, passed_on_at: Option<Timestamp>) -> bool {
    let was_the_same = |at| credential.secret_since().is_none_or(|since| since <= at);
    passed_on_at.is_none_or(was_the_same)
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

/// A list was read to its end: what it, or one before it, has said to be over ends by it.
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
        let Some(credential) = directory::credential(state, id)? else { continue };
        let read_back = End::Verified { at: event.recorded_at, by: event.sequence };
        for revocation in revocations_of_credential(state, id)? {
            let passed_on_at = passed_on_at(state, &revocation)?;
            let is_over = |owed: &Obligation| is_over(&credential, owed, passed_on_at, read.taken_at);
            end_where(state, &revocation, is_over, &read_back, facts)?;
        }
        // Of what is older than what it would end the next list tells.
        if !credential.is_usable() && !revocations_of_credential(state, id)?.is_empty() {
            await_the_list(state, &credential);
        }
    }
    Ok(())
}

fn passed_on_at(state: &Kept<'_, impl Write>, revocation: &Revocation) -> Result<Option<Timestamp>, KvError> {
    let holding = directory::holding(state, revocation.holder, revocation.credential)?;
    Ok(holding.and_then(|holding| holding.passed_on_at))
}

/// Opens what a credential owes, and takes back what nothing asks for any more. What a list ends it ends as a whole.
pub(super) fn look(
    state: &mut Kept<'_, impl Write>,
    id: CredentialId,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let Some(credential) = directory::credential(state, id)? else { return Ok(()) };
    let because = match &event.event {
        Event::Identity(_) => Because::Rehired,
        _ => Because::Changed,
    };
    for revocation in revocations_of_credential(state, id)? {
        if reason(state, revocation.holder)?.is_none() {
            end_where(state, &revocation, by_holder, &superseded(event, because), facts)?;
        }
    }
    if matches!(&event.event, Event::CredentialListed(_) | Event::CredentialUnlisted(_))
        && !revocations_of_credential(state, id)?.is_empty()
    {
        await_the_list(state, &credential);
    }
    if credential.is_usable() { open_what_is_missing(state, &credential, event) } else { Ok(()) }
}

/// Whether a list ends what is owed: it was taken after that was asked for, and lacks the credential, or shows it switched off or with
/// another secret.
fn is_over(credential: &Credential, owed: &Obligation, passed_on_at: Option<Timestamp>, seen_at: Timestamp) -> bool {
    if !credential.is_usable() {
        return seen_at >= owed.opened_at;
    }
    // Who leaves may know the secret, whoever has it now: only another, made once it was not theirs, ends that.
    if by_holder(owed) {
        return !is_known_to(credential, passed_on_at);
    }
    let reported_at = credential.compromised.as_ref().map_or(owed.opened_at, |report| report.at);
    credential.secret_since().is_some_and(|since| since > reported_at)
}

fn open_what_is_missing(
    state: &mut Kept<'_, impl Write>,
    credential: &Credential,
    event: &Recorded,
) -> Result<(), KvError> {
    let id = credential.listed.id;
    let whose = (id, credential.listed.person());
    let is_owed = owed_of_credential(state, id)?.iter().any(|owed| !by_holder(owed));
    if let Some(report) = credential.standing_report().filter(|_| !is_owed) {
        let change = Change::at_once(report.by, ChangeKind::Compromise, event.recorded_at);
        open(state, whose, change, event)?;
    }
    // Who knows its secret can get in by it, whoever has it now.
    for holder in directory::holders_of(state, id)? {
        let Some(kind) = reason(state, holder)? else { continue };
        if !knows_secret(state, credential, holder)? || owed(state, id, holder)?.obligations().iter().any(by_holder) {
            continue;
        }
        let change = Change::at_once(event.sequence, kind, event.recorded_at);
        let departure = if kind == ChangeKind::Repair { departure(state, holder)? } else { None };
        let change = match departure {
            // Who is leaving is not gone while a list shows another credential of theirs.
            Some(leaver) => Change { sequence: leaver.opened_by, kind: ChangeKind::Leaver, ..change },
            None => change,
        };
        open(state, (id, holder), change, event)?;
    }
    Ok(())
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
    let newest = open_departures(state, holder)?.pop();
    Ok(newest.filter(|leaver| leaver.superseded_by.is_none()))
}

fn owed(state: &Kept<'_, impl Write>, credential: CredentialId, holder: IdentityId) -> Result<Revocation, KvError> {
    let none = || Revocation { credential, holder, owes: Vec::new() };
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

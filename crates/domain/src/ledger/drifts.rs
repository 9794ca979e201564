//! Drift as it is found, repaired, accepted and ended.

use super::accounts::{reopen, settled};
use super::lists::Kept;
use super::obligations::{end_those, open};
use super::read::{account, account_key, capabilities, drift, of_account};
use super::{apps, causation, others, recorded};
use std::collections::BTreeSet;

use jiff::Timestamp;
use rollcall_scim::Changed;

use crate::access::account::Account;
use crate::access::desired::{Desired, Target};
use crate::access::obligation::{Because, Change, End, Obligation};
use crate::access::outcome::Verified;
use crate::access::rejection::Rejection;
use crate::access::subject::Subject;
use crate::app::AppSpec;
use crate::app::own_way::{OwnWays, is_own_way};
use crate::app::standard::gives_access;
use crate::directory;
use crate::drift::kind::DriftKind;
use crate::drift::policy::Policy;
use crate::drift::{DriftAccepted, DriftDetected, DriftId, DriftItem, Refused, may_be_orphan_id, orphan_id};
use crate::event::Recorded;
use crate::governance::erasure::Other;
use crate::governance::exception::Exception;
use crate::identity::lifecycle::ChangeKind;
use crate::ids::{AppId, IdentityId, Sequence};
use crate::kv::{KvError, Read, Write, load, store, suffixes};

fn key(id: &DriftId) -> String {
    of_account(&id.app, id.identity) + id.kind.name()
}

fn duplicate_key(app: &AppId, nobody: IdentityId) -> String {
    format!("duplicate/{app}/{nobody}")
}

/// Whose second account it is that stands for itself as `nobody`; `None`: it is not known to be anybody's.
///
/// # Errors
/// When the state can't be read.
pub fn duplicate_of(
    state: &(impl Read + ?Sized),
    app: &AppId,
    nobody: IdentityId,
) -> Result<Option<IdentityId>, KvError> {
    load(state, &duplicate_key(app, nobody))
}

/// One item, when it is open.
pub fn item(state: &(impl Read + ?Sized), id: &DriftId) -> Result<Option<DriftItem>, KvError> {
    load(state, &key(id))
}

/// An app shows something else than what is desired.
pub fn detected(state: &mut Kept<'_, impl Write>, found: &DriftDetected, event: &Recorded) -> Result<(), KvError> {
    let before = item(state, &found.id)?;
    let accepted = before.as_ref().and_then(|item| item.accepted.clone());
    let accepted = accepted.filter(|exception| exception.holds_at(event.recorded_at));
    for remote_id in found.duplicates() {
        let nobody = orphan_id(&found.id.app, remote_id);
        others::keep(state, found.id.identity, &Other { app: found.id.app.clone(), nobody });
    }
    let item = DriftItem {
        id: found.id.clone(),
        version: found.version,
        differences: found.differences.clone(),
        remote_id: found.remote_id.clone(),
        user_name: found.user_name.clone(),
        // What differs otherwise than before has still differed all the time.
        detected_at: before.as_ref().map_or(event.recorded_at, |item| item.detected_at),
        refused: before.and_then(|item| item.refused),
        accepted,
    };
    store(state, key(&item.id), &item);
    refute(state, found)?;
    apps::ignored(state, found)?;
    if item.accepted.is_none() {
        repair(state, &item, event)?;
    }
    Ok(())
}

/// Somebody has said that it is otherwise: that counts for nothing any more.
fn refute(state: &mut impl Write, found: &DriftDetected) -> Result<(), KvError> {
    let Some(mut account) = account(state, found.id.identity, &found.id.app)? else { return Ok(()) };
    let is_now = account.desired_version == found.version;
    let Some(said) = account.word_mut().filter(|said| is_now && !said.refuted) else { return Ok(()) };
    said.refuted = true;
    store(state, account_key(found.id.identity, &found.id.app), &account);
    Ok(())
}

/// Nothing of an app can be read any more: what was found there is no finding, and nothing is owed for what was nobody's.
pub fn end_all(state: &mut Kept<'_, impl Write>, app: &AppId) -> Result<(), KvError> {
    for item in super::drift(state, Some(app))? {
        state.delete(&key(&item.id));
    }
    Ok(())
}

/// What a profile shows otherwise than desired, after a look that found all that gives access: it is drift, and as old as the
/// item that was open before.
pub fn profile(
    state: &impl Read,
    verified: &Verified,
    answer: Option<&Rejection>,
    event: &Recorded,
) -> Result<Vec<DriftItem>, KvError> {
    if verified.differences.is_empty() {
        return Ok(Vec::new());
    }
    // What has been learned since the look began is no drift either.
    let ways = capabilities(state, &verified.app)?.unwrap_or_default().keeps;
    let differences: Vec<Changed> =
        verified.differences.iter().filter(|change| !is_own_way(&ways, change)).cloned().collect();
    // An account that is not live, and is verified all the same, waits for an invitation to be accepted.
    let (invited, profile): (Vec<_>, Vec<_>) = differences.into_iter().partition(|change| change.path == "active");
    let items = [(DriftKind::Invited, invited), (DriftKind::Attribute, profile)];
    let items = items.into_iter().filter(|(_, differences)| !differences.is_empty());
    let app_version = directory::app(state, &verified.app)?.map_or(Sequence(0), |app| app.version);
    let refused = answer.filter(|r| r.status.is_some()).map(|_| Refused { at: event.recorded_at, app_version });
    items.map(|(kind, differences)| found_with(state, verified, kind, differences, refused, event)).collect()
}

/// Whether this is only what the app has answered with a refusal already, by the same settings and a short while ago.
///
/// # Errors
/// When the state can't be read.
pub fn is_refused(state: &impl Read, found: &DriftDetected, now: Timestamp) -> Result<bool, KvError> {
    let Some(item) = item(state, &found.id)? else { return Ok(false) };
    let Some(app) = directory::app(state, &found.id.app)? else { return Ok(false) };
    let same = item.differences == found.differences && item.version == found.version;
    Ok(same && item.refused.is_some_and(|r| r.app_version == app.version && now < item.next_try_at(r)))
}

/// An item that was found when an account was verified.
fn found_with(
    state: &impl Read,
    verified: &Verified,
    kind: DriftKind,
    differences: Vec<Changed>,
    refused: Option<Refused>,
    event: &Recorded,
) -> Result<DriftItem, KvError> {
    let id = DriftId { app: verified.app.clone(), identity: verified.identity, kind };
    let before = item(state, &id)?;
    let name = verified.observed.get("userName").and_then(|name| name.as_str()).unwrap_or_default();
    Ok(DriftItem {
        id,
        version: verified.version,
        differences,
        remote_id: verified.remote_id.clone().unwrap_or_default(),
        user_name: name.to_owned(),
        detected_at: before.as_ref().map_or(event.recorded_at, |item| item.detected_at),
        refused: refused.filter(|_| kind == DriftKind::Attribute),
        accepted: before.and_then(|item| item.accepted).filter(|exception| exception.holds_at(event.recorded_at)),
    })
}

/// Drops whose second account one was.
pub fn forget_duplicate(state: &mut impl Write, other: &Other) {
    state.delete(&duplicate_key(&other.app, other.nobody));
}

/// Drops an item.
pub fn forget(state: &mut impl Write, id: &DriftId) {
    state.delete(&key(id));
    state.forget(&key(id));
}

/// Keeps an item.
pub fn keep(state: &mut impl Write, item: &DriftItem) {
    store(state, key(&item.id), item);
}

/// What is only an app's own way of keeping attributes is no drift any more.
pub fn own_ways_learned(state: &mut impl Write, app: &AppId, ways: &OwnWays) -> Result<(), KvError> {
    if ways.is_empty() {
        return Ok(());
    }
    let essential = directory::app(state, app)?.map(|app| app.spec.essential).unwrap_or_default();
    for mut item in drift(state, Some(app))?.into_iter().filter(|item| item.id.kind == DriftKind::Attribute) {
        let all = item.differences.len();
        item.differences.retain(|c| gives_access(&essential, &c.path) || !is_own_way(ways, c));
        match item.differences.len() {
            0 => state.delete(&key(&item.id)),
            left if left < all => keep(state, &item),
            _ => {}
        }
    }
    Ok(())
}

/// Where the app's policy says so, drift opens an obligation; a difference that gives nobody access is mended without one.
fn repair(state: &mut Kept<'_, impl Write>, item: &DriftItem, event: &Recorded) -> Result<(), KvError> {
    let DriftId { app, identity, kind } = &item.id;
    let Some(spec) = directory::app(state, app)?.map(|app| app.spec) else { return Ok(()) };
    // What came of it is in the record of their erasure.
    if recorded::is_of(state, *identity)? {
        return Ok(());
    }
    let before = account(state, *identity, app)?;
    let target = before.as_ref().map_or(Target::Absent, |account| account.desired.target());
    if spec.drift.of(*kind, target) != Policy::Repair {
        return Ok(());
    }
    match kind {
        // Where it is can't be read.
        DriftKind::Orphan if item.remote_id.is_empty() => Ok(()),
        DriftKind::Orphan => remove(state, &spec, *identity, &item.remote_id, event),
        DriftKind::Duplicate => {
            for remote_id in item.duplicates() {
                let nobody = orphan_id(app, remote_id);
                store(state, duplicate_key(app, nobody), identity);
                remove(state, &spec, nobody, remote_id, event)?;
            }
            Ok(())
        }
        DriftKind::Zombie
        | DriftKind::Attribute
        | DriftKind::Membership
        | DriftKind::Missing
        | DriftKind::Residue
        | DriftKind::Invited => {
            // One that is pending is being worked on anyway; but who can sign in again has a leaver's time, and not that of
            // what was left.
            let Some(before) = before else { return Ok(()) };
            let comes_back = matches!(kind, DriftKind::Zombie | DriftKind::Invited) && before.owes_no_access();
            if before.is_pending() && !before.owes.is_empty() && !comes_back {
                return Ok(());
            }
            if *kind == DriftKind::Attribute && item.differences.iter().all(|c| !gives_access(&spec.essential, &c.path))
            {
                reopen(state, &mut { before }, event);
                return Ok(());
            }
            let desired = before.desired.clone();
            owe(state, &spec, before.identity, Some(before), desired, change_for(*kind), event)
        }
    }
}

/// Owes the removal of an account of which nothing else is known than where it is.
fn remove(
    state: &mut Kept<'_, impl Write>,
    spec: &AppSpec,
    nobody: IdentityId,
    remote_id: &str,
    event: &Recorded,
) -> Result<(), KvError> {
    let before = account(state, nobody, &spec.id)?;
    if before.as_ref().is_some_and(Account::is_pending) {
        return Ok(());
    }
    owe(state, spec, nobody, before, Desired::Absent, ChangeKind::Repair, event)?;
    if let Some(mut account) = account(state, nobody, &spec.id)? {
        account.remote_id = Some(remote_id.to_owned());
        store(state, account_key(nobody, &spec.id), &account);
    }
    Ok(())
}

/// As what the end of drift is owed.
const fn change_for(kind: DriftKind) -> ChangeKind {
    match kind {
        DriftKind::Residue => ChangeKind::Residue,
        _ => ChangeKind::Repair,
    }
}

fn owe(
    state: &mut Kept<'_, impl Write>,
    spec: &AppSpec,
    identity: IdentityId,
    before: Option<Account>,
    desired: Desired,
    kind: ChangeKind,
    event: &Recorded,
) -> Result<(), KvError> {
    let change = Change::at_once(event.sequence, kind, event.recorded_at);
    let obligation =
        Obligation::new(change, Subject::Account { app: spec.id.clone(), identity }, &spec.sla, desired.target());
    open(state, obligation, before, desired, event)?;
    causation::keep(state, event);
    Ok(())
}

/// An item was looked for, and is not there any more.
pub fn cleared(state: &mut Kept<'_, impl Write>, id: &DriftId, event: &Recorded) -> Result<(), KvError> {
    let Some(item) = item(state, id)? else {
        if id.kind != DriftKind::Orphan {
            return Ok(());
        }
        // Somebody's second account, alone of those that they have, or one that was cleared as that before: whoever worked on it would say so
        // for ever.
        duplicate_ended(state, &id.app, id.identity)?;
        return release(state, &id.app, id.identity, event);
    };
    state.delete(&key(id));
    // The account of nobody, or someone's second one, is not that any more: nothing is owed for it.
    match id.kind {
        DriftKind::Orphan => release(state, &id.app, id.identity, event),
        DriftKind::Duplicate => {
            let mut all: BTreeSet<_> = item.duplicates().map(|remote_id| orphan_id(&id.app, remote_id)).collect();
            // Which those were is in the record of their erasure, where it can't be read.
            if recorded::is_of(state, id.identity)? {
                all.extend(others::seconds(state, id.identity, &id.app)?);
            }
            all.into_iter().try_for_each(|nobody| release(state, &id.app, nobody, event))
        }
        DriftKind::Zombie | DriftKind::Attribute | DriftKind::Membership | DriftKind::Missing | DriftKind::Residue => {
            Ok(())
        }
        DriftKind::Invited => accept(state, &id.app, id.identity),
    }
}

/// Somebody who must have an account has accepted the invitation to it.
fn accept(state: &mut impl Write, app: &AppId, identity: IdentityId) -> Result<(), KvError> {
    let Some(mut account) = account(state, identity, app)? else { return Ok(()) };
    if account.desired.target() == Target::Present {
        account.accepted = true;
        store(state, account_key(identity, app), &account);
    }
    Ok(())
}

/// Owes nothing any more for an account that stood for itself.
fn release(state: &mut Kept<'_, impl Write>, app: &AppId, nobody: IdentityId, event: &Recorded) -> Result<(), KvError> {
    state.delete(&duplicate_key(app, nobody));
    let Some(mut account) = account(state, nobody, app)?.filter(Account::is_pending) else { return Ok(()) };
    let end = End::Superseded { at: event.recorded_at, by: event.sequence, because: Because::Claimed };
    end_those(state, &mut account, |_| true, &end, &mut Vec::new())?;
    account.verified_version = Some(account.desired_version);
    store(state, account_key(nobody, app), &account);
    settled(state, &account)
}

/// Someone's second account is gone.
fn duplicate_ended(state: &mut impl Write, app: &AppId, gone: IdentityId) -> Result<(), KvError> {
    let Some(identity) = duplicate_of(state, app, gone)? else { return Ok(()) };
    state.delete(&duplicate_key(app, gone));
    let id = DriftId { app: app.clone(), identity, kind: DriftKind::Duplicate };
    let Some(mut item) = item(state, &id)? else { return Ok(()) };
    item.differences
        .retain(|d| d.after.as_ref().and_then(|id| id.as_str()).is_none_or(|id| orphan_id(app, id) != gone));
    if item.differences.is_empty() {
        state.delete(&key(&id));
    } else {
        store(state, key(&id), &item);
    }
    Ok(())
}

/// A person leaves drift in place for a while.
pub fn accepted(state: &mut impl Write, accepted: &DriftAccepted, event: &Recorded) -> Result<(), KvError> {
    let Some(mut item) = item(state, &accepted.id)? else { return Ok(()) };
    let by = event.meta.actor.clone();
    item.accepted = Some(Exception { by, reason: accepted.reason.clone(), expires_at: accepted.expires_at });
    store(state, key(&item.id), &item);
    Ok(())
}

/// What is verified has no drift; that it is there twice is another matter, unless this is the other one.
pub fn end_for(state: &mut impl Write, app: &AppId, identity: IdentityId) -> Result<(), KvError> {
    if may_be_orphan_id(identity) {
        duplicate_ended(state, app, identity)?;
    }
    let prefix = of_account(app, identity);
    for kind in suffixes(state, &prefix)?.iter().filter(|kind| *kind != DriftKind::Duplicate.name()) {
        state.delete(&format!("{prefix}{kind}"));
    }
    Ok(())
}

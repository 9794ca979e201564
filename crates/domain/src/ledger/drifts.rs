//! Drift as it is found, repaired, accepted and ended.

use super::accounts::settled;
use super::apps;
use super::obligations::{end_those, open};
use super::read::{account, account_key};
use crate::account::Desired;
use crate::directory;
use crate::drift::{DriftDetected, DriftId, DriftItem, DriftKind, Policy, nobody};
use crate::event::Recorded;
use crate::exception::{DriftAccepted, Exception};
use crate::ids::{AppId, IdentityId};
use crate::kv::{KvError, Read, Write, load, store};
use crate::lifecycle::ChangeKind;
use crate::obligation::{Because, Change, End, Obligation};

fn key(id: &DriftId) -> String {
    format!("drift/{}/{}/{}", id.app, id.identity, id.kind.name())
}

/// One item, when it is open.
pub fn item(state: &(impl Read + ?Sized), id: &DriftId) -> Result<Option<DriftItem>, KvError> {
    load(state, &key(id))
}

/// An app shows something else than what is desired.
pub fn detected(state: &mut impl Write, found: &DriftDetected, event: &Recorded) -> Result<(), KvError> {
    let before = item(state, &found.id)?;
    let accepted = before.as_ref().and_then(|item| item.accepted.clone());
    let accepted = accepted.filter(|exception| exception.holds_at(event.recorded_at));
    let item = DriftItem {
        id: found.id.clone(),
        version: found.version,
        differences: found.differences.clone(),
        remote_id: found.remote_id.clone(),
        user_name: found.user_name.clone(),
        // What differs otherwise than before has still differed all the time.
        detected_at: before.map_or(event.recorded_at, |item| item.detected_at),
        accepted,
    };
    store(state, key(&item.id), &item);
    apps::ignored(state, found)?;
    if item.accepted.is_none() {
        repair(state, &item, event)?;
    }
    Ok(())
}

/// Where the app's policy says so, drift opens an obligation.
fn repair(state: &mut impl Write, item: &DriftItem, event: &Recorded) -> Result<(), KvError> {
    let DriftId { app, identity, kind } = item.id.clone();
    let Some(spec) = directory::app(state, &app)?.map(|app| app.spec) else { return Ok(()) };
    if spec.drift.of(kind) != Policy::Repair {
        return Ok(());
    }
    let before = account(state, identity, &app)?;
    let desired = match (&before, kind) {
        // It is being worked on anyway.
        (Some(account), _) if account.is_pending() => return Ok(()),
        (Some(account), _) => account.desired.clone(),
        (None, DriftKind::Orphan) => Desired::Absent,
        (None, _) => return Ok(()),
    };
    let change = Change::at_once(event.sequence, ChangeKind::Repair, event.recorded_at);
    let obligation = Obligation::new(change, &app, identity, &spec.sla, desired.target());
    open(state, obligation, before, desired, event)?;
    if kind == DriftKind::Orphan {
        // Nothing else is known of it than where it is.
        if let Some(mut account) = account(state, identity, &app)? {
            account.remote_id = Some(item.remote_id.clone());
            store(state, account_key(identity, &app), &account);
        }
    }
    Ok(())
}

/// An item was looked for, and is not there any more.
pub fn cleared(state: &mut impl Write, id: &DriftId, event: &Recorded) -> Result<(), KvError> {
    let Some(item) = item(state, id)? else { return Ok(()) };
    state.delete(&key(id));
    // The account of nobody has become somebody's: nothing is owed for it as nobody's.
    if id.kind == DriftKind::Orphan && id.identity == nobody(&id.app, &item.remote_id) {
        let end = End::Superseded { at: event.recorded_at, by: event.sequence, because: Because::Claimed };
        end_those(state, id.identity, &id.app, |_| true, &end)?;
        if let Some(mut account) = account(state, id.identity, &id.app)? {
            account.verified_version = Some(account.desired_version);
            store(state, account_key(id.identity, &id.app), &account);
            settled(state, &account)?;
        }
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

/// What is verified has no drift; that it is there twice is another matter.
pub fn end_for(state: &mut impl Write, app: &AppId, identity: IdentityId) -> Result<(), KvError> {
    for kind in DriftKind::ALL.into_iter().filter(|kind| *kind != DriftKind::Duplicate) {
        let key = key(&DriftId { app: app.clone(), identity, kind });
        if state.get(&key)?.is_some() {
            state.delete(&key);
        }
    }
    Ok(())
}

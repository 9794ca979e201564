//! What is known of each app: what it can do, how it is, how far it does what it says, when it was compared.

use jiff::Timestamp;
use rollcall_scim::Changed;
use serde_json::Value;

use super::read::{
    account, account_key, capabilities_key, conformance, conformance_key, missing_in, quarantine_key, reconciled,
    synced_key,
};
use crate::access::operation::Operation;
use crate::app::AppSpec;
use crate::app::capability::Discovered;
use crate::app::conformance::Confirmed;
use crate::app::health::{Quarantine, Quarantined, Recovered, Synced};
use crate::app::kind::AppKind;
use crate::directory;
use crate::drift::DriftDetected;
use crate::drift::kind::DriftKind;
use crate::drift::reconciliation::{Reconciliation, ReconciliationEvent, Unfinished};
use crate::event::Recorded;
use crate::ids::{AppId, Sequence};
use crate::kv::{KvError, Read, Write, load, store};

/// Its discovery documents were read, or its answers have taught something.
pub fn discovered(state: &mut impl Write, found: &Discovered) {
    store(state, capabilities_key(&found.app), &found.capabilities);
}

/// It is left alone.
pub fn quarantined(state: &mut impl Write, quarantined: &Quarantined, event: &Recorded) {
    let quarantine = Quarantine {
        app: quarantined.app.clone(),
        rejection: quarantined.rejection.clone(),
        since: event.recorded_at,
        by: event.sequence,
    };
    store(state, quarantine_key(&quarantine.app), &quarantine);
}

/// It answers again. Whether it is the one that we know is another question: where it has another address only an account that was found
/// there says so.
pub fn recovered(state: &mut impl Write, now: &Recovered) -> Result<(), KvError> {
    state.delete(&quarantine_key(&now.app));
    let address = directory::app(state, &now.app)?.map(|app| app.spec.base_url);
    if address.is_some() && now.recognized_at == address {
        state.delete(&moved_key(&now.app));
    }
    Ok(())
}

/// People say that the accounts that they were told are missing are gone. Whether that is what they were told last.
pub fn said_to_be_gone(state: &mut impl Write, app: &AppId, told: Sequence, event: &Recorded) -> Result<bool, KvError> {
    let Some(missing) = answered(state, app, told)? else { return Ok(false) };
    store(state, synced_key(app), &Synced { at: event.sequence, told: missing.rejection.detail });
    Ok(true)
}

/// People were told that nothing that is known was found in it, and say that it is the one that we know all the same: its ids are. Returns
/// whether that is what was said last.
pub fn said_to_be_the_same(state: &mut impl Write, app: &AppId, told: Sequence) -> Result<bool, KvError> {
    let is_answer = answered(state, app, told)?.is_some();
    if is_answer {
        store(state, identified_key(app), &told);
    }
    Ok(is_answer)
}

/// People have answered what they were told is missing: it is believed again. `None`: that is not what was said last.
fn answered(state: &mut impl Write, app: &AppId, told: Sequence) -> Result<Option<Quarantine>, KvError> {
    let missing = missing_in(state, app)?.filter(|missing| missing.by == told);
    if missing.is_some() {
        state.delete(&quarantine_key(app));
        state.delete(&moved_key(app));
    }
    Ok(missing)
}

fn identified_key(app: &AppId) -> String {
    format!("identified/{app}")
}

/// When people have said of an app that its ids are those that we know, whatever is found under them: the event that they were told.
///
/// # Errors
/// When the state can't be read.
pub fn identified(state: &(impl Read + ?Sized), app: &AppId) -> Result<Option<Sequence>, KvError> {
    load(state, &identified_key(app))
}

/// It is asked at an address: where that is another one than it was asked at last it may be another app, until one of the accounts that we
/// know was found there.
pub fn asked_at(state: &mut impl Write, now: &AppSpec) -> Result<(), KvError> {
    if now.kind != AppKind::Scim {
        return Ok(());
    }
    let key = format!("address/{}", now.id);
    let last: Option<String> = load(state, &key)?;
    if last.as_ref() == Some(&now.base_url) {
        return Ok(());
    }
    store(state, key, &now.base_url);
    if let Some(last) = last {
        store(state, moved_key(&now.id), &last);
        // What was said of the other address is said of that one.
        state.delete(&identified_key(&now.id));
        state.delete(&quarantine_key(&now.id));
    }
    Ok(())
}

fn moved_key(app: &AppId) -> String {
    format!("moved/{app}")
}

/// The address at which an app was reached when it was last the one that we know; `None`: it is that one.
///
/// # Errors
/// When the state can't be read.
pub fn moved_from(state: &(impl Read + ?Sized), app: &AppId) -> Result<Option<String>, KvError> {
    load(state, &moved_key(app))
}

/// It confirmed an operation.
pub fn confirmed(state: &mut impl Write, app: &AppId, operation: Operation) -> Result<(), KvError> {
    let mut record = conformance(state, app)?;
    record.confirmed(operation);
    store(state, conformance_key(app), &record);
    Ok(())
}

/// What it confirmed was read back, but for what the profile shows otherwise.
pub fn read_back(
    state: &mut impl Write,
    app: &AppId,
    confirmed: Vec<Confirmed>,
    profile: &[Changed],
    at: Timestamp,
) -> Result<(), KvError> {
    if confirmed.is_empty() {
        return Ok(());
    }
    let mut record = conformance(state, app)?;
    for confirmed in confirmed {
        // Whether somebody accepts an invitation is not the app's to do.
        let differs = profile.iter().any(|change| change.path != "active");
        if confirmed.operation == Operation::Update && differs {
            record.ignored(confirmed.operation);
        } else {
            record.honoured(confirmed.operation, at.duration_since(confirmed.at));
        }
    }
    store(state, conformance_key(app), &record);
    Ok(())
}

/// What it confirmed was read back otherwise.
pub fn ignored(state: &mut impl Write, found: &DriftDetected) -> Result<(), KvError> {
    let Some(mut account) = account(state, found.id.identity, &found.id.app)? else { return Ok(()) };
    let is_group = |c: &Changed| c.path.starts_with("groups[");
    let differs = found.differences.iter().any(|c| !is_group(c));
    let there = Some(Value::Bool(true));
    let broken = |operation: Operation| match (operation, found.id.kind) {
        (Operation::Create, DriftKind::Missing) => true,
        (Operation::Update, DriftKind::Attribute) => differs,
        (Operation::Deactivate | Operation::Delete, DriftKind::Zombie) => differs,
        (Operation::Leave, _) => found.differences.iter().any(|c| is_group(c) && c.after == there),
        (Operation::Enter, _) => found.differences.iter().any(|c| is_group(c) && c.before == there),
        _ => false,
    };
    let (ignored, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut account.confirmed)
        .into_iter()
        .partition(|c| c.version == found.version && broken(c.operation));
    account.confirmed = rest;
    if ignored.is_empty() {
        return Ok(());
    }
    store(state, account_key(found.id.identity, &found.id.app), &account);
    let mut record = conformance(state, &found.id.app)?;
    ignored.iter().for_each(|c| record.ignored(c.operation));
    store(state, conformance_key(&found.id.app), &record);
    Ok(())
}

/// A comparison of it went one step on.
pub fn reconciliation(state: &mut impl Write, step: &Reconciliation, event: &Recorded) -> Result<(), KvError> {
    let mut now = reconciled(state, &step.app)?;
    let begun = Unfinished { since: event.recorded_at, by: event.sequence };
    match &step.event {
        ReconciliationEvent::Requested => now.requested = Some(event.sequence),
        ReconciliationEvent::Started => {
            now.requested = None;
            now.running = Some(now.running.unwrap_or_default());
            // One that no process has ended: how long it has waited for the next one is no word on the app.
            if now.failure.is_none() {
                now.unfinished = Some(begun);
            }
        }
        ReconciliationEvent::Progressed { progress } => now.running = Some(*progress),
        ReconciliationEvent::Completed { progress } => {
            now.running = None;
            now.failure = None;
            now.unfinished = None;
            now.last = Some(*progress);
            now.completed_at = Some(event.recorded_at);
        }
        ReconciliationEvent::Failed { detail } => {
            // The next one begins anew: of what was read before nothing is known any more, such as accounts of nobody.
            now.running = None;
            now.unfinished = now.unfinished.or(Some(begun));
            now.failure = Some(detail.clone());
        }
    }
    store(state, super::read::reconciled_key(&step.app), &now);
    Ok(())
}

//! What apps were seen to make of attributes, until it is learned as their own way.

use rollcall_scim::Changed;
use serde_json::{Map, Value};

use super::read::{capabilities, capabilities_key, drift_of};
use crate::access::account::Account;
use crate::access::desired::Desired;
use crate::access::operation::Operation;
use crate::access::outcome::Verified;
use crate::app::own_way::{OwnWays, SeenWays, Way};
use crate::app::standard::gives_access;
use crate::app::{App, AppSpec};
use crate::directory;
use crate::drift::kind::DriftKind;
use crate::ids::AppId;
use crate::kv::{KvError, Read, Write, load, store};

fn key(app: &AppId) -> String {
    format!("ways/{app}")
}

/// The ways of keeping attributes that an app has shown often enough.
///
/// # Errors
/// When the state can't be read.
pub fn shown_ways(state: &(impl Read + ?Sized), app: &AppId) -> Result<OwnWays, KvError> {
    Ok(load::<SeenWays>(state, &key(app))?.unwrap_or_default().learned())
}

/// An account was read back after the app confirmed a change: what it shows otherwise, and what as it was sent.
pub fn verified(state: &mut impl Write, account: &Account, verified: &Verified) -> Result<(), KvError> {
    let Desired::Present(presence) = &account.desired else { return Ok(()) };
    let sent = |operation| matches!(operation, Operation::Create | Operation::Update);
    let was_sent = account.confirmed.iter().any(|c| c.version <= verified.version && sent(c.operation));
    if !was_sent || verified.version != account.desired_version {
        return Ok(());
    }
    let before = load::<SeenWays>(state, &key(&account.app))?.unwrap_or_default();
    let known = capabilities(state, &account.app)?.unwrap_or_default();
    if verified.differences.is_empty() && before.0.is_empty() && known.keeps.is_empty() {
        return Ok(());
    }
    let open = drift_of(state, &account.app, account.identity)?.into_iter();
    let open = open.filter(|item| item.id.kind == DriftKind::Attribute).flat_map(|item| item.differences);
    let open: Vec<Changed> = open.collect();
    let essential = directory::app(state, &account.app)?.map(|app| app.spec.essential).unwrap_or_default();
    let mut seen = before.clone();
    for change in verified.differences.iter().filter(|c| !gives_access(&essential, &c.path)) {
        // What it showed before the change may be late: only when it is tried again that is an answer.
        let shown_before = account.observed.as_ref().map(|observed| observed.get(&change.path));
        let is_late = shown_before.is_some_and(|shown| shown == change.after.as_ref()) && !open.contains(change);
        if !is_late {
            seen.saw(change);
        }
    }
    let as_sent = |path: &String| verified.differences.iter().all(|c| c.path != *path);
    let mut now = known.clone();
    for (path, value) in presence.attributes.iter().filter(|(path, value)| as_sent(path) && !value.is_null()) {
        seen.saw_as_sent(path, value);
        // It shows ours, and showed something else before: it takes what it is sent, whatever it did for a while.
        let shown = |observed: &Map<String, Value>| observed.get(path).cloned();
        let took_effect = account.observed.as_ref().is_some_and(|observed| shown(observed).as_ref() != Some(value))
            && shown(&verified.observed).as_ref() == Some(value);
        if took_effect {
            seen.0.remove(path);
            if now.keeps.get(path).is_some_and(|keeps| keeps.way == Way::OwnValue) {
                now.keeps.remove(path);
            }
        }
    }
    if now != known {
        store(state, capabilities_key(&account.app), &now);
    }
    if seen != before {
        store(state, key(&account.app), &seen);
    }
    Ok(())
}

/// An app was configured anew: what it was seen to do with other attributes, or elsewhere, counts no more.
pub fn configured(state: &mut impl Write, before: Option<&App>, now: &AppSpec) -> Result<(), KvError> {
    let is_same = before.is_none_or(|app| app.spec.base_url == now.base_url && app.spec.attributes == now.attributes);
    if is_same {
        return Ok(());
    }
    state.delete(&key(&now.id));
    // Another server is another app: nothing that was learned holds there.
    if before.is_some_and(|app| app.spec.base_url != now.base_url) {
        state.delete(&capabilities_key(&now.id));
    } else if let Some(mut can) = capabilities(state, &now.id)? {
        can.keeps.clear();
        store(state, capabilities_key(&now.id), &can);
    }
    Ok(())
}

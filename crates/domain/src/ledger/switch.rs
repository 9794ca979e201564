//! Whom a person has switched off.

use uuid::Uuid;

use super::accounts;
use super::read::{account_key, accounts_of};
use crate::directory;
use crate::event::Recorded;
use crate::identity::Identity;
use crate::identity::content::Content;
use crate::identity::lifecycle::Urgency;
use crate::identity::name::name_key;
use crate::identity::switch::{Switch, Switched, SwitchedOff};
use crate::ids::IdentityId;
use crate::kv::{KvError, Read, Write, load, load_all, store};

const PREFIX: &str = "switched-off/";

const MARKS: &str = "switched-off-as/";

const CARRIED: &str = "switched-off-again/";

fn key(id: IdentityId) -> String {
    format!("{PREFIX}{id}")
}

/// Whether, since when and by whom someone is switched off.
///
/// # Errors
/// When the state can't be read.
pub fn switched_off(state: &(impl Read + ?Sized), id: IdentityId) -> Result<Option<SwitchedOff>, KvError> {
    load(state, &key(id))
}

/// Everybody who is switched off, after an identity and at most `limit`.
///
/// # Errors
/// When the state can't be read.
pub fn all_switched_off(
    state: &(impl Read + ?Sized),
    after: Option<IdentityId>,
    limit: usize,
) -> Result<Vec<(IdentityId, SwitchedOff)>, KvError> {
    let found: Vec<(String, SwitchedOff)> = load_all(state, PREFIX, after.map(key).as_deref(), limit)?;
    Ok(found.into_iter().filter_map(|(key, off)| Some((key.strip_prefix(PREFIX)?.parse().ok()?, off))).collect())
}

/// How urgent it is that somebody has no access, where they are to have none.
pub fn urgency(state: &impl Read, id: IdentityId) -> Result<Urgency, KvError> {
    Ok(if switched_off(state, id)?.is_some() { Urgency::Emergency } else { Urgency::Usual })
}

/// Puts every account of somebody into the queue that it belongs in.
pub fn requeue(state: &mut impl Write, id: IdentityId) -> Result<(), KvError> {
    let urgency = urgency(state, id)?;
    for mut account in accounts_of(state, id)?.into_iter().filter(|account| account.urgency != urgency) {
        accounts::requeue(state, &mut account, urgency);
        store(state, account_key(id, &account.app), &account);
    }
    Ok(())
}

/// Whether that changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// They were so before.
    None,
    /// It does.
    Switched,
}

/// Somebody was switched off, or on.
pub fn changed(state: &mut impl Write, switched: &Switched, event: &Recorded) -> Result<Effect, KvError> {
    let was = switched_off(state, switched.id)?;
    match (was, switched.to) {
        (None, Switch::Off) => {
            let off = SwitchedOff { sequence: event.sequence, by: event.meta.actor.clone(), since: event.recorded_at };
            store(state, key(switched.id), &off);
            state.delete(&format!("{CARRIED}{}", switched.id));
            if let Some(identity) = directory::identity(state, switched.id)? {
                mark(state, &identity)?;
            }
        }
        (Some(_), Switch::On) => {
            unmark(state, switched.id)?;
            state.delete(&key(switched.id));
        }
        (Some(_), Switch::Off) | (None, Switch::On) => return Ok(Effect::None),
    }
    Ok(Effect::Switched)
}

/// The names under which somebody who is switched off could be added once more, hashed.
fn names(identity: &Identity) -> Vec<String> {
    let external = identity.resource.get("externalId").and_then(serde_json::Value::as_str);
    let named = [("user", Some(identity.user_name())), ("external", external)];
    let hash = |(kind, name): (&str, &str)| {
        let text = format!("{}/{kind}/{}", identity.kind.name(), name_key(name));
        Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).simple().to_string()
    };
    let named = named.into_iter().filter_map(|(kind, name)| Some((kind, name.filter(|name| !name.is_empty())?)));
    named.map(hash).collect()
}

fn mark_key(name: &str) -> String {
    format!("{MARKS}{name}")
}

/// Remembers under which names somebody is switched off: also when their source deletes them.
pub fn mark(state: &mut impl Write, identity: &Identity) -> Result<(), KvError> {
    if identity.content != Content::Open || switched_off(state, identity.id)?.is_none() {
        return Ok(());
    }
    let mut known: Vec<String> = load(state, &marked_key(identity.id))?.unwrap_or_default();
    for name in names(identity) {
        store(state, mark_key(&name), &identity.id);
        if !known.contains(&name) {
            known.push(name);
        }
    }
    store(state, marked_key(identity.id), &known);
    Ok(())
}

fn marked_key(id: IdentityId) -> String {
    format!("switched-off-names/{id}")
}

/// Whoever is added under a name of somebody who is switched off is to be switched off as well: who says so is the monitor.
pub fn added(state: &mut impl Write, identity: &Identity) -> Result<(), KvError> {
    if identity.content != Content::Open || switched_off(state, identity.id)?.is_some() {
        return Ok(());
    }
    for name in names(identity) {
        let of: Option<IdentityId> = load(state, &mark_key(&name))?;
        if of.is_some_and(|of| of != identity.id) {
            store(state, format!("{CARRIED}{}", identity.id), &());
        }
    }
    Ok(())
}

/// Who was added under a name of somebody who is switched off, and is not yet.
///
/// # Errors
/// When the state can't be read.
pub fn carried_over(state: &(impl Read + ?Sized), limit: usize) -> Result<Vec<IdentityId>, KvError> {
    let found = load_all::<()>(state, CARRIED, None, limit)?;
    Ok(found.into_iter().filter_map(|(key, ())| key.strip_prefix(CARRIED)?.parse().ok()).collect())
}

/// Nothing stands for somebody any more under their names.
fn unmark(state: &mut impl Write, id: IdentityId) -> Result<(), KvError> {
    let known: Vec<String> = load(state, &marked_key(id))?.unwrap_or_default();
    for name in known {
        // Somebody else may be switched off under the same name.
        if load::<IdentityId>(state, &mark_key(&name))? == Some(id) {
            state.delete(&mark_key(&name));
        }
    }
    state.delete(&marked_key(id));
    Ok(())
}

/// Nothing is known any more of whoever is erased.
pub fn forget(state: &mut impl Write, id: IdentityId) -> Result<(), KvError> {
    unmark(state, id)?;
    state.delete(&format!("{CARRIED}{id}"));
    state.delete(&key(id));
    Ok(())
}

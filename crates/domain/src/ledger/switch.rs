//! Whom a person has switched off.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::accounts;
use super::read::{account_key, accounts_of};
use crate::directory;
use crate::event::Recorded;
use crate::identity::Identity;
use crate::identity::content::Content;
use crate::identity::lifecycle::{Lifecycle, Urgency};
use crate::identity::name::name_key;
use crate::identity::switch::{Switch, Switched, SwitchedOff};
use crate::ids::{IdentityId, SourceName};
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
            drop_carried(state, |whom, _| whom == switched.id)?;
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

/// The names under which somebody who is switched off could be added once more, hashed. An `externalId` is one of its source: another
/// source may call somebody else so.
fn names_of(identity: &Identity) -> Vec<String> {
    let external = identity.resource.get("externalId").and_then(serde_json::Value::as_str);
    let of = identity.created_by.as_ref().map_or("", SourceName::as_str);
    let external_kind = format!("external/{of}");
    let named = [("user", Some(identity.user_name())), (external_kind.as_str(), external)];
    let hash = |(kind, name): (&str, &str)| {
        let text = format!("{}/{kind}/{}", identity.kind.name(), name_key(name));
        Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).simple().to_string()
    };
    let named = named.into_iter().filter_map(|(kind, name)| Some((kind, name.filter(|name| !name.is_empty())?)));
    named.map(hash).collect()
}

/// One key for each of whom a name stands: what is known of one is forgotten without touching another's.
fn mark_key(name: &str, id: IdentityId) -> String {
    format!("{MARKS}{name}/{id}")
}

/// Who is switched off under a name, as it is hashed, and has left: as long as they are there, whoever else is called so is somebody else.
fn marked(state: &(impl Read + ?Sized), name: &str) -> Result<Vec<IdentityId>, KvError> {
    let prefix = format!("{MARKS}{name}/");
    let found = load_all::<()>(state, &prefix, None, usize::MAX)?;
    let mut ids = Vec::new();
    for id in found.into_iter().filter_map(|(key, ())| key.strip_prefix(&prefix)?.parse().ok()) {
        if directory::identity(state, id)?.is_none_or(|who| who.deleted || who.lifecycle == Lifecycle::Left) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Who has gone from their source, and is switched off under a name that somebody has now.
///
/// # Errors
/// When the state can't be read.
pub fn switched_off_under_a_name_of(state: &(impl Read + ?Sized), id: IdentityId) -> Result<Vec<IdentityId>, KvError> {
    let mut found = BTreeSet::new();
    let identity = directory::identity(state, id)?.filter(|identity| identity.content == Content::Open);
    let names = identity.as_ref().map(names_of);
    for name in names.unwrap_or_default() {
        for other in marked(state, &name)?.into_iter().filter(|other| *other != id) {
            if directory::identity(state, other)?.is_some_and(|other| other.deleted) {
                found.insert(other);
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Remembers under which names somebody is switched off: also when their source deletes them.
pub fn mark(state: &mut impl Write, identity: &Identity) -> Result<(), KvError> {
    if identity.content != Content::Open || switched_off(state, identity.id)?.is_none() {
        return Ok(());
    }
    let mut known: Vec<String> = load(state, &marked_key(identity.id))?.unwrap_or_default();
    for name in names_of(identity) {
        store(state, mark_key(&name, identity.id), &());
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
    for name in names_of(identity) {
        for of in marked(state, &name)?.into_iter().filter(|of| *of != identity.id) {
            store(state, carried_key(identity.id, of), &());
        }
    }
    Ok(())
}

/// Who was added under a name of somebody who is switched off, and is not yet.
///
/// # Errors
/// When the state can't be read.
pub fn carried_over(state: &(impl Read + ?Sized), limit: usize) -> Result<Vec<IdentityId>, KvError> {
    let mut ids: Vec<_> = carried(state)?.into_iter().map(|(whom, _)| whom).collect();
    ids.dedup();
    ids.truncate(limit);
    Ok(ids)
}

fn carried_key(whom: IdentityId, of: IdentityId) -> String {
    format!("{CARRIED}{whom}/{of}")
}

/// Who was added under a name of somebody who is switched off, and of whom. They are few: the monitor switches them off at once.
fn carried(state: &(impl Read + ?Sized)) -> Result<Vec<(IdentityId, IdentityId)>, KvError> {
    let found = load_all::<()>(state, CARRIED, None, usize::MAX)?;
    let pair = |key: &str| {
        let (whom, of) = key.strip_prefix(CARRIED)?.split_once('/')?;
        Some((whom.parse().ok()?, of.parse().ok()?))
    };
    Ok(found.into_iter().filter_map(|(key, ())| pair(&key)).collect())
}

fn drop_carried(state: &mut impl Write, which: impl Fn(IdentityId, IdentityId) -> bool) -> Result<(), KvError> {
    for (whom, of) in carried(state)?.into_iter().filter(|(whom, of)| which(*whom, *of)) {
        state.delete(&carried_key(whom, of));
    }
    Ok(())
}

/// Nothing stands for somebody any more under their names.
fn unmark(state: &mut impl Write, id: IdentityId) -> Result<(), KvError> {
    let known: Vec<String> = load(state, &marked_key(id))?.unwrap_or_default();
    for name in known {
        state.delete(&mark_key(&name, id));
    }
    state.delete(&marked_key(id));
    drop_carried(state, |_, of| of == id)
}

/// Nothing is known any more of whoever is erased.
pub fn forget(state: &mut impl Write, id: IdentityId) -> Result<(), KvError> {
    unmark(state, id)?;
    drop_carried(state, |whom, _| whom == id)?;
    state.delete(&key(id));
    Ok(())
}

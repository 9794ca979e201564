//! Whom a person has switched off.

use super::accounts;
use super::read::{account_key, accounts_of};
use crate::event::Recorded;
use crate::identity::lifecycle::Urgency;
use crate::identity::switch::{Switch, Switched, SwitchedOff};
use crate::ids::IdentityId;
use crate::kv::{KvError, Read, Write, load, load_all, store};

const PREFIX: &str = "switched-off/";

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
        }
        (Some(_), Switch::On) => state.delete(&key(switched.id)),
        (Some(_), Switch::Off) | (None, Switch::On) => return Ok(Effect::None),
    }
    Ok(Effect::Switched)
}

/// Nothing is known any more of whoever is erased.
pub fn forget(state: &mut impl Write, id: IdentityId) {
    state.delete(&key(id));
}

//! Credentials and inventories, as their lists say.
//!
//! Keys: `credential/<id>`, `credentials-in/<inventory>/<id>`: those that are listed, `credentials-of/<holder>/<id>`: those that
//! somebody has, or ever had, `holders-of/<id>/<holder>`: the same by the credential, and `inventory/<name>`.

use jiff::Timestamp;

use crate::access::credential::{
    Credential, Extent, Holding, Inventory, InventoryRead, Listed, Presence, Report, Unlisted,
};
use crate::event::{Event, Recorded};
use crate::identity::lifecycle::Lifecycle;
use crate::ids::{CredentialId, IdentityId, InventoryName};
use crate::kv::{KeyPage, KvError, Read, Write, load, load_all, load_some, store, suffixes};

/// The key prefix of all credentials.
pub const CREDENTIALS: &str = "credential/";

/// The key prefix of all inventories.
pub const INVENTORIES: &str = "inventory/";

fn credential_key(id: CredentialId) -> String {
    format!("{CREDENTIALS}{id}")
}

fn in_prefix(inventory: &InventoryName) -> String {
    format!("credentials-in/{inventory}/")
}

fn in_key(inventory: &InventoryName, id: CredentialId) -> String {
    format!("{}{id}", in_prefix(inventory))
}

fn of_prefix(holder: IdentityId) -> String {
    format!("credentials-of/{holder}/")
}

fn of_key(holder: IdentityId, id: CredentialId) -> String {
    format!("{}{id}", of_prefix(holder))
}

fn holders_prefix(id: CredentialId) -> String {
    format!("holders-of/{id}/")
}

fn inventory_key(name: &InventoryName) -> String {
    format!("{INVENTORIES}{name}")
}

/// A credential, also one that is gone.
///
/// # Errors
/// When the state can't be read.
pub fn credential(state: &(impl Read + ?Sized), id: CredentialId) -> Result<Option<Credential>, KvError> {
    load(state, &credential_key(id))
}

/// The credentials that an inventory lists, after one and at most `limit`.
///
/// # Errors
/// When the state can't be read.
pub fn credentials_in(
    state: &(impl Read + ?Sized),
    inventory: &InventoryName,
    after: Option<CredentialId>,
    limit: usize,
) -> Result<Vec<CredentialId>, KvError> {
    let prefix = in_prefix(inventory);
    let after = after.map(|id| format!("{prefix}{id}"));
    let found = load_all::<()>(state, &prefix, after.as_deref(), limit)?;
    Ok(found.into_iter().filter_map(|(key, ())| key.strip_prefix(&prefix)?.parse().ok()).collect())
}

/// The credentials that somebody has, or ever had; that of nobody stands for its own holder.
///
/// # Errors
/// When the state can't be read.
pub fn credentials_of(state: &(impl Read + ?Sized), holder: IdentityId) -> Result<Vec<CredentialId>, KvError> {
    Ok(suffixes(state, &of_prefix(holder))?.iter().filter_map(|id| id.parse().ok()).collect())
}

/// Who has a credential, or ever had it.
///
/// # Errors
/// When the state can't be read.
pub fn holders_of(state: &(impl Read + ?Sized), id: CredentialId) -> Result<Vec<IdentityId>, KvError> {
    Ok(suffixes(state, &holders_prefix(id))?.iter().filter_map(|holder| holder.parse().ok()).collect())
}

/// How somebody has a credential, or had it; none: they never did.
///
/// # Errors
/// When the state can't be read.
pub fn holding(state: &(impl Read + ?Sized), holder: IdentityId, id: CredentialId) -> Result<Option<Holding>, KvError> {
    load(state, &of_key(holder, id))
}

/// The credentials that somebody has, or ever had, after a place; those among the next `look`.
///
/// # Errors
/// When the state can't be read.
pub fn credentials_held_after(
    state: &(impl Read + ?Sized),
    holder: IdentityId,
    after: Option<&str>,
    look: usize,
) -> Result<KeyPage<Credential>, KvError> {
    let KeyPage { pairs, next } = load_some::<Holding>(state, &of_prefix(holder), after, look)?;
    let mut held = Vec::new();
    for (place, _) in pairs {
        let known = place.parse().ok().map(|id| credential(state, id)).transpose()?.flatten();
        held.extend(known.map(|known| (place, known)));
    }
    Ok(KeyPage { pairs: held, next })
}

/// An inventory of which something was read.
///
/// # Errors
/// When the state can't be read.
pub fn inventory(state: &(impl Read + ?Sized), name: &InventoryName) -> Result<Option<Inventory>, KvError> {
    load(state, &inventory_key(name))
}

/// Brings them up to date with one event.
pub(super) fn evolve(state: &mut (impl Write + ?Sized), event: &Recorded) -> Result<(), KvError> {
    match &event.event {
        Event::CredentialListed(listed) => self::listed(state, listed, event),
        Event::CredentialUnlisted(unlisted) => self::unlisted(state, unlisted, event),
        Event::CredentialCompromised(compromised) => {
            if let Some(before) = credential(state, compromised.id)? {
                let report = Report { by: event.sequence, at: event.recorded_at };
                let now = Credential { compromised: Some(report), ..before };
                store(state, credential_key(compromised.id), &now);
            }
            Ok(())
        }
        Event::InventoryRead(read) => inventory_read(state, read, event),
        _ => Ok(()),
    }
}

fn listed(state: &mut (impl Write + ?Sized), listed: &Listed, event: &Recorded) -> Result<(), KvError> {
    let before = credential(state, listed.id)?;
    let made_anew_at = before.as_ref().and_then(|before| before.replaced_by(listed));
    if let Some(before) = before.as_ref().filter(|before| before.listed.person() != listed.person()) {
        let never_had_it = match made_anew_at {
            Some(made_at) => is_without(state, before, made_at)?,
            None => false,
        };
        let had_until = if never_had_it { before.listed.taken_at } else { listed.taken_at };
        let passed_on = Holding { passed_on_at: Some(had_until) };
        store(state, of_key(before.listed.person(), listed.id), &passed_on);
    }
    let now = Credential {
        listed: listed.clone(),
        version: event.sequence,
        first_listed_at: before.as_ref().map_or(event.recorded_at, |before| before.first_listed_at),
        presence: Presence::Listed,
        made_anew_at: made_anew_at.or_else(|| {
            before.as_ref().filter(|before| !before.is_older(listed)).and_then(|before| before.made_anew_at)
        }),
        compromised: before.and_then(|before| before.compromised),
    };
    store(state, credential_key(listed.id), &now);
    store(state, in_key(&listed.inventory, listed.id), &());
    store(state, of_key(listed.person(), listed.id), &Holding { passed_on_at: None });
    store(state, format!("{}{}", holders_prefix(listed.id), listed.person()), &());
    Ok(())
}

/// Whether one that was made at a time under the name of this one was not made for whoever had this one: a list has lacked it between, or
/// they were not there any more.
fn is_without(state: &(impl Read + ?Sized), former: &Credential, made_at: Timestamp) -> Result<bool, KvError> {
    if let Presence::Gone { at, .. } = former.presence {
        return Ok(at < made_at);
    }
    let holder = super::identity(state, former.listed.person())?;
    Ok(holder.is_some_and(|who| (who.deleted || who.lifecycle == Lifecycle::Left) && who.changed_at < made_at))
}

fn unlisted(state: &mut (impl Write + ?Sized), unlisted: &Unlisted, event: &Recorded) -> Result<(), KvError> {
    let Some(before) = credential(state, unlisted.id)? else { return Ok(()) };
    state.delete(&in_key(&before.listed.inventory, unlisted.id));
    let presence = Presence::Gone { at: unlisted.taken_at, by: event.sequence };
    store(state, credential_key(unlisted.id), &Credential { presence, version: event.sequence, ..before });
    Ok(())
}

fn inventory_read(state: &mut (impl Write + ?Sized), read: &InventoryRead, event: &Recorded) -> Result<(), KvError> {
    let before = inventory(state, &read.inventory)?;
    let newest = before.as_ref().map_or(read.taken_at, |before| before.newest.max(read.taken_at));
    let (whole, read_at) = match read.extent {
        Extent::Whole => (Some(read.clone()), Some(event.recorded_at)),
        Extent::Part => before.map(|before| (before.read, before.read_at)).unwrap_or_default(),
    };
    let now = Inventory { read: whole, read_at, newest, version: event.sequence };
    store(state, inventory_key(&read.inventory), &now);
    Ok(())
}

/// Nothing is known any more of what the credentials of somebody are called; that they are there is.
pub(super) fn erased(state: &mut (impl Write + ?Sized), holder: IdentityId) -> Result<(), KvError> {
    for id in credentials_of(state, holder)? {
        let Some(before) = credential(state, id)? else { continue };
        // Also of what somebody else has by now it is forgotten who had it.
        state.forget(&credential_key(id));
        let mut now = before;
        if now.listed.person() == holder {
            now.listed.name.clear();
            now.listed.holder_named.clear();
        }
        store(state, credential_key(id), &now);
    }
    Ok(())
}

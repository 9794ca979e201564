//! Which account of an app we have linked to whom: what an app says of an account later does not change that.

use serde_json::Value;

use super::read::link_key;
use crate::access::account::Account;
use crate::access::desired::Target;
use crate::access::outcome::Verified;
use crate::drift::orphan_id;
use crate::ids::{AppId, IdentityId};
use crate::kv::{KvError, Read, Write, load, store};

/// The identity that an account of an app was last linked to, also after it is gone; `None`: to nobody.
///
/// # Errors
/// When the state can't be read.
pub fn linked(state: &(impl Read + ?Sized), app: &AppId, remote_id: &str) -> Result<Option<IdentityId>, KvError> {
    load(state, &link_key(app, remote_id))
}

/// Whether an app shows whose an account is: the last one that was read back said so by its `externalId`.
///
/// # Errors
/// When the state can't be read.
pub fn keeps_external_ids(state: &(impl Read + ?Sized), app: &AppId) -> Result<bool, KvError> {
    Ok(load(state, &keeps_key(app))?.unwrap_or_default())
}

fn keeps_key(app: &AppId) -> String {
    format!("keeps/{app}")
}

/// An account was read back that must be there.
pub fn shown(state: &mut impl Write, verified: &Verified) -> Result<(), KvError> {
    let said = verified.observed.get("externalId").and_then(Value::as_str);
    let keeps = said == Some(verified.identity.to_string().as_str());
    if keeps != keeps_external_ids(state, &verified.app)? {
        store(state, keeps_key(&verified.app), &keeps);
    }
    Ok(())
}

/// Forgets which accounts of an app are someone's.
pub fn forget(state: &mut impl Write, account: &Account) -> Result<(), KvError> {
    for id in account.remote_id.iter().chain(account.former_ids.keys()) {
        if linked(state, &account.app, id)? == Some(account.identity) {
            state.delete(&link_key(&account.app, id));
        }
    }
    Ok(())
}

/// Remembers whom we give an account: something is sent to it for them, whatever is desired of them by now. Only whoever must have it keeps it.
pub fn given(state: &mut impl Write, account: &Account) -> Result<(), KvError> {
    let Some(id) = &account.remote_id else { return Ok(()) };
    let is_wanted = match linked(state, &account.app, id)?.filter(|holder| *holder != account.identity) {
        Some(holder) => super::account(state, holder, &account.app)?
            .is_some_and(|theirs| theirs.desired.target() == Target::Present),
        None => false,
    };
    if is_wanted || account.identity == orphan_id(&account.app, id) {
        return keep(state, account);
    }
    store(state, link_key(&account.app, id), &account.identity);
    Ok(())
}

/// Remembers the account that someone has. Whoever must have it takes it over from anyone; whoever must have none takes it
/// from nobody.
pub fn keep(state: &mut impl Write, account: &Account) -> Result<(), KvError> {
    let Some(id) = &account.remote_id else { return Ok(()) };
    let stands_for_itself = account.identity == orphan_id(&account.app, id);
    let before = linked(state, &account.app, id)?;
    let stays = account.desired.target() == Target::Absent && before.is_some();
    if !stands_for_itself && !stays && before != Some(account.identity) {
        store(state, link_key(&account.app, id), &account.identity);
    }
    Ok(())
}

//! Who is switched off, and since when.

use crate::access::account::Account;
use crate::access::desired::Desired;
use crate::identity::switch::SwitchedOff;
use crate::ids::{IdentityId, Sequence};
use crate::kv::{KvError, Read, load, load_all};

const PREFIX: &str = "switched-off/";

pub(super) fn key(id: IdentityId) -> String {
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

/// Since when somebody is switched off, where an account of theirs is only to be that by a version of what is desired: what was owed before is
/// not met by it.
pub fn off_by(state: &impl Read, account: &Account, version: Sequence) -> Result<Option<Sequence>, KvError> {
    if account.desired != Desired::Off {
        return Ok(None);
    }
    let since = switched_off(state, account.identity)?.map(|off| off.sequence);
    Ok(since.filter(|since| version >= *since))
}

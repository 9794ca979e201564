//! The accounts of somebody's that stood for themselves for a time: as nobody's, or as a second one. Keys:
//! `others/<identity>/<app>/<id that it stands as>`, for second ones; which account was nobody's first follows from its id in the app.

use std::collections::BTreeSet;

use super::read::{accounts_of, drift_of};
use crate::access::account::Account;
use crate::drift::orphan_id;
use crate::governance::erasure::Other;
use crate::ids::{AppId, IdentityId};
use crate::kv::{KvError, Read, Write, store, suffixes};

fn prefix(of: IdentityId) -> String {
    format!("others/{of}/")
}

fn key(of: IdentityId, other: &Other) -> String {
    format!("{}{}/{}", prefix(of), other.app, other.nobody)
}

/// Keeps a second account of someone's.
pub fn keep(state: &mut impl Write, of: IdentityId, other: &Other) {
    store(state, key(of, other), &());
}

/// Drops one.
pub fn forget(state: &mut impl Write, of: IdentityId, other: &Other) {
    state.delete(&key(of, other));
}

/// The second accounts of someone's in an app, as far as they are kept.
pub fn seconds(state: &(impl Read + ?Sized), of: IdentityId, app: &AppId) -> Result<Vec<IdentityId>, KvError> {
    let found = suffixes(state, &format!("{}{app}/", prefix(of)))?;
    Ok(found.iter().filter_map(|id| id.parse().ok()).collect())
}

/// All of them: those that were known as somebody else's, or nobody's, as well.
///
/// # Errors
/// When the state can't be read.
pub fn others_of(state: &(impl Read + ?Sized), of: IdentityId) -> Result<Vec<Other>, KvError> {
    let kept = suffixes(state, &prefix(of))?;
    let second = |place: &String| {
        let (app, nobody) = place.rsplit_once('/')?;
        Some(Other { app: app.parse().ok()?, nobody: nobody.parse().ok()? })
    };
    let mut all: Vec<Other> = kept.iter().filter_map(second).collect();
    for theirs in accounts_of(state, of)? {
        let ids = theirs.remote_id.iter().chain(theirs.former_ids.keys());
        all.extend(ids.map(|id| Other { app: theirs.app.clone(), nobody: orphan_id(&theirs.app, id) }));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The app's ids of accounts besides the one that somebody is known by: those that were known as theirs before, and those that are said by
/// what differs there to be theirs as well.
///
/// # Errors
/// When the state can't be read.
pub fn other_ids(state: &(impl Read + ?Sized), theirs: &Account) -> Result<BTreeSet<String>, KvError> {
    let mut all: BTreeSet<String> = theirs.former_ids.keys().cloned().collect();
    for item in drift_of(state, &theirs.app, theirs.identity)? {
        all.extend(item.duplicates().map(str::to_owned));
        all.insert(item.remote_id);
    }
    all.retain(|id| !id.is_empty() && theirs.remote_id.as_ref() != Some(id));
    Ok(all)
}

//! How many obligations are open and overdue: kept, so that a gauge costs nothing however many there are.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::read::{listed, obligation};
use crate::access::obligation::{Count, Obligation};
use crate::access::subject::{CREDENTIAL, HANDOVER};
use crate::identity::lifecycle::ChangeKind;
use crate::ids::AppId;
use crate::kv::{KvError, Read, Write, load, load_all, store};

const PREFIX: &str = "count-open/";

fn key(place: &str, change: ChangeKind) -> String {
    format!("{PREFIX}{place}/{}", change.name())
}

/// An obligation that counted for `was` counts for `is`.
pub fn moved(state: &mut impl Write, obligation: &Obligation, was: Count, is: Count) -> Result<(), KvError> {
    if was == is {
        return Ok(());
    }
    let key = key(obligation.id.subject.place(), obligation.change);
    let count: Count = load(state, &key)?.unwrap_or_default();
    store(state, key, &count.moved(was, is));
    Ok(())
}

/// What is open, by app and kind of change.
///
/// # Errors
/// When the state can't be read.
pub fn counts(state: &(impl Read + ?Sized)) -> Result<BTreeMap<(AppId, ChangeKind), Count>, KvError> {
    let found: Vec<(String, Count)> = load_all(state, PREFIX, None, usize::MAX)?;
    let place = |key: &str| {
        let (app, change) = key.strip_prefix(PREFIX)?.split_once('/')?;
        let change = ChangeKind::ALL.into_iter().find(|kind| kind.name() == change)?;
        Some((app.parse().ok()?, change))
    };
    Ok(found.into_iter().filter_map(|(key, count)| Some((place(&key)?, count))).collect())
}

/// What is open for one app, whatever the change.
///
/// # Errors
/// When the state can't be read.
pub fn count_of(state: &(impl Read + ?Sized), app: &AppId) -> Result<Count, KvError> {
    count_at(state, app.as_str())
}

/// How many hand-overs are how far.
///
/// # Errors
/// When the state can't be read.
pub fn count_handovers(state: &(impl Read + ?Sized)) -> Result<Count, KvError> {
    count_at(state, HANDOVER)
}

/// How many credentials that are to be revoked are how far.
///
/// # Errors
/// When the state can't be read.
pub fn count_revocations(state: &(impl Read + ?Sized)) -> Result<Count, KvError> {
    count_at(state, CREDENTIAL)
}

/// What is open at one place, as [`Subject::place`](crate::access::subject::Subject::place) names it.
fn count_at(state: &(impl Read + ?Sized), place: &str) -> Result<Count, KvError> {
    let found: Vec<(String, Count)> = load_all(state, &format!("{PREFIX}{place}/"), None, usize::MAX)?;
    Ok(found.iter().fold(Count::default(), |all, (_, one)| all.moved(Count::default(), *one)))
}

/// The earliest deadline that has passed; `None`: none has.
///
/// # Errors
/// When the state can't be read.
pub fn oldest_overdue(state: &(impl Read + ?Sized)) -> Result<Option<Timestamp>, KvError> {
    let Some((first, _)) = state.scan("overdue/", None, 1)?.into_iter().next() else { return Ok(None) };
    Ok(obligation(state, &listed(&first)?)?.map(|o| o.deadline))
}

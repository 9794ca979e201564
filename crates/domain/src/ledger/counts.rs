//! How many obligations are open and overdue: kept, so that a gauge costs nothing however many there are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::read::overdue_key;
use crate::ids::AppId;
use crate::kv::{KvError, Read, Write, load, load_all, store};
use crate::lifecycle::ChangeKind;
use crate::obligation::{Obligation, ObligationId};

/// What is open for one app and one kind of change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Count {
    pub open: u64,
    pub overdue: u64,
}

const PREFIX: &str = "count-open/";

fn key(app: &AppId, change: ChangeKind) -> String {
    format!("{PREFIX}{app}/{}", change.name())
}

fn change(state: &mut impl Write, obligation: &Obligation, by: impl Fn(&mut Count)) -> Result<(), KvError> {
    let key = key(&obligation.id.app, obligation.change);
    let mut count: Count = load(state, &key)?.unwrap_or_default();
    by(&mut count);
    store(state, key, &count);
    Ok(())
}

/// Whether an obligation counts as overdue.
const fn is_overdue(obligation: &Obligation) -> bool {
    obligation.overdue_at.is_some() && obligation.waived.is_none()
}

/// One more is open.
pub fn opened(state: &mut impl Write, obligation: &Obligation) -> Result<(), KvError> {
    change(state, obligation, |count| count.open += 1)
}

/// One has ended; as it was before.
pub fn ended(state: &mut impl Write, obligation: &Obligation) -> Result<(), KvError> {
    let overdue = u64::from(is_overdue(obligation));
    state.delete(&overdue_key(obligation));
    change(state, obligation, |count| {
        count.open = count.open.saturating_sub(1);
        count.overdue = count.overdue.saturating_sub(overdue);
    })
}

/// One has become overdue.
pub fn overdue(state: &mut impl Write, obligation: &Obligation) -> Result<(), KvError> {
    store(state, overdue_key(obligation), &obligation.id);
    change(state, obligation, |count| count.overdue += 1)
}

/// One is left as it is for a while; as it was before.
pub fn waived(state: &mut impl Write, obligation: &Obligation) -> Result<(), KvError> {
    let overdue = u64::from(is_overdue(obligation));
    state.delete(&overdue_key(obligation));
    change(state, obligation, |count| count.overdue = count.overdue.saturating_sub(overdue))
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
    let found: Vec<(String, Count)> = load_all(state, &format!("{PREFIX}{app}/"), None, usize::MAX)?;
    let sum = |all: Count, (_, one): &(String, Count)| Count {
        open: all.open + one.open,
        overdue: all.overdue + one.overdue,
    };
    Ok(found.iter().fold(Count::default(), sum))
}

/// The earliest deadline that has passed; `None`: none has.
///
/// # Errors
/// When the state can't be read.
pub fn oldest_overdue(state: &(impl Read + ?Sized)) -> Result<Option<Timestamp>, KvError> {
    let first: Vec<(String, ObligationId)> = load_all(state, "overdue/", None, 1)?;
    let Some((_, id)) = first.into_iter().next() else { return Ok(None) };
    Ok(load::<Obligation>(state, &super::obligation_key(&id))?.map(|o| o.deadline))
}

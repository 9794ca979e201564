//! How many obligations are open and overdue: kept, so that a gauge costs nothing however many there are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::read::listed;
use crate::ids::AppId;
use crate::kv::{KvError, Read, Write, load, load_all, store};
use crate::lifecycle::ChangeKind;
use crate::obligation::{Obligation, ObligationStatus};

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

/// What one obligation counts for.
fn of(obligation: &Obligation) -> Count {
    Count {
        open: u64::from(obligation.end.is_none()),
        overdue: u64::from(obligation.status() == ObligationStatus::Overdue),
    }
}

/// An obligation is opened, or no longer as it was before.
pub fn moved(state: &mut impl Write, before: Option<&Obligation>, now: &Obligation) -> Result<(), KvError> {
    let (was, is) = (before.map(of).unwrap_or_default(), of(now));
    if was == is {
        return Ok(());
    }
    let key = key(&now.id.app, now.change);
    let count: Count = load(state, &key)?.unwrap_or_default();
    let count = Count {
        open: (count.open + is.open).saturating_sub(was.open),
        overdue: (count.overdue + is.overdue).saturating_sub(was.overdue),
    };
    store(state, key, &count);
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
    let Some((first, _)) = state.scan("overdue/", None, 1)?.into_iter().next() else { return Ok(None) };
    Ok(load::<Obligation>(state, &super::obligation_key(&listed(&first)?))?.map(|o| o.deadline))
}

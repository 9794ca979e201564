//! Obligations as they are listed: those that are open are in their accounts, those that have ended for themselves.

use std::collections::BTreeMap;

use super::read::{ACCOUNTS, ENDED, place};
use crate::access::account::Account;
use crate::access::obligation::{Obligation, ObligationStatus};
use crate::kv::{KeyPage, KvError, Read, decode, load, load_some};

/// Which obligations a list is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Among {
    Open,
    Ended,
    All,
}

impl Among {
    /// Those that can have a status.
    #[must_use]
    pub const fn with(status: ObligationStatus) -> Self {
        match status {
            ObligationStatus::Open
            | ObligationStatus::Applied
            | ObligationStatus::Overdue
            | ObligationStatus::Waived => Self::Open,
            ObligationStatus::Verified | ObligationStatus::Superseded => Self::Ended,
        }
    }
}

/// Obligations by identity, app, and then oldest first, after a place; those among the next `look` accounts, and among the next
/// `look` that have ended.
///
/// # Errors
/// When the state can't be read.
pub fn obligations_after(
    state: &impl Read,
    among: Among,
    after: Option<&str>,
    look: usize,
) -> Result<KeyPage<Obligation>, KvError> {
    // In this order: one that ends meanwhile is found twice and not never, and has ended.
    let open = if among == Among::Ended { KeyPage::default() } else { open_after(state, after, look)? };
    let ended = if among == Among::Open { KeyPage::default() } else { load_some(state, ENDED, after, look)? };
    let next = [open.next, ended.next].into_iter().flatten().min();
    let mut all: BTreeMap<String, Obligation> = open.pairs.into_iter().chain(ended.pairs).collect();
    all.retain(|place, _| after.is_none_or(|after| place.as_str() > after) && next.as_ref().is_none_or(|n| place <= n));
    Ok(KeyPage { pairs: all.into_iter().collect(), next })
}

fn open_after(state: &impl Read, after: Option<&str>, look: usize) -> Result<KeyPage<Obligation>, KvError> {
    let begun = after.and_then(|after| Some(format!("{ACCOUNTS}{}/", after.rsplit_once('/')?.0)));
    let KeyPage { pairs, next } = state.scan_some(ACCOUNTS, begun.as_deref(), look)?;
    // The account of the last place may owe more.
    let begun: Option<Account> = begun.map(|key| load(state, &key)).transpose()?.flatten();
    let mut open: Vec<Obligation> = begun.into_iter().flat_map(|account| account.owes).collect();
    for (key, value) in pairs {
        open.extend(decode::<Account>(&key, &value)?.owes);
    }
    let last = |key: String| Some(format!("{}{:020}", key.strip_prefix(ACCOUNTS)?, u64::MAX));
    let pairs = open.into_iter().map(|open| (place(&open.id), open)).collect();
    Ok(KeyPage { pairs, next: next.and_then(last) })
}

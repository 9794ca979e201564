//! Obligations as they are listed: those that are open are in their accounts, those that have ended for themselves.

use std::collections::BTreeMap;

use super::handovers::{HANDOVERS, handovers_after};
use super::read::{ACCOUNTS, ENDED, HANDED, place};
use crate::access::account::Account;
use crate::access::handover::Handover;
use crate::access::obligation::{Obligation, ObligationStatus};
use crate::kv::{KeyPage, KvError, Read, decode, end_of, load, load_some};

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
    let is_open = among != Among::Ended;
    let open = if is_open { open_after(state, after, look)? } else { KeyPage::default() };
    let handed = if is_open { handed_over_after(state, after, look)? } else { KeyPage::default() };
    let ended = if among == Among::Open { KeyPage::default() } else { load_some(state, ENDED, after, look)? };
    let next = [open.next, handed.next, ended.next].into_iter().flatten().min();
    let open = open.pairs.into_iter().chain(handed.pairs);
    let mut all: BTreeMap<String, Obligation> = open.chain(ended.pairs).collect();
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

/// The open hand-overs, which stand among the obligations of an identity where the app `handover:…` would.
fn handed_over_after(state: &impl Read, after: Option<&str>, look: usize) -> Result<KeyPage<Obligation>, KvError> {
    let (mut start, mut begun) = (None, None);
    if let Some((owner, rest)) = after.and_then(|after| after.split_once('/')) {
        let prefix = format!("{HANDOVERS}{owner}/");
        start = Some(match rest.strip_prefix(HANDED).and_then(|rest| rest.split_once('/')) {
            Some((machine, _)) => {
                // The one of the last place may be owed anew.
                let key = format!("{prefix}{machine}");
                begun = load::<Handover>(state, &key)?.and_then(|handover| handover.obligation());
                key
            }
            None if rest < HANDED => prefix,
            None => end_of(&prefix),
        });
    }
    let KeyPage { pairs, next } = handovers_after(state, start.as_deref(), look)?;
    let open = begun.into_iter().chain(pairs.into_iter().filter_map(|(_, handover)| handover.obligation()));
    let pairs = open.map(|open| (place(&open.id), open)).collect();
    let last = |key: String| {
        let (owner, machine) = key.strip_prefix(HANDOVERS)?.split_once('/')?;
        Some(format!("{owner}/{HANDED}{machine}/{:020}", u64::MAX))
    };
    Ok(KeyPage { pairs, next: next.and_then(last) })
}

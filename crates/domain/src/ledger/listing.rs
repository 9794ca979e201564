//! Obligations as they are listed: those that are open are in their accounts, those that have ended for themselves.

use std::collections::BTreeMap;

use super::handovers::HANDOVERS;
use super::read::{ACCOUNTS, ENDED, place};
use super::revocations::REVOCATIONS;
use crate::access::account::Account;
use crate::access::credential::Revocation;
use crate::access::handover::Handover;
use crate::access::obligation::{Obligation, ObligationStatus};
use crate::access::subject::{CREDENTIAL, HANDOVER};
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
            ObligationStatus::Verified | ObligationStatus::Superseded | ObligationStatus::Attested => Self::Ended,
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
    let besides = |what: &Besides| if is_open { what.after(state, after, look) } else { Ok(KeyPage::default()) };
    let (handed, revoked) = (besides(&HANDED)?, besides(&REVOKED)?);
    let ended = if among == Among::Open { KeyPage::default() } else { load_some(state, ENDED, after, look)? };
    let next = [open.next, handed.next, revoked.next, ended.next].into_iter().flatten().min();
    let open = open.pairs.into_iter().chain(handed.pairs).chain(revoked.pairs);
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

/// Where something besides accounts is kept that somebody owes: `<prefix><whose>/<what>`, which stands among their obligations where
/// the app `<mark><what>` would.
struct Besides {
    prefix: &'static str,
    mark: &'static str,
    owed: fn(&str, &[u8]) -> Result<Vec<Obligation>, KvError>,
}

const HANDED: Besides = Besides {
    prefix: HANDOVERS,
    mark: HANDOVER,
    owed: |key, value| Ok(decode::<Handover>(key, value)?.obligation().into_iter().collect()),
};

const REVOKED: Besides = Besides {
    prefix: REVOCATIONS,
    mark: CREDENTIAL,
    owed: |key, value| Ok(decode::<Revocation>(key, value)?.obligations()),
};

impl Besides {
    fn after(&self, state: &impl Read, after: Option<&str>, look: usize) -> Result<KeyPage<Obligation>, KvError> {
        let Self { prefix, mark, owed } = *self;
        let (mut start, mut open) = (None, Vec::new());
        if let Some((whose, rest)) = after.and_then(|after| after.split_once('/')) {
            let theirs = format!("{prefix}{whose}/");
            start = Some(match rest.strip_prefix(mark).and_then(|rest| rest.split_once('/')) {
                Some((what, _)) => {
                    // That of the last place may owe more, or anew.
                    let key = format!("{theirs}{what}");
                    if let Some(value) = state.get(&key)? {
                        open = owed(&key, &value)?;
                    }
                    key
                }
                None if rest < mark => theirs,
                None => end_of(&theirs),
            });
        }
        let KeyPage { pairs, next } = state.scan_some(prefix, start.as_deref(), look)?;
        for (key, value) in pairs {
            open.extend(owed(&key, &value)?);
        }
        let pairs = open.into_iter().map(|open| (place(&open.id), open)).collect();
        let last = |key: String| {
            let (whose, what) = key.strip_prefix(prefix)?.split_once('/')?;
            Some(format!("{whose}/{mark}{what}/{:020}", u64::MAX))
        };
        Ok(KeyPage { pairs, next: next.and_then(last) })
    }
}

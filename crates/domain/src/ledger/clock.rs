//! When obligations ring next: one entry for all those that one event opened for an identity and that ring at the same
//! instant, with how many they are. A leaver from a thousand apps is a few entries, and not a thousand.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::lists::List;
use super::read::{micros, obligations_opened_by};
use crate::ids::{IdentityId, Sequence};
use crate::kv::{KvError, Read, Write, load, store};
use crate::obligation::{Obligation, ObligationId};

fn key(at: Timestamp, id: &ObligationId) -> String {
    format!("{}{:020}/{}/{:020}", List::Clock.prefix(), micros(at), id.identity, id.opened_by.0)
}

/// What a key says: when, and which obligations.
fn parse(key: &str) -> Option<(u64, IdentityId, Sequence)> {
    let mut parts = key.strip_prefix(List::Clock.prefix())?.splitn(3, '/');
    let at = parts.next()?.parse().ok()?;
    let identity = parts.next()?.parse().ok()?;
    Some((at, identity, Sequence(parts.next()?.parse().ok()?)))
}

/// An obligation that was to ring at `was` rings at `is`; none: it does not.
pub fn moved(
    state: &mut impl Write,
    id: &ObligationId,
    was: Option<Timestamp>,
    is: Option<Timestamp>,
) -> Result<(), KvError> {
    if was == is {
        return Ok(());
    }
    if let Some(at) = was {
        let key = key(at, id);
        match load::<u64>(state, &key)? {
            Some(count) if count > 1 => store(state, key, &(count - 1)),
            _ => state.delete(&key),
        }
    }
    if let Some(at) = is {
        let key = key(at, id);
        let count: u64 = load(state, &key)?.unwrap_or_default();
        store(state, key, &(count + 1));
    }
    Ok(())
}

/// The open obligations whose clock has rung by `now`, at most `limit`: they are at risk, their deadline has passed, or
/// their exception has expired, and that is not on the log yet.
///
/// # Errors
/// When the state can't be read.
pub fn ringing(state: &(impl Read + ?Sized), now: Timestamp, limit: usize) -> Result<Vec<Obligation>, KvError> {
    // Mostly nothing rings, and then one entry is looked at.
    let mut look = 1;
    let mut rung: BTreeSet<(IdentityId, Sequence)> = BTreeSet::new();
    let mut after: Option<String> = None;
    'entries: while rung.len() < limit {
        let entries = state.scan(List::Clock.prefix(), after.as_deref(), look)?;
        for (key, _) in &entries {
            let damaged = || KvError::Damaged { key: key.clone(), reason: "it is not a time and a change".into() };
            let (at, identity, opened_by) = parse(key).ok_or_else(damaged)?;
            if at > micros(now) {
                break 'entries;
            }
            rung.insert((identity, opened_by));
        }
        let Some((last, _)) = entries.into_iter().next_back() else { break };
        (after, look) = (Some(last), limit);
    }
    let mut ringing = Vec::new();
    for (identity, opened_by) in rung {
        if ringing.len() >= limit {
            break;
        }
        let opened = obligations_opened_by(state, identity, opened_by)?;
        ringing.extend(opened.into_iter().filter(|o| o.next_ring().is_some_and(|at| at <= now)));
    }
    ringing.truncate(limit);
    Ok(ringing)
}

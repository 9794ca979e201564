//! When obligations ring next: one entry for all those that one event opened for an identity and that ring at the same
//! instant, with how many they are. A leaver from a thousand apps is a few entries, and not a thousand.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::lists::List;
use super::read::{micros, obligations_opened_by};
use crate::access::obligation::{Obligation, ObligationId};
use crate::ids::{IdentityId, Sequence};
use crate::kv::{KvError, Read, Write, load, store};

fn key(at: Timestamp, id: &ObligationId) -> String {
    format!("{}{:020}/{}/{:020}", List::Clock.prefix(), micros(at), id.subject.identity(), id.opened_by.0)
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
    let list = List::Clock.prefix();
    let entry = |key: &str| {
        let damaged = || KvError::Damaged { key: key.into(), reason: "it is not a time and a change".into() };
        parse(key).ok_or_else(damaged)
    };
    // Mostly nothing rings, and then one entry is looked at.
    let first = state.scan(list, None, 1)?.first().map(|(key, _)| entry(key)).transpose()?;
    if first.is_none_or(|(at, ..)| at > micros(now)) {
        return Ok(Vec::new());
    }
    let (mut ringing, mut looked_at) = (Vec::new(), BTreeSet::new());
    // Each entry stands for one obligation at least: no more of them are needed.
    for (key, _) in state.scan(list, None, limit)? {
        let (at, identity, opened_by) = entry(&key)?;
        if at > micros(now) || ringing.len() >= limit {
            break;
        }
        if looked_at.insert((identity, opened_by)) {
            let opened = obligations_opened_by(state, identity, opened_by)?;
            ringing.extend(opened.into_iter().filter(|o| o.next_ring().is_some_and(|at| at <= now)));
        }
    }
    ringing.truncate(limit);
    Ok(ringing)
}

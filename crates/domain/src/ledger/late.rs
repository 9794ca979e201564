//! How much of what one event asks for, besides accounts, is late: one of ten thousand machines is one alert.
//!
//! Keys: `late-…/<whose>/<opened_by>`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::obligation::{Count, Obligation};
use crate::ids::{IdentityId, Sequence};
use crate::kv::{KvError, Read, Write, load, load_all, store};

/// What one event asks for, and of which time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// Who leaves, or whose it is.
    pub whose: IdentityId,
    /// The event.
    pub opened_by: Sequence,
    /// How many they are.
    pub count: u64,
    /// Since when the first of them is late.
    #[serde(with = "crate::stored::time")]
    pub since: Timestamp,
}

/// Those under a prefix, at most `limit`.
pub(super) fn read(state: &(impl Read + ?Sized), prefix: &str, limit: usize) -> Result<Vec<Late>, KvError> {
    Ok(load_all(state, prefix, None, limit)?.into_iter().map(|(_, late)| late).collect())
}

/// Whether any of what one event asks for is late.
pub(super) fn is_any(
    state: &(impl Read + ?Sized),
    prefix: &str,
    whose: IdentityId,
    opened_by: Sequence,
) -> Result<bool, KvError> {
    Ok(load::<Late>(state, &key(prefix, whose, opened_by))?.is_some())
}

fn key(prefix: &str, whose: IdentityId, opened_by: Sequence) -> String {
    format!("{prefix}{whose}/{:020}", opened_by.0)
}

/// Keeps count of them, once an obligation counts for `is` that counted for `was`.
pub(super) fn moved(
    state: &mut impl Write,
    prefix: &str,
    now: &Obligation,
    was: Count,
    is: Count,
) -> Result<(), KvError> {
    if was.overdue == is.overdue {
        return Ok(());
    }
    let (whose, opened_by) = (now.id.subject.identity(), now.id.opened_by);
    let key = key(prefix, whose, opened_by);
    let before: Option<Late> = load(state, &key)?;
    let since = before.map(|late| late.since).or(now.overdue_at).unwrap_or(now.deadline);
    let count = (before.map_or(0, |late| late.count) + is.overdue).saturating_sub(was.overdue);
    match count {
        0 => state.delete(&key),
        _ => store(state, key, &Late { whose, opened_by, count, since }),
    }
    Ok(())
}

//! Which events the log had at an instant.
//!
//! The log's clock may be set back; an instant never is: it is the latest that the clock had shown when the event was
//! recorded. So every instant names one prefix of the log. Keys: `instant/<nanoseconds>`, of the last event then.

use jiff::Timestamp;
use rollcall_domain::Recorded;
use rollcall_domain::ids::Sequence;
use rollcall_domain::kv::{KvError, Read, Write, load, store};

const PREFIX: &str = "instant/";
const LATEST: &str = "instant-latest";

fn key(nanos: u64) -> String {
    format!("{PREFIX}{nanos:020}")
}

/// Nanoseconds since 1970; nothing was recorded before.
fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or_default()
}

/// Notes when an event was recorded.
pub fn add(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    let latest: u64 = load(state, LATEST)?.unwrap_or_default();
    let latest = latest.max(nanos(event.recorded_at));
    store(state, LATEST.into(), &latest);
    store(state, key(latest), &event.sequence);
    Ok(())
}

fn last_before(state: &impl Read, end: &str) -> Result<Sequence, KvError> {
    let found = state.scan_back(PREFIX, Some(end), 1)?;
    let Some((key, _)) = found.first() else { return Ok(Sequence(0)) };
    Ok(load(state, key)?.unwrap_or_default())
}

/// The last event that was recorded at an instant or before; 0: none was.
pub fn last_at(state: &impl Read, at: Timestamp) -> Result<Sequence, KvError> {
    last_before(state, &key(nanos(at).saturating_add(1)))
}

/// The last event that was recorded before an instant; 0: none was.
pub fn last_earlier(state: &impl Read, at: Timestamp) -> Result<Sequence, KvError> {
    last_before(state, &key(nanos(at)))
}

//! Which events the log had at an instant.
//!
//! The log's clock may be set back; an instant never is: it is the latest that the clock had shown when the event was
//! recorded. So every instant names one prefix of the log. Keys: `instant/<nanoseconds>`, of the instants from that one
//! on, each with the last event then; and `instant-latest`, the newest of those keys and the latest instant.

use jiff::Timestamp;
use rollcall_domain::Recorded;
use rollcall_domain::ids::Sequence;
use rollcall_domain::kv::{KvError, Read, Write, load, store};
use serde::{Deserialize, Serialize};

const PREFIX: &str = "instant/";
const LATEST: &str = "instant-latest";

/// How many instants are kept under one key.
const BLOCK: u64 = 64;

/// An instant and a sequence, eight bytes each.
const WIDTH: usize = 16;

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Latest {
    instant: u64,
    block: u64,
    /// How many instants the block holds.
    held: u64,
}

fn key(nanos: u64) -> String {
    format!("{PREFIX}{nanos:020}")
}

/// Nanoseconds since 1970; nothing was recorded before.
fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or_default()
}

/// Notes when an event was recorded.
pub fn add(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    note(state, event.sequence, nanos(event.recorded_at))
}

fn note(state: &mut impl Write, sequence: Sequence, recorded_at: u64) -> Result<(), KvError> {
    let latest: Latest = load(state, LATEST)?.unwrap_or_default();
    let instant = latest.instant.max(recorded_at);
    let pair = [instant.to_be_bytes(), sequence.0.to_be_bytes()].concat();
    let next = match latest {
        Latest { held: 1.., instant: last, block, .. } if last == instant => {
            // The same instant has a later event now.
            let mut pairs = state.get(&key(block))?.unwrap_or_default();
            pairs.truncate(pairs.len().saturating_sub(WIDTH));
            pairs.extend(pair);
            state.put(key(block), pairs);
            return Ok(());
        }
        Latest { held: 0 | BLOCK.., .. } => Latest { instant, block: instant, held: 1 },
        Latest { held, block, .. } => Latest { instant, block, held: held + 1 },
    };
    state.append(&key(next.block), &pair)?;
    store(state, LATEST.into(), &next);
    Ok(())
}

/// The last event that was recorded before an instant; 0: none was.
fn last_before(state: &impl Read, end: u64) -> Result<Sequence, KvError> {
    let found = state.scan_back(PREFIX, Some(&key(end)), 1)?;
    let Some((_, block)) = found.first() else { return Ok(Sequence(0)) };
    let (pairs, _) = block.as_chunks::<WIDTH>();
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).unwrap_or_default();
    let pairs = pairs.iter().map(|pair| (number(&pair[..8]), number(&pair[8..])));
    Ok(pairs.take_while(|(instant, _)| *instant < end).last().map(|(_, at)| Sequence(at)).unwrap_or_default())
}

/// The last event that was recorded at an instant or before; 0: none was.
pub fn last_at(state: &impl Read, at: Timestamp) -> Result<Sequence, KvError> {
    last_before(state, nanos(at).saturating_add(1))
}

/// The last event that was recorded before an instant; 0: none was.
pub fn last_earlier(state: &impl Read, at: Timestamp) -> Result<Sequence, KvError> {
    last_before(state, nanos(at))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use rollcall_domain::kv::Memory;

    use super::*;

    #[test]
    fn every_instant_names_the_last_event_that_there_was_whatever_the_clock_did() {
        let mut state = Memory::default();
        // It runs, stands, and is set back: the last for longer than a block.
        let clock = (1..1000u64).map(|n| match n % 300 {
            0..100 => n * 10,
            100..150 => n / 50 * 500,
            _ => n * 9,
        });
        let mut shown = Vec::new();
        for (n, at) in clock.enumerate() {
            let sequence = Sequence(n as u64 + 1);
            note(&mut state, sequence, at).unwrap();
            shown.push((shown.last().map_or(at, |(last, _): &(u64, Sequence)| at.max(*last)), sequence));
        }
        for end in 0..10_100 {
            let wanted = shown.iter().take_while(|(instant, _)| *instant < end).last().map(|(_, at)| *at);
            assert_eq!(last_before(&state, end).unwrap(), wanted.unwrap_or_default(), "before {end}");
        }
        assert!(state.0.len() > 3, "there is only one block");
    }
}

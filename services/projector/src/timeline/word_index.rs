//! Lists of positions in the log. Keys: `<list>/<stretch>`, one for each stretch of the log that has any of the list: the
//! events of one story stand close together, and are written as one.

use rollcall_domain::ids::Sequence;
use rollcall_domain::kv::{KvError, Read, Write};

/// How many events a stretch has.
const STRETCH: u64 = 1024;

/// How many stretches are read at once.
const CHUNK: usize = 16;

const WIDTH: usize = 2;

fn key(list: &str, stretch: u64) -> String {
    format!("{list}/{stretch:017}")
}

/// Adds a position, which is after all that the list has.
pub fn add(state: &mut impl Write, list: &str, at: Sequence) -> Result<(), KvError> {
    let key = key(list, at.0 / STRETCH);
    let place = u16::try_from(at.0 % STRETCH).unwrap_or_default().to_be_bytes();
    state.append(&key, &place)
}

fn positions(list: &str, (key, places): &(String, Vec<u8>)) -> Vec<Sequence> {
    let Some(stretch) = key.get(list.len() + 1..).and_then(|s| s.parse::<u64>().ok()) else { return Vec::new() };
    let (places, _) = places.as_chunks::<WIDTH>();
    places.iter().map(|place| Sequence(stretch * STRETCH + u64::from(u16::from_be_bytes(*place)))).collect()
}

/// The positions after one, the oldest first: `limit` of them, or somewhat more; fewer, when there are no more.
pub fn after(state: &impl Read, list: &str, after: Sequence, limit: usize) -> Result<Vec<Sequence>, KvError> {
    let prefix = format!("{list}/");
    // Of its own stretch some may come after it.
    let mut at = (after.0 / STRETCH).checked_sub(1).map(|stretch| key(list, stretch));
    let mut out = Vec::new();
    while out.len() < limit {
        let stretches = state.scan(&prefix, at.as_deref(), CHUNK)?;
        out.extend(stretches.iter().flat_map(|s| positions(list, s)).filter(|position| *position > after));
        match stretches.last() {
            Some((last, _)) if stretches.len() == CHUNK => at = Some(last.clone()),
            _ => break,
        }
    }
    Ok(out)
}

/// The positions before one, the newest first: `limit` of them, or somewhat more; fewer, when there are no more.
pub fn before(state: &impl Read, list: &str, before: Sequence, limit: usize) -> Result<Vec<Sequence>, KvError> {
    let prefix = format!("{list}/");
    let mut at = (before.0 / STRETCH).checked_add(1).map(|stretch| key(list, stretch));
    let mut out = Vec::new();
    while out.len() < limit {
        let stretches = state.scan_back(&prefix, at.as_deref(), CHUNK)?;
        let found = stretches.iter().flat_map(|s| positions(list, s).into_iter().rev());
        out.extend(found.filter(|position| *position < before));
        match stretches.last() {
            Some((first, _)) if stretches.len() == CHUNK => at = Some(first.clone()),
            _ => break,
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use rollcall_domain::kv::Memory;

    use super::*;

    #[test]
    fn every_position_is_found_from_both_ends_and_from_any_place() {
        let mut state = Memory::default();
        let all: Vec<Sequence> = (1..60_000).filter(|n| n % 7 == 0 || n % 1024 < 2).map(Sequence).collect();
        for at in &all {
            add(&mut state, "list", *at).unwrap();
            add(&mut state, "list2", Sequence(at.0 + 1)).unwrap();
        }
        for place in [0, 1, 1023, 1024, 1025, 20_000, 59_998, 60_000, u64::MAX] {
            let later: Vec<Sequence> = all.iter().copied().filter(|s| s.0 > place).collect();
            assert_eq!(after(&state, "list", Sequence(place), usize::MAX).unwrap(), later, "after {place}");
            let earlier: Vec<Sequence> = all.iter().rev().copied().filter(|s| s.0 < place).collect();
            assert_eq!(before(&state, "list", Sequence(place), usize::MAX).unwrap(), earlier, "before {place}");
            let some = after(&state, "list", Sequence(place), 10).unwrap();
            assert!(some.len() >= 10.min(later.len()) && later.starts_with(&some), "some after {place}");
            let some = before(&state, "list", Sequence(place), 10).unwrap();
            assert!(some.len() >= 10.min(earlier.len()) && earlier.starts_with(&some), "some before {place}");
        }
    }
}

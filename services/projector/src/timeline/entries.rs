//! Where the entries are kept, and found by the ids of their events. Keys: `entry/<block>`, of up to sixteen entries that
//! follow one another, in JSON as an export sends them; `entry-id/<millisecond>`, of the events whose ids begin with it
//! (RFC 9562 §5.7).

use std::collections::BTreeSet;

use rollcall_domain::ids::Sequence;
use rollcall_domain::kv::{KvError, Read, Write, end_of};
use rollcall_projection::{frame, frames};
use uuid::Uuid;

use crate::timeline::entry::Entry;

/// How many entries are written as one: they are alike, and take little room together. The store keeps sixteen values on a
/// page and reads a page whole, so that with more of them one entry would cost a long read.
const BLOCK: u64 = 16;

const PREFIX: &str = "entry/";

/// The part of an event's id that is in its key, in bytes.
const SHARED: usize = 6;
const REST: usize = 16 - SHARED;

fn key(block: u64) -> String {
    format!("{PREFIX}{block:019}")
}

/// Keeps an entry, which follows on all that are kept.
pub fn add(state: &mut impl Write, entry: &Entry) -> Result<(), KvError> {
    let (key, at) = (key(entry.sequence.0 / BLOCK), entry.sequence);
    let json = serde_json::to_vec(entry).map_err(|e| KvError::Damaged { key: key.clone(), reason: e.to_string() })?;
    state.append(&key, &frame(at, Some(&json)))?;
    let (place, rest) = id_place(entry.event_id);
    state.append(&place, &[rest.as_slice(), &at.0.to_be_bytes()].concat())
}

/// Changes entries, which are given by their positions, the oldest first.
pub fn rewrite(state: &mut impl Write, positions: &[Sequence], change: impl Fn(Entry) -> Entry) -> Result<(), KvError> {
    let mut positions = positions.iter().peekable();
    while let Some(first) = positions.peek() {
        let number = first.0 / BLOCK;
        let mut wanted = BTreeSet::new();
        while let Some(at) = positions.next_if(|at| at.0 / BLOCK == number) {
            wanted.insert(*at);
        }
        let key = key(number);
        let damaged = |e: serde_json::Error| KvError::Damaged { key: key.clone(), reason: e.to_string() };
        let block = state.get(&key)?.unwrap_or_default();
        let mut changed = Vec::with_capacity(block.len());
        for (at, json) in frames(&block) {
            let entry = json.filter(|_| wanted.contains(&at)).map(serde_json::from_slice::<Entry>).transpose();
            match entry.map_err(damaged)? {
                Some(entry) => {
                    let json = serde_json::to_vec(&change(entry)).map_err(damaged)?;
                    changed.extend(frame(at, Some(&json)));
                }
                None => changed.extend(frame(at, json)),
            }
        }
        state.put(key, changed);
    }
    Ok(())
}

fn id_place(id: Uuid) -> (String, [u8; REST]) {
    let (shared, rest) = id.as_bytes().split_at(SHARED);
    let shared: String = shared.iter().map(|byte| format!("{byte:02x}")).collect();
    (format!("entry-id/{shared}"), rest.try_into().unwrap_or_default())
}

/// The position of an event by its id.
pub fn sequence_of(state: &impl Read, event_id: Uuid) -> Result<Option<Sequence>, KvError> {
    let (place, rest) = id_place(event_id);
    let ids = state.get(&place)?.unwrap_or_default();
    let (ids, _) = ids.as_chunks::<{ REST + 8 }>();
    let found = ids.iter().filter_map(|id| id.split_first_chunk::<REST>()).find(|(id, _)| **id == rest);
    Ok(found.and_then(|(_, at)| at.try_into().ok()).map(|at| Sequence(u64::from_be_bytes(at))))
}

/// Reads entries one by one, those that stand together from the store only once.
#[derive(Debug, Default)]
pub struct Reader {
    /// The block that was read last: its number, its key, and what it holds.
    last: Option<(u64, String, Vec<u8>)>,
}

impl Reader {
    /// One entry, made of its JSON.
    pub fn entry<T>(
        &mut self,
        state: &impl Read,
        at: Sequence,
        read: impl FnOnce(&[u8]) -> Result<T, serde_json::Error>,
    ) -> Result<Option<T>, KvError> {
        let number = at.0 / BLOCK;
        let (_, key, block) = match self.last.take().filter(|(last, ..)| *last == number) {
            Some(last) => self.last.insert(last),
            None => {
                let key = key(number);
                let block = state.get(&key)?.unwrap_or_default();
                self.last.insert((number, key, block))
            }
        };
        let found = frames(block).find(|(sequence, _)| *sequence == at).and_then(|(_, entry)| entry);
        let damaged = |e: serde_json::Error| KvError::Damaged { key: key.clone(), reason: e.to_string() };
        found.map(|entry| read(entry).map_err(damaged)).transpose()
    }
}

/// The last position that has an entry; 0: none has.
pub fn last(state: &impl Read) -> Result<Sequence, KvError> {
    let found = state.scan_back(PREFIX, Some(&end_of(PREFIX)), 1)?;
    Ok(found.first().and_then(|(_, block)| frames(block).last()).map(|(at, _)| at).unwrap_or_default())
}

/// Entries as they are stored, in JSON, each with its position: the oldest after `after`, at most `limit`.
pub fn stored(state: &impl Read, after: Sequence, limit: usize) -> Result<Vec<(Sequence, Vec<u8>)>, KvError> {
    let before = (after.0.saturating_add(1) / BLOCK).checked_sub(1).map(key);
    // The first may have only its last entry to give.
    let blocks = limit.div_ceil(usize::try_from(BLOCK).unwrap_or(1)).saturating_add(1);
    let blocks = state.scan(PREFIX, before.as_deref(), blocks)?;
    let entries = blocks.iter().flat_map(|(_, block)| frames(block)).filter(|(at, _)| *at > after);
    Ok(entries.filter_map(|(at, entry)| Some((at, entry?.to_vec()))).take(limit).collect())
}

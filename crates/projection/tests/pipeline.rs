//! What is derived while the changes before are still being committed is what would be derived after.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use rollcall_domain::kv::{KvError, Memory, Read as _, Write};
use rollcall_domain::{Event, Recorded, Sequence};
use rollcall_event_log::by_service;
use rollcall_projection::{History, Pipeline, Projection, Store, Transaction};

const KEYS: u64 = 400;

/// So many keys are touched by an event.
const TOUCHES: u64 = 25;

fn hash(of: impl std::hash::Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(of)
}

/// Changes state in one of ten places so that everything depends on all that was read, in each way in which it can be.
fn mix(state: &mut impl Write, at: Sequence) -> Result<(), KvError> {
    for touch in 0..TOUCHES {
        let seed = hash((at, touch));
        let prefix = format!("key/{}/", seed % 10);
        let key = |n: u64| format!("{prefix}{:02}", hash((seed, n)) % (KEYS / 10));
        let read = hash((
            state.get(&key(0))?,
            state.scan(&prefix, Some(&key(1)), 3)?,
            state.scan_back(&prefix, Some(&key(2)), 3)?,
            state.scan(&prefix, None, 2)?,
        ));
        match read % 4 {
            0 => state.delete(&key(3)),
            1 => state.append(&key(3), &read.to_be_bytes())?,
            _ => state.put(key(3), read.to_be_bytes().to_vec()),
        }
    }
    Ok(())
}

struct Mix;

impl Projection for Mix {
    fn apply(&mut self, state: &mut Transaction, event: &Recorded) -> Result<(), KvError> {
        mix(state, event.sequence)
    }
}

fn events(count: u64) -> Vec<Recorded> {
    let event = |n| Recorded {
        sequence: Sequence(n),
        recorded_at: Timestamp::UNIX_EPOCH,
        type_name: String::new(),
        schema_version: 1,
        meta: by_service("test", "", None),
        event: Event::Unknown,
        payload: Vec::new(),
        subject: String::new(),
        stored: Vec::new(),
        seal: rollcall_domain::Seal::None,
        erased: None,
    };
    (1..=count).map(event).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// A batch of few events is committed at once, one of many beside the next.
    #[test]
    fn the_state_is_that_of_a_replay_however_the_events_come(
        batches in prop::collection::vec((1_usize..14, any::<bool>()), 1..12),
        built in 0_usize..12,
    ) {
        let events = events(batches.iter().map(|(count, _)| *count as u64).sum());
        let mut replay = Memory::default();
        for event in &events {
            mix(&mut replay, event.sequence).unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open("test", dir.path(), 1, 8 << 20, History::NONE).unwrap();
        let mut pipeline = Pipeline::new(Arc::clone(&store));
        let mut rest = events.as_slice();
        // The first of them, or all, or none, are built as one.
        if built > 0 {
            store.build(Sequence(u64::MAX)).unwrap();
        }
        let count = batches.len();
        for (number, (count_of, settle)) in batches.into_iter().enumerate() {
            let count = count_of;
            if number == built {
                pipeline.settle().unwrap();
                store.built().unwrap();
            }
            let (batch, others) = rest.split_at(count);
            pipeline.apply(&mut Mix, batch).unwrap();
            rest = others;
            if settle {
                pipeline.settle().unwrap();
                prop_assert_eq!(store.cursor(), batch.last().unwrap().sequence);
            }
        }
        drop(pipeline);
        if built >= count {
            store.built().unwrap();
        }
        prop_assert_eq!(store.cursor(), events.last().unwrap().sequence);
        prop_assert_eq!(store.view().scan("key/", None, usize::MAX).unwrap(), replay.scan("key/", None, usize::MAX).unwrap());
        prop_assert_eq!(store.last_event().unwrap(), events.last().map(|event| event.meta.event_id));
        drop(store);
        let again = Store::open("test", dir.path(), 1, 8 << 20, History::NONE).unwrap();
        prop_assert_eq!(again.cursor(), events.last().unwrap().sequence);
        prop_assert_eq!(again.view().scan("key/", None, usize::MAX).unwrap(), replay.scan("key/", None, usize::MAX).unwrap());
    }
}

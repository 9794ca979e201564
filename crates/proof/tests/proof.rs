//! A log that is tampered with in any way is caught, and what was done to it is named.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use jiff::Timestamp;
use proptest::prelude::*;
use rollcall_domain::governance::checkpoint::Checkpoint;
use rollcall_domain::kv::Memory;
use rollcall_domain::{Event, EventMeta, Recorded, Sequence, TraceContext};
use rollcall_proof::{
    Auditor, Finding, Frontier, Key, Keys, Tree, Verdict, check_consistency, check_inclusion, generate_key, sign,
};

const EVERY: u64 = 7;

fn recorded(sequence: u64, event: Event, stored: Vec<u8>) -> Recorded {
    Recorded {
        sequence: Sequence(sequence),
        recorded_at: Timestamp::from_second(1_767_225_600 + i64::try_from(sequence).unwrap()).unwrap(),
        type_name: String::new(),
        schema_version: 1,
        meta: EventMeta {
            event_id: uuid::Uuid::from_u128(u128::from(sequence)),
            occurred_at: Timestamp::UNIX_EPOCH,
            actor: String::new(),
            source: None,
            reason: String::new(),
            correlation_id: String::new(),
            causation_id: None,
            trace: TraceContext::default(),
            quirks: Vec::new(),
        },
        event,
        payload: Vec::new(),
        subject: format!("rollcall.test.{}", sequence % 3),
        stored,
        seal: rollcall_domain::Seal::None,
        erased: None,
    }
}

fn key(name: &str) -> (Key, String) {
    let (private, public) = generate_key(name).unwrap();
    let key = Key::parse(&private).unwrap();
    assert_eq!(key.public(), public);
    (key, public)
}

/// A log with a checkpoint after every seventh event, and its tree; `keys` says who signs at which event.
fn log(count: u64, keys: impl Fn(u64) -> Vec<Key>) -> (Vec<Recorded>, Memory) {
    let (mut events, mut state, mut from) = (Vec::new(), Memory::default(), Sequence(0));
    for at in 1..=count {
        let event = if at % EVERY == 0 {
            let (size, tree) = (Sequence(at - 1), Tree(&state));
            let note = sign(&keys(at), size, tree.root(size).unwrap()).unwrap();
            let leaves = tree.leaves(from, size).unwrap().iter().flat_map(|hash| hash.0).collect();
            let checkpoint = Checkpoint { from, size, note, leaves };
            from = size;
            // The stored bytes hold what the event says, as on the real log.
            let stored = format!("{checkpoint:?}").into_bytes();
            recorded(at, Event::Checkpoint(checkpoint), stored)
        } else {
            recorded(at, Event::Unknown, format!("event {at}").into_bytes())
        };
        Tree::add(&mut state, &event).unwrap();
        events.push(event);
    }
    (events, state)
}

fn audit(events: &[Recorded], publics: &[&str], given: &[String]) -> Result<Verdict, Finding> {
    let mut auditor = Auditor::new(Keys::parse(publics.iter().copied()).unwrap());
    for note in given {
        auditor.given(note)?;
    }
    for event in events {
        auditor.event(event)?;
    }
    auditor.finish()
}

#[test]
fn an_untouched_log_holds_up_to_its_last_checkpoint() {
    let (key, public) = key("log.example.com");
    let (events, _) = log(100, |_| vec![key.clone()]);
    let verdict = audit(&events, &[&public], &[]).unwrap();
    assert_eq!(verdict, Verdict { events: 100, proved: Sequence(97), checkpoints: 14 });
}

#[test]
fn a_key_is_rotated_and_history_stays_verifiable() {
    let ((old, old_public), (new, new_public)) = (key("log.example.com"), key("log.example.com"));
    let sign = |at: u64| match at {
        ..30 => vec![old.clone()],
        30..60 => vec![old.clone(), new.clone()],
        60.. => vec![new.clone()],
    };
    let (events, _) = log(100, sign);
    for publics in [vec![old_public.as_str(), new_public.as_str()], vec![&new_public]] {
        assert_eq!(audit(&events, &publics, &[]).unwrap().proved, Sequence(97), "{publics:?}");
    }
    assert_eq!(audit(&events, &[&old_public], &[]).unwrap().proved, Sequence(55), "what only the new key signed");
    // Whoever has only the new key still learns which event of the old key's time was changed.
    let mut changed = events.clone();
    changed[9].stored[0] ^= 1;
    assert_eq!(audit(&changed, &[&new_public], &[]), Err(Finding::Changed(Sequence(10))));
    let stranger = key("log.example.com").1;
    assert_eq!(audit(&events, &[&stranger], &[]).unwrap().proved, Sequence(0));
}

#[test]
fn a_checkpoint_kept_elsewhere_shows_that_the_log_was_cut_or_split() {
    let (key, public) = key("log.example.com");
    let (events, state) = log(60, |_| vec![key.clone()]);
    let kept = sign(std::slice::from_ref(&key), Sequence(55), Tree(&state).root(Sequence(55)).unwrap()).unwrap();
    assert_eq!(audit(&events, &[&public], std::slice::from_ref(&kept)).unwrap().proved, Sequence(55));
    assert_eq!(audit(&events[..40], &[&public], std::slice::from_ref(&kept)), Err(Finding::Dropped(Sequence(41))));
    // The operator, who has the key, writes the end of the log anew.
    let (mut other, mut state) = log(48, |_| vec![key.clone()]);
    for at in 49..=60 {
        let event = recorded(at, Event::Unknown, format!("another event {at}").into_bytes());
        Tree::add(&mut state, &event).unwrap();
        other.push(event);
    }
    let found = audit(&other, &[&public], &[kept]).unwrap_err();
    assert_eq!(found, Finding::ChangedWithin(Sequence(42), Sequence(55)), "all that no earlier checkpoint holds");
}

#[test]
fn what_is_added_or_repeated_is_named() {
    let (key, public) = key("log.example.com");
    let (events, _) = log(60, |_| vec![key.clone()]);
    let mut more = events.clone();
    more.insert(20, events[19].clone());
    assert_eq!(audit(&more, &[&public], &[]), Err(Finding::Added(Sequence(20))));
    let mut moved = events.clone();
    moved.swap(20, 21);
    assert_eq!(audit(&moved, &[&public], &[]), Err(Finding::Moved(Sequence(22))));
    // With their numbers made to fit, neither is what was recorded there.
    let mut renumbered = moved;
    for (index, event) in renumbered.iter_mut().enumerate() {
        event.sequence = Sequence(index as u64 + 1);
    }
    assert_eq!(audit(&renumbered, &[&public], &[]), Err(Finding::Changed(Sequence(21))));
    let mut fewer = events.clone();
    fewer.remove(20);
    assert_eq!(audit(&fewer, &[&public], &[]), Err(Finding::Dropped(Sequence(21))));
    for (index, event) in fewer.iter_mut().enumerate() {
        event.sequence = Sequence(index as u64 + 1);
    }
    assert!(matches!(audit(&fewer, &[&public], &[]), Err(Finding::Changed(Sequence(21)))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// One bit of any event, its time or its subject.
    #[test]
    fn one_changed_bit_is_named(at in 1u64..=97, place in any::<prop::sample::Index>(), bit in 0u8..8, what in 0u8..3) {
        let (key, public) = key("log.example.com");
        let (mut events, _) = log(100, |_| vec![key.clone()]);
        let event = &mut events[at as usize - 1];
        match what {
            0 => { let at = place.index(event.stored.len()); event.stored[at] ^= 1 << bit; }
            1 => event.recorded_at += jiff::SignedDuration::from_nanos(1 << bit),
            _ => event.subject.push('x'),
        }
        prop_assert_eq!(audit(&events, &[&public], &[]), Err(Finding::Changed(Sequence(at))));
    }

    /// What a checkpoint says can't be changed to hide a change.
    #[test]
    fn a_changed_checkpoint_hides_nothing(at in 1u64..=12, place in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (key, public) = key("log.example.com");
        let (mut events, _) = log(100, |_| vec![key.clone()]);
        events[at as usize - 1].stored[0] ^= 1;
        let Event::Checkpoint(checkpoint) = &mut events[if at < 7 { 6 } else { 13 }].event else { panic!("no checkpoint") };
        let place = place.index(checkpoint.leaves.len());
        checkpoint.leaves[place] ^= 1 << bit;
        prop_assert!(audit(&events, &[&public], &[]).is_err());
    }

    #[test]
    fn every_proof_holds_for_its_event_and_no_other(count in 1u64..200, at in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        let (key, public) = key("log.example.com");
        let (events, state) = log(count, |_| vec![key.clone()]);
        let keys = Keys::parse([public.as_str()]).unwrap();
        let tree = Tree(&state);
        let size = Sequence(cut.index(count as usize) as u64 + 1);
        let at = at.index(size.0 as usize);
        let signed = keys.open(&sign(std::slice::from_ref(&key), size, tree.root(size).unwrap()).unwrap()).unwrap();
        let proof = tree.inclusion(events[at].sequence, size).unwrap();
        check_inclusion(&events[at], &proof, signed).unwrap();
        let mut other = events[at].clone();
        other.stored.push(0);
        prop_assert!(check_inclusion(&other, &proof, signed).is_err());
        let all = keys.open(&sign(&[key], Sequence(count), tree.root(Sequence(count)).unwrap()).unwrap()).unwrap();
        let proof = tree.consistency(size, Sequence(count)).unwrap();
        check_consistency(signed, all, &proof).unwrap();
        // The edge of the tree, without the tree, has the same root.
        let mut edge = Frontier::default();
        tree.leaves(Sequence(0), size).unwrap().into_iter().for_each(|leaf| edge.push(leaf));
        prop_assert_eq!(edge.root(), tree.root(size).unwrap());
        prop_assert!(tree.inclusion(Sequence(count + 1), Sequence(count)).is_err());
    }
}

//! Projections: atomic, rebuilt when they change, one process per folder, and kept up to date from a real log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rollcall_domain::identity::{IdentityKind, create};
use rollcall_domain::kv::{KvError, Read, Write, load, store};
use rollcall_domain::{Event, IdentityId, NewEvent, Recorded, Sequence};
use rollcall_event_log::{EventLog, Expect, PrivateServer, Unit, by_service};
use rollcall_projection::{FolderLock, History, Projection, ProjectionError, Runner, Store, Transaction};
use serde_json::Map;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const CACHE: u64 = 8 << 20;

#[test]
fn state_and_position_are_committed_together_and_survive() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = Store::open("test", dir.path(), 1, CACHE, History::NONE).unwrap();
        let mut changes = store.begin();
        changes.put("a".into(), b"1".to_vec());
        changes.put("b".into(), b"2".to_vec());
        store.commit(changes, Sequence(5)).unwrap();
        let mut dropped = store.begin();
        dropped.put("a".into(), b"never committed".to_vec());
        drop(dropped);
        store.flush().unwrap();
    }
    let store = Store::open("test", dir.path(), 1, CACHE, History::NONE).unwrap();
    assert_eq!(store.cursor(), Sequence(5));
    assert_eq!(store.view().get("a").unwrap(), Some(b"1".to_vec()));
}

/// Where the process that is killed keeps its state.
const DOOMED: &str = "ROLLCALL_TEST_DOOMED";

/// What commit `n` leaves: a third of the keys is gone after each, another third each time.
fn left_by(n: u64) -> impl Iterator<Item = (String, Option<Vec<u8>>)> {
    let value = move |key: u64| (!(n + key).is_multiple_of(3)).then(|| format!("{n} {key:0300}").into_bytes());
    (0..3000).map(move |key| (format!("key/{:016x}", key * 0x9e37_79b9), value(key)))
}

/// Commits until it is killed, and says so before each.
fn commit_for_ever(folder: &str) -> ! {
    let store = Store::open("test", folder.as_ref(), 1, CACHE, History::NONE).unwrap();
    for n in store.cursor().0 + 1.. {
        println!("commit {n}");
        let mut changes = store.begin();
        for (key, value) in left_by(n) {
            match value {
                Some(value) => changes.put(key, value),
                None => changes.delete(&key),
            }
        }
        store.commit(changes, Sequence(n)).unwrap();
    }
    unreachable!("there are always more")
}

/// A commit of many changes is no batch of the storage: a note and the changes after it.
#[test]
fn a_process_that_is_killed_while_it_commits_leaves_whole_commits() {
    if let Ok(folder) = std::env::var(DOOMED) {
        commit_for_ever(&folder);
    }
    let dir = tempfile::tempdir().unwrap();
    for rounds in 1..=12 {
        let mut doomed = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "projection::a_process_that_is_killed_while_it_commits_leaves_whole_commits",
                "--nocapture",
            ])
            .env(DOOMED, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(doomed.stdout.take().unwrap()).lines().map_while(Result::ok);
        let commits = said.filter(|line| line.starts_with("commit ")).take(rounds).count();
        assert_eq!(commits, rounds, "it ended by itself");
        doomed.kill().unwrap();
        doomed.wait().unwrap();
        let store = Store::open("test", dir.path(), 1, CACHE, History::NONE).unwrap();
        let (at, found) = (store.cursor().0, store.view().scan("key/", None, usize::MAX).unwrap());
        let mut wanted: Vec<(String, Vec<u8>)> = match at {
            0 => Vec::new(),
            at => left_by(at).filter_map(|(key, value)| Some((key, value?))).collect(),
        };
        wanted.sort();
        assert!(found == wanted, "after {rounds} rounds the state is not what commit {at} left");
    }
}

/// The storage gives its files up in the background.
#[test]
fn state_that_was_closed_is_opened_again_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for n in 1..=100 {
        let store = Store::open("test", dir.path(), 1, CACHE, History::NONE).unwrap();
        let mut changes = store.begin();
        for key in 0..200 {
            changes.put(format!("{n}/{key}"), vec![1; 100]);
        }
        store.commit(changes, Sequence(n)).unwrap();
    }
}

#[test]
fn whoever_is_killed_while_a_state_is_built_begins_again_and_a_damaged_one_is_built_anew() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Store::open("test", dir.path(), 1, CACHE, History::NONE).unwrap();
    let commit = |store: &Store, n: u64| {
        let mut changes = store.begin();
        changes.put(format!("key/{n}"), vec![1; 100]);
        store.commit(changes, Sequence(n)).unwrap();
    };
    let store = open();
    commit(&store, 1);
    store.build(Sequence(u64::MAX)).unwrap();
    assert_eq!((store.cursor(), store.view().get("key/1").unwrap()), (Sequence(0), None));
    commit(&store, 1);
    commit(&store, 2);
    // It is known, and not kept.
    assert_eq!((store.cursor(), store.view().get("key/2").unwrap()), (Sequence(2), Some(vec![1; 100])));
    drop(store);
    let store = open();
    assert_eq!((store.cursor(), store.view().scan("key/", None, 9).unwrap()), (Sequence(0), Vec::new()));
    store.build(Sequence(u64::MAX)).unwrap();
    commit(&store, 1);
    commit(&store, 2);
    store.built().unwrap();
    commit(&store, 3);
    drop(store);
    assert_eq!(open().view().scan("key/", None, 9).unwrap().len(), 3);
    let file = dir.path().join("built/state");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.len() - 50;
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let store = open();
    assert_eq!((store.cursor(), store.view().scan("key/", None, 9).unwrap()), (Sequence(0), Vec::new()));
}

#[test]
fn another_stamp_starts_from_nothing() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = Store::open("test", dir.path(), 1, CACHE, History::NONE).unwrap();
        let mut changes = store.begin();
        changes.put("a".into(), b"1".to_vec());
        store.commit(changes, Sequence(5)).unwrap();
    }
    let store = Store::open("test", dir.path(), 2, CACHE, History::NONE).unwrap();
    assert_eq!((store.cursor(), store.view().get("a").unwrap()), (Sequence(0), None));
}

#[test]
fn a_folder_is_used_by_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let held = FolderLock::take(dir.path()).unwrap();
    let error = Store::open("test", dir.path(), 1, CACHE, History::NONE).unwrap_err();
    assert!(matches!(&error, ProjectionError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("another process"), "{error}");
    drop(held);
    Store::open("test", dir.path(), 1, CACHE, History::NONE).unwrap();
}

#[test]
fn the_lock_of_a_process_that_died_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("lock");
    // One process, which holds the lock itself.
    let mut other = Command::new("flock")
        .arg("--no-fork")
        .arg(&lock)
        .args(["sleep", "60"])
        .stdout(Stdio::null())
        .spawn()
        .expect("flock of util-linux");
    let held = std::time::Instant::now() + Duration::from_secs(10);
    while FolderLock::take(dir.path()).is_ok() {
        assert!(std::time::Instant::now() < held, "the other process did not lock the folder");
    }
    other.kill().unwrap();
    other.wait().unwrap();
    FolderLock::take(dir.path()).unwrap();
}

#[test]
fn a_transaction_sees_its_own_changes_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open("test", dir.path(), 1, CACHE, History::NONE).unwrap();
    let mut changes = store.begin();
    for key in ["x/1", "x/2", "x/3", "y/1"] {
        changes.put(key.into(), key.as_bytes().to_vec());
    }
    store.commit(changes, Sequence(1)).unwrap();
    let mut changes = store.begin();
    changes.delete("x/2");
    changes.put("x/25".into(), Vec::new());
    let keys = |pairs: Vec<(String, Vec<u8>)>| pairs.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(changes.scan("x/", None, 10).unwrap()), ["x/1", "x/25", "x/3"]);
    assert_eq!(keys(changes.scan("x/", Some("x/1"), 1).unwrap()), ["x/25"]);
    assert_eq!(keys(changes.scan_back("x/", None, 2).unwrap()), ["x/3", "x/25"]);
    assert_eq!(keys(changes.scan_back("x/", Some("x/25"), 2).unwrap()), ["x/1"]);
    assert_eq!(keys(store.view().scan("x/", None, 10).unwrap()), ["x/1", "x/2", "x/3"]);
    assert_eq!(keys(store.view().scan_back("x/", None, 1).unwrap()), ["x/3"]);
}

/// Counts events, and remembers the order it saw them in.
struct Count;

impl Projection for Count {
    fn apply(&mut self, state: &mut Transaction, event: &Recorded) -> Result<(), KvError> {
        let seen: Vec<u64> = load(state, "seen")?.unwrap_or_default();
        store(state, "seen".into(), &[seen, vec![event.sequence.0]].concat());
        Ok(())
    }
}

async fn log(server: &PrivateServer) -> EventLog {
    EventLog::connect(&server.connection()).await.unwrap()
}

async fn append(log: &EventLog, count: u128) {
    for _ in 0..count {
        let event = Event::Identity(create(
            IdentityId(Uuid::now_v7()),
            IdentityKind::User,
            Map::new(),
            jiff::Timestamp::UNIX_EPOCH,
        ));
        let unit = Unit::one(NewEvent { meta: by_service("test", "", None), event }, Expect::Any);
        log.append(&unit).await.unwrap();
    }
}

async fn run_to(log: &EventLog, store: &Arc<Store>, sequence: u64) {
    let stop = CancellationToken::new();
    let running = tokio::spawn(Runner::new(log.clone(), Arc::clone(store)).run(Count, stop.clone()));
    store.wait_for(Sequence(sequence), Duration::from_secs(30)).await.unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_runner_applies_each_event_once_across_restarts_and_rebuilds_from_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = PrivateServer::start(&dir.path().join("nats")).await.unwrap();
    let log = log(&server).await;
    let folder = dir.path().join("state");
    append(&log, 30).await;
    let store = Store::open("test", &folder, 1, CACHE, History::NONE).unwrap();
    run_to(&log, &store, 30).await;
    drop(store);
    append(&log, 30).await;
    let everything: Vec<u64> = (1..=60).collect();
    let store = Store::open("test", &folder, 1, CACHE, History::NONE).unwrap();
    run_to(&log, &store, 60).await;
    assert_eq!(load::<Vec<u64>>(&store.view(), "seen").unwrap(), Some(everything.clone()));
    drop(store);
    std::fs::remove_dir_all(&folder).unwrap();
    let store = Store::open("test", &folder, 1, CACHE, History::NONE).unwrap();
    run_to(&log, &store, 60).await;
    assert_eq!(load::<Vec<u64>>(&store.view(), "seen").unwrap(), Some(everything));
    server.stop().await;
}

/// Otherwise a service that is told to stop does so only when their patience has ended.
#[tokio::test]
async fn whoever_waits_for_an_event_is_told_when_the_projection_stops() {
    let dir = tempfile::tempdir().unwrap();
    let server = PrivateServer::start(&dir.path().join("nats")).await.unwrap();
    let log = log(&server).await;
    append(&log, 1).await;
    let store = Store::open("test", &dir.path().join("state"), 1, CACHE, History::NONE).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(Runner::new(log.clone(), Arc::clone(&store)).run(Count, stop.clone()));
    store.wait_for(Sequence(1), Duration::from_secs(30)).await.unwrap();
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.wait_for(Sequence(2), Duration::from_secs(3600)).await }
    });
    stop.cancel();
    running.await.unwrap().unwrap();
    let told = tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it went on waiting");
    let error = told.unwrap().unwrap_err();
    assert!(matches!(error, ProjectionError::Stopped { wanted: 2, at: 1, .. }), "{error}");
}

#[tokio::test]
async fn state_of_another_log_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let server = PrivateServer::start(&dir.path().join("nats")).await.unwrap();
    let log = log(&server).await;
    let store = Store::open("test", &dir.path().join("state"), 1, CACHE, History::NONE).unwrap();
    store.commit(store.begin(), Sequence(9)).unwrap();
    let error = Runner::new(log, store).run(Count, CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, ProjectionError::OtherLog { at: 9, head: 0, .. }), "{error}");
}

/// A log that was restored from an older backup grows past where the state is, with other events.
#[tokio::test]
async fn state_of_a_log_with_other_events_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let before = PrivateServer::start(&dir.path().join("before")).await.unwrap();
    let folder = dir.path().join("state");
    let here = log(&before).await;
    append(&here, 3).await;
    let store = Store::open("test", &folder, 1, CACHE, History::NONE).unwrap();
    run_to(&here, &store, 3).await;
    before.stop().await;
    let after = PrivateServer::start(&dir.path().join("after")).await.unwrap();
    let elsewhere = log(&after).await;
    append(&elsewhere, 5).await;
    let error = Runner::new(elsewhere, store).run(Count, CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, ProjectionError::OtherEvent { at: 3, .. }), "{error}");
}

#[tokio::test]
async fn waiting_for_what_does_not_come_ends() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open("test", dir.path(), 1, CACHE, History::NONE).unwrap();
    let error = store.wait_for(Sequence(1), Duration::from_millis(20)).await.unwrap_err();
    assert!(matches!(error, ProjectionError::Behind { wanted: 1, at: 0, .. }), "{error}");
}

/// What happens to a key at an event: `None` removes it.
type Touch = (u8, Option<u8>);

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// The state as of an event is what a replay up to it gives, however the events were committed.
    #[test]
    fn a_past_view_is_a_replay_to_that_event(
        events in proptest::collection::vec(
            (proptest::collection::vec((0u8..12, proptest::option::of(proptest::prelude::any::<u8>())), 0..4), proptest::prelude::any::<bool>()),
            1..40,
        ),
        built in 0_usize..40,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open("test", dir.path(), 1, CACHE, History::of(&["a/", "b/"])).unwrap();
        // Some of these are prefixes of others, and one is of a kind whose history is not kept.
        let key = |n: u8| ["a/1", "a/1/x", "a/10", "a/2", "b/1", "b/1/", "b/\u{10fffe}", "a/", "c/1", "b/2", "a/1/y", "b/11"][n as usize].to_owned();
        let mut replays = vec![rollcall_domain::kv::Memory::default()];
        if built > 0 {
            store.build(Sequence(u64::MAX)).unwrap();
        }
        let mut changes = store.begin();
        for (index, (touches, commit)) in events.iter().enumerate() {
            let sequence = Sequence(index as u64 + 1);
            changes.at(sequence);
            let mut state = replays.last().unwrap().clone();
            let touches: &Vec<Touch> = touches;
            for (n, value) in touches {
                match value {
                    Some(value) => {
                        changes.put(key(*n), vec![*value]);
                        state.put(key(*n), vec![*value]);
                    }
                    None => {
                        changes.delete(&key(*n));
                        state.delete(&key(*n));
                    }
                }
            }
            replays.push(state);
            if *commit {
                store.commit(std::mem::replace(&mut changes, store.begin()), sequence).unwrap();
                if index >= built {
                    store.built().unwrap();
                }
            }
        }
        store.commit(changes, Sequence(events.len() as u64)).unwrap();
        store.built().unwrap();
        for (at, replay) in replays.iter().enumerate() {
            let past = store.view_at(Sequence(at as u64));
            for prefix in ["a/", "a/1", "a/1/", "b/"] {
                // In steps, however many keys had gone by then.
                let (mut steps, mut after) = (Vec::new(), None::<String>);
                loop {
                    let rollcall_domain::kv::KeyPage { pairs, next } = past.scan_some(prefix, after.as_deref(), 2).unwrap();
                    steps.extend(pairs);
                    match next {
                        Some(next) => after = Some(next),
                        None => break,
                    }
                }
                proptest::prop_assert_eq!(steps, replay.scan(prefix, None, usize::MAX).unwrap());
                for limit in [1, 2, usize::MAX] {
                    proptest::prop_assert_eq!(past.scan(prefix, None, limit).unwrap(), replay.scan(prefix, None, limit).unwrap());
                    proptest::prop_assert_eq!(past.scan_back(prefix, None, limit).unwrap(), replay.scan_back(prefix, None, limit).unwrap());
                }
                for n in [0u8, 1, 2, 10] {
                    let (key, past, replay) = (key(n), &past, &replay);
                    proptest::prop_assert_eq!(past.scan(prefix, Some(&key), 3).unwrap(), replay.scan(prefix, Some(&key), 3).unwrap());
                    if key.starts_with(prefix) {
                        proptest::prop_assert_eq!(past.scan_back(prefix, Some(&key), 3).unwrap(), replay.scan_back(prefix, Some(&key), 3).unwrap());
                    }
                }
            }
            for n in 0..12 {
                if n != 8 {
                    proptest::prop_assert_eq!(past.get(&key(n)).unwrap(), replay.get(&key(n)).unwrap());
                }
            }
            proptest::prop_assert!(past.get("c/1").is_err(), "a history that is not kept must not look empty");
        }
    }
}

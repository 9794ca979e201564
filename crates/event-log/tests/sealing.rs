//! What is personal is sealed on a real server's disk, opens with its key, and is gone from there once the key is destroyed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::{DriftDetected, DriftId};
use rollcall_domain::identity::{self, IdentityKind};
use rollcall_domain::{Event, IdentityId, NewEvent, Recorded, Seal, Sequence};
use rollcall_event_log::{Connection, EventLog, Expect, LogError, PrivateServer, Unit, by_service};
use rollcall_privacy::{InstallationKey, InstallationKeys};
use serde_json::json;
use uuid::Uuid;

fn person(n: u128) -> IdentityId {
    IdentityId(Uuid::from_u128(n))
}

fn joined(n: u128, name: &str) -> NewEvent {
    let resource = json!({ "userName": name, "title": format!("title of {name}") }).as_object().unwrap().clone();
    let mut meta = by_service("test", "c", None);
    meta.reason = format!("because of {name}");
    let created = identity::create(person(n), IdentityKind::User, resource, jiff::Timestamp::UNIX_EPOCH);
    NewEvent { meta, event: Event::Identity(created) }
}

fn drift(n: u128, name: &str) -> NewEvent {
    let id = DriftId { app: "crm".parse().unwrap(), identity: person(n), kind: DriftKind::Zombie };
    let (remote_id, user_name) = (format!("id of {name}"), name.to_owned());
    let found = DriftDetected { id, version: Sequence(1), differences: Vec::new(), remote_id, user_name };
    NewEvent { meta: by_service("test", "c", None), event: Event::DriftDetected(found) }
}

async fn read(log: &EventLog, count: usize) -> Vec<Recorded> {
    let mut tail = log.tail(Sequence(0));
    let mut all = Vec::new();
    let reading = async {
        while all.len() < count {
            all.extend(tail.next(64).await);
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.expect("the events in time");
    all
}

/// Whether some bytes are in any file under a folder.
fn is_on_disk(folder: &Path, bytes: &[u8]) -> bool {
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if std::fs::read(&path).unwrap_or_default().windows(bytes.len()).any(|found| found == bytes) {
                return true;
            }
        }
    }
    false
}

async fn connect(server: &PrivateServer, keys: Option<InstallationKeys>) -> Result<EventLog, LogError> {
    EventLog::connect(&Connection { keys, ..server.connection() }).await
}

#[tokio::test]
async fn nothing_personal_is_on_disk_and_whoever_has_the_key_reads_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = PrivateServer::start(folder.path()).await.unwrap();
    let keys = InstallationKeys::from(InstallationKey::generate().unwrap());
    let log = connect(&server, Some(keys.clone())).await.unwrap();
    let events = [joined(1, "annamarker"), joined(2, "benmarker"), drift(1, "annamarker")];
    for event in &events {
        log.append(&Unit::one(event.clone(), Expect::Any)).await.unwrap();
    }
    for marker in ["annamarker", "benmarker"] {
        assert!(!is_on_disk(folder.path(), marker.as_bytes()), "{marker} is readable on the disk of the log");
    }
    // Another process, with the same key.
    let found = read(&connect(&server, Some(keys)).await.unwrap(), 3).await;
    for (event, found) in events.iter().zip(&found) {
        assert_eq!((&event.event, &event.meta), (&found.event, &found.meta));
        assert!(matches!(found.seal, Seal::Opened(_)));
    }
    assert_eq!(found[0].seal, found[2].seal, "one person, one key");
    assert_ne!(found[0].seal, found[1].seal);
    // A name is found by whoever has the key, and tells nobody else whose it is.
    assert!(!found[0].subject.contains("annamarker"));
    server.stop().await;
}

#[tokio::test]
async fn without_the_right_key_nothing_starts_and_the_error_says_which_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let server = PrivateServer::start(folder.path()).await.unwrap();
    let key = InstallationKey::generate().unwrap();
    connect(&server, Some(key.clone().into())).await.unwrap();
    let none = connect(&server, None).await.unwrap_err().to_string();
    assert!(none.contains("[privacy]") && none.contains("key_file"), "{none}");
    let other = InstallationKey::generate().unwrap();
    let wrong = connect(&server, Some(other.clone().into())).await.unwrap_err().to_string();
    assert!(wrong.contains(&key.id()) && wrong.contains(&other.id()), "{wrong}");
    // Rotation: the new one first, the former beside it until all is wrapped anew.
    let both = InstallationKeys { first: other.clone(), former: vec![key] };
    let log = connect(&server, Some(both)).await.unwrap();
    log.append(&Unit::one(joined(1, "anna"), Expect::Any)).await.unwrap();
    assert!(log.keys().unwrap().rotate().await.unwrap() > 0);
    assert_eq!(log.keys().unwrap().rotate().await.unwrap(), 0, "all of it is wrapped by the first");
    let log = connect(&server, Some(other.into())).await.unwrap();
    assert!(matches!(read(&log, 1).await[0].seal, Seal::Opened(_)));
    server.stop().await;
}

#[tokio::test]
async fn a_key_that_is_destroyed_is_nowhere_and_everyone_elses_stays() {
    let folder = tempfile::tempdir().unwrap();
    let server = PrivateServer::start(folder.path()).await.unwrap();
    let keys = InstallationKeys::from(InstallationKey::generate().unwrap());
    let log = connect(&server, Some(keys.clone())).await.unwrap();
    for n in 1..=3 {
        log.append(&Unit::one(joined(n, &format!("person{n}")), Expect::Any)).await.unwrap();
    }
    let at = read(&log, 3).await[1].seal.key().unwrap();
    let place = format!("page.{:08x}", at.page);
    let before = page_on_disk(&server, &place).await;
    assert!(is_on_disk(folder.path(), &before), "the page is on disk as it is");
    log.keys().unwrap().destroy(&[at]).await.unwrap();
    assert!(!is_on_disk(folder.path(), &before), "what wrapped the key is still on disk");
    log.keys().unwrap().destroy(&[at]).await.unwrap();
    let found = read(&connect(&server, Some(keys)).await.unwrap(), 3).await;
    assert!(matches!(found[0].seal, Seal::Opened(_)) && matches!(found[2].seal, Seal::Opened(_)));
    assert_eq!(found[1].seal, Seal::Closed(at));
    let Event::Identity(closed) = &found[1].event else { panic!("{:?}", found[1].event) };
    assert_eq!((closed.id, closed.resource.len(), found[1].meta.reason.as_str()), (person(2), 0, ""));
    // Whoever still has the page in memory forgets it when told.
    assert_eq!(read(&log, 3).await[1].seal, Seal::Closed(at));
    server.stop().await;
}

/// The bytes of a page as the server has them.
async fn page_on_disk(server: &PrivateServer, place: &str) -> Vec<u8> {
    let (user, password) = server.credentials.clone();
    let password = secrecy::ExposeSecret::expose_secret(&password).to_owned();
    let client =
        async_nats::ConnectOptions::new().user_and_password(user, password).connect(&server.url).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream("KV_ROLLCALL_KEYS").await.unwrap();
    let found = stream.get_last_raw_message_by_subject(&format!("$KV.ROLLCALL_KEYS.{place}")).await.unwrap();
    found.payload.to_vec()
}

#[tokio::test]
async fn what_was_changed_in_the_store_or_moved_does_not_open() {
    use prost::Message as _;
    use rollcall_proto::v1;
    let folder = tempfile::tempdir().unwrap();
    let server = PrivateServer::start(folder.path()).await.unwrap();
    let keys = InstallationKeys::from(InstallationKey::generate().unwrap());
    let log = connect(&server, Some(keys)).await.unwrap();
    for (n, name) in [(1, "anna"), (2, "ben")] {
        log.append(&Unit::one(joined(n, name), Expect::Any)).await.unwrap();
    }
    let found = read(&log, 2).await;
    let stored = |n: usize| v1::Envelope::decode(found[n].stored.as_slice()).unwrap();
    let (anna, ben) = (stored(0), stored(1));
    let mut changed = anna.clone();
    changed.sealed[3] ^= 1;
    let moved = v1::Envelope { sealed: ben.sealed, key: ben.key, ..anna.clone() };
    let renamed = v1::Envelope { id: Uuid::from_u128(9).as_bytes().to_vec(), ..anna.clone() };
    let (user, password) = server.credentials.clone();
    let password = secrecy::ExposeSecret::expose_secret(&password).to_owned();
    let client =
        async_nats::ConnectOptions::new().user_and_password(user, password).connect(&server.url).await.unwrap();
    let context = async_nats::jetstream::new(client);
    for envelope in [changed, moved, renamed] {
        let subject = found[0].subject.clone();
        context.publish(subject, envelope.encode_to_vec().into()).await.unwrap().await.unwrap();
    }
    let all = read(&log, 5).await;
    assert!(all[2..].iter().all(|event| event.seal.is_closed()), "{:?}", &all[2..]);
    assert!(all[2..].iter().all(|event| matches!(event.event, Event::Identity(_))), "what is readable is read");
    server.stop().await;
}

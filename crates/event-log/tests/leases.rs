//! Leases against a real nats-server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use rollcall_event_log::{Connection, EventLog, Held, LEASE_TERM, Leases, Limits, PrivateServer, Remembered};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

async fn connected(server: &PrivateServer) -> EventLog {
    let limits = Limits { connect_timeout: Duration::from_secs(10), ..Limits::default() };
    EventLog::connect(&Connection { limits, ..server.connection() }).await.unwrap()
}

async fn two() -> (TempDir, PrivateServer, Leases, Leases) {
    let folder = tempfile::tempdir().unwrap();
    let server = PrivateServer::start(folder.path()).await.unwrap();
    let log = connected(&server).await;
    let (one, other) = (log.leases("one").await.unwrap(), log.leases("other").await.unwrap());
    (folder, server, one, other)
}

async fn held(leases: &mut Leases) -> Vec<String> {
    let look = leases.look().await.unwrap();
    assert_eq!(look.memory, Remembered::Kept);
    look.held
}

#[tokio::test]
async fn a_lease_is_one_holders_until_it_is_given_up_and_then_nothing_is_left_of_it() {
    let (_folder, _server, mut one, mut other) = two().await;
    assert!(held(&mut one).await.is_empty());
    for _ in 0..3 {
        assert_eq!(one.hold("work").await.unwrap(), Held::Ours);
        assert_eq!(other.hold("work").await.unwrap(), Held::Theirs);
        assert_eq!(held(&mut other).await, ["work"]);
    }
    other.release("work").await;
    assert_eq!(held(&mut other).await, ["work"], "who does not have it gave it up");
    one.release("work").await;
    assert!(held(&mut other).await.is_empty());
    assert_eq!(other.hold("work").await.unwrap(), Held::Ours);
    assert_eq!(one.hold("work").await.unwrap(), Held::Theirs);
    one.release("work").await;
    assert_eq!(held(&mut one).await, ["work"], "who had it before gave it up");
}

#[tokio::test]
async fn a_holder_of_the_same_name_goes_on_with_its_leases() {
    let (_folder, server, mut one, _) = two().await;
    assert_eq!(one.hold("work").await.unwrap(), Held::Ours);
    let mut again = connected(&server).await.leases("one").await.unwrap();
    assert_eq!(again.hold("work").await.unwrap(), Held::Ours);
    // What the first one has written is not the last any more, and it is still theirs.
    assert_eq!(one.hold("work").await.unwrap(), Held::Ours);
    one.release("work").await;
    assert!(held(&mut again).await.is_empty());
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_is_anyones() {
    let (_folder, _server, mut one, mut other) = two().await;
    assert_eq!(one.hold("work").await.unwrap(), Held::Ours);
    let since = Instant::now();
    let taken = timeout(3 * LEASE_TERM, async {
        while other.hold("work").await.unwrap() == Held::Theirs {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    taken.await.unwrap();
    assert!(since.elapsed() > LEASE_TERM / 2, "it was taken while it held");
    assert_eq!(one.hold("work").await.unwrap(), Held::Theirs);
}

#[tokio::test]
async fn leases_that_the_server_has_forgotten_are_nobodys_and_that_is_seen() {
    let (_folder, server, mut one, mut other) = two().await;
    assert_eq!(one.hold("work").await.unwrap(), Held::Ours);
    // As when it is started again.
    let Connection { url, credentials, .. } = server.connection();
    let (user, password) = credentials.unwrap();
    let options = async_nats::ConnectOptions::with_user_and_password(user, password.expose_secret().to_owned());
    let client = options.connect(url).await.unwrap();
    async_nats::jetstream::new(client).delete_key_value("ROLLCALL_LEASES").await.unwrap();
    let look = other.look().await.unwrap();
    assert_eq!((look.memory, look.held.len()), (Remembered::Lost, 0));
    assert_eq!(other.hold("work").await.unwrap(), Held::Ours);
    assert_eq!(one.look().await.unwrap().memory, Remembered::Lost);
    assert_eq!(one.hold("work").await.unwrap(), Held::Theirs);
    assert_eq!(held(&mut one).await, ["work"]);
}

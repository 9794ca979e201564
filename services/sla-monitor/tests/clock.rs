//! The monitor on a real log, with a clock that the test owns: nothing here waits for a deadline.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rollcall_config::{Config, WithoutOwner, parse};
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::outcome::{Left, Verified};
use rollcall_domain::identity::{self, IdentityChanged, IdentityKind};
use rollcall_domain::ids::IdentityId;
use rollcall_domain::{Event, NewEvent, Recorded, Sequence};
use rollcall_event_log::{EventLog, Expect, PrivateServer, Unit, by_service};
use rollcall_sla_monitor::Monitor;
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const LIFECYCLE: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:Lifecycle";

/// A log, a clock, and a monitor that can be stopped and started.
struct Stage {
    folder: tempfile::TempDir,
    _server: PrivateServer,
    log: EventLog,
    config: Config,
    clock: Arc<Mutex<Timestamp>>,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

fn configuration(folder: &Path) -> Config {
    let text = format!(
        "[server]\ndata_dir = {:?}\n[scim]\neffective_dates = true\n[[sources]]\nname = \"hr\"\ntoken = \"t\"\n\
         [[apps]]\nid = \"chat\"\nbase_url = \"http://localhost\"\nowner = \"o\"\nassign = \"active eq true\"\n\
         [apps.sla]\nleaver = \"15m\"\n",
        folder.display().to_string()
    );
    parse("test.toml", &text, &|_| None).unwrap()
}

impl Stage {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = PrivateServer::start(&folder.path().join("nats")).await.unwrap();
        let log = EventLog::connect(&server.connection()).await.unwrap();
        let config = configuration(folder.path());
        let clock = Arc::new(Mutex::new(Timestamp::now()));
        let mut stage = Self { folder, _server: server, log, config, clock, running: None };
        let spec = stage.config.apps[0].spec.clone();
        stage.append(Event::AppConfigured(Box::new(spec))).await;
        stage.start();
        stage
    }

    fn start(&mut self) {
        let clock = Arc::clone(&self.clock);
        let now = Arc::new(move || *clock.lock().unwrap());
        let monitor = Monitor::open(&self.config, self.log.clone(), now).unwrap();
        let stop = CancellationToken::new();
        let token = stop.clone();
        let task = tokio::spawn(async move { monitor.run(token).await.unwrap() });
        self.running = Some((stop, task));
    }

    async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            stop.cancel();
            task.await.unwrap();
        }
    }

    /// The clock of a machine that was off meanwhile: a running monitor would not believe such a step.
    async fn restart_at(&mut self, at: Timestamp) {
        self.stop().await;
        *self.clock.lock().unwrap() = at;
        self.start();
    }

    fn now(&self) -> Timestamp {
        *self.clock.lock().unwrap()
    }

    async fn append(&self, event: Event) -> Sequence {
        let mut meta = by_service("test", "c", None);
        meta.source = Some("hr".parse().unwrap());
        self.log.append(&Unit::one(NewEvent { meta, event }, Expect::Any)).await.unwrap().last
    }

    async fn events(&self) -> Vec<Recorded> {
        let head = self.log.head().await.unwrap();
        let mut tail = self.log.tail(Sequence(0));
        let mut all: Vec<Recorded> = Vec::new();
        while all.last().is_none_or(|e| e.sequence < head) {
            all.extend(tail.next(100).await);
        }
        all
    }

    /// The first event of a type, once it is there.
    async fn seen(&self, kind: &str) -> Recorded {
        let found = async {
            loop {
                if let Some(found) = self.events().await.into_iter().find(|e| e.type_name == kind) {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), found).await.unwrap_or_else(|_| panic!("no {kind}"))
    }

    async fn count(&self, kind: &str) -> usize {
        self.events().await.iter().filter(|e| e.type_name == kind).count()
    }

    async fn joined(&self) -> IdentityChanged {
        let joined = identity::create(anna(), IdentityKind::User, user(true, None), self.now());
        let version = self.append(Event::Identity(joined.clone())).await;
        self.append(verified(version, Target::Present)).await;
        joined
    }
}

fn anna() -> IdentityId {
    IdentityId(Uuid::from_u128(1))
}

fn user(active: bool, effective_at: Option<Timestamp>) -> Map<String, Value> {
    let mut user = json!({ "userName": "anna", "active": active });
    if let Some(at) = effective_at {
        user[LIFECYCLE] = json!({ "effectiveAt": at });
    }
    user.as_object().unwrap().clone()
}

fn verified(version: Sequence, target: Target) -> Event {
    let (app, observed) = ("chat".parse().unwrap(), Map::new());
    Event::AccountVerified(Verified {
        left: Left::Nothing,
        differences: Vec::new(),
        app,
        identity: anna(),
        version,
        remote_id: None,
        target,
        observed,
    })
}

/// Where machines may be without an owner one begins at its date as it would at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_begins_at_its_date_where_nobody_has_to_answer_for_it() {
    for (without, begins) in [(WithoutOwner::Allow, true), (WithoutOwner::Stage, false)] {
        let mut stage = Stage::set().await;
        stage.config.machines.without_owner = without;
        let effective = stage.now() + minutes(60);
        let machine = identity::create(anna(), IdentityKind::ServiceAccount, user(true, Some(effective)), stage.now());
        stage.append(Event::Identity(machine)).await;
        stage.restart_at(effective + minutes(1)).await;
        match begins {
            true => drop(stage.seen("identity.joined").await),
            false => drop(stage.seen("identity.effect_failed").await),
        }
        stage.stop().await;
    }
}

fn minutes(n: i64) -> SignedDuration {
    SignedDuration::from_mins(n)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leave_that_lies_ahead_takes_effect_at_its_time_also_after_a_restart() {
    let mut stage = Stage::set().await;
    let joined = stage.joined().await;
    let effective = stage.now() + minutes(60);
    let scheduled = identity::update(&joined, user(false, Some(effective)), stage.now()).unwrap();
    stage.append(Event::Identity(scheduled)).await;
    stage.restart_at(effective - minutes(1)).await;
    assert_eq!(stage.count("identity.left").await, 0, "access was taken too early");
    // Off while it should have happened: it happens then, and the clock has run since.
    stage.restart_at(effective + minutes(20)).await;
    let left = stage.seen("identity.left").await;
    let Event::Identity(changed) = &left.event else { panic!("{left:?}") };
    assert_eq!(changed.effective_at, Some(effective));
    assert_eq!(left.meta.source, Some("hr".parse().unwrap()));
    let overdue = stage.seen("obligation.overdue").await;
    let Event::ObligationOverdue(said) = &overdue.event else { panic!("{overdue:?}") };
    assert_eq!(said.deadline, effective + minutes(15), "it is late by its own time");
    stage.append(verified(left.sequence, Target::Absent)).await;
    let record = stage.seen("leaver.completed").await;
    let Event::LeaverCompleted(record) = &record.event else { panic!("{record:?}") };
    assert_eq!((record.left_at, record.apps.len()), (effective, 1));
    assert!(record.apps[0].overdue_at.is_some());
    // Once each, whatever is restarted.
    stage.restart_at(effective + minutes(30)).await;
    stage.stop().await;
    for kind in ["identity.left", "obligation.overdue", "leaver.completed"] {
        assert_eq!(stage.count(kind).await, 1, "{kind}");
    }
    assert!(stage.folder.path().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ahead_for_a_moment_makes_nobody_overdue() {
    let mut stage = Stage::set().await;
    let joined = stage.joined().await;
    let left = stage.append(Event::Identity(identity::delete(&joined))).await;
    let before = stage.now();
    // Someone whose departure is late by its date is called overdue at the next look at the clock.
    let someone_is_called_overdue = async |stage: &Stage, n: u128| {
        let id = IdentityId(Uuid::from_u128(n));
        let joins = identity::create(id, IdentityKind::User, user(true, None), before);
        stage.append(Event::Identity(joins.clone())).await;
        let late = identity::update(&joins, user(false, Some(before - minutes(600))), before).unwrap();
        stage.append(Event::Identity(late)).await;
        let theirs = |e: &Recorded| matches!(&e.event, Event::ObligationOverdue(o) if o.id.subject.identity() == id);
        while !stage.events().await.iter().any(theirs) {
            tokio::task::yield_now().await;
        }
    };
    someone_is_called_overdue(&stage, 2).await;
    *stage.clock.lock().unwrap() = before + minutes(600);
    someone_is_called_overdue(&stage, 3).await;
    *stage.clock.lock().unwrap() = before;
    someone_is_called_overdue(&stage, 4).await;
    stage.append(verified(left, Target::Absent)).await;
    stage.seen("leaver.completed").await;
    stage.stop().await;
    let wrongly = |e: &&Recorded| matches!(&e.event, Event::ObligationOverdue(o) if o.id.subject.identity() == anna());
    assert_eq!(stage.events().await.iter().filter(wrongly).count(), 0, "the jump was believed");
}

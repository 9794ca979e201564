//! The log against a real nats-server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rollcall_domain::GrantId;
use rollcall_domain::access::entitlement::{Approver, Entitlement, Part, Requestable, Risk, Terms};
use rollcall_domain::access::grant::{GrantChanged, GrantEnd, GrantRequested, GrantStep, Lasts};
use rollcall_domain::access::policy::PolicySpec;
use rollcall_domain::access::role::RoleSpec;
use rollcall_domain::access::separation::{SeparationSpec, ViolationAccepted};
use rollcall_domain::access::subject::Subject as Owed;
use rollcall_domain::app::AppSpec;
use rollcall_domain::governance::configuration::Configuring;
use rollcall_domain::identity::name::{NameSpace, name_key};
use rollcall_domain::identity::switch::{Switch, Switched};
use rollcall_domain::identity::{self, IdentityKind, NameChanged, resource};
use rollcall_domain::ids::{IdentityId, ResourceId};
use rollcall_domain::{Event, NewEvent, Recorded, Sequence, TraceContext};
use rollcall_event_log::{
    Connection, Durability, EventLog, Expect, Limits, LogError, NameHash, PrivateServer, Subject, SyncKnowledge, Tls,
    Unit, by_service,
};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

fn connection(server: &PrivateServer) -> Connection {
    let limits = Limits { connect_timeout: Duration::from_secs(10), ..Limits::default() };
    Connection { limits, ..server.connection() }
}

async fn start(dir: &Path) -> (PrivateServer, EventLog) {
    let server = PrivateServer::start(dir).await.unwrap();
    let log = EventLog::connect(&connection(&server)).await.unwrap();
    (server, log)
}

async fn fresh() -> (TempDir, PrivateServer, EventLog) {
    let dir = tempfile::tempdir().unwrap();
    let (server, log) = start(dir.path()).await;
    (dir, server, log)
}

fn person(n: u128) -> IdentityId {
    IdentityId(Uuid::from_u128(n))
}

fn joined(n: u128) -> NewEvent {
    let resource = json!({ "userName": format!("user{n}"), "title": "Dev" }).as_object().unwrap().clone();
    let mut meta = by_service("test", "correlation", Some(Uuid::from_u128(7)));
    meta.reason = "because".into();
    meta.source = Some("hr".parse().unwrap());
    meta.trace = TraceContext {
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        tracestate: "a=b".into(),
    };
    NewEvent {
        meta,
        event: Event::Identity(identity::create(person(n), IdentityKind::User, resource, jiff::Timestamp::UNIX_EPOCH)),
    }
}

fn claimed(n: u128, name: &str) -> NewEvent {
    let event =
        Event::NameClaimed(NameChanged { space: NameSpace::default(), name: name_key(name), owner: person(n).0 });
    NewEvent { meta: by_service("test", "correlation", None), event }
}

async fn read(log: &EventLog, after: u64, count: usize) -> Vec<Recorded> {
    let mut tail = log.tail(Sequence(after));
    let mut all = Vec::new();
    let reading = async {
        while all.len() < count {
            all.extend(tail.next(64).await);
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.expect("the events in time");
    all
}

#[tokio::test]
async fn what_is_appended_is_read_back_as_it_was() {
    let (_dir, _server, log) = fresh().await;
    let event = joined(1);
    let appended = log.append(&Unit::one(event.clone(), Expect::Last(Sequence(0)))).await.unwrap();
    assert_eq!(appended.last, Sequence(1));
    assert_eq!(log.head().await.unwrap(), Sequence(1));
    let found = log.last(&Subject::name(&NameHash::Plain, &NameSpace::default(), "user1")).await.unwrap().unwrap();
    assert_eq!((&found.meta, &found.event), (&event.meta, &event.event));
    assert_eq!((found.sequence, found.type_name.as_str()), (Sequence(1), "identity.joined"));
    assert_eq!(read(&log, 0, 1).await, [found]);
    assert_eq!(log.last(&Subject::identity(person(2))).await.unwrap(), None);
}

#[tokio::test]
async fn an_expectation_that_does_not_hold_is_a_conflict_and_appends_nothing() {
    let (_dir, _server, log) = fresh().await;
    log.append(&Unit::one(joined(1), Expect::Last(Sequence(0)))).await.unwrap();
    let error = log.append(&Unit::one(joined(1), Expect::Last(Sequence(0)))).await.unwrap_err();
    assert!(matches!(error, LogError::Conflict { .. }), "{error}");
    assert_eq!(log.head().await.unwrap(), Sequence(1));
}

#[tokio::test]
async fn the_same_event_twice_is_appended_once() {
    let (_dir, _server, log) = fresh().await;
    let unit = Unit::one(joined(1), Expect::Any);
    let first = log.append(&unit).await.unwrap();
    assert_eq!(log.append(&unit).await.unwrap(), first);
    assert_eq!(log.head().await.unwrap(), Sequence(1));
}

/// Units that wait go together; that one of them is there already says nothing of the others.
#[tokio::test]
async fn nothing_is_lost_that_goes_together_with_what_is_there_already() {
    let (_dir, _server, log) = fresh().await;
    let before: Vec<Unit> = (1..=8).map(|n| Unit::one(joined(n), Expect::Any)).collect();
    for unit in &before {
        log.append(unit).await.unwrap();
    }
    let new = (100..400).map(|n| Unit::one(joined(n), Expect::Any));
    let mut all: Vec<Unit> = new.collect();
    for (place, unit) in before.into_iter().enumerate() {
        all.insert(30 + place * 37, unit);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for unit in all {
        let log = log.clone();
        tasks.spawn(async move { log.append(&unit).await });
    }
    for outcome in tasks.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(log.head().await.unwrap(), Sequence(308), "what was acknowledged is lost, or there twice");
    let kept: BTreeSet<_> = read(&log, 0, 308).await.into_iter().map(|recorded| recorded.meta.event_id).collect();
    assert_eq!(kept.len(), 308);
}

#[tokio::test]
async fn a_unit_is_appended_whole_or_not_at_all() {
    let (_dir, _server, log) = fresh().await;
    let mut unit = Unit::one(claimed(1, "anna"), Expect::Last(Sequence(0)));
    unit.push(joined(1), Expect::Last(Sequence(0)));
    assert_eq!(log.append(&unit).await.unwrap().last, Sequence(2));
    // The name is taken: the second creation must leave nothing behind.
    let mut second = Unit::one(claimed(2, "ANNA"), Expect::Last(Sequence(0)));
    second.push(joined(2), Expect::Last(Sequence(0)));
    let error = log.append(&second).await.unwrap_err();
    assert!(matches!(error, LogError::Conflict { .. }), "{error}");
    assert_eq!(log.head().await.unwrap(), Sequence(2));
    assert_eq!(log.last(&Subject::identity(person(2))).await.unwrap(), None);
}

#[tokio::test]
async fn of_many_that_want_one_name_one_gets_it() {
    let (_dir, _server, log) = fresh().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 1..=20 {
        let log = log.clone();
        tasks.spawn(async move {
            let mut unit = Unit::one(claimed(n, "anna"), Expect::Last(Sequence(0)));
            unit.push(joined(n), Expect::Last(Sequence(0)));
            log.append(&unit).await
        });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1);
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert!(matches!(error, LogError::Conflict { .. }), "{error}");
    }
    assert_eq!(log.head().await.unwrap(), Sequence(2));
}

#[tokio::test]
async fn more_batches_at_once_than_the_server_takes_all_get_through() {
    let (_dir, _server, log) = fresh().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 1..=120 {
        let log = log.clone();
        tasks.spawn(async move {
            let mut unit = Unit::one(claimed(n, &format!("user{n}")), Expect::Last(Sequence(0)));
            unit.push(joined(n), Expect::Last(Sequence(0)));
            log.append(&unit).await.map(|appended| appended.last)
        });
    }
    let outcomes = tasks.join_all().await;
    let distinct: BTreeSet<_> = outcomes.into_iter().map(|o| o.unwrap()).collect();
    assert_eq!(distinct.len(), 120);
    assert_eq!(log.head().await.unwrap(), Sequence(240));
}

#[tokio::test]
async fn a_unit_of_no_events_or_too_many_is_refused() {
    let (_dir, _server, log) = fresh().await;
    assert!(matches!(log.append(&Unit::default()).await, Err(LogError::UnitSize(0))));
    let mut many = Unit::default();
    for n in 0..1001 {
        many.push(joined(n), Expect::Any);
    }
    assert!(matches!(log.append(&many).await, Err(LogError::UnitSize(1001))));
}

#[tokio::test]
async fn a_tail_resumes_where_it_is_told_and_follows_what_comes() {
    let (_dir, _server, log) = fresh().await;
    for n in 1..=10 {
        log.append(&Unit::one(joined(n), Expect::Any)).await.unwrap();
    }
    let mut tail = log.tail(Sequence(7));
    let mut seen: Vec<u64> = Vec::new();
    while seen.len() < 3 {
        seen.extend(tail.next(2).await.iter().map(|e| e.sequence.0));
    }
    log.append(&Unit::one(joined(11), Expect::Any)).await.unwrap();
    seen.extend(tail.next(2).await.iter().map(|e| e.sequence.0));
    assert_eq!(seen, [8, 9, 10, 11]);
}

#[tokio::test]
async fn a_tail_has_no_gap_when_the_server_is_killed_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let spawn = || {
        let config = dir.path().join("own.conf");
        let store = dir.path().join("js");
        let text =
            format!("host: 127.0.0.1\nport: {port}\njetstream {{ store_dir: {store:?}, sync_interval: always }}\n");
        std::fs::write(&config, text).unwrap();
        let binary = std::env::var_os("ROLLCALL_NATS_SERVER").unwrap_or_else(|| "nats-server".into());
        let mut command = tokio::process::Command::new(binary);
        command.arg("-c").arg(config).kill_on_drop(true).stderr(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    let mut server = spawn();
    let log = EventLog::connect(&Connection {
        keys: None,
        url: format!("nats://127.0.0.1:{port}"),
        credentials: None,
        tls: Tls::default(),
        replicas: 1,
        durability: Durability::Refuse,
        sync: SyncKnowledge::Private,
        limits: Limits { append_retries: 20, ..Limits::default() },
    })
    .await
    .unwrap();
    let follower = log.clone();
    let following = tokio::spawn(async move { read(&follower, 0, 60).await });
    for n in 1..=60 {
        if n % 20 == 0 {
            server.kill().await.unwrap();
            server = spawn();
        }
        log.append(&Unit::one(joined(n), Expect::Last(Sequence(0)))).await.unwrap();
    }
    // It does not wait for the silence of a server that has forgotten it.
    let followed = tokio::time::timeout(Duration::from_secs(10), following).await.expect("it follows late");
    let seen: Vec<u64> = followed.unwrap().iter().map(|e| e.sequence.0).collect();
    assert_eq!(seen, (1..=60).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_private_server_keeps_its_log_and_a_leftover_one_gives_way() {
    let dir = tempfile::tempdir().unwrap();
    let (server, log) = start(dir.path()).await;
    log.append(&Unit::one(joined(1), Expect::Any)).await.unwrap();
    // As after a SIGKILL of ours: the server lives on, nobody stops it.
    std::mem::forget(server);
    let (server, log) = start(dir.path()).await;
    assert_eq!(log.head().await.unwrap(), Sequence(1));
    server.stop().await;
}

#[tokio::test]
async fn a_server_whose_sync_setting_is_unsafe_or_unknown_is_refused_or_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("own.conf");
    let store = dir.path().join("js");
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (port, monitoring) = (free(), free());
    let text = format!(
        "port: {port}\nhttp: \"127.0.0.1:{monitoring}\"\nmax_payload: 512KB\njetstream {{ store_dir: {store:?} }}\n"
    );
    std::fs::write(&config, text).unwrap();
    let binary = std::env::var_os("ROLLCALL_NATS_SERVER").unwrap_or_else(|| "nats-server".into());
    let mut command = tokio::process::Command::new(binary);
    let _server = command.arg("-c").arg(config).kill_on_drop(true).stderr(std::process::Stdio::null()).spawn().unwrap();
    let monitoring = SyncKnowledge::Monitoring(vec![format!("http://127.0.0.1:{monitoring}").parse().unwrap()]);
    let connect = |durability, sync| {
        let url = format!("nats://127.0.0.1:{port}");
        async move {
            let limits = Limits { connect_timeout: Duration::from_secs(10), ..Limits::default() };
            EventLog::connect(&Connection {
                keys: None,
                url,
                credentials: None,
                tls: Tls::default(),
                replicas: 1,
                durability,
                sync,
                limits,
            })
            .await
        }
    };
    let unsafe_sync = connect(Durability::Refuse, monitoring.clone()).await.unwrap_err().to_string();
    assert!(unsafe_sync.contains("every 120 s") && unsafe_sync.contains("sync_interval: always"), "{unsafe_sync}");
    let unknown = connect(Durability::Refuse, SyncKnowledge::Unknown).await.unwrap_err().to_string();
    assert!(unknown.contains("monitoring_url"), "{unknown}");
    let small = connect(Durability::Refuse, SyncKnowledge::Private).await.unwrap_err().to_string();
    assert!(small.contains("max_payload is 524288 bytes"), "{small}");
    connect(Durability::Warn, monitoring).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_could_lose_events_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = PrivateServer::start(dir.path()).await.unwrap();
    let (user, password) = server.credentials.clone();
    let password = secrecy::ExposeSecret::expose_secret(&password).to_owned();
    let client =
        async_nats::ConnectOptions::new().user_and_password(user, password).connect(&server.url).await.unwrap();
    let stream = async_nats::jetstream::stream::Config {
        name: "ROLLCALL".into(),
        subjects: vec!["rollcall.>".into()],
        max_age: Duration::from_secs(3600),
        ..Default::default()
    };
    async_nats::jetstream::new(client).create_stream(stream).await.unwrap();
    let error = EventLog::connect(&connection(&server)).await.unwrap_err().to_string();
    for part in ["deny_delete", "deny_purge", "max_age", "discard", "allow_atomic"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = PrivateServer::start(dir.path()).await.unwrap();
    let mut gone = connection(&server);
    gone.limits.connect_timeout = Duration::from_millis(500);
    server.stop().await;
    let error = EventLog::connect(&gone).await.unwrap_err().to_string();
    assert!(error.contains(&gone.url), "{error}");
}

#[tokio::test]
async fn every_kind_of_event_survives_the_log() {
    use rollcall_domain::access::departure::{AppOutcome, LeaverCompleted};
    use rollcall_domain::access::desired::Target;
    use rollcall_domain::access::obligation::Waived;
    use rollcall_domain::access::obligation::{AtRisk, ObligationId, Overdue};
    use rollcall_domain::access::operation::Operation;
    use rollcall_domain::access::outcome::{Adopted, Applied, Attempted, Left, Origin, Rejected, Verified};
    use rollcall_domain::access::reevaluation::{Pass, Reevaluated, ReevaluationPolicy};
    use rollcall_domain::access::rejection::{Rejection, RejectionCause};
    use rollcall_domain::access::task::{StandsOnWord, TaskDone, TaskUndone};
    use rollcall_domain::alert::{About, AlertChanged, Level};
    use rollcall_domain::app::GroupRule;
    use rollcall_domain::app::capability::{Capabilities, Discovered, Support};
    use rollcall_domain::app::deprovision::Deprovision;
    use rollcall_domain::app::drill::{Canary, Drill, DrillEvent, DrillResult, DrillStep, DrillVerdict};
    use rollcall_domain::app::guard::Guard;
    use rollcall_domain::app::health::{Quarantined, Recovered};
    use rollcall_domain::app::kind::AppKind;
    use rollcall_domain::app::mapping::{Origin as MappedFrom, Rule, WhenEmpty};
    use rollcall_domain::app::own_way::{Keeps, Way};
    use rollcall_domain::app::quirk::AppQuirk;
    use rollcall_domain::app::service_level::ServiceLevel;
    use rollcall_domain::drift::DriftAccepted;
    use rollcall_domain::drift::kind::DriftKind;
    use rollcall_domain::drift::policy::{Policies, Policy};
    use rollcall_domain::drift::reconciliation::{Progress, Reconciliation, ReconciliationEvent, SyncRequested};
    use rollcall_domain::drift::{DriftDetected, DriftId};
    use rollcall_domain::governance::hold::{Cause, Decision, Hold, HoldDecided};
    use rollcall_domain::identity::group;
    use rollcall_domain::identity::lifecycle::ChangeKind;
    use rollcall_domain::ids::GroupId;
    use rollcall_scim::Changed;

    let (_dir, _server, log) = fresh().await;
    let (app, id) = ("crm".parse().unwrap(), person(1));
    let map = |value: serde_json::Value| value.as_object().unwrap().clone();
    let created =
        identity::create(id, IdentityKind::Agent, map(json!({ "userName": "a" })), jiff::Timestamp::UNIX_EPOCH);
    let can = Capabilities {
        patch: Support::No,
        filter: Support::Yes,
        page_size: Some(10),
        required: vec!["userName".into()],
        consistency_delay: Some(Duration::from_millis(11)),
        keeps: [("title".to_owned(), Keeps { way: Way::CutAt(3), sent: "Aaaa".into(), shown: "Aaa".into() })].into(),
        patch_capitalized: Support::Yes,
        quirks: AppQuirk::ALL.into(),
        ..Capabilities::default()
    };
    let until = "2026-02-28T00:00:00Z".parse().unwrap();
    let obligation =
        ObligationId { opened_by: Sequence(7), subject: Owed::Account { app: "crm".parse().unwrap(), identity: id } };
    let drift = DriftId { app: "crm".parse().unwrap(), identity: id, kind: DriftKind::Orphan };
    let terms = Terms {
        owner: "o".into(),
        risk: Risk::Critical,
        requestable: Requestable::Yes,
        max_duration: Some(Duration::from_secs(9)),
        approvers: vec![Approver::Manager, Approver::Owner, Approver::Group("Security".into())],
        approvals: 2,
    };
    let spec = AppSpec {
        id: "crm".parse().unwrap(),
        name: "CRM".into(),
        kind: AppKind::List,
        base_url: "https://crm".into(),
        instructions: "ask IT".into(),
        owner: "o".into(),
        assign: "active eq true".into(),
        identities: vec![IdentityKind::User, IdentityKind::Agent],
        deprovision: Deprovision::Delete,
        sla: ServiceLevel {
            joiner: Duration::from_millis(1),
            mover: Duration::from_secs(2),
            leaver: Duration::from_secs(3),
            emergency: Duration::from_secs(1),
            disable: Duration::from_secs(2),
            grant: Duration::from_secs(3),
            tier: "critical".into(),
            at_risk_percent: 60,
            hours: Some("Mon-Fri 09:00-17:00 Europe/Berlin".parse().unwrap()),
        },
        reconcile_every: Duration::from_secs(4),
        max_requests_per_second: 5,
        max_in_flight: 6,
        attributes: vec![
            Rule {
                target: "title".into(),
                origin: MappedFrom::Attribute("title".into()),
                when_empty: WhenEmpty::Clear,
            },
            Rule { target: "userType".into(), origin: MappedFrom::Constant(json!(1)), when_empty: WhenEmpty::Leave },
            Rule {
                target: "displayName".into(),
                origin: MappedFrom::Template("{title}".into()),
                when_empty: WhenEmpty::Clear,
            },
        ],
        groups: vec![GroupRule { from: "A".into(), to: "b".into() }],
        drift: Policies { orphan: Policy::Adopt, ..Policies::default() },
        groups_from: ["hr".parse().unwrap()].into(),
        adopt: rollcall_domain::app::Adopt::Unlinked,
        protected: ["root".to_owned()].into(),
        guard: Guard { max_removals: 7, max_percent: 8, window: Duration::from_secs(9) },
        capabilities: can.clone(),
        essential: ["title".to_owned()].into(),
        entitlements: vec![Entitlement {
            part: Part::Group("Admins".into()),
            name: "Administrators".into(),
            terms: terms.clone(),
        }],
    };
    let role = RoleSpec {
        id: "dev".parse().unwrap(),
        name: "Developers".into(),
        members: "active eq true".into(),
        entitlements: ["crm".parse().unwrap(), "crm:group:A b".parse().unwrap()].into(),
        groups_from: ["hr".parse().unwrap()].into(),
        terms: terms.clone(),
    };
    let request = GrantRequested {
        what: "role:dev".parse().unwrap(),
        lasts: Lasts::Until(until),
        reason: "r".into(),
        ticket: "T-1".into(),
        approvers: terms.approvers.clone(),
        approvals: 2,
        expires_at: until,
        extends: Some(GrantId(Uuid::from_u128(8))),
    };
    let grant = |step| Event::Grant(GrantChanged { id: GrantId(Uuid::from_u128(9)), identity: id, step });
    let asked = |lasts| grant(GrantStep::Requested(Box::new(GrantRequested { lasts, ..request.clone() })));
    let version = group::Version {
        resource: map(json!({ "displayName": "g" })),
        members: BTreeSet::from([id.into(), "whoever".into()]),
    };
    let change = Changed { path: "title".into(), before: Some(json!("a")), after: None };
    let about =
        |about: About| AlertChanged { key: about.key(), sink: "s".into(), about, level: Level(3), summary: "x".into() };
    let leaver = about(About::Leaver { identity: id, opened_by: Sequence(3) });
    let quarantine = about(About::Quarantine { app: "crm".parse().unwrap(), by: Sequence(3) });
    let held = about(About::Hold { cause: Cause::Configuration("crm".parse().unwrap()), by: Sequence(3) });
    let hold = Hold {
        cause: Cause::Source("hr".parse().unwrap()),
        released: Sequence(0),
        app: "crm".parse().unwrap(),
        removals: 101,
        by: Sequence(7),
        since: until,
    };
    let (cause, reason) = (hold.cause.clone(), "r".to_owned());
    let drill = |event| Event::Drill(Drill { app: "crm".parse().unwrap(), event });
    let drilled = DrillStep::ALL.into_iter().zip(DrillVerdict::ALL.into_iter().cycle()).map(|(step, verdict)| {
        let took = (verdict == DrillVerdict::Passed).then_some(std::time::Duration::from_millis(1500));
        DrillResult { step, of: "title".into(), verdict, detail: "d".into(), visible_after: took }
    });
    let drilled = drilled.collect();
    let step = |event| Event::Reconciliation(Reconciliation { app: "crm".parse().unwrap(), event });
    let progress = Progress { accounts: 1, groups: 2, findings: 3 };
    let version_7 = Sequence(7);
    let events = vec![
        Event::Identity(
            identity::update(&created, map(json!({ "userName": "a", "active": false })), jiff::Timestamp::UNIX_EPOCH)
                .unwrap(),
        ),
        Event::Identity(identity::delete(&created)),
        Event::NameReleased(NameChanged { space: "agent-name".into(), name: "a".into(), owner: id.0 }),
        Event::Group(group::create(GroupId(Uuid::from_u128(3)), version).remove(0)),
        Event::Group(group::delete(GroupId(Uuid::from_u128(3)), map(json!({})))),
        Event::Resource(resource::create(ResourceId(id.0), "AgenticApplication", map(json!({ "name": "a" })))),
        Event::AppConfigured(Box::new(spec)),
        Event::RoleConfigured(Box::new(role)),
        Event::RoleRemoved("dev".parse().unwrap()),
        Event::PolicyConfigured(Box::new(PolicySpec {
            id: "p".parse().unwrap(),
            text: "permit".into(),
            reason: "r".into(),
            owner: "o".into(),
        })),
        Event::PolicyRemoved("p".parse().unwrap()),
        Event::SeparationConfigured(Box::new(SeparationSpec {
            id: "s".parse().unwrap(),
            name: "S".into(),
            owner: "o".into(),
            reason: "r".into(),
            entitlements: ["crm".parse().unwrap()].into(),
            never_with: ["crm:group:Admins".parse().unwrap()].into(),
        })),
        Event::SeparationRemoved("s".parse().unwrap()),
        Event::ViolationAccepted(ViolationAccepted {
            separation: "s".parse().unwrap(),
            identity: id,
            held: ["crm".parse().unwrap()].into(),
            control: "c".into(),
            reason: "r".into(),
            expires_at: until,
        }),
        Event::Configuring(Configuring::Begins),
        Event::Configuring(Configuring::Ends),
        Event::ReevaluationConfigured(ReevaluationPolicy::default()),
        Event::Reevaluated(Reevaluated { since: Sequence(7), pass: Pass::Losses, through: Some(id) }),
        Event::Reevaluated(Reevaluated { since: Sequence(7), pass: Pass::Access, through: None }),
        Event::Reevaluated(Reevaluated { since: Sequence(7), pass: Pass::Separations, through: None }),
        Event::IdentitySwitched(Switched { id, to: Switch::Off, reason: "r".into() }),
        Event::IdentitySwitched(Switched { id, to: Switch::On, reason: "r".into() }),
        asked(request.lasts),
        asked(Lasts::For(Duration::from_millis(1500))),
        asked(Lasts::Standing),
        grant(GrantStep::Approved),
        grant(GrantStep::Ended { why: GrantEnd::Expired, of: Some(until), reason: String::new() }),
        grant(GrantStep::Ended { why: GrantEnd::Denied, of: None, reason: "no".into() }),
        Event::AppRemoved("crm".parse().unwrap()),
        Event::AccountApplied(Applied {
            app: "crm".parse().unwrap(),
            identity: id,
            version: version_7,
            remote_id: None,
            operation: Operation::Delete,
            origin: Origin::Adopted,
            group: None,
        }),
        Event::AccountApplied(Applied {
            app: "crm".parse().unwrap(),
            identity: id,
            version: version_7,
            remote_id: Some("r".into()),
            operation: Operation::Enter,
            origin: Origin::Ours,
            group: Some("g".into()),
        }),
        Event::AccountVerified(Verified {
            left: Left::Nothing,
            differences: vec![Changed { path: "title".into(), before: Some(json!("a")), after: None }],
            app: "crm".parse().unwrap(),
            identity: id,
            version: version_7,
            remote_id: Some("r".into()),
            target: Target::Absent,
            observed: map(json!({ "active": false })),
        }),
        Event::AccountRejected(Rejected {
            app: "crm".parse().unwrap(),
            identity: id,
            version: version_7,
            rejection: Rejection { cause: RejectionCause::Throttled, status: Some(429), detail: "slow".into() },
            parked_at: Some(Sequence(9)),
        }),
        Event::DriftDetected(DriftDetected {
            id: DriftId { app: "crm".parse().unwrap(), identity: id, kind: DriftKind::Missing },
            version: version_7,
            differences: vec![change],
            remote_id: "r".into(),
            user_name: "a".into(),
        }),
        Event::ObligationOverdue(Overdue {
            id: ObligationId { opened_by: version_7, subject: Owed::Account { app, identity: id } },
            change: ChangeKind::Leaver,
            deadline: "2026-01-31T12:00:00.123456789Z".parse().unwrap(),
        }),
        Event::AlertFired(leaver.clone()),
        Event::AlertResolved(leaver),
        Event::AlertFired(about(About::Disable { app: "crm".parse().unwrap(), identity: id, opened_by: Sequence(3) })),
        Event::AlertFired(about(About::Grant { app: "crm".parse().unwrap(), identity: id, opened_by: Sequence(3) })),
        Event::AlertFired(about(About::Zombie { app: "crm".parse().unwrap(), identity: id, opened_by: Sequence(3) })),
        Event::AlertFired(about(About::Silence { source: "hr".parse().unwrap() })),
        Event::AlertFired(about(About::Sink { name: "pager".into() })),
        Event::AlertFired(about(About::Log)),
        Event::AlertFired(about(About::Lag)),
        Event::ObligationAtRisk(AtRisk { id: obligation.clone(), change: ChangeKind::Repair, deadline: until }),
        Event::LeaverCompleted(LeaverCompleted {
            identity: id,
            opened_by: Sequence(3),
            left_at: until,
            completed_at: until,
            apps: vec![AppOutcome {
                app: "crm".parse().unwrap(),
                deadline: until,
                applied_at: Some(until),
                verified_at: Some(until),
                attested: Some((until, "mo".into())),
                overdue_at: None,
            }],
        }),
        Event::AlertFired(quarantine),
        Event::AlertFired(held),
        Event::AppDiscovered(Discovered { app: "crm".parse().unwrap(), capabilities: can }),
        Event::AppQuarantined(Quarantined {
            app: "crm".parse().unwrap(),
            rejection: Rejection { cause: RejectionCause::Unreachable, status: None, detail: "gone".into() },
            failures: 5,
        }),
        Event::AppRecovered(Recovered { app: "crm".parse().unwrap(), recognized_at: None }),
        Event::AppRecovered(Recovered { app: "crm".parse().unwrap(), recognized_at: Some("https://a".into()) }),
        Event::AccountAttempted(Attempted {
            app: "crm".parse().unwrap(),
            identity: id,
            version: Sequence(4),
            sent: ["ada".to_owned(), "ada@example.com".to_owned()].into(),
            creations: 2,
        }),
        Event::AccountAttested(StandsOnWord { app: "crm".parse().unwrap(), identity: id, version: Sequence(4) }),
        Event::TaskDone(TaskDone {
            app: "crm".parse().unwrap(),
            identity: id,
            version: Sequence(4),
            target: Target::Absent,
            reference: "T-1".into(),
        }),
        Event::TaskUndone(TaskUndone {
            app: "crm".parse().unwrap(),
            identity: id,
            version: Sequence(4),
            reason: reason.clone(),
        }),
        Event::AccountAdopted(Adopted { app: "crm".parse().unwrap(), identity: id, remote_id: "r".into() }),
        Event::DriftCleared(drift.clone()),
        Event::DriftAccepted(DriftAccepted { id: drift, reason: reason.clone(), expires_at: until }),
        Event::ObligationWaived(Waived { id: obligation, reason: reason.clone(), expires_at: until }),
        Event::HoldPlaced(hold),
        Event::HoldDecided(HoldDecided {
            cause: cause.clone(),
            through: Sequence(7),
            decision: Decision::Release,
            reason: reason.clone(),
        }),
        Event::HoldDecided(HoldDecided {
            cause,
            through: Sequence(8),
            decision: Decision::Reject { expires_at: until },
            reason,
        }),
        drill(DrillEvent::Requested),
        drill(DrillEvent::Started(Canary { user_name: "rollcall-drill-1".into(), external_id: "e".into() })),
        drill(DrillEvent::Made { remote_id: "17".into() }),
        drill(DrillEvent::Completed { results: drilled, left_behind: vec!["17".into()] }),
        drill(DrillEvent::Failed { detail: "down".into(), left_behind: vec!["17".into()] }),
        step(ReconciliationEvent::Requested),
        step(ReconciliationEvent::Started),
        step(ReconciliationEvent::Progressed { progress }),
        step(ReconciliationEvent::Completed { progress }),
        step(ReconciliationEvent::Failed { detail: "down".into() }),
        Event::SyncRequested(SyncRequested::Identity(id)),
        Event::SyncRequested(SyncRequested::App("crm".parse().unwrap())),
        Event::SyncRequested(SyncRequested::Same { app: "crm".parse().unwrap(), told: Sequence(3) }),
        Event::SyncRequested(SyncRequested::Gone { app: "crm".parse().unwrap(), told: Sequence(3) }),
    ];
    for event in &events {
        let meta = by_service("test", "c", None);
        log.append(&Unit::one(NewEvent { meta, event: event.clone() }, Expect::Any)).await.unwrap();
    }
    let found: Vec<Event> = read(&log, 0, events.len()).await.into_iter().map(|e| e.event).collect();
    assert_eq!(found, events);
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_carried_as_unknown() {
    use prost::Message as _;
    let (_dir, server, log) = fresh().await;
    let (user, password) = server.credentials.clone();
    let password = secrecy::ExposeSecret::expose_secret(&password).to_owned();
    let client =
        async_nats::ConnectOptions::new().user_and_password(user, password).connect(&server.url).await.unwrap();
    let newer = rollcall_proto::v1::Envelope {
        event_id: Uuid::from_u128(5).to_string(),
        r#type: "identity.teleported".into(),
        schema_version: 9,
        actor: "the future".into(),
        payload: vec![1, 2, 3],
        ..Default::default()
    };
    let context = async_nats::jetstream::new(client);
    for bytes in [newer.encode_to_vec(), vec![0xff; 7]] {
        context.publish("rollcall.identity.x", bytes.into()).await.unwrap().await.unwrap();
    }
    let found = read(&log, 0, 2).await;
    assert_eq!((found[0].type_name.as_str(), &found[0].event), ("identity.teleported", &Event::Unknown));
    assert_eq!((found[0].schema_version, found[0].meta.actor.as_str()), (9, "the future"));
    assert_eq!(found[0].payload, [1, 2, 3]);
    assert_eq!((found[1].type_name.as_str(), &found[1].payload), ("undecodable", &vec![0xff; 7]));
}

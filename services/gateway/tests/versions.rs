//! A log that version 1 has written is read and changed as one of today: there, a creation was under the id of the identity,
//! beside a claim of its name. And whatever several gateways decide, some of them on a state that is old: a name has one owner.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use prost::Message as _;
use rollcall_config::parse;
use rollcall_domain::identity::name::{NameSpace, name_key};
use rollcall_event_log::{EventLog, NameHash, PrivateServer, Subject};
use rollcall_gateway::Gateway;
use rollcall_proto::v1;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use uuid::Uuid;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

struct Stage {
    _folder: TempDir,
    server: PrivateServer,
    log: EventLog,
}

struct Door {
    router: Router,
    stop: CancellationToken,
    running: Option<JoinHandle<()>>,
}

impl Stage {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = PrivateServer::start(&folder.path().join("nats")).await.unwrap();
        let log = EventLog::connect(&server.connection()).await.unwrap();
        Self { _folder: folder, server, log }
    }

    async fn door(&self, folder: &Path) -> Door {
        let text = format!(
            "[server]\ndata_dir = {:?}\nread_patience = \"50ms\"\n[[sources]]\nname = \"hr\"\ntoken = \"t\"\n",
            folder.display().to_string()
        );
        let config = parse("test.toml", &text, &|_| None).unwrap();
        let gateway = Gateway::open(&config, self.log.clone()).unwrap();
        let (router, mut registered, stop) = (gateway.router(), gateway.registered(), CancellationToken::new());
        let until = stop.clone();
        let running = tokio::spawn(async move { gateway.run(until).await.unwrap() });
        registered.wait_for(|known| *known).await.unwrap();
        Door { router, stop, running: Some(running) }
    }

    /// As version 1 has appended someone who joins: ids are text, and what a creation changes is said.
    async fn joined_in_version_1(&self, id: Uuid, name: &str) {
        let resource = json!({ "schemas": [USER], "userName": name, "active": true, "title": "Dev" });
        let claim = v1::NameChanged { name: name_key(name), identity_id: id.to_string(), space: String::new() };
        let joined = v1::IdentityChanged {
            identity_id: id.to_string(),
            after: v1::Lifecycle::Active.into(),
            resource_json: resource.to_string(),
            changed: vec![v1::ChangedPath { path: "title".into(), after_json: "\"Dev\"".into(), ..Default::default() }],
            kind: v1::IdentityKind::User.into(),
            ..Default::default()
        };
        let envelope = |kind: &str, payload: Vec<u8>| v1::Envelope {
            event_id: Uuid::now_v7().to_string(),
            r#type: kind.into(),
            schema_version: 1,
            actor: "hr".into(),
            source: "hr".into(),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            payload,
            ..Default::default()
        };
        let (user, password) = self.server.credentials.clone();
        let options = async_nats::ConnectOptions::new().user_and_password(user, password.expose_secret().to_owned());
        let context = async_nats::jetstream::new(options.connect(&self.server.url).await.unwrap());
        let name_subject = Subject::name(&NameHash::Plain, &NameSpace::default(), &name_key(name)).to_string();
        for (subject, event) in [
            (name_subject, envelope("name.claimed", claim.encode_to_vec())),
            (Subject::identity(id.into()).to_string(), envelope("identity.joined", joined.encode_to_vec())),
        ] {
            context.publish(subject, event.encode_to_vec().into()).await.unwrap().await.unwrap();
        }
    }
}

impl Door {
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/scim/v2{path}"))
            .header(header::AUTHORIZATION, "Bearer t")
            .header(header::CONTENT_TYPE, "application/scim+json")
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn add(&self, name: &str) -> (StatusCode, Value) {
        self.ask(Method::POST, "/Users", Some(&json!({ "schemas": [USER], "userName": name }))).await
    }

    async fn set(&self, id: &str, path: &str, value: &str) -> (StatusCode, Value) {
        let operations = json!([{ "op": "replace", "path": path, "value": value }]);
        let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
        self.ask(Method::PATCH, &format!("/Users/{id}"), Some(&patch)).await
    }

    async fn remove(&self, id: &str) -> StatusCode {
        self.ask(Method::DELETE, &format!("/Users/{id}"), None).await.0
    }

    /// Everybody who is here: the ids by user name.
    async fn everybody(&self) -> BTreeMap<String, Vec<String>> {
        let (status, list) = self.ask(Method::GET, "/Users?count=200", None).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for user in list["Resources"].as_array().into_iter().flatten() {
            let text = |name: &str| user[name].as_str().unwrap().to_owned();
            all.entry(text("userName")).or_default().push(text("id"));
        }
        all
    }

    /// It answers on, and does not follow the log any more.
    async fn fall_behind(&mut self) {
        self.stop.cancel();
        if let Some(running) = self.running.take() {
            running.await.unwrap();
        }
    }
}

#[tokio::test]
async fn who_joined_in_version_1_keeps_their_name_is_changed_and_leaves() {
    let stage = Stage::set().await;
    let (anna, ben) = (Uuid::from_u128(1), Uuid::from_u128(2));
    stage.joined_in_version_1(anna, "anna").await;
    stage.joined_in_version_1(ben, "Ben").await;
    let folder = tempfile::tempdir().unwrap();
    let door = stage.door(folder.path()).await;
    assert_eq!(door.add("ANNA").await.0, StatusCode::CONFLICT);
    assert_eq!(door.set(&anna.to_string(), "title", "Lead").await.0, StatusCode::OK);
    assert_eq!(door.set(&anna.to_string(), "userName", "ben").await.0, StatusCode::CONFLICT);
    assert_eq!(door.set(&anna.to_string(), "userName", "anne").await.0, StatusCode::OK);
    let (status, second) = door.add("anna").await;
    assert_eq!(status, StatusCode::CREATED, "the name is free: {second}");
    assert_eq!(door.remove(&ben.to_string()).await, StatusCode::NO_CONTENT);
    let (status, third) = door.add("ben").await;
    assert_eq!(status, StatusCode::CREATED, "{third}");
    // The first change of one that was created today, then another, then the end.
    let second = second["id"].as_str().unwrap();
    for title in ["Dev", "Lead"] {
        assert_eq!(door.set(second, "title", title).await.1["title"], title);
    }
    assert_eq!(door.remove(second).await, StatusCode::NO_CONTENT);
    assert_eq!(door.set(second, "title", "Boss").await.0, StatusCode::NOT_FOUND);
    let (status, fourth) = door.add("anna").await;
    assert_eq!(status, StatusCode::CREATED, "{fourth}");
    // What was derived on the way is what is derived of all of it.
    let here = door.everybody().await;
    let again = tempfile::tempdir().unwrap();
    let replayed = stage.door(again.path()).await.everybody().await;
    assert_eq!(here, replayed);
    let names: Vec<_> = here.keys().map(String::as_str).collect();
    assert_eq!(names, ["anna", "anne", "ben"]);
    stage.server.stop().await;
}

#[tokio::test]
async fn a_creation_is_one_event_and_so_is_the_usual_change() {
    let stage = Stage::set().await;
    let folder = tempfile::tempdir().unwrap();
    let door = stage.door(folder.path()).await;
    let before = stage.log.head().await.unwrap();
    let user = json!({ "schemas": [USER], "userName": "anna", "externalId": "7", "title": "Dev" });
    let (_, made) = door.ask(Method::POST, "/Users", Some(&user)).await;
    assert_eq!(stage.log.head().await.unwrap().0, before.0 + 1, "{made}");
    door.set(made["id"].as_str().unwrap(), "title", "Lead").await;
    assert_eq!(stage.log.head().await.unwrap().0, before.0 + 2);
    stage.server.stop().await;
}

/// Two gateways that follow the log and one whose state stays as it was decide in turns and at once on a few names.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_has_one_owner_whatever_several_gateways_decide_on_old_state() {
    let mut chance = fastrand::Rng::with_seed(20_261_128);
    let stage = Stage::set().await;
    let folders: Vec<TempDir> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut doors = Vec::new();
    for folder in &folders {
        doors.push(stage.door(folder.path()).await);
    }
    let names = ["anna", "ANNA", "ben", "cleo"];
    let mut known: Vec<String> = Vec::new();
    for turn in 0..120 {
        if turn == 40 {
            doors[2].fall_behind().await;
        }
        let mut asked = Vec::new();
        for door in &doors {
            let (name, who) = (names[chance.usize(..names.len())], chance.usize(..known.len().max(1)));
            let (id, what) = (known.get(who).cloned(), chance.u8(..4));
            asked.push(async move {
                match (id, what) {
                    (None, _) | (_, 0) => door.add(name).await,
                    (Some(id), 1) => (door.remove(&id).await, Value::Null),
                    (Some(id), 2) => door.set(&id, "userName", name).await,
                    (Some(id), _) => door.set(&id, "title", if turn % 2 == 0 { "Dev" } else { "Lead" }).await,
                }
            });
        }
        for (status, answer) in futures_util::future::join_all(asked).await {
            assert!(!status.is_server_error() || status == StatusCode::SERVICE_UNAVAILABLE, "{status}: {answer}");
            if status == StatusCode::CREATED {
                known.push(answer["id"].as_str().unwrap().to_owned());
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let all = stage.door(folder.path()).await.everybody().await;
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, ids) in all {
        owners.entry(name_key(&name)).or_default().extend(ids);
    }
    assert!(owners.values().all(|ids| ids.len() == 1), "a name has several owners: {owners:?}");
    assert!(known.len() > 10, "too little happened: {known:?}");
    stage.server.stop().await;
}

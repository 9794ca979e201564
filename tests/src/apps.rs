//! Apps: an independent SCIM server, and one that lies, which no real one can be made to do.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::rollcall::{APP_TOKEN, free_port, until};

/// A scim2-server process.
pub struct Scim2Server {
    /// Its SCIM base address.
    pub base_url: String,
    _child: Child,
}

impl Scim2Server {
    /// Starts one.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start() -> anyhow::Result<Self> {
        let binary = std::env::var_os("ROLLCALL_SCIM2_SERVER")
            .unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/python/bin/scim2-server").into());
        let port = free_port();
        let child = Command::new(binary)
            .args(["--port", &port.to_string(), "--bearer-token", APP_TOKEN])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("scim2-server: ./dev test installs it")?;
        let app = Self { base_url: format!("http://127.0.0.1:{port}/v2"), _child: child };
        until("scim2-server answers", || async { Ok(app.users().await.ok()) }).await?;
        Ok(app)
    }

    /// Every user it has.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn users(&self) -> anyhow::Result<Vec<Value>> {
        let mut users: Vec<Value> = Vec::new();
        loop {
            let address = format!("{}/Users?startIndex={}&count=100", self.base_url, users.len() + 1);
            let page: Value =
                Client::new().get(address).bearer_auth(APP_TOKEN).send().await?.error_for_status()?.json().await?;
            let found = page["Resources"].as_array().cloned().unwrap_or_default();
            let done = found.is_empty();
            users.extend(found);
            if done || users.len() as u64 >= page["totalResults"].as_u64().unwrap_or_default() {
                return Ok(users);
            }
        }
    }
}

/// A SCIMMY process.
pub struct Scimmy {
    /// Its SCIM base address.
    pub base_url: String,
    _child: Child,
}

impl Scimmy {
    /// Starts one, where Node.js and what it needs are there.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start() -> anyhow::Result<Option<Self>> {
        let Some(script) = std::env::var_os("ROLLCALL_SCIMMY") else { return Ok(None) };
        let port = free_port();
        let child = Command::new("node")
            .arg(script)
            .args([port.to_string().as_str(), APP_TOKEN])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("node")?;
        let base_url = format!("http://127.0.0.1:{port}/scim/v2");
        let address = format!("{base_url}/Users");
        until("SCIMMY answers", || async {
            Ok(Client::new().get(&address).bearer_auth(APP_TOKEN).send().await.ok().map(drop))
        })
        .await?;
        Ok(Some(Self { base_url, _child: child }))
    }
}

/// What the lying app holds and has heard.
#[derive(Default)]
struct Inner {
    users: BTreeMap<String, Value>,
    deletes: usize,
    traceparents: Vec<String>,
}

/// An app that answers 204 to a DELETE and keeps the account.
pub struct Lying {
    /// Its SCIM base address.
    pub base_url: String,
    inner: Arc<Mutex<Inner>>,
}

type Shared = Arc<Mutex<Inner>>;

fn with<T>(inner: &Shared, work: impl FnOnce(&mut Inner) -> T) -> T {
    work(&mut inner.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Lying {
    /// Starts one.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start() -> anyhow::Result<Self> {
        let inner = Shared::default();
        let router = Router::new()
            .route("/Users", get(search).post(create))
            .route("/Users/{id}", get(read).delete(delete))
            .with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { base_url, inner })
    }

    /// How many deletions it has confirmed.
    pub fn deletes(&self) -> usize {
        with(&self.inner, |inner| inner.deletes)
    }

    /// The traces its requests belonged to.
    pub fn traceparents(&self) -> Vec<String> {
        with(&self.inner, |inner| inner.traceparents.clone())
    }

    /// Does at last what it was asked for.
    pub fn repent(&self) {
        with(&self.inner, |inner| inner.users.clear());
    }
}

async fn search(State(inner): State<Shared>, Query(query): Query<BTreeMap<String, String>>) -> Json<Value> {
    let filter = query.get("filter").cloned().unwrap_or_default();
    let (attribute, value) = filter.split_once(" eq ").unwrap_or_default();
    let value: Value = serde_json::from_str(value).unwrap_or_default();
    let found: Vec<Value> = with(&inner, |inner| {
        inner.users.values().filter(|user| user.get(attribute) == Some(&value)).cloned().collect()
    });
    let schemas = ["urn:ietf:params:scim:api:messages:2.0:ListResponse"];
    Json(json!({ "schemas": schemas, "totalResults": found.len(), "Resources": found }))
}

async fn create(
    State(inner): State<Shared>,
    headers: HeaderMap,
    Json(mut user): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let trace = headers.get("traceparent").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let user = with(&inner, |inner| {
        inner.traceparents.push(trace);
        let id = format!("u{}", inner.users.len() + 1);
        user["id"] = id.clone().into();
        inner.users.insert(id, user.clone());
        user
    });
    (StatusCode::CREATED, Json(user))
}

async fn read(State(inner): State<Shared>, Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    with(&inner, |inner| inner.users.get(&id).cloned()).map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn delete(State(inner): State<Shared>, Path(_id): Path<String>) -> StatusCode {
    with(&inner, |inner| inner.deletes += 1);
    StatusCode::NO_CONTENT
}

//! An app of our own that does what well-behaved ones can't be made to do. What it does is told to it over HTTP, at
//! `/{tenant}/script`; each tenant is an app of its own, at `/{tenant}/scim`.

mod shape;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use shape::Shape;

/// What an app does wrong; nothing by default.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Script {
    /// Answers 204 to DELETE and keeps the account.
    pub ignores_deletes: bool,
    /// Answers 200 to a change of `active` and keeps it.
    pub ignores_deactivation: bool,
    /// Answers 200 or 204 to every change and does nothing.
    pub no_effect: bool,
    /// Says 200 to a new group member and loses them.
    pub loses_memberships: bool,
    /// Gives an account another id after it was created.
    pub changes_ids: bool,
    pub lower_cases_user_names: bool,
    /// Answers JSON as `text/html`.
    pub wrong_content_type: bool,
    /// Shows the same account on every page.
    pub inconsistent_pages: bool,
    /// Knows no filter.
    pub no_filter: bool,
    /// Knows no filter of groups by their members.
    pub no_membership_filter: bool,
    /// Knows no PATCH.
    pub no_patch: bool,
    /// Refuses creations with this detail.
    pub refuses_creation: Option<String>,
    /// Creations are answered 500, and not carried out.
    pub fails_creations: bool,
    /// Takes so long for every answer.
    pub slow_ms: u64,
    /// Shows changes only after so long.
    pub lag_ms: u64,
    /// The next so many answers are 429 with Retry-After.
    pub throttled: u32,
    pub retry_after: u64,
    /// The next so many answers are 500.
    pub fails: u32,
    /// The next so many answers break off in the middle of their JSON.
    pub truncates: u32,
    /// The next so many connections are closed without an answer.
    pub closes: u32,
    /// The next so many requests are never answered.
    pub hangs: u32,
    /// Every answer is 401.
    pub refuses_token: bool,
    /// The next so many creations are carried out and answered 500.
    pub loses_creations: u32,
    /// Keeps no `externalId`, and knows no filter by it.
    pub no_external_id: bool,
    /// Takes a filter by `externalId` and finds nothing by it.
    pub blind_external_id: bool,
    /// Knows no DELETE.
    pub no_delete: bool,
    /// Switches an account off that is to be deleted, and keeps it.
    pub deletes_deactivate: bool,
    /// Refuses a change of `active` with 403.
    pub refuses_deactivation: bool,
    /// Everything about groups is answered 500.
    pub groups_fail: bool,
    /// Every change of a group is answered with this.
    pub refuses_groups: Option<u16>,
    /// Answers as a tenant in which nobody is.
    pub empty_tenant: bool,
    /// It is no SCIM service: every answer is a web page.
    pub web_page: bool,
    /// The next so many changes of an account are not answered, and carried out after `late_ms`.
    pub late_changes: u32,
    pub late_ms: u64,
    /// Takes an id that it does not have for none at all, and answers 400.
    pub knows_no_other_ids: bool,
    /// Answers the read of this id with this status, and lists its account all the same.
    pub misreads: Option<(String, u16)>,
    /// Answers every creation with the account that has this user name, and this status: it takes it for the same.
    pub finds: Option<(String, u16)>,
    /// Refuses a change to a user name that another account has.
    pub names_are_unique: bool,
    /// Its token sees only the account with this user name.
    pub sees_only: Option<String>,
    /// Answers every request with this redirect first, to where it is answered.
    pub redirects: Option<u16>,
    /// How it keeps attributes, writes its answers, and takes a PATCH.
    pub shape: Shape,
}

#[derive(Debug, Clone, Default)]
struct Content {
    users: BTreeMap<String, Map<String, Value>>,
    groups: BTreeMap<String, Map<String, Value>>,
}

#[derive(Debug, Default)]
struct Tenant {
    script: Script,
    now: Content,
    /// What was there before, for an app that lags.
    past: Vec<(Instant, Content)>,
    next_id: u64,
    /// Ids by `attribute/value`, while nothing but creations has happened.
    index: Option<HashMap<String, Vec<String>>>,
    requests: Vec<String>,
    creations: u32,
}

type Tenants = Arc<Mutex<BTreeMap<String, Tenant>>>;

/// The server with its tenants.
pub struct Faulty {
    address: String,
    tenants: Tenants,
}

impl Faulty {
    /// Starts one.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_on("127.0.0.1").await
    }

    /// The same on another address of this machine, such as one that containers can reach.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start_on(host: &str) -> anyhow::Result<Self> {
        let tenants = Tenants::default();
        let router = Router::new()
            .route("/{tenant}/script", any(script))
            .route("/{tenant}/scim/{*path}", any(serve))
            .with_state(Arc::clone(&tenants));
        let listener = tokio::net::TcpListener::bind((host, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, tenants })
    }

    /// The SCIM base address of a tenant.
    pub fn base_url(&self, tenant: &str) -> String {
        format!("{}/{tenant}/scim", self.address)
    }

    /// Tells a tenant what to do from now on.
    ///
    /// # Errors
    /// When it does not take it.
    pub async fn tell(&self, tenant: &str, script: &Script) -> anyhow::Result<()> {
        let address = format!("{}/{tenant}/script", self.address);
        let request = reqwest::Client::new().post(address).body(serde_json::to_string(script)?);
        request.send().await?.error_for_status().context("the script was not taken")?;
        Ok(())
    }

    fn of<T>(&self, tenant: &str, work: impl FnOnce(&mut Tenant) -> T) -> T {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        work(tenants.entry(tenant.to_owned()).or_default())
    }

    /// The accounts as they really are.
    pub fn users(&self, tenant: &str) -> Vec<Value> {
        self.of(tenant, |t| t.now.users.values().cloned().map(Value::Object).collect())
    }

    /// The members of all groups of a name as they really are.
    pub fn members(&self, tenant: &str, group: &str) -> Vec<String> {
        let named = |g: &&Map<String, Value>| g.get("displayName") == Some(&group.into());
        self.of(tenant, |t| {
            let groups = t.now.groups.values().filter(named);
            let members = groups.flat_map(|g| g.get("members").and_then(Value::as_array).into_iter().flatten());
            members.filter_map(|m| m["value"].as_str().map(str::to_owned)).collect()
        })
    }

    /// Changes an account by hand.
    pub fn by_hand(&self, tenant: &str, change: impl Fn(&mut BTreeMap<String, Map<String, Value>>)) {
        self.of(tenant, |t| {
            t.index = None;
            change(&mut t.now.users);
        });
    }

    /// Makes a group by hand, also where there is one of that name.
    pub fn add_group(&self, tenant: &str, name: &str, members: &[Value]) {
        self.of(tenant, |t| {
            t.next_id += 1;
            let id = format!("h{:08}", t.next_id);
            let members: Vec<Value> = members.iter().map(|account| json!({ "value": account })).collect();
            let group = json!({ "id": id, "displayName": name, "members": members });
            t.now.groups.extend(group.as_object().map(|group| (id, group.clone())));
        });
    }

    /// Gives a group another name by hand.
    pub fn rename_group(&self, tenant: &str, from: &str, to: &str) {
        self.of(tenant, |t| {
            for group in t.now.groups.values_mut().filter(|group| group.get("displayName") == Some(&from.into())) {
                group.insert("displayName".into(), to.into());
            }
        });
    }

    /// Puts an account into a group by hand.
    pub fn add_member(&self, tenant: &str, group: &str, account: &Value) {
        self.of(tenant, |t| {
            let named = |g: &&mut Map<String, Value>| g.get("displayName") == Some(&group.into());
            if let Some(group) = t.now.groups.values_mut().find(named) {
                let members = group.entry("members").or_insert_with(|| json!([]));
                if let Some(all) = members.as_array_mut() {
                    all.push(json!({ "value": account }));
                }
            }
        });
    }

    /// Takes everybody out of a group by hand.
    pub fn empty_group(&self, tenant: &str, group: &str) {
        self.of(tenant, |t| {
            let named = |g: &&mut Map<String, Value>| g.get("displayName") == Some(&group.into());
            t.now.groups.values_mut().filter(named).for_each(|group| drop(group.remove("members")));
        });
    }

    /// Makes accounts by hand, that belong to nobody.
    pub fn fill(&self, tenant: &str, users: impl Iterator<Item = Value>) {
        self.of(tenant, |t| {
            t.index = None;
            for user in users {
                t.next_id += 1;
                let id = format!("h{:08}", t.next_id);
                let mut user = user.as_object().cloned().unwrap_or_default();
                user.insert("id".into(), id.clone().into());
                t.now.users.insert(id, user);
            }
        });
    }

    /// What it was asked, as `METHOD path`.
    pub fn requests(&self, tenant: &str) -> Vec<String> {
        self.of(tenant, |t| t.requests.clone())
    }

    /// How many accounts it was asked to create, and did.
    pub fn creations(&self, tenant: &str) -> u32 {
        self.of(tenant, |t| t.creations)
    }
}

async fn script(State(tenants): State<Tenants>, Path(tenant): Path<String>, body: Bytes) -> Response {
    match serde_json::from_slice::<Script>(&body) {
        Ok(script) => {
            let mut tenants = tenants.lock().unwrap_or_else(PoisonError::into_inner);
            tenants.entry(tenant).or_default().script = script;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(e) => (StatusCode::BAD_REQUEST, e.to_string()).into_response(),
    }
}

/// What goes wrong with one request before the app has looked at it.
enum Accident {
    Hang,
    Close,
    Truncate,
    Answer(Response),
}

fn accident(script: &mut Script) -> Option<Accident> {
    let happens = |n: &mut u32| {
        let now = *n > 0;
        *n = n.saturating_sub(1);
        now
    };
    if happens(&mut script.hangs) {
        return Some(Accident::Hang);
    }
    if happens(&mut script.closes) {
        return Some(Accident::Close);
    }
    if happens(&mut script.truncates) {
        return Some(Accident::Truncate);
    }
    if happens(&mut script.throttled) {
        let answer = (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, script.retry_after.to_string())], "slowly");
        return Some(Accident::Answer(answer.into_response()));
    }
    if happens(&mut script.fails) {
        return Some(Accident::Answer((StatusCode::INTERNAL_SERVER_ERROR, "oh").into_response()));
    }
    if script.refuses_token {
        return Some(Accident::Answer((StatusCode::UNAUTHORIZED, "who?").into_response()));
    }
    if script.web_page {
        return Some(Accident::Answer(axum::response::Html("<html>Welcome</html>").into_response()));
    }
    None
}

async fn serve(
    State(tenants): State<Tenants>,
    Path((tenant, path)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
    request: Request,
) -> Response {
    let method = request.method().clone();
    let moved = |status: u16| {
        let uri = request.uri();
        let (path, asked) = (uri.path(), uri.query().map(|query| format!("{query}&")).unwrap_or_default());
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
        (status, [(header::LOCATION, format!("{path}?{asked}moved=1"))]).into_response()
    };
    let redirects = {
        let mut tenants = tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.entry(tenant.clone()).or_default().script.redirects
    };
    if let (Some(status), false) = (redirects, query.contains_key("moved")) {
        return moved(status);
    }
    let body = axum::body::to_bytes(request.into_body(), 16 << 20).await.unwrap_or_default();
    let (accident, slow, kind, late) = {
        let mut tenants = tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let tenant = tenants.entry(tenant.clone()).or_default();
        tenant.requests.push(format!("{method} {path}"));
        let kind = if tenant.script.wrong_content_type { "text/html" } else { "application/scim+json" };
        let is_change = method == Method::PUT || (method == Method::PATCH && !tenant.script.no_patch);
        let is_late = is_change && tenant.script.late_changes > 0;
        tenant.script.late_changes -= u32::from(is_late);
        let late = is_late.then_some(tenant.script.late_ms);
        (accident(&mut tenant.script), tenant.script.slow_ms, kind, late)
    };
    if let Some(after) = late {
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(after)).await;
            let mut tenants = tenants.lock().unwrap_or_else(PoisonError::into_inner);
            tenants.entry(tenant).or_default().answer(&method, &path, &query, &body);
        });
        return std::future::pending().await;
    }
    if slow > 0 {
        tokio::time::sleep(Duration::from_millis(slow)).await;
    }
    match accident {
        Some(Accident::Hang) => std::future::pending().await,
        Some(Accident::Answer(response)) => response,
        // A body that fails before its first byte ends the connection.
        Some(Accident::Close) => broken(Vec::new()),
        Some(Accident::Truncate) => broken(br#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListRes"#.to_vec()),
        None => {
            let (status, answer) = {
                let mut tenants = tenants.lock().unwrap_or_else(PoisonError::into_inner);
                let tenant = tenants.entry(tenant).or_default();
                let (status, answer) = tenant.answer(&method, &path, &query, &body);
                (status, answer.map(|value| tenant.script.shape.write(value)))
            };
            match answer {
                Some(text) => (status, [(header::CONTENT_TYPE, kind)], text).into_response(),
                None => status.into_response(),
            }
        }
    }
}

fn broken(start: Vec<u8>) -> Response {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(2);
    tokio::spawn(async move {
        let _ = sender.send(Ok(start)).await;
        let _ = sender.send(Err(std::io::Error::other("cut"))).await;
    });
    let stream = futures_util::stream::unfold(receiver, |mut r| async move { r.recv().await.map(|item| (item, r)) });
    let length = header::HeaderValue::from_static("1000");
    ([(header::CONTENT_LENGTH, length)], Body::from_stream(stream)).into_response()
}

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

type Answer = (StatusCode, Option<Value>);

impl Tenant {
    fn answer(&mut self, method: &Method, path: &str, query: &BTreeMap<String, String>, body: &Bytes) -> Answer {
        let mut parts = path.trim_matches('/').splitn(2, '/');
        let (kind, id) = (parts.next().unwrap_or_default().to_owned(), parts.next().map(str::to_owned));
        if let ("Schemas", Some(schemas)) = (kind.as_str(), self.script.shape.schemas()) {
            return (StatusCode::OK, Some(schemas));
        }
        if !matches!(kind.as_str(), "Users" | "Groups") {
            return (StatusCode::NOT_FOUND, None);
        }
        if let ("Groups", "PATCH" | "PUT", Some(status)) = (kind.as_str(), method.as_str(), self.script.refuses_groups)
        {
            return (StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN), None);
        }
        if self.script.groups_fail && kind == "Groups" {
            return (StatusCode::INTERNAL_SERVER_ERROR, None);
        }
        if self.script.empty_tenant {
            let list = json!({ "schemas": [LIST], "totalResults": 0, "startIndex": 1, "Resources": [] });
            return match (method.as_str(), id) {
                ("GET", None) => (StatusCode::OK, Some(list)),
                ("POST", _) => (StatusCode::FORBIDDEN, None),
                _ => (StatusCode::NOT_FOUND, None),
            };
        }
        let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
        if self.script.no_external_id
            && let Some(fields) = body.as_object_mut()
        {
            fields.remove("externalId");
            if let Some(operations) = fields.get_mut("Operations").and_then(Value::as_array_mut) {
                operations.retain(|operation| operation["path"] != "externalId");
            }
        }
        let hidden = self.script.sees_only.clone().filter(|_| *method == Method::GET && kind == "Users").map(|seen| {
            self.index = None;
            let all = self.now.users.clone();
            self.now.users.retain(|_, user| user.get("userName") == Some(&json!(seen)));
            all
        });
        let keeps = self.script.no_effect || self.script.lag_ms > 0;
        let before = (keeps && *method != Method::GET).then(|| self.now.clone());
        if !matches!(method.as_str(), "GET" | "POST") || keeps {
            self.index = None;
        }
        let answer = match (method.as_str(), id) {
            ("GET", None) => {
                let (status, mut list) = self.list(&kind, query);
                let listed = list.as_mut().and_then(|list| list.get_mut("Resources")?.as_array_mut());
                for resource in listed.into_iter().flatten().filter(|_| self.script.shape.members_on_request) {
                    resource.as_object_mut().map(|resource| resource.remove("members"));
                }
                (status, list)
            }
            ("GET", Some(id)) if self.script.misreads.as_ref().is_some_and(|(misread, _)| *misread == id) => {
                let status = self.script.misreads.as_ref().map_or(404, |(_, status)| *status);
                (StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND), None)
            }
            ("GET", Some(id)) => match self.shown().of(&kind).get(&id) {
                Some(found) => {
                    let mut found = found.clone();
                    let asked = query.get("attributes").is_some_and(|names| names.contains("members"));
                    if self.script.shape.members_on_request && !asked {
                        found.remove("members");
                    }
                    if self.script.shape.shows_groups && kind == "Users" {
                        found.insert("groups".into(), self.groups_of(&id));
                    }
                    (StatusCode::OK, Some(Value::Object(found)))
                }
                None if self.script.knows_no_other_ids => {
                    (StatusCode::BAD_REQUEST, Some(json!({ "detail": "no such form of id" })))
                }
                None => (StatusCode::NOT_FOUND, None),
            },
            ("POST", None) => self.create(&kind, body),
            ("PATCH" | "PUT", Some(_)) if self.script.refuses_deactivation && body.to_string().contains("active") => {
                (StatusCode::FORBIDDEN, None)
            }
            ("PUT", Some(id)) => self.replace(&kind, &id, &body),
            ("PATCH", Some(_)) if self.script.no_patch => (StatusCode::NOT_IMPLEMENTED, None),
            ("PATCH", Some(id)) => self.patch(&kind, &id, &body),
            ("DELETE", Some(_)) if self.script.no_delete => (StatusCode::METHOD_NOT_ALLOWED, None),
            ("DELETE", Some(id)) if self.script.deletes_deactivate => match self.now.of_mut(&kind).get_mut(&id) {
                Some(user) => {
                    user.insert("active".into(), false.into());
                    (StatusCode::NO_CONTENT, None)
                }
                None => (StatusCode::NOT_FOUND, None),
            },
            ("DELETE", Some(id)) => self.delete(&kind, &id),
            _ => (StatusCode::METHOD_NOT_ALLOWED, None),
        };
        if let Some(all) = hidden {
            self.index = None;
            self.now.users = all;
        }
        if let Some(before) = before {
            if self.script.no_effect {
                self.now = before;
            } else {
                self.past.push((Instant::now(), before));
            }
        }
        answer
    }

    /// What is shown now: for an app that lags, what was there so long ago.
    fn shown(&self) -> &Content {
        let lag = Duration::from_millis(self.script.lag_ms);
        let hidden = self.past.iter().find(|(changed, _)| changed.elapsed() < lag);
        hidden.map_or(&self.now, |(_, before)| before)
    }

    fn list(&mut self, kind: &str, query: &BTreeMap<String, String>) -> Answer {
        let no_hit = self.script.shape.no_hit.and_then(|status| StatusCode::from_u16(status).ok());
        match (self.found(kind, query), no_hit.filter(|_| query.contains_key("filter"))) {
            ((StatusCode::OK, Some(list)), Some(no_hit)) if list["totalResults"] == 0 => (no_hit, None),
            ((StatusCode::NOT_IMPLEMENTED, _), Some(no_hit)) => (no_hit, None),
            (found, _) => found,
        }
    }

    fn groups_of(&self, id: &str) -> Value {
        let has = |group: &&Map<String, Value>| {
            let members = group.get("members").and_then(Value::as_array);
            members.is_some_and(|all| all.iter().any(|member| member["value"] == id))
        };
        self.now.groups.values().filter(has).map(|group| json!({ "value": group["id"], "type": "direct" })).collect()
    }

    fn found(&mut self, kind: &str, query: &BTreeMap<String, String>) -> Answer {
        if self.script.shape.no_count && query.contains_key("count") {
            return (StatusCode::INTERNAL_SERVER_ERROR, None);
        }
        if kind == "Users" && query.get("filter").is_some_and(|filter| !self.script.shape.knows(filter)) {
            return (StatusCode::BAD_REQUEST, None);
        }
        let asked = query.get("filter").and_then(|filter| Shape::membership(filter));
        if self.script.no_membership_filter && asked.is_some() {
            return (StatusCode::BAD_REQUEST, None);
        }
        if let (true, Some((group, account))) = (self.script.shape.hides_members, asked) {
            let group = self.now.groups.get(&group);
            let is_in = |g: &&Map<String, Value>| {
                let members = g.get("members").and_then(Value::as_array);
                members.is_some_and(|all| all.iter().any(|m| m["value"] == account))
            };
            let found: Vec<_> = group.into_iter().filter(is_in).collect();
            let list = json!({ "schemas": [LIST], "totalResults": found.len(), "startIndex": 1, "Resources": found });
            return (StatusCode::OK, Some(list));
        }
        if query.get("filter").is_some_and(|filter| filter.starts_with("externalId")) {
            if self.script.no_external_id {
                return (StatusCode::BAD_REQUEST, None);
            }
            if self.script.blind_external_id {
                let list = json!({ "schemas": [LIST], "totalResults": 0, "startIndex": 1, "Resources": [] });
                return (StatusCode::OK, Some(list));
            }
        }
        if let Some(found) = self.look_up(kind, query) {
            return (StatusCode::OK, Some(found));
        }
        let all = self.shown().of(kind);
        let filter = query.get("filter").map(String::as_str);
        if filter.is_some() && self.script.no_filter {
            return (StatusCode::NOT_IMPLEMENTED, None);
        }
        let wanted = filter.and_then(|f| f.split_once(" eq "));
        let matches = |user: &&Map<String, Value>| match wanted {
            None => true,
            Some((attribute, value)) => {
                let value: Value = serde_json::from_str(value).unwrap_or_default();
                let have = user.get(attribute).and_then(Value::as_str).unwrap_or_default();
                value.as_str().is_some_and(|v| v.eq_ignore_ascii_case(have))
            }
        };
        let found: Vec<&Map<String, Value>> = all.values().filter(matches).collect();
        let number = |name: &str, default: usize| query.get(name).and_then(|n| n.parse().ok()).unwrap_or(default);
        let most = self.script.shape.page_size.unwrap_or(usize::MAX);
        let by_cursor = self.script.shape.cursor;
        let further = self.script.shape.further_pages.and_then(|status| StatusCode::from_u16(status).ok());
        let is_further = number("startIndex", 1) > if self.script.shape.total_of_page { 1 } else { found.len().max(1) };
        if let (Some(status), true) = (further, is_further) {
            return (status, None);
        }
        if by_cursor && query.contains_key("startIndex") {
            return (StatusCode::BAD_REQUEST, None);
        }
        let start = if by_cursor { number("cursor", 1) } else { number("startIndex", 1) }.max(1);
        let count = if self.script.shape.ignores_count { most.min(100) } else { number("count", 100).min(most) };
        let page: Vec<&Map<String, Value>> = if self.script.inconsistent_pages && start > 1 {
            found.iter().take(count).copied().collect()
        } else {
            found.iter().skip(start - 1).take(count).copied().collect()
        };
        if by_cursor {
            let next = (start - 1 + page.len() < found.len()).then(|| (start + page.len()).to_string());
            return (StatusCode::OK, Some(json!({ "schemas": [LIST], "nextCursor": next, "Resources": page })));
        }
        let total = if self.script.shape.total_of_page { page.len() } else { found.len() };
        let body = json!({ "schemas": [LIST], "totalResults": total, "startIndex": start, "Resources": page });
        (StatusCode::OK, Some(body))
    }

    /// The answer to `attribute eq "value"` by an index, as any real app has one.
    fn look_up(&mut self, kind: &str, query: &BTreeMap<String, String>) -> Option<Value> {
        let (attribute, value) = query.get("filter")?.split_once(" eq ")?;
        if kind != "Users" || self.script.no_filter || self.script.lag_ms > 0 {
            return None;
        }
        let value: Value = serde_json::from_str(value).ok()?;
        let key = format!("{attribute}/{}", value.as_str()?.to_lowercase());
        let users = &self.now.users;
        let index = self.index.get_or_insert_with(|| {
            let mut index: HashMap<String, Vec<String>> = HashMap::new();
            for (id, user) in users {
                index_user(&mut index, id, user);
            }
            index
        });
        let found: Vec<_> = index.get(&key).into_iter().flatten().filter_map(|id| users.get(id)).collect();
        Some(json!({ "schemas": [LIST], "totalResults": found.len(), "startIndex": 1, "Resources": found }))
    }

    fn create(&mut self, kind: &str, body: Value) -> Answer {
        if self.script.fails_creations && kind == "Users" {
            return (StatusCode::INTERNAL_SERVER_ERROR, None);
        }
        if let (Some(detail), "Users") = (&self.script.refuses_creation, kind) {
            return (StatusCode::BAD_REQUEST, Some(json!({ "detail": detail, "status": "400" })));
        }
        if let (Some((name, status)), "Users") = (&self.script.finds, kind) {
            let found = self.now.users.values().find(|user| user.get("userName") == Some(&name.as_str().into()));
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::OK);
            return (status, found.cloned().map(Value::Object));
        }
        let mut resource = body.as_object().cloned().unwrap_or_default();
        if let ("Users", Some(detail)) = (kind, self.script.shape.lacks(&resource)) {
            return (StatusCode::BAD_REQUEST, Some(json!({ "detail": detail, "status": "400" })));
        }
        let name =
            |r: &Map<String, Value>| r.get("userName").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        let query = BTreeMap::from([("filter".to_owned(), format!("userName eq {}", Value::from(name(&resource))))]);
        let taken = match self.look_up(kind, &query) {
            Some(found) => found["totalResults"] != 0,
            None => self.now.users.values().any(|u| name(u) == name(&resource)),
        };
        if kind == "Users" && taken {
            return (StatusCode::CONFLICT, Some(json!({ "detail": "userName is taken", "status": "409" })));
        }
        if self.script.lower_cases_user_names && kind == "Users" {
            resource.insert("userName".into(), name(&resource).into());
        }
        self.next_id += 1;
        let letter = if self.script.shape.numeric_ids { String::new() } else { kind[..1].to_lowercase() };
        let id = format!("{letter}{}", self.next_id);
        if kind == "Users" {
            self.script.shape.keep(&mut resource);
        } else {
            self.script.shape.keep_group(&mut resource, None);
        }
        let mut answered = resource.clone();
        answered.insert("id".into(), id.clone().into());
        let kept = if self.script.changes_ids { format!("{id}-moved") } else { id };
        resource.insert("id".into(), kept.clone().into());
        if kind == "Users" {
            self.creations += 1;
            if let Some(index) = &mut self.index {
                index_user(index, &kept, &resource);
            }
        }
        self.now.of_mut(kind).insert(kept, resource);
        if kind == "Users" && self.script.loses_creations > 0 {
            self.script.loses_creations -= 1;
            return (StatusCode::INTERNAL_SERVER_ERROR, None);
        }
        match (kind, &self.script.shape) {
            ("Users", shape) if shape.silent_creation => (StatusCode::CREATED, None),
            ("Users", shape) if shape.answers_id_alone => (StatusCode::CREATED, Some(json!({ "id": answered["id"] }))),
            (_, shape) if shape.creation_is_ok => (StatusCode::OK, Some(Value::Object(answered))),
            _ => (StatusCode::CREATED, Some(Value::Object(answered))),
        }
    }

    fn replace(&mut self, kind: &str, id: &str, body: &Value) -> Answer {
        let shape = self.script.shape.clone();
        let Some(old) = self.now.of_mut(kind).get_mut(id) else { return (StatusCode::NOT_FOUND, None) };
        let mut new = body.as_object().cloned().unwrap_or_default();
        new.insert("id".into(), id.into());
        new.extend(old.get("accepted").map(|accepted| ("accepted".to_owned(), accepted.clone())));
        if self.script.ignores_deactivation {
            new.extend(old.get("active").map(|active| ("active".to_owned(), active.clone())));
        }
        if kind == "Users" {
            shape.keep(&mut new);
        } else {
            shape.keep_group(&mut new, Some(old));
        }
        *old = new.clone();
        (StatusCode::OK, Some(Value::Object(new)))
    }

    fn patch(&mut self, kind: &str, id: &str, body: &Value) -> Answer {
        if let Some(detail) = self.script.shape.refusal(body) {
            return (StatusCode::BAD_REQUEST, Some(json!({ "detail": detail, "status": "400" })));
        }
        let (ignores, loses) = (self.script.ignores_deactivation, self.script.loses_memberships);
        let shape = self.script.shape.clone();
        let is_taken = |name: &Value| {
            let others = self.now.users.iter().filter(|(other, _)| other.as_str() != id);
            others.into_iter().any(|(_, user)| user.get("userName") == Some(name))
        };
        let mut names = Shape::operations(body).into_iter().filter(|operation| operation["path"] == "userName");
        if self.script.names_are_unique && kind == "Users" && names.any(|operation| is_taken(&operation["value"])) {
            return (StatusCode::CONFLICT, Some(json!({ "detail": "userName is taken", "status": "409" })));
        }
        let Some(resource) = self.now.of_mut(kind).get_mut(id) else { return (StatusCode::NOT_FOUND, None) };
        for operation in &Shape::operations(body) {
            let path = operation["path"].as_str().unwrap_or_default();
            let value = &operation["value"];
            match (operation["op"].as_str().unwrap_or_default(), path) {
                ("replace", "active") if ignores => {}
                ("add", "members") if loses => {}
                ("add", "members") => {
                    let members = resource.entry("members").or_insert_with(|| json!([]));
                    if let (Some(members), Some(new)) = (members.as_array_mut(), value.as_array()) {
                        members.extend(new.clone());
                    }
                }
                ("remove", "members") if value.is_array() => {
                    let gone: Vec<&Value> = value.as_array().into_iter().flatten().map(|m| &m["value"]).collect();
                    if let Some(members) = resource.get_mut("members").and_then(Value::as_array_mut) {
                        members.retain(|m| !gone.contains(&&m["value"]));
                    }
                }
                ("remove", path) if path.starts_with("members[") => {
                    let who: Value =
                        serde_json::from_str(path.trim_start_matches("members[value eq ").trim_end_matches(']'))
                            .unwrap_or_default();
                    if let Some(members) = resource.get_mut("members").and_then(Value::as_array_mut) {
                        members.retain(|m| m["value"] != who);
                    }
                }
                ("remove", path) => drop(resource.remove(path)),
                (_, path) => match path.split_once('.') {
                    Some((outer, inner)) => {
                        let fields = resource.entry(outer).or_insert_with(|| json!({}));
                        fields[inner] = value.clone();
                    }
                    None => drop(resource.insert(path.to_owned(), value.clone())),
                },
            }
        }
        if kind == "Users" {
            shape.keep(resource);
        }
        (StatusCode::OK, Some(Value::Object(resource.clone())))
    }

    fn delete(&mut self, kind: &str, id: &str) -> Answer {
        if !self.now.of(kind).contains_key(id) {
            return (StatusCode::NOT_FOUND, None);
        }
        if !self.script.ignores_deletes {
            self.now.of_mut(kind).remove(id);
        }
        (StatusCode::NO_CONTENT, None)
    }
}

fn index_user(index: &mut HashMap<String, Vec<String>>, id: &str, user: &Map<String, Value>) {
    for attribute in ["userName", "externalId"] {
        if let Some(value) = user.get(attribute).and_then(Value::as_str) {
            index.entry(format!("{attribute}/{}", value.to_lowercase())).or_default().push(id.to_owned());
        }
    }
}

impl Content {
    fn of(&self, kind: &str) -> &BTreeMap<String, Map<String, Value>> {
        if kind == "Users" { &self.users } else { &self.groups }
    }

    fn of_mut(&mut self, kind: &str) -> &mut BTreeMap<String, Map<String, Value>> {
        if kind == "Users" { &mut self.users } else { &mut self.groups }
    }
}

//! A SCIM service as apps are: uneven, slow, forgetful, and changed by hand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_provisioner::{Exchange, Failure, Response, Secrets, Transport};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use url::Url;

use crate::chance::Chance;
use crate::laws::Laws;
use crate::weather::Weather;

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// How long a request that is never answered is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What kind of app it is.
#[derive(Debug, Clone, Copy)]
pub struct Nature {
    pub id: &'static str,
    /// How much later than it is written something is read.
    pub lag: Duration,
    pub filters: bool,
    pub patches: bool,
    /// Whether it keeps and finds the `externalId` of an account.
    pub external_ids: bool,
}

#[derive(Debug, Clone, Default)]
struct Content {
    users: BTreeMap<String, Map<String, Value>>,
    /// By id: the name and the members.
    groups: BTreeMap<String, (String, BTreeSet<String>)>,
}

#[derive(Debug, Default)]
struct Truth {
    now: Content,
    past: VecDeque<(Instant, Content)>,
    made: u64,
    /// Whose account each is, by its id, whatever it says by now.
    whose: BTreeMap<String, String>,
    /// The user name that we have given each account last, by its id, whatever it is called by now.
    named: BTreeMap<String, String>,
    /// Until when it answers as another tenant, in which nobody is.
    other_tenant_until: Option<Instant>,
    /// When that began last.
    other_tenant_since: Option<Instant>,
    /// Until when nothing about groups is answered.
    groups_down_until: Option<Instant>,
    down_until: Option<Instant>,
    /// Whose accounts a person has changed by hand, and when last; the empty name: of nobody that is known.
    touched: BTreeMap<String, Instant>,
}

/// One app; clones are the same.
#[derive(Clone)]
pub struct SimApp {
    pub nature: Nature,
    chance: Chance,
    weather: Weather,
    laws: Arc<Laws>,
    truth: Arc<Mutex<Truth>>,
}

impl fmt::Debug for SimApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimApp {}", self.nature.id)
    }
}

/// How the name of an account begins that was renamed by hand, and has lost its name to another one.
pub const RENAMED: &str = "shadow-";

pub fn text<'a>(user: &'a Map<String, Value>, name: &str) -> &'a str {
    user.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn is_live(user: &Map<String, Value>) -> bool {
    user.get("active") != Some(&Value::Bool(false))
}

impl SimApp {
    /// An empty one.
    pub fn new(nature: Nature, chance: Chance, weather: Weather, laws: Arc<Laws>) -> Self {
        Self { nature, chance, weather, laws, truth: Arc::default() }
    }

    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The live accounts of someone, as they really are: id, attributes, and groups by name. In an app that does not keep
    /// whose they are it is those that have one of `names`.
    pub fn live_of(
        &self,
        whose: &str,
        names: &BTreeSet<String>,
    ) -> Vec<(String, Map<String, Value>, BTreeSet<String>)> {
        let truth = self.truth();
        let is_theirs = |id: &String, user: &Map<String, Value>| match self.nature.external_ids {
            true => truth.whose.get(id).is_some_and(|of| of == whose),
            false => {
                names.contains(&text(user, "userName").to_lowercase())
                    || truth.named.get(id).is_some_and(|name| names.contains(name))
            }
        };
        let live = truth.now.users.iter().filter(|(id, user)| is_theirs(id, user) && is_live(user));
        let groups = |id: &String| {
            let of = truth.now.groups.values().filter(|(_, members)| members.contains(id));
            of.map(|(name, _)| name.clone()).collect()
        };
        live.map(|(id, user)| (id.clone(), user.clone(), groups(id))).collect()
    }

    /// A live account: what it is, and the groups that it is in.
    pub fn live_account(&self, id: &str) -> Option<(Map<String, Value>, BTreeSet<String>)> {
        let truth = self.truth();
        let user = truth.now.users.get(id).filter(|user| is_live(user))?.clone();
        let of = truth.now.groups.values().filter(|(_, members)| members.contains(id));
        Some((user, of.map(|(name, _)| name.clone()).collect()))
    }

    /// Whether an account is live.
    pub fn is_live(&self, id: &str) -> bool {
        self.truth().now.users.get(id).is_some_and(is_live)
    }

    /// Every live account: its id, and whose it is, or the user name where the app does not keep that.
    pub fn live(&self) -> Vec<(String, String)> {
        let truth = self.truth();
        let live = truth.now.users.iter().filter(|(_, user)| is_live(user));
        let whose = |id: &String, user: &Map<String, Value>| match self.nature.external_ids {
            true => truth.whose.get(id).cloned().unwrap_or_default(),
            false => text(user, "userName").to_owned(),
        };
        live.map(|(id, user)| (id.clone(), whose(id, user))).collect()
    }

    /// Answers as an empty tenant for a while.
    pub fn become_empty(&self, time: Duration) {
        let mut truth = self.truth();
        truth.other_tenant_since = Some(Instant::now());
        truth.other_tenant_until = Some(Instant::now() + time);
    }

    /// Whether it began to do that within so much time.
    pub fn became_empty_within(&self, time: Duration) -> bool {
        self.truth().other_tenant_since.is_some_and(|since| since.elapsed() < time)
    }

    /// The ids of all accounts that are really there.
    pub fn ids(&self) -> Vec<String> {
        self.truth().now.users.keys().cloned().collect()
    }

    /// Answers nothing about groups for a while.
    pub fn lose_groups(&self, time: Duration) {
        self.truth().groups_down_until = Some(Instant::now() + time);
    }

    /// Since when nobody has changed the accounts of someone by hand.
    pub fn untouched_for(&self, external_id: &str) -> Duration {
        self.truth().touched.get(external_id).map_or(Duration::MAX, Instant::elapsed)
    }

    /// Answers nothing for a while.
    pub fn go_down(&self, time: Duration) {
        self.truth().down_until = Some(Instant::now() + time);
    }

    /// Somebody removes an account by hand, as they were told to.
    pub fn remove_by_hand(&self, id: &str) {
        let mut truth = self.truth();
        if truth.now.users.remove(id).is_some() {
            let whose = truth.whose.get(id).cloned().unwrap_or_default();
            truth.touched.insert(whose, Instant::now());
            self.laws.note(format!("{}: {id} is removed by hand", self.nature.id));
            remember(&mut truth);
        }
    }

    /// Someone changes an account by hand.
    pub fn meddle(&self) {
        let mut truth = self.truth();
        let ids: Vec<String> = truth.now.users.keys().cloned().collect();
        let Some(id) = self.chance.pick(&ids).cloned() else { return };
        let Some(mut user) = truth.now.users.get(&id).cloned() else { return };
        let whose = match self.nature.external_ids {
            true => truth.whose.get(&id).cloned().unwrap_or_default(),
            false => text(&user, "userName").to_lowercase(),
        };
        truth.touched.insert(whose.clone(), Instant::now());
        let what = self.chance.within(0..7);
        match what {
            0 => drop(truth.now.users.remove(&id)),
            1 => {
                user.insert("title".into(), "Changed by hand".into());
                truth.now.users.insert(id.clone(), user);
            }
            2 => {
                // The same person once more, under another name.
                truth.made += 1;
                let twin = format!("{}-twin-{}", self.nature.id, truth.made);
                user.extend([("id".to_owned(), json!(twin)), ("userName".to_owned(), json!(twin))]);
                user.insert("active".into(), true.into());
                // Nobody has linked this one: it is whose it says it is.
                let whose = if self.nature.external_ids { text(&user, "externalId").to_owned() } else { whose };
                truth.touched.insert(whose.clone(), Instant::now());
                truth.whose.insert(twin.clone(), whose);
                truth.now.users.insert(twin, user);
            }
            // It says from now on that it is someone else's: whose it is does not change.
            // One that was made by hand, and that nobody has linked, is whose it says it is.
            3 if self.nature.external_ids && !id.contains("-twin-") => {
                let others: Vec<String> = truth.whose.values().filter(|other| **other != whose).cloned().collect();
                let Some(other) = self.chance.pick(&others) else { return };
                // A drill's account is nobody's: the drill lets go of what says that it is somebody's.
                if text(&user, "userName").starts_with("rollcall-drill-") {
                    truth.touched.insert(other.clone(), Instant::now());
                    truth.whose.insert(id.clone(), other.clone());
                }
                user.insert("externalId".into(), other.clone().into());
                truth.now.users.insert(id.clone(), user);
            }
            // It gets another name, and somebody makes one with the name that it had.
            4 if !self.nature.external_ids => {
                truth.made += 1;
                let other = format!("{}-other-{}", self.nature.id, truth.made);
                let mut second = user.clone();
                second.extend([("id".to_owned(), json!(other)), ("active".to_owned(), json!(true))]);
                user.insert("userName".into(), json!(format!("{RENAMED}{}", truth.made)));
                truth.now.users.insert(id.clone(), user);
                truth.now.users.insert(other, second);
            }
            _ => {
                let active = !is_live(&user);
                user.insert("active".into(), active.into());
                truth.now.users.insert(id.clone(), user);
            }
        }
        self.laws.note(format!("{}: by hand {what} to {id}", self.nature.id));
        remember(&mut truth);
    }

    /// What is shown: as it was a while ago.
    fn shown(&self, truth: &Truth) -> Content {
        let then = Instant::now() - self.nature.lag;
        let seen = truth.past.iter().rev().find(|(at, _)| *at <= then);
        if self.nature.lag.is_zero() { truth.now.clone() } else { seen.map(|(_, c)| c.clone()).unwrap_or_default() }
    }

    async fn answer(&self, method: Method, address: Url, body: Option<&Value>) -> Result<Response, Failure> {
        tokio::time::sleep(self.chance.millis(1..60)).await;
        let lost = || Failure::new(RejectionCause::Unreachable, "the connection is lost");
        let down = self.truth().down_until.is_some_and(|until| until > Instant::now());
        if down {
            return Ok(response(StatusCode::SERVICE_UNAVAILABLE, &json!({ "detail": "down" })));
        }
        let dice = if self.weather.is_rough() { self.chance.within(0..100) } else { 100 };
        match dice {
            0..2 => {
                // It may be on its way still, and be carried out long after nobody waits for it any more.
                if self.chance.percent(50) {
                    let (app, body) = (self.clone(), body.cloned());
                    let late = TIMEOUT + self.chance.millis(0..15_000);
                    tokio::spawn(async move {
                        tokio::time::sleep(late).await;
                        let before = app.live_ids();
                        app.handle(&method, &address, body.as_ref());
                        for (id, says) in app.live_ids().iter().filter(|(id, _)| !before.contains_key(*id)) {
                            app.laws.revived(app.nature.id, id, says.parse().ok());
                        }
                    });
                }
                tokio::time::sleep(TIMEOUT).await;
                return Err(lost());
            }
            2..4 => {
                self.handle(&method, &address, body);
                tokio::time::sleep(TIMEOUT).await;
                return Err(lost());
            }
            4..7 => return Ok(response(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "detail": "oops" }))),
            7..10 => {
                self.handle(&method, &address, body);
                return Err(lost());
            }
            10..12 => {
                let mut busy = response(StatusCode::TOO_MANY_REQUESTS, &json!({}));
                busy.retry_after = Some(Duration::from_secs(self.chance.within(1..4)));
                return Ok(busy);
            }
            12..14 => {
                let (status, answer) = self.handle(&method, &address, body);
                let mut broken = response(status, &answer);
                broken.body.truncate(broken.body.len() / 2);
                return Ok(broken);
            }
            // Says yes and does nothing.
            14..18 if method == Method::PATCH || method == Method::DELETE => {
                return Ok(response(StatusCode::NO_CONTENT, &Value::Null));
            }
            _ => {}
        }
        let (status, answer) = self.handle(&method, &address, body);
        tokio::time::sleep(self.chance.millis(1..60)).await;
        Ok(response(status, &answer))
    }

    /// The ids of the accounts that live, with what each says of whose it is.
    fn live_ids(&self) -> BTreeMap<String, String> {
        let truth = self.truth();
        let live = truth.now.users.iter().filter(|(_, user)| is_live(user));
        live.map(|(id, user)| {
            let says = user.get("externalId").and_then(Value::as_str).unwrap_or_default();
            (id.clone(), says.to_owned())
        })
        .collect()
    }

    fn handle(&self, method: &Method, address: &Url, body: Option<&Value>) -> (StatusCode, Value) {
        let path: Vec<&str> = address.path_segments().into_iter().flatten().skip(1).collect();
        let query: BTreeMap<String, String> = address.query_pairs().into_owned().collect();
        let mut truth = self.truth();
        if truth.other_tenant_until.is_some_and(|until| until > Instant::now()) {
            return match (method.as_str(), path.as_slice()) {
                ("GET", [_]) => self.list(&Content::default(), true, &query),
                ("POST", [_]) => (StatusCode::FORBIDDEN, json!({ "detail": "it may only read" })),
                _ => found(None),
            };
        }
        let groups_are_down = truth.groups_down_until.is_some_and(|until| until > Instant::now());
        if path.first() == Some(&"Groups") && groups_are_down {
            return (StatusCode::INTERNAL_SERVER_ERROR, json!({ "detail": "no groups today" }));
        }
        let kept = body.cloned().map(|body| self.kept(body));
        let body = kept.as_ref();
        let writes = *method != Method::GET;
        let outcome = match (method.as_str(), path.as_slice()) {
            ("GET", ["Users" | "Groups"]) => self.list(&self.shown(&truth), path.first() == Some(&"Users"), &query),
            ("GET", ["Users", id]) => found(self.shown(&truth).users.get(*id).cloned().map(Value::Object)),
            ("GET", ["Groups", id]) => found(self.shown(&truth).groups.get(*id).map(|group| shown_group(id, group))),
            ("POST", ["Users"]) => self.create(&mut truth, body),
            ("PUT", ["Users", id]) => change(&mut truth, id, |_| body.and_then(Value::as_object).cloned()),
            ("PATCH", ["Users" | "Groups", ..]) if !self.nature.patches => (StatusCode::NOT_IMPLEMENTED, Value::Null),
            ("PATCH", ["Users", id]) => change(&mut truth, id, |user| patched(user, body)),
            ("DELETE", ["Users", id]) => match truth.now.users.remove(*id) {
                Some(_) => (StatusCode::NO_CONTENT, Value::Null),
                None => (StatusCode::NOT_FOUND, Value::Null),
            },
            ("POST", ["Groups"]) => {
                truth.made += 1;
                let id = format!("g{}", truth.made);
                let name = body.and_then(|b| b["displayName"].as_str()).unwrap_or_default().to_owned();
                let group = (name, members(body.map(|b| &b["members"])));
                let shown = shown_group(&id, &group);
                truth.now.groups.insert(id, group);
                (StatusCode::CREATED, shown)
            }
            ("PUT", ["Groups", id]) => {
                let all = members(body.map(|b| &b["members"]));
                change_group(&mut truth, id, |group| *group = all)
            }
            ("PATCH", ["Groups", id]) => change_group(&mut truth, id, |group| patch_group(group, body)),
            _ => (StatusCode::NOT_FOUND, json!({ "detail": "there is no such thing" })),
        };
        if writes {
            self.laws.note(format!("{}: {method} {} {}", self.nature.id, address.path(), outcome.0));
            remember(&mut truth);
        }
        outcome
    }

    /// What it keeps of what it was sent.
    fn kept(&self, mut body: Value) -> Value {
        if !self.nature.external_ids
            && let Some(fields) = body.as_object_mut()
        {
            fields.remove("externalId");
            if let Some(operations) = fields.get_mut("Operations").and_then(Value::as_array_mut) {
                operations.retain(|operation| operation["path"] != "externalId");
            }
        }
        body
    }

    fn create(&self, truth: &mut Truth, body: Option<&Value>) -> (StatusCode, Value) {
        let Some(mut user) = body.and_then(Value::as_object).cloned() else {
            return (StatusCode::BAD_REQUEST, Value::Null);
        };
        let name = text(&user, "userName").to_lowercase();
        if truth.now.users.values().any(|u| text(u, "userName").to_lowercase() == name) {
            return (StatusCode::CONFLICT, json!({ "detail": "the name is taken", "scimType": "uniqueness" }));
        }
        let whose = text(&user, "externalId").to_owned();
        let touched = truth.touched.contains_key(&whose);
        let mut theirs = truth.now.users.keys().filter(|id| truth.whose.get(*id) == Some(&whose));
        if self.nature.external_ids && !touched && theirs.next().is_some() {
            self.laws.broken(format!("{}: a second account of {whose} was made", self.nature.id));
        }
        truth.made += 1;
        let id = format!("{}-{}", self.nature.id, truth.made);
        user.insert("id".into(), id.clone().into());
        truth.whose.insert(id.clone(), whose);
        truth.named.insert(id.clone(), name);
        truth.now.users.insert(id, user.clone());
        (StatusCode::CREATED, Value::Object(user))
    }

    fn list(&self, content: &Content, users: bool, query: &BTreeMap<String, String>) -> (StatusCode, Value) {
        let mut all: Vec<Value> = if users {
            content.users.values().cloned().map(Value::Object).collect()
        } else {
            content.groups.iter().map(|(id, group)| shown_group(id, group)).collect()
        };
        if let Some(filter) = query.get("filter") {
            if !self.nature.filters {
                return (StatusCode::BAD_REQUEST, json!({ "scimType": "invalidFilter" }));
            }
            let Some((attribute, value)) = filter.split_once(" eq ") else {
                return (StatusCode::BAD_REQUEST, Value::Null);
            };
            if attribute == "externalId" && !self.nature.external_ids {
                return (StatusCode::BAD_REQUEST, json!({ "scimType": "invalidFilter" }));
            }
            let value: Value = serde_json::from_str(value).unwrap_or_default();
            let value = value.as_str().unwrap_or_default().to_lowercase();
            all.retain(|r| r[attribute].as_str().is_some_and(|v| v.to_lowercase() == value));
        }
        let number = |name: &str, usual: usize| query.get(name).and_then(|n| n.parse().ok()).unwrap_or(usual);
        let (start, count, total) = (number("startIndex", 1).max(1), number("count", 100), all.len());
        let page: Vec<Value> = all.into_iter().skip(start - 1).take(count).collect();
        let list = json!({
            "schemas": [LIST], "totalResults": total, "startIndex": start, "itemsPerPage": page.len(), "Resources": page,
        });
        (StatusCode::OK, list)
    }
}

impl Transport for SimApp {
    fn exchange<'a>(&'a self, method: Method, address: Url, body: Option<&'a Value>) -> Exchange<'a> {
        Box::pin(self.answer(method, address, body))
    }
}

fn response(status: StatusCode, body: &Value) -> Response {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    Response { status, retry_after: None, body, secrets: Secrets::default() }
}

fn found(resource: Option<Value>) -> (StatusCode, Value) {
    resource.map_or((StatusCode::NOT_FOUND, json!({ "detail": "not found" })), |r| (StatusCode::OK, r))
}

fn shown_group(id: &str, (name, members): &(String, BTreeSet<String>)) -> Value {
    let members: Vec<Value> = members.iter().map(|m| json!({ "value": m })).collect();
    json!({ "id": id, "displayName": name, "members": members })
}

fn members(value: Option<&Value>) -> BTreeSet<String> {
    let all = value.and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|m| m["value"].as_str().map(str::to_owned)).collect()
}

fn remember(truth: &mut Truth) {
    let content = truth.now.clone();
    truth.past.push_back((Instant::now(), content));
    if truth.past.len() > 200 {
        truth.past.pop_front();
    }
}

fn change(
    truth: &mut Truth,
    id: &str,
    to: impl FnOnce(Map<String, Value>) -> Option<Map<String, Value>>,
) -> (StatusCode, Value) {
    let Some(before) = truth.now.users.get(id).cloned() else { return found(None) };
    let Some(mut after) = to(before) else { return (StatusCode::BAD_REQUEST, Value::Null) };
    let name = text(&after, "userName").to_lowercase();
    if truth.now.users.iter().any(|(other, u)| other != id && text(u, "userName").to_lowercase() == name) {
        return (StatusCode::CONFLICT, json!({ "detail": "the name is taken", "scimType": "uniqueness" }));
    }
    after.insert("id".into(), id.into());
    // Only what is written anew counts: who replaces the whole account writes what was there.
    if truth.now.users.get(id).map(|before| text(before, "externalId")) != Some(text(&after, "externalId")) {
        truth.whose.insert(id.into(), text(&after, "externalId").to_owned());
    }
    // One that was switched off is named by nobody any more: it may be given on.
    match is_live(&after) {
        true => truth.named.insert(id.to_owned(), name),
        false => truth.named.remove(id),
    };
    truth.now.users.insert(id.to_owned(), after.clone());
    (StatusCode::OK, Value::Object(after))
}

fn patched(mut user: Map<String, Value>, body: Option<&Value>) -> Option<Map<String, Value>> {
    for operation in body?["Operations"].as_array()? {
        let path = operation["path"].as_str()?.to_owned();
        match operation["op"].as_str()? {
            "remove" => drop(user.remove(&path)),
            _ => drop(user.insert(path, operation["value"].clone())),
        }
    }
    Some(user)
}

fn change_group(truth: &mut Truth, id: &str, to: impl FnOnce(&mut BTreeSet<String>)) -> (StatusCode, Value) {
    let Some((_, members)) = truth.now.groups.get_mut(id) else { return found(None) };
    to(members);
    (StatusCode::NO_CONTENT, Value::Null)
}

fn patch_group(group: &mut BTreeSet<String>, body: Option<&Value>) {
    let operations = body.and_then(|b| b["Operations"].as_array());
    for operation in operations.into_iter().flatten() {
        match operation["op"].as_str() {
            Some("remove") => {
                let path = operation["path"].as_str().unwrap_or_default();
                group.retain(|member| !path.contains(&format!("\"{member}\"")));
            }
            _ => group.extend(members(Some(&operation["value"]))),
        }
    }
}

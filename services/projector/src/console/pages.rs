//! Each page: what it shows, from the same state as the API.

use std::collections::BTreeSet;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use rollcall_config::Role;
use rollcall_domain::drift::{DriftItem, DriftKind};
use rollcall_domain::identity::Identity;
use rollcall_domain::ids::{AppId, IdentityId, Sequence};
use rollcall_domain::leaver::{Leaver, LeaverStatus};
use rollcall_domain::obligation::{Obligation, ObligationStatus};
use rollcall_domain::{directory, ledger};
use rollcall_projection::View;
use serde::Deserialize;
use serde_json::Value;

use super::lanes::{self, Lane};
use super::words::{at, at_or_none, span, word};
use crate::api::{Api, Person, Shared};
use crate::ask::{Extent, LOOK, known_identity, page_after};
use crate::entry::Entry;
use crate::error::ApiError;
use crate::latency::{self, GroupBy};
use crate::search;
use crate::timeline::{self, Choice, Order};
use crate::views::{AppView, Detail};

/// The most rows of a page.
const ROWS: usize = 100;

type Who = Extension<Person>;

/// What every page has around its content.
struct Frame {
    here: &'static str,
    person: String,
    role: &'static str,
    sequence: Sequence,
    now: String,
    call: String,
    searched: String,
}

impl Frame {
    fn new(api: &Api, person: &Person, here: &'static str, call: impl Into<String>) -> Self {
        Self {
            here,
            person: person.name.clone(),
            role: person.role.name(),
            sequence: api.store.cursor(),
            now: at(Timestamp::now()),
            call: call.into(),
            searched: String::new(),
        }
    }

    const fn pages(&self) -> [(&'static str, &'static str); 5] {
        [
            ("/", "Leavers"),
            ("/console/identities", "Identities"),
            ("/console/apps", "Apps"),
            ("/console/drift", "Drift"),
            ("/console/obligations", "Obligations"),
        ]
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Problem {
    frame: Frame,
    title: String,
    detail: String,
}

fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(e) => ApiError::Unwritable(e.to_string()).into_response(),
    }
}

/// A page, or the page that says why not.
fn answer<T: Template>(api: &Api, person: &Person, page: Result<T, ApiError>) -> Response {
    let error = match page {
        Ok(page) => return html(&page),
        Err(error) => error,
    };
    let detail = error.to_string();
    let status = error.into_response().status();
    let title = status.canonical_reason().unwrap_or("Something went wrong").to_owned();
    let mut response = html(&Problem { frame: Frame::new(api, person, "", "/openapi.json"), title, detail });
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    }
    response
}

/// Whose something is, as much as may be seen.
fn name_of(view: &View, person: &Person, id: IdentityId) -> Result<String, ApiError> {
    if person.sees() == Detail::Impersonal {
        return Ok(id.to_string());
    }
    Ok(directory::identity(view, id)?.map_or_else(|| id.to_string(), |i| i.user_name().to_owned()))
}

struct LeaverRow {
    id: IdentityId,
    name: String,
    status: String,
    left: String,
    apps: Vec<OwedApp>,
    late: String,
    owners: String,
}

struct OwedApp {
    name: String,
    status: String,
    deadline: String,
}

#[derive(Template)]
#[template(path = "leavers.html")]
struct LeaversPage {
    frame: Frame,
    overdue: usize,
    open: usize,
    held: usize,
    more: bool,
    rows: Vec<LeaverRow>,
}

/// Who left and is not gone.
pub async fn leavers(State(api): Shared, Extension(person): Who) -> Response {
    let page = async {
        let view = api.fresh().await?;
        let mut all = ledger::open_leavers(&view)?;
        all.sort_by_key(|l| (l.status() != LeaverStatus::Overdue, l.overdue_since, l.left_at));
        let overdue = all.iter().filter(|l| l.status() == LeaverStatus::Overdue).count();
        let (open, more) = (all.len(), all.len() > ROWS);
        let rows = all.iter().take(ROWS).map(|l| leaver_row(&view, &person, l)).collect::<Result<_, _>>()?;
        let held = ledger::holds(&view)?.len();
        let frame = Frame::new(&api, &person, "/", "/v1/leavers?status=open");
        Ok(LeaversPage { frame, overdue, open, held, more, rows })
    };
    answer(&api, &person, page.await)
}

fn leaver_row(view: &View, person: &Person, leaver: &Leaver) -> Result<LeaverRow, ApiError> {
    let now = Timestamp::now();
    let owed = ledger::obligations_of_leaver(view, leaver)?;
    let owed: Vec<&Obligation> = owed.iter().filter(|o| o.end.is_none()).collect();
    let late = owed.iter().filter(|o| o.status() == ObligationStatus::Overdue).map(|o| o.deadline).min();
    let mut owners = BTreeSet::new();
    let mut apps = Vec::new();
    for o in owed {
        let app = directory::app(view, &o.id.app)?;
        let name = app.as_ref().map_or_else(|| o.id.app.to_string(), |app| app.spec.name.clone());
        owners.extend(app.map(|app| app.spec.owner));
        apps.push(OwedApp { name, status: word(&o.status()), deadline: at(o.deadline) });
    }
    Ok(LeaverRow {
        id: leaver.identity,
        name: name_of(view, person, leaver.identity)?,
        status: word(&leaver.status()),
        left: at(leaver.left_at),
        apps,
        late: late.map_or_else(|| "–".to_owned(), |deadline| span(now.duration_since(deadline))),
        owners: owners.into_iter().collect::<Vec<_>>().join(", "),
    })
}

#[derive(Deserialize)]
pub struct Search {
    #[serde(default)]
    q: String,
}

struct IdentityRow {
    id: IdentityId,
    user_name: String,
    display_name: String,
    lifecycle: String,
    source: String,
    changed: String,
}

#[derive(Template)]
#[template(path = "identities.html")]
struct IdentitiesPage {
    frame: Frame,
    rows: Vec<IdentityRow>,
}

/// Who has a name.
pub async fn identities(State(api): Shared, Extension(person): Who, Query(asked): Query<Search>) -> Response {
    let page = async {
        person.needs(Role::Auditor)?;
        let view = api.fresh().await?;
        let found = match asked.q.trim().is_empty() {
            true => rows::<Identity>(&view, directory::IDENTITIES, None, |_| true)?.0,
            false => search::find(&view, &asked.q, ROWS)?,
        };
        let row = |i: &Identity| IdentityRow {
            id: i.id,
            user_name: i.user_name().to_owned(),
            display_name: i.resource.get("displayName").and_then(Value::as_str).unwrap_or_default().to_owned(),
            lifecycle: word(&i.lifecycle),
            source: i.source.as_ref().map(ToString::to_string).unwrap_or_default(),
            changed: at(i.changed_at),
        };
        let mut frame = Frame::new(&api, &person, "/console/identities", "/v1/identities?name=…");
        frame.searched = asked.q;
        Ok(IdentitiesPage { frame, rows: found.iter().map(row).collect() })
    };
    answer(&api, &person, page.await)
}

struct ObligationRow {
    identity: IdentityId,
    name: String,
    app: String,
    change: String,
    target: String,
    opened: String,
    applied: String,
    verified: String,
    deadline: String,
    status: String,
}

fn obligation_row(o: &Obligation, name: String) -> ObligationRow {
    ObligationRow {
        identity: o.id.identity,
        name,
        app: o.id.app.to_string(),
        change: word(&o.change),
        target: word(&o.target),
        opened: at(o.opened_at),
        applied: at_or_none(o.applied_at),
        verified: at_or_none(o.verified_at()),
        deadline: at(o.deadline),
        status: word(&o.status()),
    }
}

struct EntryRow {
    sequence: Sequence,
    recorded_at: String,
    shown_at: String,
    kind: String,
    summary: String,
    caused_by: Option<Sequence>,
    facts: Vec<(String, String)>,
}

impl EntryRow {
    fn of(entry: &Entry) -> Self {
        let value = |v: &Option<Value>| v.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        let mut facts = vec![("by".to_owned(), entry.actor.clone())];
        facts.extend((!entry.reason.is_empty()).then(|| ("because".to_owned(), entry.reason.clone())));
        facts.extend(entry.app.iter().map(|app| ("app".to_owned(), app.to_string())));
        facts.extend(entry.deadline.iter().map(|deadline| ("due".to_owned(), at(*deadline))));
        for change in &entry.changes {
            facts.push((change.path.clone(), format!("{} → {}", value(&change.before), value(&change.after))));
        }
        if let Some(detail) = entry.details.get("detail").and_then(Value::as_str).filter(|d| !d.is_empty()) {
            facts.push(("the app said".to_owned(), detail.to_owned()));
        }
        Self {
            sequence: entry.sequence,
            recorded_at: entry.recorded_at.to_string(),
            shown_at: at(entry.recorded_at),
            kind: entry.type_name.clone(),
            summary: entry.summary.clone(),
            caused_by: entry.caused_by,
            facts,
        }
    }
}

#[derive(Template)]
#[template(path = "identity.html")]
struct IdentityPage {
    frame: Frame,
    name: String,
    lifecycle: String,
    facts: Vec<(&'static str, String)>,
    lanes: Vec<Lane>,
    height: usize,
    axis: (String, String),
    obligations: Vec<ObligationRow>,
    /// None: they may not be seen.
    entries: Option<Vec<EntryRow>>,
    next: Option<Sequence>,
}

#[derive(Deserialize)]
pub struct Before {
    before: Option<u64>,
}

/// One identity: their lanes and their timeline.
pub async fn identity(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    Query(before): Query<Before>,
) -> Response {
    let page = async {
        let view = api.fresh().await?;
        let found = known_identity(&view, &id)?;
        let mut owed = ledger::obligations_of(&view, found.id)?;
        owed.sort_by_key(|o| std::cmp::Reverse(o.id.opened_by));
        owed.truncate(ROWS);
        let now = Timestamp::now();
        let axis = lanes::axis(&owed, now);
        let lanes = axis.map(|axis| lanes::lanes(&owed, axis, now)).unwrap_or_default();
        let (mut entries, mut next) = (None, None);
        if person.role >= Role::Auditor {
            let choice = Choice { identity: Some(found.id), ..Choice::default() };
            let page = timeline::page(&view, &choice, Order::Newest, before.before.map(Sequence), ROWS)?;
            entries = Some(page.entries.iter().map(EntryRow::of).collect());
            next = page.next;
        }
        Ok(IdentityPage {
            frame: Frame::new(&api, &person, "", format!("/v1/identities/{id} and /v1/identities/{id}/timeline")),
            name: name_of(&view, &person, found.id)?,
            lifecycle: word(&found.lifecycle),
            facts: facts(&view, &person, &found)?,
            height: lanes.len() * lanes::STEP,
            lanes,
            axis: axis.map(|(from, to)| (at(from), at(to))).unwrap_or_default(),
            obligations: owed.iter().map(|o| obligation_row(o, String::new())).collect(),
            entries,
            next,
        })
    };
    answer(&api, &person, page.await)
}

fn facts(view: &View, person: &Person, found: &Identity) -> Result<Vec<(&'static str, String)>, ApiError> {
    let mut facts = vec![("Id", found.id.to_string())];
    if person.sees() == Detail::Full {
        let known = [("displayName", "Name"), ("title", "Title"), ("userType", "Type")];
        let text = |path: &str| found.resource.get(path).and_then(Value::as_str).map(str::to_owned);
        facts.extend(known.iter().filter_map(|(path, name)| text(path).map(|value| (*name, value))));
    }
    facts.extend(found.source.iter().map(|source| ("Source", source.to_string())));
    facts.push(("Joined", at(found.created_at)));
    facts.push(("Changed", at(found.changed_at)));
    let groups = directory::groups_of(view, found.id)?;
    let names: Vec<&str> = groups.iter().map(|(group, _)| group.display_name()).collect();
    facts.extend((!names.is_empty()).then(|| ("Groups", names.join(", "))));
    Ok(facts)
}

struct AppRow {
    id: AppId,
    name: String,
    owner: String,
    connected: bool,
    health: &'static str,
    findings: Vec<String>,
    score: String,
    latency: String,
    open: u64,
    overdue: u64,
    drift: usize,
    debt: String,
    compared: String,
}

#[derive(Template)]
#[template(path = "apps.html")]
struct AppsPage {
    frame: Frame,
    rows: Vec<AppRow>,
    next: Option<String>,
}

#[derive(Deserialize)]
pub struct Listed {
    #[serde(default)]
    app: String,
    #[serde(default)]
    status: String,
    cursor: Option<String>,
}

/// One page of the values under a prefix, and where the next one starts.
fn rows<T: serde::de::DeserializeOwned>(
    view: &View,
    prefix: &str,
    cursor: Option<&str>,
    wanted: impl Fn(&T) -> bool,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    page_after(view, prefix, cursor, Extent { limit: ROWS, look: LOOK }, wanted)
}

/// The health of each app.
pub async fn apps(State(api): Shared, Extension(person): Who, Query(listed): Query<Listed>) -> Response {
    let page = async {
        let view = api.fresh().await?;
        let (found, next) = rows(&view, directory::APPS, listed.cursor.as_deref(), |_| true)?;
        let now = Timestamp::now();
        let from = now.checked_sub(SignedDuration::from_hours(7 * 24)).ok();
        let choice = latency::Choice { from, ..latency::Choice::default() };
        let state = view.clone();
        let measured = tokio::task::spawn_blocking(move || latency::by_group(&state, &choice, GroupBy::App));
        let measured = measured.await.map_err(|_| ApiError::Stopped)??;
        let row = |app| {
            let shown = AppView::of(&view, app, now, person.sees())?;
            let took = measured.iter().find(|group| group.group == shown.id.as_str()).map(|g| &g.verified_seconds);
            let seconds = |s: Option<f64>| s.map_or_else(|| "–".to_owned(), |s| format!("{s:.1} s"));
            Ok(AppRow {
                latency: took.map_or_else(|| "–".to_owned(), |q| format!("{} / {}", seconds(q.p50), seconds(q.p99))),
                score: shown
                    .conformance
                    .score
                    .map_or_else(|| "–".to_owned(), |score| format!("{:.0} %", score * 100.0)),
                compared: at_or_none(shown.reconciliation.completed_at),
                debt: format!("{:.1} h", shown.drift_debt_hours),
                id: shown.id,
                name: shown.name,
                owner: shown.owner,
                connected: shown.connected,
                health: shown.health.state,
                findings: shown.conformance.findings,
                open: shown.obligations_open,
                overdue: shown.obligations_overdue,
                drift: shown.drift_items,
            })
        };
        let rows = found.iter().map(row).collect::<Result<_, ApiError>>()?;
        let frame = Frame::new(&api, &person, "/console/apps", "/v1/apps and /v1/latency?group_by=app");
        Ok(AppsPage { frame, rows, next })
    };
    answer(&api, &person, page.await)
}

struct DriftRow {
    kind: String,
    app: String,
    identity: Option<IdentityId>,
    name: String,
    paths: String,
    age: String,
    accepted: String,
}

#[derive(Template)]
#[template(path = "drift.html")]
struct DriftPage {
    frame: Frame,
    app: String,
    rows: Vec<DriftRow>,
    next: Option<String>,
}

/// Where apps differ.
pub async fn drift(State(api): Shared, Extension(person): Who, Query(listed): Query<Listed>) -> Response {
    let page = async {
        let view = api.fresh().await?;
        let app = listed.app.clone();
        let wanted = |item: &DriftItem| app.is_empty() || item.id.app.as_str() == app;
        let (found, next) = rows(&view, "drift/", listed.cursor.as_deref(), wanted)?;
        let now = Timestamp::now();
        let row = |item: &DriftItem| {
            let identity = Some(item.id.identity).filter(|_| item.id.kind != DriftKind::Orphan);
            let hidden = person.sees() == Detail::Impersonal;
            Ok(DriftRow {
                kind: word(&item.id.kind),
                app: item.id.app.to_string(),
                name: match identity {
                    Some(id) => name_of(&view, &person, id)?,
                    None if hidden => "an account".to_owned(),
                    None => item.user_name.clone(),
                },
                identity,
                paths: item.differences.iter().map(|c| c.path.as_str()).collect::<Vec<_>>().join(", "),
                age: span(now.duration_since(item.detected_at)),
                accepted: item
                    .accepted
                    .as_ref()
                    .map(|e| format!("by {} until {}", e.by, at(e.expires_at)))
                    .unwrap_or_default(),
            })
        };
        let rows = found.iter().map(row).collect::<Result<_, ApiError>>()?;
        let call = if app.is_empty() { "/v1/drift".to_owned() } else { format!("/v1/drift?app={app}") };
        Ok(DriftPage { frame: Frame::new(&api, &person, "/console/drift", call), app, rows, next })
    };
    answer(&api, &person, page.await)
}

const STATUSES: [ObligationStatus; 6] = [
    ObligationStatus::Overdue,
    ObligationStatus::Open,
    ObligationStatus::Applied,
    ObligationStatus::Waived,
    ObligationStatus::Verified,
    ObligationStatus::Superseded,
];

#[derive(Template)]
#[template(path = "obligations.html")]
struct ObligationsPage {
    frame: Frame,
    words: Vec<String>,
    status: String,
    app: String,
    rows: Vec<ObligationRow>,
    next: Option<String>,
}

/// What is owed in a state, everywhere or in one app.
pub async fn obligations(State(api): Shared, Extension(person): Who, Query(listed): Query<Listed>) -> Response {
    let page = async {
        let view = api.fresh().await?;
        let words: Vec<String> = STATUSES.iter().map(word).collect();
        let wanted = STATUSES.iter().copied().find(|s| word(s) == listed.status).unwrap_or(ObligationStatus::Open);
        let app = listed.app.clone();
        let chosen = |o: &Obligation| o.status() == wanted && (app.is_empty() || o.id.app.as_str() == app);
        let (found, next) = rows(&view, "obligation/", listed.cursor.as_deref(), chosen)?;
        let row = |o: &Obligation| Ok(obligation_row(o, name_of(&view, &person, o.id.identity)?));
        let rows = found.iter().map(row).collect::<Result<_, ApiError>>()?;
        let status = word(&wanted);
        let call = match app.is_empty() {
            true => format!("/v1/obligations?status={status}"),
            false => format!("/v1/obligations?status={status}&app={app}"),
        };
        let frame = Frame::new(&api, &person, "/console/obligations", call);
        Ok(ObligationsPage { frame, words, status, app, rows, next })
    };
    answer(&api, &person, page.await)
}

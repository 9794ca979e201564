//! The paths under `/v1`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query as Raw, Request, State};
use axum::http::{Uri, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use rollcall_config::{ApiToken, Role};
use rollcall_domain::guard::Hold;
use rollcall_domain::identity::Identity;
use rollcall_domain::ids::{AppId, IdentityId, Sequence};
use rollcall_domain::kv::load_all;
use rollcall_domain::leaver::{Leaver, LeaverStatus};
use rollcall_domain::obligation::{Obligation, ObligationStatus};
use rollcall_domain::{directory, ledger};
use rollcall_event_log::EventLog;
use rollcall_projection::{Store, View};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::actions;
use crate::error::ApiError;
use crate::latency::{self, GroupBy};
use crate::plan;
use crate::query::{Path, Query};
use crate::timeline::{self, Choice};
use crate::views;

/// What the paths need.
#[derive(Debug)]
pub struct Api {
    pub log: EventLog,
    pub store: Arc<Store>,
    pub tokens: Vec<ApiToken>,
    pub max_page: usize,
    pub patience: Duration,
}

type Pairs = Raw<Vec<(String, String)>>;
type Answer = Result<Json<Value>, ApiError>;
type Shared = State<Arc<Api>>;

const TIMELINE: [&str; 8] = ["from", "to", "type", "app", "actor", "source", "limit", "cursor"];

/// The router; every path needs an API token.
pub fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/v1/identities", get(identities))
        .route("/v1/identities/{id}", get(identity))
        .route("/v1/identities/{id}/timeline", get(identity_timeline))
        .route("/v1/timeline", get(whole_timeline))
        .route("/v1/leavers", get(leavers))
        .route("/v1/obligations", get(obligations))
        .route("/v1/apps", get(apps))
        .route("/v1/apps/{id}", get(app))
        .route("/v1/drift", get(drift))
        .route("/v1/holds", get(holds))
        .route("/v1/plan", get(planned))
        .route("/v1/latency", get(latency))
        .merge(actions::router())
        .route("/v1/{*path}", get(nothing_here))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), authorize))
        .with_state(api)
}

async fn nothing_here(uri: Uri) -> ApiError {
    ApiError::NotFound(format!("path {}", uri.path()))
}

async fn authorize(State(api): Shared, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let Some(sent) = sent.and_then(|v| v.strip_prefix("Bearer ").or_else(|| v.strip_prefix("bearer "))) else {
        return Err(ApiError::Unauthorized("send an API token: Authorization: Bearer …"));
    };
    let Some(token) = api.tokens.iter().find(|t| t.token.matches(sent.trim())) else {
        return Err(ApiError::Unauthorized("the token is not that of any [[api_tokens]] in the configuration"));
    };
    request.extensions_mut().insert(Person { name: token.name.clone(), role: token.role });
    Ok(next.run(request).await)
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Person {
    /// The name of their token.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

impl Person {
    /// Refuses who may less than this.
    ///
    /// # Errors
    /// 403.
    pub fn needs(&self, role: Role) -> Result<(), ApiError> {
        if self.role >= role {
            return Ok(());
        }
        let (name, has, needed) = (&self.name, self.role.name(), role.name());
        Err(ApiError::Forbidden(format!("'{name}' has the role {has}: this needs {needed}")))
    }
}

impl Api {
    /// The state with everything in it that the log had when the request came in.
    pub async fn fresh(&self) -> Result<View, ApiError> {
        self.store.wait_for(self.log.head().await?, self.patience).await?;
        Ok(self.store.view())
    }

    fn query(&self, pairs: Pairs, known: &[&str]) -> Result<Query, ApiError> {
        Query::read(pairs.0, known, self.max_page)
    }
}

fn list(items: Vec<Value>, next: Option<String>) -> Json<Value> {
    Json(json!({ "items": items, "next_cursor": next }))
}

/// One page of the values under a prefix that `wanted` chooses; the cursor is the last key without the prefix.
fn page<T: DeserializeOwned>(
    view: &View,
    prefix: &str,
    query: &Query,
    wanted: impl Fn(&T) -> bool,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let limit = query.limit()?;
    let mut after = query.cursor().map(|cursor| format!("{prefix}{cursor}"));
    let mut out = Vec::new();
    let mut last: Option<String> = None;
    loop {
        let chunk: Vec<(String, T)> = load_all(view, prefix, after.as_deref(), limit.max(256))?;
        let Some((end, _)) = chunk.last() else { return Ok((out, None)) };
        after = Some(end.clone());
        for (key, value) in chunk {
            if !wanted(&value) {
                continue;
            }
            if out.len() == limit {
                return Ok((out, last));
            }
            last = key.strip_prefix(prefix).map(str::to_owned);
            out.push(value);
        }
    }
}

fn unknown(what: &str, id: &str) -> ApiError {
    ApiError::NotFound(format!("{what} '{id}'"))
}

fn known_identity(view: &View, id: &str) -> Result<Identity, ApiError> {
    let parsed: IdentityId = id.parse().map_err(|_| unknown("identity", id))?;
    directory::identity(view, parsed)?.ok_or_else(|| unknown("identity", id))
}

async fn identities(State(api): Shared, pairs: Pairs) -> Answer {
    let query = api.query(pairs, &["user_name", "limit", "cursor"])?;
    let view = api.fresh().await?;
    if let Some(name) = query.text("user_name") {
        let found = directory::identity_by_user_name(&view, name)?;
        return Ok(list(found.iter().map(views::identity_summary).collect(), None));
    }
    let (found, next) = page::<Identity>(&view, directory::IDENTITIES, &query, |_| true)?;
    Ok(list(found.iter().map(views::identity_summary).collect(), next))
}

async fn identity(State(api): Shared, Path(id): Path<String>, pairs: Pairs) -> Answer {
    api.query(pairs, &[])?;
    let view = api.fresh().await?;
    Ok(Json(views::identity(&view, &known_identity(&view, &id)?)?))
}

async fn identity_timeline(State(api): Shared, Path(id): Path<String>, pairs: Pairs) -> Answer {
    let query = api.query(pairs, &TIMELINE)?;
    let view = api.fresh().await?;
    let identity = known_identity(&view, &id)?.id;
    timeline_page(&view, &query, Some(identity))
}

async fn whole_timeline(State(api): Shared, pairs: Pairs) -> Answer {
    let query = api.query(pairs, &TIMELINE)?;
    let view = api.fresh().await?;
    timeline_page(&view, &query, None)
}

fn timeline_page(view: &View, query: &Query, identity: Option<IdentityId>) -> Answer {
    let choice = Choice {
        identity,
        from: query.time("from")?,
        to: query.time("to")?,
        type_name: query.text("type").map(str::to_owned),
        app: query.parsed::<AppId>("app", "an app id")?,
        actor: query.text("actor").map(str::to_owned),
        source: query.text("source").map(str::to_owned),
        before: query.parsed::<u64>("cursor", "a cursor of this list")?.map(Sequence),
    };
    let page = timeline::page(view, &choice, query.limit()?)?;
    Ok(Json(json!({ "items": page.entries, "next_cursor": page.next.map(|s| s.to_string()) })))
}

async fn leavers(State(api): Shared, pairs: Pairs) -> Answer {
    let query = api.query(pairs, &["status", "limit", "cursor"])?;
    let wanted: &[LeaverStatus] = match query.text("status") {
        None => &[LeaverStatus::Open, LeaverStatus::Overdue, LeaverStatus::Completed, LeaverStatus::Superseded],
        // Overdue is open, and worse.
        Some("open") => &[LeaverStatus::Open, LeaverStatus::Overdue],
        Some("overdue") => &[LeaverStatus::Overdue],
        Some("completed") => &[LeaverStatus::Completed],
        Some("superseded") => &[LeaverStatus::Superseded],
        Some(other) => {
            let message = format!("query parameter 'status': '{other}' is not open, overdue, completed or superseded");
            return Err(ApiError::BadRequest(message));
        }
    };
    let view = api.fresh().await?;
    let (found, next) = page::<Leaver>(&view, "leaver/", &query, |l| wanted.contains(&l.status()))?;
    let items = found.iter().map(|l| views::leaver(&view, l)).collect::<Result<_, _>>()?;
    Ok(list(items, next))
}

async fn obligations(State(api): Shared, pairs: Pairs) -> Answer {
    let query = api.query(pairs, &["status", "app", "change", "limit", "cursor"])?;
    let status: Option<ObligationStatus> = word(&query, "status")?;
    let change: Option<rollcall_domain::lifecycle::ChangeKind> = word(&query, "change")?;
    let app = query.parsed::<AppId>("app", "an app id")?;
    let view = api.fresh().await?;
    let wanted = |o: &Obligation| {
        status.is_none_or(|s| s == o.status())
            && change.is_none_or(|c| c == o.change)
            && app.as_ref().is_none_or(|a| *a == o.id.app)
    };
    let (found, next) = page(&view, "obligation/", &query, wanted)?;
    Ok(list(found.iter().map(views::obligation).collect(), next))
}

/// A parameter that is one of the words of an enum.
fn word<T: DeserializeOwned>(query: &Query, name: &str) -> Result<Option<T>, ApiError> {
    let Some(text) = query.text(name) else { return Ok(None) };
    serde_json::from_value(Value::from(text))
        .map(Some)
        .map_err(|e| ApiError::BadRequest(format!("query parameter '{name}': {e}")))
}

async fn apps(State(api): Shared, pairs: Pairs) -> Answer {
    let query = api.query(pairs, &["limit", "cursor"])?;
    let view = api.fresh().await?;
    let (found, next) = page(&view, directory::APPS, &query, |_| true)?;
    let items = found.iter().map(|app| views::app(&view, app)).collect::<Result<_, _>>()?;
    Ok(list(items, next))
}

async fn app(State(api): Shared, Path(id): Path<String>, pairs: Pairs) -> Answer {
    api.query(pairs, &[])?;
    let view = api.fresh().await?;
    let parsed: AppId = id.parse().map_err(|_| unknown("app", &id))?;
    let found = directory::app(&view, &parsed)?.ok_or_else(|| unknown("app", &id))?;
    Ok(Json(views::app(&view, &found)?))
}

async fn drift(State(api): Shared, pairs: Pairs) -> Answer {
    let query = api.query(pairs, &["app", "kind", "limit", "cursor"])?;
    let app = query.parsed::<AppId>("app", "an app id")?;
    let kind: Option<rollcall_domain::drift::DriftKind> = word(&query, "kind")?;
    let view = api.fresh().await?;
    let wanted = |item: &rollcall_domain::drift::DriftItem| {
        app.as_ref().is_none_or(|a| *a == item.id.app) && kind.is_none_or(|k| k == item.id.kind)
    };
    let (found, next) = page(&view, "drift/", &query, wanted)?;
    Ok(list(found.iter().map(views::drift_item).collect(), next))
}

async fn holds(State(api): Shared, pairs: Pairs) -> Answer {
    let query = api.query(pairs, &["limit", "cursor"])?;
    let view = api.fresh().await?;
    let (found, next) = page::<Hold>(&view, ledger::HOLDS, &query, |_| true)?;
    Ok(list(found.iter().map(|hold| json!(hold)).collect(), next))
}

async fn planned(State(api): Shared, pairs: Pairs) -> Answer {
    let query = api.query(pairs, &["identity", "app", "limit"])?;
    let view = api.fresh().await?;
    let plans = match (query.text("identity"), query.parsed::<AppId>("app", "an app id")?) {
        (Some(id), None) => plan::of_identity(&view, known_identity(&view, id)?.id)?,
        (None, Some(app)) => {
            directory::app(&view, &app)?.ok_or_else(|| unknown("app", app.as_str()))?;
            plan::of_app(&view, &app, query.limit()?)?
        }
        _ => return Err(ApiError::BadRequest("give one of the query parameters 'identity' and 'app'".into())),
    };
    Ok(list(plans, None))
}

async fn latency(State(api): Shared, pairs: Pairs) -> Answer {
    let query = api.query(pairs, &["group_by", "app", "change", "source", "from", "to"])?;
    let choice = latency::Choice {
        from: query.time("from")?,
        to: query.time("to")?,
        app: query.parsed("app", "an app id")?,
        change: word(&query, "change")?,
        source: query.parsed("source", "a source name")?,
    };
    if let (Some(from), Some(to)) = (choice.from, choice.to)
        && from >= to
    {
        return Err(ApiError::BadRequest("query parameter 'to' must be later than 'from'".into()));
    }
    let group_by = word(&query, "group_by")?.unwrap_or(GroupBy::App);
    let view = api.fresh().await?;
    let counted = move || latency::by_group(&view, &choice, group_by);
    let groups = tokio::task::spawn_blocking(counted).await.map_err(|_| ApiError::Stopped)??;
    Ok(list(groups, None))
}

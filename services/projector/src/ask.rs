//! Questions about state: now, or as of an instant.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use rollcall_config::Role;
use rollcall_domain::access::departure::{Leaver, LeaverStatus};
use rollcall_domain::access::obligation::{Obligation, ObligationStatus};
use rollcall_domain::directory;
use rollcall_domain::drift::DriftItem;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::governance::hold::Hold;
use rollcall_domain::identity::Identity;
use rollcall_domain::identity::lifecycle::{ChangeKind, Lifecycle};
use rollcall_domain::ids::{AppId, IdentityId};
use rollcall_domain::kv::{KvError, Read, Stretch, load_some};
use rollcall_domain::ledger::{self, Among, obligations_after};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Api, Pairs, Person, Shared, unknown};
use crate::error::{ApiError, Problem};
use crate::latency::{self, GroupBy, LatencyView};
use crate::moment::{AsOf, Moment};
use crate::plan::{self, PlanView};
use crate::query::{Path, Query};
use crate::views::{AppView, DriftView, HoldView, IdentitySummary, IdentityView, LeaverView, ObligationView};
use crate::{params, search};

type Answer<T> = Result<Json<T>, ApiError>;
type Who = Extension<Person>;

/// A page of a list, and the state it was taken from.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Absent: this is the last page.
    pub next_cursor: Option<String>,
    pub as_of: Option<AsOf>,
}

/// One thing, and the state it was taken from.
#[derive(Debug, Serialize, ToSchema)]
pub struct One<T> {
    #[serde(flatten)]
    pub item: T,
    pub as_of: AsOf,
}

/// How many keys are read at once for a page.
const CHUNK: usize = 256;

/// The most keys that are looked at for one page.
pub const LOOK: usize = 20_000;

/// The same in the past, where each is sought by itself.
const LOOK_BACK: usize = 2048;

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(identities))
        .routes(routes!(identity))
        .routes(routes!(leavers))
        .routes(routes!(obligations))
        .routes(routes!(apps))
        .routes(routes!(app))
        .routes(routes!(drift))
        .routes(routes!(holds))
        .routes(routes!(planned))
        .routes(routes!(latency))
}

/// One page of the values under a prefix that `wanted` chooses; the cursor is the last key without the prefix.
pub fn page<T: DeserializeOwned>(
    state: &impl Read,
    prefix: &str,
    query: &Query,
    wanted: impl Fn(&T) -> bool,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    page_after(under(state, prefix), query.cursor(), Extent::of(query)?, wanted)
}

/// The values under a prefix, as [`page_after`] reads them.
pub fn under<T: DeserializeOwned>(
    state: &impl Read,
    prefix: &str,
) -> impl Fn(Option<&str>, usize) -> Result<Stretch<T>, KvError> {
    move |after, look| load_some(state, prefix, after, look)
}

/// How much of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// So many at most.
    pub limit: usize,
    /// After so many keys were looked at, what was found is enough.
    pub look: usize,
}

impl Extent {
    fn of(query: &Query) -> Result<Self, ApiError> {
        let look = if query.text("as_of").is_some() { LOOK_BACK } else { LOOK };
        Ok(Self { limit: query.limit()?, look })
    }
}

/// One page of what `read` gives after a place, so many at a time; the cursor is the last place.
pub fn page_after<T>(
    read: impl Fn(Option<&str>, usize) -> Result<Stretch<T>, KvError>,
    cursor: Option<&str>,
    extent: Extent,
    wanted: impl Fn(&T) -> bool,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let mut after = cursor.map(str::to_owned);
    let Extent { limit, look } = extent;
    let (mut out, mut looked) = (Vec::new(), 0);
    loop {
        let Stretch { pairs, next } = read(after.as_deref(), CHUNK)?;
        for (place, value) in pairs {
            if wanted(&value) {
                if out.len() == limit {
                    return Ok((out, after));
                }
                out.push(value);
            }
            after = Some(place);
        }
        looked += CHUNK;
        match next {
            // What fits little is answered in steps: a page can be short, or empty, and still have a next one.
            Some(next) if looked >= look => return Ok((out, Some(next))),
            Some(next) => after = Some(next),
            None => return Ok((out, None)),
        }
    }
}

/// An identity by the id in a path.
pub fn known_identity(state: &impl Read, id: &str) -> Result<Identity, ApiError> {
    let parsed: IdentityId = id.parse().map_err(|_| unknown("identity", id))?;
    directory::identity(state, parsed)?.ok_or_else(|| unknown("identity", id))
}

/// Who there is.
#[utoipa::path(get, path = "/v1/identities", tag = "state", params(params::Identities), responses(
    (status = 200, body = List<IdentitySummary>), Problem
))]
async fn identities(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<IdentitySummary>> {
    let query = api.query::<params::Identities>(pairs)?;
    let lifecycle: Option<Lifecycle> = query.word("lifecycle")?;
    let (user_name, name) = (query.text("user_name"), query.text("name"));
    if user_name.is_some() || name.is_some() {
        // Whether someone is here is personal, too.
        person.needs(Role::Auditor)?;
    }
    let snapshot = api.snapshot(&query).await?;
    let (found, next_cursor) = match (user_name, name) {
        (Some(_), Some(_)) => return Err(ApiError::BadRequest("give 'name' or 'user_name', not both".into())),
        (Some(name), None) => (directory::identity_by_user_name(&snapshot.state, name)?.into_iter().collect(), None),
        (None, Some(_)) if query.text("as_of").is_some() => {
            return Err(ApiError::BadRequest(
                "query parameter 'name': the past can't be searched; use user_name".into(),
            ));
        }
        (None, Some(name)) => (search::find(&snapshot.state, name, query.limit()?)?, None),
        (None, None) => page::<Identity>(&snapshot.state, directory::IDENTITIES, &query, |i| {
            lifecycle.is_none_or(|l| l == i.lifecycle)
        })?,
    };
    let items = found.iter().map(|identity| IdentitySummary::of(identity, person.sees())).collect();
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// One identity with its accounts, obligations and drift.
#[utoipa::path(get, path = "/v1/identities/{id}", tag = "state",
    params(("id" = uuid::Uuid, Path, description = "The identity."), params::AsOfOnly), responses(
    (status = 200, body = One<IdentityView>), Problem
))]
async fn identity(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Answer<One<IdentityView>> {
    let query = api.query::<params::AsOfOnly>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let found = known_identity(&snapshot.state, &id)?;
    let item = IdentityView::of(&snapshot.state, &found, snapshot.as_of.instant, person.sees())?;
    Ok(Json(One { item, as_of: snapshot.as_of }))
}

/// Who left, and whether they are gone.
#[utoipa::path(get, path = "/v1/leavers", tag = "state", params(params::Leavers), responses(
    (status = 200, body = List<LeaverView>), Problem
))]
async fn leavers(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<LeaverView>> {
    let query = api.query::<params::Leavers>(pairs)?;
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
    let snapshot = api.snapshot(&query).await?;
    let (found, next_cursor) = page::<Leaver>(&snapshot.state, "leaver/", &query, |l| wanted.contains(&l.status()))?;
    let items = found.iter().map(|l| LeaverView::of(&snapshot.state, l, person.sees())).collect::<Result<_, _>>()?;
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// What is owed, and what was.
#[utoipa::path(get, path = "/v1/obligations", tag = "state", params(params::Obligations), responses(
    (status = 200, body = List<ObligationView>), Problem
))]
async fn obligations(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<ObligationView>> {
    let query = api.query::<params::Obligations>(pairs)?;
    let status: Option<ObligationStatus> = query.word("status")?;
    let change: Option<ChangeKind> = query.word("change")?;
    let app = query.parsed::<AppId>("app", "an app id")?;
    let snapshot = api.snapshot(&query).await?;
    let wanted = |o: &Obligation| {
        status.is_none_or(|s| s == o.status())
            && change.is_none_or(|c| c == o.change)
            && app.as_ref().is_none_or(|a| *a == o.id.app)
    };
    let among = status.map_or(Among::All, Among::with);
    let read = |after: Option<&str>, look| obligations_after(&snapshot.state, among, after, look);
    let (found, next_cursor) = page_after(read, query.cursor(), Extent::of(&query)?, wanted)?;
    let items = found.iter().map(|owed| ObligationView::of(owed, person.sees())).collect();
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// The connected apps.
#[utoipa::path(get, path = "/v1/apps", tag = "state", params(params::Apps), responses(
    (status = 200, body = List<AppView>), Problem
))]
async fn apps(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<AppView>> {
    let query = api.query::<params::Apps>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let (found, next_cursor) = page(&snapshot.state, directory::APPS, &query, |_| true)?;
    let shown = |app| AppView::of(&snapshot.state, app, snapshot.as_of.instant, person.sees());
    let items = found.iter().map(shown).collect::<Result<_, _>>()?;
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

fn known_app(state: &Moment, id: &str) -> Result<rollcall_domain::app::App, ApiError> {
    let parsed: AppId = id.parse().map_err(|_| unknown("app", id))?;
    directory::app(state, &parsed)?.ok_or_else(|| unknown("app", id))
}

/// One app.
#[utoipa::path(get, path = "/v1/apps/{id}", tag = "state",
    params(("id" = String, Path, description = "The app."), params::AsOfOnly), responses(
    (status = 200, body = One<AppView>), Problem
))]
async fn app(State(api): Shared, Extension(person): Who, Path(id): Path<String>, pairs: Pairs) -> Answer<One<AppView>> {
    let query = api.query::<params::AsOfOnly>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let found = known_app(&snapshot.state, &id)?;
    let item = AppView::of(&snapshot.state, &found, snapshot.as_of.instant, person.sees())?;
    Ok(Json(One { item, as_of: snapshot.as_of }))
}

/// Where apps differ from what is desired.
#[utoipa::path(get, path = "/v1/drift", tag = "state", params(params::Drift), responses(
    (status = 200, body = List<DriftView>), Problem
))]
async fn drift(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<DriftView>> {
    let query = api.query::<params::Drift>(pairs)?;
    let app = query.parsed::<AppId>("app", "an app id")?;
    let kind: Option<DriftKind> = query.word("kind")?;
    let snapshot = api.snapshot(&query).await?;
    let wanted =
        |item: &DriftItem| app.as_ref().is_none_or(|a| *a == item.id.app) && kind.is_none_or(|k| k == item.id.kind);
    let (found, next_cursor) = page(&snapshot.state, "drift/", &query, wanted)?;
    let items = found.iter().map(|item| DriftView::of(item, snapshot.as_of.instant, person.sees())).collect();
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// The removals that wait for a person.
#[utoipa::path(get, path = "/v1/holds", tag = "state", params(params::Paging), responses(
    (status = 200, body = List<HoldView>), Problem
))]
async fn holds(State(api): Shared, pairs: Pairs) -> Answer<List<HoldView>> {
    let query = api.query::<params::Paging>(pairs)?;
    let view = api.fresh().await?;
    let (found, next_cursor) = page::<Hold>(&view, ledger::HOLDS, &query, |_| true)?;
    Ok(Json(List {
        items: found.iter().map(|hold| HoldView::of(&view, hold)).collect::<Result<_, _>>()?,
        next_cursor,
        as_of: None,
    }))
}

/// What would be sent to whom, and why.
#[utoipa::path(get, path = "/v1/plan", tag = "state", params(params::Plan), responses(
    (status = 200, body = List<PlanView>), Problem
))]
async fn planned(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<PlanView>> {
    let query = api.query::<params::Plan>(pairs)?;
    // It shows the values that would be sent.
    person.needs(Role::Auditor)?;
    let view = api.fresh().await?;
    let items = match (query.text("identity"), query.parsed::<AppId>("app", "an app id")?) {
        (Some(id), None) => plan::of_identity(&view, known_identity(&view, id)?.id)?,
        (None, Some(app)) => {
            directory::app(&view, &app)?.ok_or_else(|| unknown("app", app.as_str()))?;
            plan::of_app(&view, &app, query.limit()?)?
        }
        _ => return Err(ApiError::BadRequest("give one of the query parameters 'identity' and 'app'".into())),
    };
    Ok(Json(List { items, next_cursor: None, as_of: None }))
}

/// How long changes took, exactly.
#[utoipa::path(get, path = "/v1/latency", tag = "state", params(params::Latency), responses(
    (status = 200, body = List<LatencyView>), Problem
))]
async fn latency(State(api): Shared, pairs: Pairs) -> Answer<List<LatencyView>> {
    let query = api.query::<params::Latency>(pairs)?;
    let (from, to) = query.window()?;
    let choice = latency::Choice {
        from,
        to,
        app: query.parsed("app", "an app id")?,
        change: query.word("change")?,
        source: query.parsed("source", "a source name")?,
    };
    let group_by = query.word("group_by")?.unwrap_or(GroupBy::App);
    let view = api.fresh().await?;
    let counted = move || latency::by_group(&view, &choice, group_by);
    let items = tokio::task::spawn_blocking(counted).await.map_err(|_| ApiError::Stopped)??;
    Ok(Json(List { items, next_cursor: None, as_of: None }))
}

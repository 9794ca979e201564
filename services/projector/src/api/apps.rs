//! `/v1/apps`: connected apps.

use axum::extract::State;
use axum::{Extension, Json};
use rollcall_domain::directory;
use rollcall_domain::ids::AppId;

use crate::api::context::{Pairs, Shared, unknown};
use crate::api::paging::{Answer, List, One, Who, page};
use crate::api::params;
use crate::api::query::Path;
use crate::api::views::AppView;
use crate::as_of::StateAt;
use crate::error::{ApiError, Problem};

/// The connected apps.
#[utoipa::path(get, path = "/v1/apps", tag = "state", params(params::Apps), responses(
    (status = 200, body = List<AppView>), Problem
))]
pub async fn apps(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<AppView>> {
    let query = api.query::<params::Apps>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let (found, next_cursor) = page(&snapshot.state, directory::APPS, &query, |_| true)?;
    let shown = |app| AppView::of(&snapshot.state, app, snapshot.as_of.instant, person.sees());
    let items = found.iter().map(shown).collect::<Result<_, _>>()?;
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

pub(crate) fn known_app(state: &StateAt, id: &str) -> Result<rollcall_domain::app::App, ApiError> {
    let parsed: AppId = id.parse().map_err(|_| unknown("app", id))?;
    directory::app(state, &parsed)?.ok_or_else(|| unknown("app", id))
}

/// One app.
#[utoipa::path(get, path = "/v1/apps/{id}", tag = "state",
    params(("id" = String, Path, description = "The app."), params::AsOfOnly), responses(
    (status = 200, body = One<AppView>), Problem
))]
pub async fn app(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Answer<One<AppView>> {
    let query = api.query::<params::AsOfOnly>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let found = known_app(&snapshot.state, &id)?;
    let item = AppView::of(&snapshot.state, &found, snapshot.as_of.instant, person.sees())?;
    Ok(Json(One { item, as_of: snapshot.as_of }))
}

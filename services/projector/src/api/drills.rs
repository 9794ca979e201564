//! Drills of apps: wanting one, and what came of those before.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use rollcall_config::Role;
use rollcall_domain::app::drill::{Drill, DrillEvent};
use rollcall_domain::app::{App, Connection};
use rollcall_domain::{AppId, Event, directory, ledger};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::apps::known_app;
use crate::api::context::{Api, Pairs, Shared, unknown};
use crate::api::decisions::{self, Said};
use crate::api::paging::{Answer, Extent, List, One, Who, page_shown, under};
use crate::api::params;
use crate::api::query::Path;
use crate::api::views::{DRILL_STATES, DrillsView, LastDrillView};
use crate::error::{ApiError, Problem};

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(drill)).routes(routes!(drills)).routes(routes!(last_drills))
}

/// Wants an app drilled now: an account of Rollcall's own goes through it, and is removed again.
#[utoipa::path(post, path = "/v1/apps/{id}/drill", tag = "decisions", params(("id" = String, Path, description = "Which.")), responses(
    (status = 202, body = Said), (status = 409, description = "One is wanted already, or runs, or the app is not connected any more.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn drill(State(api): Shared, Extension(person): Who, Path(id): Path<String>) -> decisions::Answer {
    person.needs(Role::Operator)?;
    let app: AppId = id.parse().map_err(|_| unknown("app", &id))?;
    let view = api.fresh().await?;
    let known = directory::app(&view, &app)?.ok_or_else(|| unknown("app", &id))?;
    if known.connection == Connection::Removed {
        return Err(ApiError::Conflict(format!(
            "app '{id}' is not in the configuration any more: nothing can be tried there"
        )));
    }
    if known.spec.kind.is_by_people() {
        return Err(ApiError::Conflict(format!("app '{id}' is changed by people: there is nothing to drill")));
    }
    let drilled = ledger::drilled(&view, &app)?;
    if drilled.running.is_some() || drilled.requested.is_some() {
        return Err(ApiError::Conflict(format!(
            "a drill of '{id}' is wanted already, or runs: see GET /v1/apps/{id}/drills"
        )));
    }
    decisions::say(&api, &person, Event::Drill(Drill { app, event: DrillEvent::Requested })).await
}

/// How each app did in its last drill.
#[utoipa::path(get, path = "/v1/drills", tag = "state", params(params::LastDrills), responses(
    (status = 200, body = List<LastDrillView>), Problem
))]
pub async fn last_drills(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<LastDrillView>> {
    let query = api.query::<params::LastDrills>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let wanted = query.text("state").map(known_state).transpose()?;
    let show = |app: App| {
        let is_drilled = !app.spec.kind.is_by_people();
        let shown = is_drilled.then(|| LastDrillView::of(&snapshot.state, &app.spec, person.sees())).transpose()?;
        Ok(shown.filter(|last| wanted.is_none_or(|wanted| wanted == last.state)))
    };
    let read = under(&snapshot.state, directory::APPS);
    let (items, next_cursor) = page_shown(read, query.cursor(), Extent::of(&query)?, show)?;
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// A word for how far a drill is.
fn known_state(text: &str) -> Result<&'static str, ApiError> {
    DRILL_STATES.into_iter().find(|state| *state == text).ok_or_else(|| {
        ApiError::BadRequest(format!("query parameter 'state': '{text}' is none of {}", DRILL_STATES.join(", ")))
    })
}

/// The drills of an app: the one that runs, and those that were done to their end, the newest first.
#[utoipa::path(get, path = "/v1/apps/{id}/drills", tag = "state",
    params(("id" = String, Path, description = "The app."), params::AsOfOnly), responses(
    (status = 200, body = One<DrillsView>), Problem
))]
pub async fn drills(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Answer<One<DrillsView>> {
    let query = api.query::<params::AsOfOnly>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let found = known_app(&snapshot.state, &id)?;
    let item = DrillsView::of(&snapshot.state, &found.spec.id, person.sees())?;
    Ok(Json(One { item, as_of: snapshot.as_of }))
}

//! Separations of duties: what nobody may hold together, who does, and that two people leave it so for a time.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::access::separation::{Separation, Violation, ViolationAccepted, ViolationId, ViolationStatus};
use rollcall_domain::{Event, SeparationId, directory, ledger};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::context::{Api, Pairs, Shared, unknown};
use crate::api::decisions::{MAX_REASON, Said, later, read, reason};
use crate::api::paging::{Answer, List, Who, page};
use crate::api::query::Path;
use crate::api::relations::is_them;
use crate::api::views::{SeparationView, ViolationView};
use crate::api::{approvals, params};
use crate::error::{ApiError, Problem};

/// The largest body.
const MAX_BODY: usize = 16 << 10;

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(separations))
        .routes(routes!(violations))
        .routes(routes!(accept))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
}

/// The separations of duties: what nobody may hold together.
#[utoipa::path(get, path = "/v1/separations", tag = "access", params(params::Roles), responses(
    (status = 200, body = List<SeparationView>), Problem
))]
async fn separations(State(api): Shared, pairs: Pairs) -> Answer<List<SeparationView>> {
    let query = api.query::<params::Roles>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let (found, next_cursor) = page::<Separation>(&snapshot.state, directory::SEPARATIONS, &query, |_| true)?;
    let items = found.iter().map(SeparationView::of).collect();
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// Who holds together what a separation forbids, or is not verified to hold it no more.
#[utoipa::path(get, path = "/v1/violations", tag = "access", params(params::Violations), responses(
    (status = 200, body = List<ViolationView>), Problem
))]
async fn violations(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<ViolationView>> {
    let query = api.query::<params::Violations>(pairs)?;
    let status: Option<ViolationStatus> = query.word("status")?;
    let of: Option<SeparationId> = query.parsed("separation", "a separation id")?;
    let snapshot = api.snapshot(&query).await?;
    let now = snapshot.as_of.instant;
    let wanted = |violation: &Violation| {
        status.is_none_or(|status| status == violation.status(now))
            && of.as_ref().is_none_or(|of| *of == violation.separation)
    };
    let (found, next_cursor) = page::<Violation>(&snapshot.state, ledger::VIOLATIONS, &query, wanted)?;
    let shown = |violation| ViolationView::of(&snapshot.state, violation, now, person.sees());
    let items = found.iter().map(shown).collect::<Result<_, _>>()?;
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// Why a violation is left as it is, what is done instead, and until when.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AcceptBody {
    reason: String,
    /// What is done instead: the compensating control.
    control: String,
    #[schema(schema_with = crate::api::schema::time)]
    expires_at: Timestamp,
}

/// Asks that a violation is left as it is for a time: it always takes a second person, who approves it (POST /v1/approvals/{id}/approve).
#[utoipa::path(post, path = "/v1/violations/{id}/accept", tag = "decisions",
    params(("id" = String, Path, description = "The violation: `SEPARATION.IDENTITY`.")), request_body = AcceptBody, responses(
    (status = 202, body = Said), Problem
))]
pub async fn accept(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<Said>), ApiError> {
    person.needs(Role::Operator)?;
    let AcceptBody { reason: said, control, expires_at } = read(&body)?;
    let reason = reason(&said)?;
    let control = control.trim().to_owned();
    if control.is_empty() || control.chars().count() > MAX_REASON {
        return Err(ApiError::BadRequest(format!(
            "'control' must say, in at most {MAX_REASON} characters, what is done instead of keeping it apart"
        )));
    }
    let (expires_at, _) = later(&api, expires_at).await?;
    let ViolationId { separation, identity } = id.parse().map_err(|_| unknown("violation", &id))?;
    let view = api.fresh().await?;
    let held = ledger::violation(&view, &separation, identity)?.ok_or_else(|| unknown("violation", &id))?.held;
    if is_them(&api, &view, &person, identity)? {
        return Err(ApiError::Forbidden("whom it is about does not accept it".into()));
    }
    let accepted = ViolationAccepted { separation, identity, held, control, reason: reason.clone(), expires_at };
    let (sequence, id) = approvals::ask(&api, &person, Event::ViolationAccepted(accepted), &reason).await?;
    Ok((StatusCode::ACCEPTED, Json(Said { sequence, approval: Some(id) })))
}

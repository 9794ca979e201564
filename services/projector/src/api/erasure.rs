//! Erasing a person: asked for by one admin, approved by another, done when nothing of theirs is left anywhere.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::{SignedDuration, Timestamp};
use rollcall_config::Role;
use rollcall_domain::governance::erasure::ErasureOrdered;
use rollcall_domain::ids::{IdentityId, Sequence};
use rollcall_domain::{Event, ledger};
use rollcall_event_log::{LogError, Unit, by_service};
use rollcall_projection::View;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::context::{Api, Pairs, Shared, unknown};
use crate::api::paging::Answer;
use crate::api::person::Person;
use crate::api::query::Path;
use crate::api::{approvals, params};
use crate::erasure::decision;
use crate::erasure::progress::{due_at, due_since};
use crate::error::{ApiError, Problem};
use crate::state::departed::{self, Departed};

/// How far ahead is shown who is due, unless somebody asks otherwise.
const AHEAD: SignedDuration = SignedDuration::from_hours(24 * 30);

/// The largest body.
const MAX_BODY: usize = 16 << 10;

/// The longest reason, and the longest legal basis.
const MAX_TEXT: usize = 1000;

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(erase))
        .routes(routes!(erasures))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
}

/// Why, and what allows it. Both stay for ever: they name nobody.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EraseBody {
    reason: String,
    /// Such as `GDPR Art. 17(1)(a)`.
    legal_basis: String,
}

/// Where it is on the log.
#[derive(Serialize, ToSchema)]
struct Said {
    #[schema(value_type = u64)]
    sequence: Sequence,
    /// Set: it is not done yet, and waits for a second admin, who approves it by this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    /// The apps that keep an account of theirs: each owes its deletion from now on, and what is personal is destroyed after that.
    waits_for: Vec<String>,
}

fn text(name: &str, text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(ApiError::BadRequest(format!("'{name}' is empty"))),
        n if n > MAX_TEXT => Err(ApiError::BadRequest(format!("'{name}' is longer than {MAX_TEXT} characters"))),
        _ => Ok(text.to_owned()),
    }
}

/// Erases a person: the keys to what is personal about them are destroyed, here and in everything that is derived from the log. It
/// can't be undone. Where apps keep accounts of theirs, inactive, these are deleted first.
#[utoipa::path(post, path = "/v1/identities/{id}/erase", tag = "decisions",
    params(("id" = Uuid, Path, description = "The identity.")), request_body = EraseBody, responses(
    (status = 202, body = Said),
    (status = 409, description = "It can't be done yet; the detail says what stands in the way.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
async fn erase(
    State(api): Shared,
    Extension(person): Extension<Person>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<Said>), ApiError> {
    person.needs(Role::Admin)?;
    let body: EraseBody = serde_json::from_slice(&body).map_err(|e| ApiError::BadRequest(format!("the body: {e}")))?;
    let (reason, legal_basis) = (text("reason", &body.reason)?, text("legal_basis", &body.legal_basis)?);
    let id: IdentityId = id.parse().map_err(|_| unknown("identity", &id))?;
    if api.log.keys().is_none() {
        return Err(ApiError::Conflict(
            "nothing is sealed on this log, so nothing can be erased: name an installation key under [privacy]".into(),
        ));
    }
    let view = api.fresh().await?;
    let waits_for = decision::erasable(&api.tokens, &view, id)?.waits_for();
    decision::not_ordered(&view, id)?;
    let order = ErasureOrdered { id, reason, legal_basis, approved_by: None };
    if approvals::needs_two(&api, Role::Admin) {
        let reason = order.reason.clone();
        let (sequence, approval) = approvals::ask(&api, &person, Event::ErasureOrdered(order), &reason).await?;
        return Ok((StatusCode::ACCEPTED, Json(Said { sequence, approval: Some(approval), waits_for })));
    }
    let mut unit = Unit::default();
    let meta = by_service(&person.name, &Uuid::now_v7().to_string(), None);
    decision::push(&api.log, (&api.tokens, &api.fresh().await?), &mut unit, meta, order).await?;
    let sequence = match api.append_unit(&unit).await {
        Err(ApiError::Log(LogError::Conflict { .. })) => return Err(decision::changed_meanwhile()),
        outcome => outcome?,
    };
    Ok((StatusCode::ACCEPTED, Json(Said { sequence, approval: None, waits_for })))
}

/// Somebody who is to be erased, or will be.
#[derive(Serialize, ToSchema)]
struct ErasureView {
    #[schema(value_type = Uuid)]
    identity: IdentityId,
    /// The event by which they are to be erased; absent: they are due by `[privacy] erase_left_after`.
    #[schema(value_type = Option<u64>)]
    ordered_by: Option<Sequence>,
    /// Since when they are to be erased, or when they are due.
    #[schema(schema_with = crate::api::schema::time)]
    at: Timestamp,
    /// What has to happen first.
    waits_for: Vec<String>,
}

impl ErasureView {
    fn of(
        api: &Api,
        state: &View,
        identity: IdentityId,
        (ordered_by, at): (Option<Sequence>, Timestamp),
    ) -> Result<Self, ApiError> {
        let waits_for = match decision::erasable(&api.tokens, state, identity) {
            Ok(erasable) => erasable.waits_for(),
            Err(ApiError::Conflict(reason)) => vec![reason],
            Err(trouble) => return Err(trouble),
        };
        Ok(Self { identity, ordered_by, at, waits_for })
    }
}

/// Whom an erasure waits for, and who is due next by `[privacy] erase_left_after`.
#[derive(Serialize, ToSchema)]
struct Erasures {
    ordered: Vec<ErasureView>,
    due: Vec<ErasureView>,
    /// Where `due` goes on; absent: that was the last page.
    next_cursor: Option<String>,
}

/// Who is to be erased as soon as apps keep no account of theirs, and who will be because they left long enough ago: within 30 days, or
/// until `until`.
#[utoipa::path(get, path = "/v1/erasures", tag = "state", params(params::Erasures), responses(
    (status = 200, body = Erasures), Problem
))]
async fn erasures(State(api): Shared, Extension(person): Extension<Person>, pairs: Pairs) -> Answer<Erasures> {
    person.needs(Role::Operator)?;
    let query = api.query::<params::Erasures>(pairs)?;
    let (until, limit) = (query.time("until")?, query.limit()?);
    let view = api.fresh().await?;
    let mut ordered = Vec::new();
    // They are shown with the first page.
    for (id, order) in ledger::all_ordered(&view)?.into_iter().filter(|_| query.cursor().is_none()) {
        ordered.push(ErasureView::of(&api, &view, id, (Some(order.sequence), order.at))?);
    }
    let (mut due, mut next_cursor) = (Vec::new(), None);
    if let Some(retention) = &api.retention {
        let until = until.unwrap_or_else(|| Timestamp::now().checked_add(AHEAD).unwrap_or(Timestamp::MAX));
        let (found, next) = departed::before(&view, due_since(retention, until), query.cursor(), limit)?;
        for Departed { identity, left_at } in found {
            if ledger::ordered(&view, identity)?.is_none() {
                due.push(ErasureView::of(&api, &view, identity, (None, due_at(retention, left_at)))?);
            }
        }
        next_cursor = next;
    }
    Ok(Json(Erasures { ordered, due, next_cursor }))
}

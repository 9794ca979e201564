//! Erasing a person: asked for by one admin, approved by another, done when nothing of theirs is left anywhere.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use rollcall_config::Role;
use rollcall_domain::governance::erasure::Erased;
use rollcall_domain::identity::Identity;
use rollcall_domain::identity::content::Content;
use rollcall_domain::ids::{IdentityId, Sequence};
use rollcall_domain::kv::Read;
use rollcall_domain::{Event, NewEvent, directory, ledger};
use rollcall_event_log::{LogError, Subject, Unit, by_service};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::approvals;
use crate::api::context::{Api, Shared, unknown};
use crate::api::person::Person;
use crate::api::query::Path;
use crate::error::{ApiError, Problem};
use crate::state::keys;

/// The largest body.
const MAX_BODY: usize = 16 << 10;

/// The longest reason, and the longest legal basis.
const MAX_TEXT: usize = 1000;

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(erase)).layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
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
}

fn text(name: &str, text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(ApiError::BadRequest(format!("'{name}' is empty"))),
        n if n > MAX_TEXT => Err(ApiError::BadRequest(format!("'{name}' is longer than {MAX_TEXT} characters"))),
        _ => Ok(text.to_owned()),
    }
}

/// Someone who can be erased now.
///
/// # Errors
/// With everything that stands in the way.
pub fn erasable(state: &impl Read, id: IdentityId) -> Result<Identity, ApiError> {
    let identity = directory::identity(state, id)?.ok_or_else(|| unknown("identity", &id.to_string()))?;
    match identity.content {
        Content::Erased => return Err(ApiError::Conflict(format!("identity {id} is erased already"))),
        Content::Sealed => {
            return Err(ApiError::Conflict(format!("identity {id} can't be read here: its key is missing")));
        }
        Content::Open => {}
    }
    if identity.key.is_none() {
        return Err(ApiError::Conflict(format!(
            "identity {id} was added before anything was sealed: what the log says of them stays readable, and can't be erased"
        )));
    }
    let obstacles: Vec<String> = ledger::obstacles(state, id)?.iter().map(ToString::to_string).collect();
    if !obstacles.is_empty() {
        return Err(ApiError::Conflict(format!("identity {id} can't be erased yet: {}", obstacles.join("; "))));
    }
    Ok(identity)
}

/// Erases a person: the keys to what is personal about them are destroyed, here and in everything that is derived from the log. It
/// can't be undone.
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
    erasable(&api.fresh().await?, id)?;
    let wanted = Erased { id, reason, legal_basis, approved_by: None, keys: Vec::new(), owed: Vec::new() };
    if approvals::needs_two(&api, Role::Admin) {
        let reason = wanted.reason.clone();
        let (sequence, approval) = approvals::ask(&api, &person, Event::IdentityErased(wanted), &reason).await?;
        return Ok((StatusCode::ACCEPTED, Json(Said { sequence, approval: Some(approval) })));
    }
    let mut unit = Unit::default();
    let meta = by_service(&person.name, &Uuid::now_v7().to_string(), None);
    push(&api, &mut unit, meta, wanted).await?;
    let sequence = append(&api, &unit).await?;
    Ok((StatusCode::ACCEPTED, Json(Said { sequence, approval: None })))
}

/// Adds the erasure of a person to a unit: with their keys and all that was ever owed for them, and only while nobody says anything
/// else of them.
///
/// # Errors
/// When they can't be erased, or the log can't be reached.
pub async fn push(
    api: &Api,
    unit: &mut Unit,
    meta: rollcall_domain::EventMeta,
    wanted: Erased,
) -> Result<(), ApiError> {
    let subject = Subject::identity(wanted.id);
    let last = api.log.last_sequence(&subject).await?;
    let view = api.fresh().await?;
    let identity = erasable(&view, wanted.id)?;
    if last > identity.version {
        return Err(ApiError::Conflict("somebody has just changed them: look again".into()));
    }
    let erased = Erased { keys: keys::of(&view, wanted.id)?, owed: ledger::owed_ever(&view, wanted.id)?, ..wanted };
    unit.push_while(NewEvent { meta, event: Event::IdentityErased(erased) }, subject, last);
    Ok(())
}

async fn append(api: &Api, unit: &Unit) -> Result<Sequence, ApiError> {
    match api.append_unit(unit).await {
        Err(ApiError::Log(LogError::Conflict { .. })) => {
            Err(ApiError::Conflict("somebody has just changed them: look again".into()))
        }
        outcome => outcome,
    }
}

//! The sessions that are open. Keys: `session/<id>`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::Event;
use rollcall_domain::governance::session::{SessionChanged, SessionHolder, SessionStep};
use rollcall_domain::kv::load_all;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::context::{Api, Shared, unknown};
use crate::api::person::Person;
use crate::api::schema;
use crate::error::{ApiError, Problem};
use crate::state::sessions as known_sessions;
use crate::state::sessions::{PREFIX, Session};

/// Someone who is signed in to the console.
#[derive(Debug, Serialize, ToSchema)]
struct SessionView {
    id: String,
    name: String,
    /// `token`, or `provider`.
    by: &'static str,
    #[schema(schema_with = schema::time)]
    opened_at: Timestamp,
    #[schema(schema_with = schema::time)]
    used_at: Timestamp,
    #[schema(schema_with = schema::time)]
    until: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
struct Sessions {
    items: Vec<SessionView>,
}

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(sessions)).routes(routes!(end))
}

/// Who is signed in to the console.
#[utoipa::path(get, path = "/v1/sessions", tag = "state", responses((status = 200, body = Sessions), Problem))]
async fn sessions(State(api): Shared, Extension(person): Extension<Person>) -> Result<Json<Sessions>, ApiError> {
    person.needs(Role::Admin)?;
    let view = api.fresh().await?;
    let now = Timestamp::now();
    let open: Vec<(String, Session)> = load_all(&view, PREFIX, None, usize::MAX)?;
    let shown = |session: Session| SessionView {
        name: session.holder.name().to_owned(),
        by: match session.holder {
            SessionHolder::Token { .. } => "token",
            SessionHolder::Provider { .. } => "provider",
        },
        id: session.id,
        opened_at: session.opened_at,
        used_at: session.used_at,
        until: session.until,
    };
    let items = open.into_iter().map(|(_, session)| session).filter(|session| session.until > now).map(shown).collect();
    Ok(Json(Sessions { items }))
}

/// Ends someone's session.
#[utoipa::path(delete, path = "/v1/sessions/{id}", tag = "decisions", params(("id" = String, Path, description = "Which.")), responses(
    (status = 202, description = "It has ended."), Problem
))]
async fn end(
    State(api): Shared,
    Extension(person): Extension<Person>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    person.needs(Role::Admin)?;
    let view = api.fresh().await?;
    let session = known_sessions::find(&view, &id)?.ok_or_else(|| unknown("open session", &id))?;
    let ended = Event::Session(SessionChanged { id: session.id, step: SessionStep::Ended });
    api.append(&person.name, ended).await?;
    Ok(StatusCode::ACCEPTED)
}

//! The sessions that are open. Keys: `session/<id>`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::governance::session::{SessionChanged, SessionHolder, SessionStep};
use rollcall_domain::kv::{KvError, Read, Write, load, load_all, store};
use rollcall_domain::{Event, Recorded};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Api, Person, Shared, unknown};
use crate::error::{ApiError, Problem};
use crate::words;

const PREFIX: &str = "session/";

/// A session in the projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Session {
    pub id: String,
    pub holder: SessionHolder,
    pub opened_at: Timestamp,
    pub used_at: Timestamp,
    pub until: Timestamp,
}

/// Keeps the sessions that are open.
///
/// # Errors
/// When the state can't be read.
pub fn add(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    let Event::Session(SessionChanged { id, step }) = &event.event else { return Ok(()) };
    let key = format!("{PREFIX}{id}");
    match step {
        SessionStep::Opened { holder, until } => {
            let (opened_at, used_at) = (event.recorded_at, event.recorded_at);
            let session = Session { id: id.clone(), holder: holder.clone(), opened_at, used_at, until: *until };
            store(state, key, &session);
        }
        SessionStep::Used => {
            if let Some(session) = find(state, id)? {
                store(state, key, &Session { used_at: event.recorded_at, ..session });
            }
        }
        SessionStep::Ended => state.delete(&key),
    }
    Ok(())
}

/// One that is open.
///
/// # Errors
/// When the state can't be read.
pub fn find(state: &impl Read, id: &str) -> Result<Option<Session>, KvError> {
    load(state, &format!("{PREFIX}{id}"))
}

/// Someone who is signed in to the console.
#[derive(Debug, Serialize, ToSchema)]
struct SessionView {
    id: String,
    name: String,
    /// `token`, or `provider`.
    by: &'static str,
    #[schema(schema_with = words::time)]
    opened_at: Timestamp,
    #[schema(schema_with = words::time)]
    used_at: Timestamp,
    #[schema(schema_with = words::time)]
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
    let session = find(&view, &id)?.ok_or_else(|| unknown("open session", &id))?;
    let ended = Event::Session(SessionChanged { id: session.id, step: SessionStep::Ended });
    api.append(&person.name, ended).await?;
    Ok(StatusCode::ACCEPTED)
}

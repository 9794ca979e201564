//! What a changed configuration would do, before it does.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::{Extension, Json};
use rollcall_config::Role;
use rollcall_domain::app::{AppSpec, Connection};
use rollcall_domain::ids::{AppId, IdentityId};
use rollcall_domain::{directory, ledger};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::context::{Api, Shared};
use crate::api::person::Person;
use crate::error::{ApiError, Problem};

/// Someone who would lose their account.
#[derive(Debug, Serialize, ToSchema)]
struct Loser {
    #[schema(value_type = Uuid)]
    identity: IdentityId,
    user_name: String,
}

/// What an app's changed configuration would do.
#[derive(Debug, Serialize, ToSchema)]
struct PreviewView {
    #[schema(value_type = String)]
    app: AppId,
    /// Whether it is configured now.
    known: bool,
    /// Whether anything differs from what is configured now.
    differs: bool,
    /// The accounts that must be there now.
    accounts: usize,
    /// Who would be given one.
    added: usize,
    /// Whose attributes or groups would change.
    changed: usize,
    /// Who would lose theirs.
    removed: usize,
    /// Some of them.
    removed_some: Vec<Loser>,
    /// So many removals would wait for a person.
    would_be_held: bool,
    /// So many need two people.
    needs_two_people: bool,
}

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(preview))
}

/// Says what an app's configuration would do; nothing is changed. The body is that of `rollcall plan --config`.
#[utoipa::path(post, path = "/v1/plan/configuration", tag = "state", request_body(content = Object, description = "An app as `rollcall plan --config` sends it."), responses(
    (status = 200, body = PreviewView), Problem
))]
async fn preview(
    State(api): Shared,
    Extension(person): Extension<Person>,
    body: Bytes,
) -> Result<Json<PreviewView>, ApiError> {
    person.needs(Role::Auditor)?;
    // By a rule of their own they could ask anything about anybody.
    person.needs_app(None)?;
    let spec: AppSpec = serde_json::from_slice(&body).map_err(|e| ApiError::BadRequest(format!("the body: {e}")))?;
    let _turn = api.previews.acquire().await.map_err(|_| ApiError::Stopped)?;
    let view = api.fresh().await?;
    let catalogue = api.catalogue;
    let work = move || -> Result<PreviewView, ApiError> {
        let found = ledger::preview(&view, catalogue, &spec)?;
        let now = directory::app(&view, &spec.id)?.filter(|app| app.connection == Connection::Configured);
        let name = |id: &IdentityId| -> Result<Loser, ApiError> {
            let who = directory::identity(&view, *id)?;
            Ok(Loser { identity: *id, user_name: who.map_or_else(String::new, |who| who.user_name().to_owned()) })
        };
        Ok(PreviewView {
            known: now.is_some(),
            differs: now.is_none_or(|app| app.spec != spec),
            accounts: found.accounts,
            added: found.added,
            changed: found.changed,
            removed: found.removed,
            removed_some: found.removed_some.iter().map(name).collect::<Result<_, _>>()?,
            would_be_held: spec.guard.is_too_many(found.removed, found.accounts),
            needs_two_people: usize::try_from(spec.guard.max_removals).is_ok_and(|most| found.removed > most),
            app: spec.id,
        })
    };
    Ok(Json(tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Stopped)??))
}

//! Off, now: a person switches someone off in every app, and on again.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use rollcall_config::Role;
use rollcall_domain::identity::content::Content;
use rollcall_domain::identity::switch::{Switch, Switched};
use rollcall_domain::ids::IdentityId;
use rollcall_domain::{Event, EventMeta, NewEvent, directory, ledger};
use rollcall_event_log::{Expect, Unit, by_service};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::context::{Api, Shared, unknown};
use crate::api::decisions::{Said, read, reason};
use crate::api::paging::Who;
use crate::api::person::{Vouched, unvouched};
use crate::api::query::Path;
use crate::api::relations::is_them;
use crate::error::{ApiError, Problem};

type Answer = Result<(StatusCode, Json<Said>), ApiError>;

/// The largest body.
const MAX_BODY: usize = 16 << 10;

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(disable))
        .routes(routes!(enable))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
}

/// Why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SwitchBody {
    reason: String,
}

/// Switches someone off in every app, at once: whatever their source, holds, waivers, dates and quarantines say. Their accounts are
/// set inactive and otherwise left as they are.
#[utoipa::path(post, path = "/v1/identities/{id}/disable", tag = "decisions",
    params(("id" = Uuid, Path, description = "The identity.")), request_body = SwitchBody, responses(
    (status = 202, body = Said),
    (status = 409, description = "They are switched off already, or erased.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn disable(State(api): Shared, who: Who, id: Path<String>, body: Bytes) -> Answer {
    switch(&api, who, id, body, Switch::Off).await
}

/// Switches someone on again: what their source says, and their roles and grants, count again. Whoever had their name before them
/// and was deleted by their source while switched off is switched on with them.
#[utoipa::path(post, path = "/v1/identities/{id}/enable", tag = "decisions",
    params(("id" = Uuid, Path, description = "The identity.")), request_body = SwitchBody, responses(
    (status = 202, body = Said),
    (status = 409, description = "They are not switched off.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn enable(State(api): Shared, who: Who, id: Path<String>, body: Bytes) -> Answer {
    switch(&api, who, id, body, Switch::On).await
}

async fn switch(api: &Api, Extension(person): Who, Path(id): Path<String>, body: Bytes, to: Switch) -> Answer {
    person.needs(Role::Operator)?;
    let SwitchBody { reason: said } = read(&body)?;
    let reason = reason(&said)?;
    let id: IdentityId = id.parse().map_err(|_| unknown("identity", &id))?;
    let view = api.fresh().await?;
    let identity = directory::identity(&view, id)?.ok_or_else(|| unknown("identity", &id.to_string()))?;
    if identity.content == Content::Erased {
        return Err(ApiError::Conflict("whoever it was is erased".into()));
    }
    match (to, ledger::switched_off(&view, id)?) {
        (Switch::Off, Some(off)) => {
            return Err(ApiError::Conflict(format!("they are switched off already, since {}", off.since)));
        }
        (Switch::On, None) => return Err(ApiError::Conflict("they are not switched off".into())),
        (Switch::Off, None) | (Switch::On, Some(_)) => {}
    }
    if to == Switch::On && person.vouched == Vouched::No {
        return Err(unvouched());
    }
    if to == Switch::On && is_them(api, &view, &person, id)? {
        return Err(ApiError::Forbidden("nobody switches themselves on again".into()));
    }
    let (actor, correlation_id) = (person.actor(&view)?, Uuid::now_v7().to_string());
    let meta = || EventMeta { reason: reason.clone(), ..by_service(&actor, &correlation_id, None) };
    let switched = |id| Event::IdentitySwitched(Switched { id, to, reason: reason.clone() });
    let mut unit = Unit::one(NewEvent { meta: meta(), event: switched(id) }, Expect::Any);
    if to == Switch::On {
        // Whoever had the name before them and is gone would switch off the next one who gets it.
        for before in ledger::switched_off_under_a_name_of(&view, id)? {
            unit.push(NewEvent { meta: meta(), event: switched(before) }, Expect::Any);
        }
    }
    let sequence = api.append_unit(&unit).await?;
    Ok((StatusCode::ACCEPTED, Json(Said { sequence, approval: None })))
}

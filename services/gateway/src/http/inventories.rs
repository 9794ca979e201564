//! `PUT /inventories/{name}`: the whole list of an inventory.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use problem_details::ProblemDetails;
use rollcall_domain::EventMeta;
use rollcall_scim::ScimError;
use serde::Deserialize;
use serde_json::Value;

use crate::auth::caller::Caller;
use crate::error::Refusal;
use crate::http::request::{Path, Query, read_body};
use crate::inventory::compare::{List, compare};
use crate::state::GatewayState;

/// What a list says of itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    taken_at: String,
    confirm_missing: Option<u64>,
}

/// Takes the whole list of an inventory: what is new, what has changed, and what is gone.
pub async fn put(
    State(state): State<Arc<GatewayState>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(about): Query<About>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let found = state.inventories.iter().find(|inventory| inventory.name.as_str() == name);
    let inventory = Arc::clone(found.ok_or_else(|| Refusal::not_found("inventory", &name))?);
    if inventory.source != caller.source.name {
        let (source, owner) = (&caller.source.name, &inventory.source);
        let detail = format!("the lists of '{name}' are for source '{owner}' to send, and not for '{source}'");
        return Err(ScimError::status(403, detail).into());
    }
    let taken_at: Timestamp = about.taken_at.parse().map_err(|_| {
        ScimError::status(400, format!("taken_at is '{}', which is no time as in 2026-03-01T09:00:00Z", about.taken_at))
    })?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    // Lists are large: a few are taken in at once.
    let _of_the_source = match state.source(&caller) {
        Some(source) => source.list.acquire().await.ok(),
        None => None,
    };
    let _place = state.lists.acquire().await;
    let body = read_body(body, state.max_inventory_bytes).await?.into();
    let list = List { inventory, content_type, body, taken_at, confirmed: about.confirm_missing };
    let reading = caller.reading();
    let meta = caller.meta("inventory", &reading);
    let meta = match about.confirm_missing {
        Some(missing) => EventMeta { reason: format!("{} (confirmed: {missing} are missing)", meta.reason), ..meta },
        None => meta,
    };
    let outcome = compare(&state.log, state.fresh().await?, list, &meta).await?;
    Ok((StatusCode::OK, Json(outcome)).into_response())
}

/// The largest error that is put in another form.
const MAX_ERROR: usize = 64 << 10;

/// Errors in the form of RFC 9457, as everywhere outside SCIM.
pub async fn as_problem(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_ERROR).await.unwrap_or_default();
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = said.get("detail").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut problem = ProblemDetails::from_status_code(status).with_detail(detail).into_response();
    // Such as when to try again.
    let others = parts.headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
    let others = others.filter(|(name, _)| *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH);
    problem.headers_mut().extend(others);
    problem
}

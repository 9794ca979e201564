//! Which source is it? Each has its own bearer token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;

use rollcall_scim::ScimError;

use crate::error::Refusal;
use crate::service::Door;

/// Lets a request in with the source that it comes from, or not at all.
pub async fn authenticate(
    State(door): State<Arc<Door>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let Some(sent) = sent.and_then(|v| v.strip_prefix("Bearer ").or_else(|| v.strip_prefix("bearer "))) else {
        return Err(Refusal::Unauthorized("send the token of a source: Authorization: Bearer …"));
    };
    let source = door.sources.iter().find(|s| s.token.matches(sent.trim()));
    let Some(source) = source else {
        return Err(Refusal::Unauthorized("the token is not that of any [[sources]] in the configuration"));
    };
    // Before the apps are known, a change would find nobody to concern.
    if !*door.registered.borrow() {
        return Err(ScimError::status(503, "the gateway is starting").into());
    }
    let source = source.name.clone();
    request.extensions_mut().insert(source);
    Ok(next.run(request).await)
}

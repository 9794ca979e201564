//! Which source is it? Each has its own bearer token.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use rollcall_scim::{Quirk, ScimError};
use rollcall_telemetry::metrics::{label, metrics};
use rollcall_tokens::Rejected;
use tracing::warn;

use crate::auth::caller::Caller;
use crate::auth::source::KnownSource;
use crate::error::Refusal;
use crate::http::path_form::PathForm;
use crate::state::GatewayState;

/// Lets a request in with the source that it comes from, or not at all.
pub async fn authenticate(
    State(state): State<Arc<GatewayState>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let Some(sent) = sent.and_then(|v| v.strip_prefix("Bearer ").or_else(|| v.strip_prefix("bearer "))) else {
        return Err(Refusal::Unauthorized("send the token of a source: Authorization: Bearer …".into()));
    };
    let source = match identify(&state.sources, sent.trim()).await {
        Err(Refusal::Unauthorized(reason)) => {
            let from = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|from| from.0.ip());
            metrics().signin_failures.add(1, &[label("door", "scim")]);
            // Whoever has a token is let in all the same: they may have the address of a proxy.
            return Err(if state.guesses.may(from) {
                warn!(?from, "a token that is no source's was refused");
                Refusal::Unauthorized(reason)
            } else {
                Refusal::TooManyGuesses { seconds: 60 }
            });
        }
        known => known?,
    };
    source.admit()?;
    let _place = source.place()?;
    // Before the apps are known, a change would find nobody to concern.
    if !*state.registered.borrow() {
        return Err(ScimError::status(503, "the gateway is starting").into());
    }
    let form = request.extensions().get::<PathForm>();
    let caller = Caller::new(Arc::clone(&source.config), &state.origin, request.headers())
        .with_form(form.map(|_| Quirk::PathForm), || form.map(PathForm::detail).unwrap_or_default())?;
    let correlation = HeaderValue::from_str(caller.correlation_id());
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    if let Ok(id) = correlation {
        response.headers_mut().insert("x-correlation-id", id);
    }
    Ok(response)
}

/// The source whose credential this is.
async fn identify<'a>(sources: &'a [KnownSource], token: &str) -> Result<&'a KnownSource, Refusal> {
    if let Some(source) = sources.iter().find(|s| s.config.token.as_ref().is_some_and(|t| t.matches(token))) {
        return Ok(source);
    }
    let mut reason = "the token is not that of any [[sources]] in the configuration".to_owned();
    let mut unknown = false;
    for source in sources {
        let Some(verifier) = &source.jwt else { continue };
        match verifier.verify(token).await {
            Ok(()) => return Ok(source),
            Err(Rejected::NotOurs) => {}
            Err(Rejected::Invalid(why)) => reason = format!("the access token is refused: {why}"),
            // Nobody knows whether it is good: whoever sends it may try again.
            Err(Rejected::NoKeys) => unknown = true,
        }
    }
    if unknown {
        return Err(ScimError::status(503, "the keys of the access token's issuer can't be had now: try again").into());
    }
    Err(Refusal::Unauthorized(reason.into()))
}

//! Signing in with an identity provider: OpenID Connect Core 1.0, authorization code flow with PKCE.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum_extra::extract::cookie::{Cookie, SameSite};
use tracing::warn;

use crate::api::context::{Api, Shared};
use crate::console::provider::{Back, Begun, COOKIE, PLACE, Refusal};
use crate::console::sign_in::{self, SignedIn};
use crate::console::wanted;
use crate::error::ApiError;

pub fn refused(api: &Api, refusal: &Refusal) -> Response {
    warn!(%refusal, "sign-in refused");
    sign_in::page(api, StatusCode::FORBIDDEN, Some(format!("Not signed in: {refusal}.")))
}

/// What holds what was begun. Lax: the provider sends them back from another site.
fn cookie(api: &Api, value: String) -> Cookie<'static> {
    let mut cookie = api.sessions.cookie(COOKIE, value);
    cookie.set_same_site(SameSite::Lax);
    cookie.set_path(PLACE);
    cookie
}

/// Sends them to the provider.
pub async fn start(State(api): Shared, ConnectInfo(from): ConnectInfo<SocketAddr>, headers: HeaderMap) -> Response {
    let Some(provider) = &api.provider else { return Redirect::to("/console/sign-in").into_response() };
    let (address, begun) = match provider.begin(from.ip()).await {
        Ok(begun) => begun,
        Err(refusal) => return refused(&api, &refusal),
    };
    let Ok(value) = serde_json::to_string(&begun) else { return refused(&api, &Refusal::NotBegun) };
    (api.sessions.jar(&headers).add(cookie(&api, value)), Redirect::to(address.as_str())).into_response()
}

/// Signs in who comes back.
pub async fn callback(
    State(api): State<Arc<Api>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Response {
    let Some(provider) = &api.provider else { return Redirect::to("/console/sign-in").into_response() };
    let jar = api.sessions.jar(&headers);
    let begun = jar.get(COOKIE).and_then(|cookie| serde_json::from_str::<Begun>(cookie.value()).ok());
    let found = match begun {
        Some(begun) => provider.finish(begun, back, from.ip()).await,
        None => Err(Refusal::NotBegun),
    };
    let (name, role) = match found {
        Ok(found) => found,
        Err(refusal) => {
            warn!(%refusal, "sign-in refused");
            let (at, problem) = ((&Method::GET, "/console/oidc/callback"), format!("Not signed in: {refusal}."));
            let said = sign_in::failed(&api, from.ip(), at, StatusCode::FORBIDDEN, problem).await;
            return said.unwrap_or_else(ApiError::into_response);
        }
    };
    let jar = jar.remove(cookie(&api, String::new()));
    match sign_in::open(&api, jar, &name, SignedIn::AtProvider(role)).await {
        // Not a redirect: a browser that follows one from another site does not send the session with it.
        Ok(jar) => {
            let (jar, to) = wanted::take(&api, jar);
            (jar, wanted::go_on(&to, "Signed in")).into_response()
        }
        Err(e) => e.into_response(),
    }
}

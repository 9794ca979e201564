//! Every path under `/v1`, and who is let in.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::context::{Api, Shared};
use crate::api::disclosure::Asked;
use crate::api::person::Credential;
use crate::api::relations::may_act;
use crate::api::{
    access, api_tokens, approvals, apps, credentials, decisions, drift, drills, erasure, grants, holds, identities,
    latency, leavers, machines, obligations, plan, preview, proofs, separations, sessions, switch, tasks, timeline,
    trends,
};
use crate::error::ApiError;
use crate::export::stream;

/// Every path with its description.
pub fn described() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(identities::identities))
        .routes(routes!(identities::identity))
        .routes(routes!(leavers::leavers))
        .routes(routes!(obligations::obligations))
        .routes(routes!(apps::apps))
        .routes(routes!(apps::app))
        .routes(routes!(drift::drift))
        .routes(routes!(holds::holds))
        .routes(routes!(plan::planned))
        .routes(routes!(latency::latency))
        .routes(routes!(trends::trends))
        .merge(timeline::router())
        .merge(stream::router())
        .merge(proofs::router())
        .merge(decisions::router())
        .merge(erasure::router())
        .merge(sessions::router())
        .merge(api_tokens::router())
        .merge(approvals::router())
        .merge(access::router())
        .merge(grants::router())
        .merge(switch::router())
        .merge(separations::router())
        .merge(machines::router())
        .merge(credentials::router())
        .merge(tasks::router())
        .merge(preview::router())
        .merge(drills::router())
}

/// The router; every path needs an API token.
pub fn router(api: Arc<Api>) -> Router {
    let (paths, _) = described().split_for_parts();
    paths
        .route("/v1/{*path}", get(nothing_here))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), authorize))
        .with_state(api)
}

pub(crate) async fn nothing_here(uri: Uri) -> ApiError {
    ApiError::NotFound(format!("path {}", uri.path()))
}

pub(crate) async fn authorize(State(api): Shared, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let Some(sent) = sent.and_then(|v| v.strip_prefix("Bearer ").or_else(|| v.strip_prefix("bearer "))) else {
        return Err(ApiError::Unauthorized("send an API token: Authorization: Bearer …"));
    };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let Some(person) = api.holder_of(sent).await? else {
        let from = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|from| from.0.ip());
        api.record.guessed(from, &method, uri.path()).await?;
        return Err(ApiError::Unauthorized(
            "the token is not that of any [[api_tokens]] in the configuration, and none that was made by rollcall token",
        ));
    };
    may_act(&api, &api.store.view(), &person)?;
    if api.rate.check_key(&person.name).is_err() {
        return Err(ApiError::TooMany { detail: "this token asks more often than it may in a second", seconds: 1 });
    }
    let credential = Credential::new(sent);
    request.extensions_mut().insert(credential);
    request.extensions_mut().insert(person.clone());
    let (path, query) = (uri.path(), uri.query());
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned()).unwrap_or_default();
    let response = match person.may_ask(&route, path, query) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let status = response.status();
    api.record.note(Asked { person: &person, method: &method, route: &route, path, query, status }).await?;
    Ok(response)
}

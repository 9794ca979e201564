//! What another configuration would change in who holds what, before it does.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use rollcall_config::Role;
use rollcall_domain::decision::access_rules::{AccessRules, AccessSpec};
use rollcall_domain::decision::policies::Readable;
use rollcall_domain::decision::rule::{Rule, Rules};
use rollcall_domain::identity::IdentityKind;
use rollcall_domain::{directory, ledger};
use rollcall_projection::View;
use rollcall_scim::Catalogue;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::context::{Api, Shared};
use crate::api::person::Person;
use crate::api::views::PreviewView;
use crate::error::{ApiError, Problem};

/// The largest body: a configuration of thousands of apps and policies.
const MAX_BODY: usize = 64 << 20;

/// How many lines wait for a reader that is slower than we are.
const WAITING: usize = 16;

/// How many are asked about between two lines that say how far it is.
const STEP: usize = 2048;

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(preview)).layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
}

/// Says who would gain and who would lose what, and because of what, if these apps, roles, policies and separations were configured;
/// nothing is changed. The body is what `rollcall policy diff --config` sends. With `Accept: application/x-ndjson` lines of
/// `{"asked_about": …, "of": …}` say how far it is, and the last line is the answer.
#[utoipa::path(post, path = "/v1/policies/preview", tag = "access",
    request_body(content = Object, description = "Apps, roles, policies and separations, as `rollcall policy diff` sends them."), responses(
    (status = 200, body = PreviewView), Problem
))]
async fn preview(
    State(api): Shared,
    Extension(person): Extension<Person>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    person.needs(Role::Auditor)?;
    // By rules of their own they could ask anything about anybody.
    person.needs_app(None)?;
    // Each looks at everybody, and goes on for a moment after whoever asked is gone: one at a time, and nobody waits in line.
    let turn = Arc::clone(&api.previews).try_acquire_owned().map_err(|_| ApiError::TooMany {
        detail: "another preview is being made: ask again when it is done",
        seconds: 10,
    })?;
    let catalogue = api.catalogue;
    let read = move || -> Result<(AccessSpec, AccessRules), ApiError> {
        let spec = serde_json::from_slice(&body).map_err(|e| ApiError::BadRequest(format!("the body: {e}")))?;
        let rules = readable(&spec, &catalogue)?;
        Ok((spec, rules))
    };
    let (spec, rules) = tokio::task::spawn_blocking(read).await.map_err(|_| ApiError::Stopped)??;
    let view = api.fresh().await?;
    let is_told = headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes() == b"application/x-ndjson");
    if !is_told {
        let work = move || {
            let _turn = turn;
            found(&view, catalogue, &spec, rules, |_| ControlFlow::Continue(()))
        };
        return Ok(Json(tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Stopped)??).into_response());
    }
    let (sender, lines) = mpsc::channel::<Result<Bytes, ApiError>>(WAITING);
    tokio::spawn(async move {
        let (of, told) = (identities(&view), sender.clone());
        let mut last = 0;
        let tell = move |asked_about: usize| {
            if asked_about >= last + STEP {
                last = asked_about;
                // Whoever reads slowly misses how far it was.
                let _ = told.try_send(Ok(line(&json!({ "asked_about": asked_about, "of": of }))));
            }
            if told.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let work = move || {
            let _turn = turn;
            found(&view, catalogue, &spec, rules, tell)
        };
        let done = match tokio::task::spawn_blocking(work).await {
            Ok(Ok(view)) => serde_json::to_value(&view).map_err(|_| ApiError::Stopped),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ApiError::Stopped),
        };
        // An answer that breaks off is seen to.
        let _ = sender.send(done.map(|view| line(&view))).await;
    });
    let lines = futures_util::stream::unfold(lines, |mut lines| async { Some((lines.recv().await?, lines)) });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

fn line(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}

fn identities(view: &View) -> usize {
    let count = |kind: IdentityKind| directory::count(view, kind.name()).unwrap_or_default();
    let all = IdentityKind::ALL.into_iter().map(count).fold(0, u64::saturating_add);
    usize::try_from(all).unwrap_or(usize::MAX)
}

fn found(
    view: &View,
    catalogue: Catalogue,
    spec: &AccessSpec,
    rules: AccessRules,
    tell: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<PreviewView, ApiError> {
    let found = ledger::preview(view, catalogue, spec, rules, tell)?;
    Ok(PreviewView::of(view, &found, spec)?)
}

/// The rules of a configuration; refused when nothing could be decided by them.
fn readable(spec: &AccessSpec, catalogue: &Catalogue) -> Result<AccessRules, ApiError> {
    let rules = AccessRules::configured(spec, catalogue);
    if rules.policies.readable() == Readable::No {
        return Err(ApiError::BadRequest("a policy can't be read: `rollcall check` says which, and why".into()));
    }
    let is_unreadable =
        |rules: &Rules| IdentityKind::ALL.iter().any(|kind| matches!(rules.of(*kind), Rule::Unreadable));
    if let Some(id) = rules.apps.iter().find(|(_, (_, rules))| is_unreadable(rules)).map(|(id, _)| id) {
        return Err(ApiError::BadRequest(format!(
            "the rule of app '{id}' can't be read here: `rollcall check` says why"
        )));
    }
    if let Some((role, _)) = rules.roles.iter().find(|(_, rules)| is_unreadable(rules)) {
        let id = &role.spec.id;
        return Err(ApiError::BadRequest(format!(
            "the rule of role '{id}' can't be read here: `rollcall check` says why"
        )));
    }
    Ok(rules)
}

//! The console: pages made here, without a build step and without anything from elsewhere.

mod asked;
mod format;
mod lanes;
mod live;
mod oidc;
mod pages;
mod provider;
mod sessions;
mod sign_in;
mod task_link;
mod ui;
mod wanted;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Router, middleware};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_sec_fetch::SecFetchLayer;

use crate::api::context::Api;

pub use provider::Provider;
pub use sessions::Sessions;

/// Only what this server serves; nothing inline, nobody else's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(&str, &str); 5] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// What is the same for everybody; a browser keeps it until the next version.
const ASSETS: [(&str, &str, &str); 3] = [
    ("/console/assets/style.css", "text/css; charset=utf-8", include_str!("../../assets/style.css")),
    ("/console/assets/live.js", "text/javascript; charset=utf-8", include_str!("../../assets/live.js")),
    ("/console/assets/icon.svg", "image/svg+xml", include_str!("../../assets/icon.svg")),
];

/// The largest form: a reason, and what it is about.
pub const MAX_FORM: usize = 64 << 10;

/// The pages, at `/` and under `/console`.
pub fn router(api: Arc<Api>) -> Router {
    let inside = Router::new()
        .route("/", get(pages::overview))
        .route("/console/leavers", get(pages::leavers))
        .route("/console/identities", get(pages::identities))
        .route("/console/identities/{id}", get(pages::identity))
        .route("/console/apps", get(pages::apps))
        .route("/console/apps/{id}", get(pages::app))
        .route("/console/drift", get(pages::drift))
        .route("/console/obligations", get(pages::obligations))
        .route("/console/holds", get(pages::holds))
        .route("/console/holds/{cause}", get(pages::hold))
        .route("/console/approvals", get(pages::approvals))
        .route("/console/grants", get(pages::grants))
        .route("/console/violations", get(pages::violations))
        .route("/console/machines", get(pages::machines))
        .route("/console/credentials", get(pages::credentials))
        .route("/console/tasks", get(pages::tasks))
        .route("/console/trends", get(pages::trends))
        .route("/console/handovers", get(pages::handovers))
        .route("/console/ask", get(pages::ask).post(pages::asked))
        .route("/console/events", get(pages::events))
        .route("/console/events/{sequence}", get(pages::event))
        .route("/console/design", get(pages::design))
        .route("/console/act", get(pages::confirm).post(pages::act))
        .route("/console/live", get(live::live))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), sign_in::signed_in));
    let door = Router::new()
        .route("/console/sign-in", get(sign_in::form))
        .route("/console/sign-out", post(sign_in::sign_out))
        .route("/console/task", get(task_link::show))
        .route("/console/oidc/start", get(oidc::start))
        .route("/console/oidc/callback", get(oidc::callback));
    let mut router = inside.merge(door).with_state(api);
    for (place, kind, content) in ASSETS {
        let asset = move || async move { ([(header::CONTENT_TYPE, kind)], content).into_response() };
        router = router.route(place, get(asset));
    }
    guarded(router)
}

/// The forms that anyone can send, signed in or not: apart, so that those whose bodies do not come take no place from anybody else.
pub fn door(api: Arc<Api>) -> Router {
    let door =
        Router::new().route("/console/sign-in", post(sign_in::sign_in)).route("/console/task", post(task_link::done));
    guarded(door.with_state(api))
}

fn guarded(router: Router) -> Router {
    let router = router.layer(SecFetchLayer::default()).layer(DefaultBodyLimit::max(MAX_FORM));
    HEADERS.into_iter().fold(router, |router, (name, value)| {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        router.layer(SetResponseHeaderLayer::overriding(name, value))
    })
}

//! The one public address.

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, middleware};
use problem_details::ProblemDetails;
use tower::limit::GlobalConcurrencyLimitLayer;

/// Everything that this process serves; `health` is never kept waiting by the rest.
pub fn router(parts: Vec<Router>, health: Router, max_in_flight: usize) -> Router {
    let busy = parts
        .into_iter()
        .fold(Router::new(), Router::merge)
        .method_not_allowed_fallback(wrong_method)
        .fallback(nothing_here)
        .layer(middleware::from_fn(rollcall_telemetry::http::observe))
        .layer(GlobalConcurrencyLimitLayer::new(max_in_flight));
    busy.merge(health)
}

fn problem(status: StatusCode, detail: String) -> Response {
    ProblemDetails::from_status_code(status).with_detail(detail).into_response()
}

async fn nothing_here(uri: Uri) -> Response {
    problem(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()))
}

async fn wrong_method(request: Request) -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, format!("{} is not possible at {}", request.method(), request.uri().path()))
}

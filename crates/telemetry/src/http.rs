//! Every request gets a span, part of the caller's trace, and is measured by route and status.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument as _, field, info, info_span};

use crate::adopt_headers;
use crate::metrics::{label, metrics};

/// Middleware for [`axum::middleware::from_fn`].
pub async fn observe(request: Request, next: Next) -> Response {
    // The template, never the path: that holds ids.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().to_string();
    let span = info_span!(
        "request",
        otel.kind = "server",
        otel.name = format!("{method} {route}"),
        http.request.method = method,
        http.route = route,
        http.response.status_code = field::Empty,
        trace_id = field::Empty,
    );
    adopt_headers(&span, request.headers());
    let start = Instant::now();
    async move {
        let response = next.run(request).await;
        let status = response.status();
        tracing::Span::current().record("http.response.status_code", status.as_u16());
        let labels = [
            label("http_request_method", method),
            label("http_route", route),
            label("http_response_status_code", status.as_u16().to_string()),
        ];
        metrics().http_server_seconds.record(start.elapsed().as_secs_f64(), &labels);
        info!(status = status.as_u16(), "answered");
        response
    }
    .instrument(span)
    .await
}

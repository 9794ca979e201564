//! One public address: a gateway that runs alone passes on to the projector what is the projector's.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use futures_util::StreamExt as _;
use problem_details::ProblemDetails;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::error::GatewayError;

/// How long the projector may be silent: a stream that has nothing to say says so sooner.
const TIMEOUT: Duration = Duration::from_secs(45);

/// What is the projector's.
const PATHS: [&str; 7] =
    ["/v1/{*path}", "/openapi.json", "/docs", "/docs/{*path}", "/", "/console", "/console/{*path}"];

/// What it needs of a request.
const ASKED: [header::HeaderName; 9] = [
    header::AUTHORIZATION,
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::ORIGIN,
    header::HeaderName::from_static("sec-fetch-site"),
    header::HeaderName::from_static("sec-fetch-mode"),
    header::HeaderName::from_static("sec-fetch-dest"),
];

const LAST_EVENT_ID: header::HeaderName = header::HeaderName::from_static("last-event-id");

/// What belongs to one connection, and not to the answer.
const HOP_BY_HOP: [header::HeaderName; 4] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::TE, header::UPGRADE];

/// The largest body that is passed on.
const MAX_BODY: usize = 64 << 10;

struct Projector {
    base: Option<Url>,
    http: reqwest::Client,
    closing: CancellationToken,
}

/// The router; what is streamed through it ends with `closing`. Without an address every request is answered 503.
///
/// # Errors
/// When there can be no HTTP client.
pub fn router(base: Option<Url>, closing: CancellationToken) -> Result<Router, GatewayError> {
    let http = reqwest::Client::builder()
        .read_timeout(TIMEOUT)
        .connect_timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let http = http.map_err(|e| GatewayError::Client(e.to_string()))?;
    let state = Arc::new(Projector { base, http, closing });
    Ok(PATHS.iter().fold(Router::new(), |router, path| router.route(path, any(pass_on))).with_state(state))
}

fn problem(status: StatusCode, detail: &str) -> Response {
    ProblemDetails::from_status_code(status).with_detail(detail).into_response()
}

async fn pass_on(State(projector): State<Arc<Projector>>, request: Request) -> Response {
    let Some(base) = &projector.base else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "set server.projector to the projector's address");
    };
    let mut address = base.clone();
    address.set_path(request.uri().path());
    address.set_query(request.uri().query());
    let mut headers = HeaderMap::new();
    for name in ASKED.into_iter().chain([LAST_EVENT_ID]) {
        headers.extend(request.headers().get(&name).map(|value| (name, value.clone())));
    }
    rollcall_telemetry::inject_headers(&mut headers);
    let method = request.method().clone();
    let Ok(body) = axum::body::to_bytes(request.into_body(), MAX_BODY).await else {
        return problem(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {MAX_BODY} bytes"));
    };
    match projector.http.request(method, address).headers(headers).body(body).send().await {
        Ok(answer) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = answer.status();
            for (name, value) in answer.headers() {
                if !HOP_BY_HOP.contains(name) {
                    response.headers_mut().append(name, value.clone());
                }
            }
            // Passed on as it comes: an export is larger than memory, and a live timeline has no end.
            *response.body_mut() =
                Body::from_stream(answer.bytes_stream().take_until(projector.closing.clone().cancelled_owned()));
            response
        }
        Err(_) => problem(StatusCode::BAD_GATEWAY, "the projector can't be reached"),
    }
}

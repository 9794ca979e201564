//! One public address: a gateway that runs alone passes `/v1` on to the projector.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use problem_details::ProblemDetails;
use url::Url;

use crate::error::GatewayError;

const TIMEOUT: Duration = Duration::from_secs(30);

/// The largest body that is passed on.
const MAX_BODY: usize = 64 << 10;

struct Projector {
    base: Option<Url>,
    http: reqwest::Client,
}

/// The router for `/v1`; without an address every request is answered 503.
///
/// # Errors
/// When there can be no HTTP client.
pub fn router(base: Option<Url>) -> Result<Router, GatewayError> {
    let http = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
    let http = http.map_err(|e| GatewayError::Client(e.to_string()))?;
    let state = Arc::new(Projector { base, http });
    Ok(Router::new().route("/v1/{*path}", any(pass_on)).with_state(state))
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
    for name in [header::AUTHORIZATION, header::ACCEPT, header::CONTENT_TYPE] {
        headers.extend(request.headers().get(&name).map(|value| (name, value.clone())));
    }
    rollcall_telemetry::inject_headers(&mut headers);
    let method = request.method().clone();
    let Ok(body) = axum::body::to_bytes(request.into_body(), MAX_BODY).await else {
        return problem(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {MAX_BODY} bytes"));
    };
    match projector.http.request(method, address).headers(headers).body(body).send().await {
        Ok(answer) => {
            let status = answer.status();
            let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
            match answer.bytes().await {
                Ok(bytes) => {
                    let mut response = (status, bytes).into_response();
                    if let Some(kind) = kind {
                        response.headers_mut().insert(header::CONTENT_TYPE, kind);
                    }
                    response
                }
                Err(_) => problem(StatusCode::BAD_GATEWAY, "the projector's answer broke off"),
            }
        }
        Err(_) => problem(StatusCode::BAD_GATEWAY, "the projector can't be reached"),
    }
}

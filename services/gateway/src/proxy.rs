//! One public address: a gateway that runs alone passes on to the projector what is the projector's.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use futures_util::StreamExt as _;
use problem_details::ProblemDetails;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::error::GatewayError;

/// How long the projector may be silent: a stream that has nothing to say says so sooner.
const TIMEOUT: Duration = Duration::from_secs(45);

/// How long a connection to it is kept that is not used: less than it keeps it itself.
const IDLE: Duration = Duration::from_secs(20);

/// How long it may take to be connected to.
const CONNECT: Duration = Duration::from_secs(3);

/// How long one of several may take to begin its answer.
const FIRST_WORD: Duration = Duration::from_secs(10);

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

const FORWARDED_FOR: header::HeaderName = header::HeaderName::from_static("x-forwarded-for");

const LAST_EVENT_ID: header::HeaderName = header::HeaderName::from_static("last-event-id");

/// What belongs to one connection, and not to the answer.
const HOP_BY_HOP: [header::HeaderName; 4] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::TE, header::UPGRADE];

/// The largest body that is passed on.
pub const MAX_BODY: usize = 64 << 10;

/// Where someone says who they are.
const SIGN_IN: &str = "/console/sign-in";

/// Where whoever was sent a link says that a task is done: the link says who they are.
const TASK: &str = "/console/task";

/// The largest form that is passed on.
pub const MAX_FORM: usize = 8 << 10;

/// Whether a part of a path stands for another place, escaped or not: it would be resolved on the way.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(plain.as_str(), "." | "..")
}

struct Projectors {
    bases: Vec<Url>,
    /// Which of them answered last.
    answers: AtomicUsize,
    http: reqwest::Client,
    closing: CancellationToken,
}

/// What a request asks of the projector.
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// Why there is no answer.
enum Unanswered {
    /// The request did not reach it.
    NotSent,
    /// What became of it is not known.
    Sent,
}

/// What is passed on to the projector.
pub struct Proxy {
    /// All but the forms.
    pub pages: Router,
    /// The forms that anyone can send: apart, so that those whose bodies do not come take no place from anybody else.
    pub forms: Router,
}

/// The routers; what is streamed through them ends with `closing`. When one of several does not answer, the next one is asked;
/// without an address every request is answered 503.
///
/// # Errors
/// When there can be no HTTP client, or the authority's certificate can't be read.
pub fn router(bases: Vec<Url>, authority: Option<&Path>, closing: CancellationToken) -> Result<Proxy, GatewayError> {
    let mut http = reqwest::Client::builder();
    if let Some(file) = authority {
        let failed = |e: &dyn std::fmt::Display| GatewayError::Client(format!("{}: {e}", file.display()));
        let text = std::fs::read(file).map_err(|e| failed(&e))?;
        let certificate = reqwest::Certificate::from_pem(&text).map_err(|e| failed(&e))?;
        http = http.add_root_certificate(certificate);
    }
    let http = http
        .pool_idle_timeout(IDLE)
        .read_timeout(TIMEOUT)
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let http = http.map_err(|e| GatewayError::Client(e.to_string()))?;
    let state = Arc::new(Projectors { bases, answers: AtomicUsize::new(0), http, closing });
    let forms = [SIGN_IN, TASK];
    let pages = PATHS.iter().fold(Router::new(), |router, path| router.route(path, any(pass_on)));
    let pages = forms.iter().fold(pages, |router, path| router.route(path, get(pass_on)));
    let forms = forms.iter().fold(Router::new(), |router, path| router.route(path, post(pass_on)));
    Ok(Proxy { pages: pages.with_state(Arc::clone(&state)), forms: forms.with_state(state) })
}

fn problem(status: StatusCode, detail: &str) -> Response {
    ProblemDetails::from_status_code(status).with_detail(detail).into_response()
}

async fn pass_on(State(projectors): State<Arc<Projectors>>, request: Request) -> Response {
    if projectors.bases.is_empty() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "set server.projector to the projector's address");
    }
    let asked = match Asked::of(request).await {
        Ok(asked) => asked,
        Err(refusal) => return refusal,
    };
    let count = projectors.bases.len();
    let first = projectors.answers.load(Ordering::Relaxed);
    for turn in 0..count {
        let at = (first + turn) % count;
        let Some(base) = projectors.bases.get(at) else { continue };
        let last = turn + 1 == count;
        match projectors.ask(base, &asked, last).await {
            // Another one may know already what this one has not read yet.
            Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE && !last && asked.is_repeatable() => {}
            Ok(answer) => {
                projectors.answers.store(at, Ordering::Relaxed);
                return projectors.hand_on(answer);
            }
            Err(Unanswered::NotSent) => {}
            Err(Unanswered::Sent) if asked.is_repeatable() => {}
            Err(Unanswered::Sent) => break,
        }
    }
    problem(StatusCode::BAD_GATEWAY, "the projector can't be reached")
}

impl Asked {
    async fn of(request: Request) -> Result<Self, Response> {
        // What is read of someone who says nobody they are would be held in vain; who signs in to the console is not known yet.
        let is_form = request.method() == Method::POST && matches!(request.uri().path(), SIGN_IN | TASK);
        let heads = request.headers();
        let is_nobody = !heads.contains_key(header::AUTHORIZATION) && !heads.contains_key(header::COOKIE);
        if is_nobody && !is_form && !request.body().is_end_stream() {
            return Err(problem(StatusCode::UNAUTHORIZED, "send an API token: Authorization: Bearer …"));
        }
        if request.uri().path().split('/').any(is_dots) {
            return Err(problem(StatusCode::BAD_REQUEST, "the path leads out of itself"));
        }
        let most = if is_form { MAX_FORM } else { MAX_BODY };
        let mut headers = HeaderMap::new();
        for name in ASKED.into_iter().chain([LAST_EVENT_ID]) {
            headers.extend(request.headers().get(&name).map(|value| (name, value.clone())));
        }
        let client = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|from| from.0.ip().to_string());
        if let Some(client) = client.and_then(|client| HeaderValue::from_str(&client).ok()) {
            headers.insert(FORWARDED_FOR, client);
        }
        rollcall_telemetry::inject_headers(&mut headers);
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let body = axum::body::to_bytes(request.into_body(), most).await.map_err(|_| {
            problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("the body is larger than {most} bytes, or did not arrive in time"),
            )
        })?;
        Ok(Self { method, uri, headers, body })
    }

    /// Whether it may be sent to a second one, when nobody knows what became of it at the first.
    fn is_repeatable(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }
}

impl Projectors {
    async fn ask(&self, base: &Url, asked: &Asked, last: bool) -> Result<reqwest::Response, Unanswered> {
        let mut address = base.clone();
        address.set_path(asked.uri.path());
        address.set_query(asked.uri.query());
        let request = self.http.request(asked.method.clone(), address);
        let sent = request.headers(asked.headers.clone()).body(asked.body.clone()).send();
        let answer = if last || !asked.is_repeatable() {
            sent.await
        } else {
            tokio::time::timeout(FIRST_WORD, sent).await.map_err(|_| Unanswered::Sent)?
        };
        answer.map_err(|e| if e.is_connect() { Unanswered::NotSent } else { Unanswered::Sent })
    }

    /// Passed on as it comes: an export is larger than memory, and a live timeline has no end.
    fn hand_on(&self, answer: reqwest::Response) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        for (name, value) in answer.headers() {
            if !HOP_BY_HOP.contains(name) {
                response.headers_mut().append(name, value.clone());
            }
        }
        let until = self.closing.clone().cancelled_owned();
        *response.body_mut() = Body::from_stream(answer.bytes_stream().take_until(until));
        response
    }
}

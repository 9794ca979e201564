//! SCIM over HTTP to one app, within its limits.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use rollcall_config::AppConfig;
use rollcall_domain::AppId;
use rollcall_domain::account::{Rejection, RejectionCause};
use rollcall_scim::ListResponse;
use rollcall_telemetry::metrics::{label, metrics};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tracing::{Instrument as _, field, info_span};
use url::Url;

use crate::error::ProvisionerError;

const SCIM_JSON: HeaderValue = HeaderValue::from_static("application/scim+json");

/// The most that is read of an answer.
const MAX_ANSWER: usize = 16 << 20;

/// The most of an answer that goes into an event.
const MAX_DETAIL: usize = 500;

/// What an app answered: a status, and JSON if it was that.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Option<Value>,
    text: String,
    retry_after: Option<Duration>,
}

/// Why an app could not be used, and when it may be tried again at the earliest.
#[derive(Debug, Clone)]
pub struct Failure {
    pub rejection: Rejection,
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure that the app did not answer itself.
    pub fn new(cause: RejectionCause, detail: impl Into<String>) -> Self {
        Self { rejection: Rejection { cause, status: None, detail: detail.into() }, retry_after: None }
    }
}

impl Answer {
    /// The failure that this answer is.
    pub fn failure(&self) -> Failure {
        let cause = match self.status.as_u16() {
            409 => RejectionCause::Conflict,
            429 => RejectionCause::Throttled,
            502..=504 => RejectionCause::Unreachable,
            _ => RejectionCause::Refused,
        };
        let said = self.body.as_ref().and_then(|b| b.get("detail")).and_then(Value::as_str).unwrap_or(&self.text);
        let rejection = Rejection { cause, status: Some(self.status.as_u16()), detail: shorten(said) };
        Failure { rejection, retry_after: self.retry_after }
    }

    /// The failure that this answer is, although its status says success.
    pub fn not_scim(&self, what: &str) -> Failure {
        let detail = format!("{what}: {}", shorten(&self.text));
        let status = Some(self.status.as_u16());
        Failure { rejection: Rejection { cause: RejectionCause::NotScim, status, detail }, retry_after: None }
    }

    /// The page of resources in it.
    pub fn list(&self) -> Result<ListResponse, Failure> {
        let page = self.body.as_ref().and_then(ListResponse::read);
        page.ok_or_else(|| self.not_scim("the answer to a search is not a ListResponse"))
    }
}

fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_DETAIL).collect()
}

/// A SCIM client for one app.
#[derive(Debug)]
pub struct ScimClient {
    app: AppId,
    base: Url,
    token: Option<SecretString>,
    http: reqwest::Client,
    rate: DefaultDirectRateLimiter,
}

impl ScimClient {
    pub fn new(config: &AppConfig) -> Result<Self, ProvisionerError> {
        let app = config.spec.id.clone();
        let http = reqwest::Client::builder()
            .timeout(config.request_timeout)
            .connect_timeout(config.request_timeout.min(Duration::from_secs(10)))
            // A redirect would take the token to where nobody configured it.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("rollcall/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| ProvisionerError::Client { app: app.to_string(), reason: e.to_string() })?;
        let per_second = NonZeroU32::new(config.spec.max_requests_per_second).unwrap_or(NonZeroU32::MIN);
        Ok(Self {
            app,
            base: config.base_url.clone(),
            token: config.token.as_ref().and_then(|t| t.secret()).cloned(),
            http,
            rate: RateLimiter::direct(Quota::per_second(per_second)),
        })
    }

    /// The address of a path below the base, each segment escaped.
    fn address(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// `GET /Users/{id}`.
    pub async fn get(&self, id: &str) -> Result<Answer, Failure> {
        self.send("read", Method::GET, self.address(&["Users", id], &[]), None).await
    }

    /// `GET /Users?filter=…`.
    pub async fn search(&self, filter: &str) -> Result<Answer, Failure> {
        self.send("search", Method::GET, self.address(&["Users"], &[("filter", filter)]), None).await
    }

    /// `GET /Users?startIndex=…&count=…`.
    pub async fn page(&self, start_index: usize, count: usize) -> Result<Answer, Failure> {
        let (start_index, count) = (start_index.to_string(), count.to_string());
        let query = [("startIndex", start_index.as_str()), ("count", count.as_str())];
        self.send("scan", Method::GET, self.address(&["Users"], &query), None).await
    }

    /// `POST /Users`.
    pub async fn create(&self, resource: &Value) -> Result<Answer, Failure> {
        self.send("create", Method::POST, self.address(&["Users"], &[]), Some(resource)).await
    }

    /// `PATCH /Users/{id}`.
    pub async fn patch(&self, id: &str, request: &Value) -> Result<Answer, Failure> {
        self.send("patch", Method::PATCH, self.address(&["Users", id], &[]), Some(request)).await
    }

    /// `PUT /Users/{id}`.
    pub async fn replace(&self, id: &str, resource: &Value) -> Result<Answer, Failure> {
        self.send("replace", Method::PUT, self.address(&["Users", id], &[]), Some(resource)).await
    }

    /// `DELETE /Users/{id}`.
    pub async fn delete(&self, id: &str) -> Result<Answer, Failure> {
        self.send("delete", Method::DELETE, self.address(&["Users", id], &[]), None).await
    }

    async fn send(
        &self,
        operation: &'static str,
        method: Method,
        address: Url,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        self.rate.until_ready().await;
        let span = info_span!(
            "downstream",
            otel.kind = "client",
            app = %self.app,
            operation,
            http.request.method = %method,
            http.response.status_code = field::Empty,
            trace_id = field::Empty,
        );
        let outcome = self.exchange(method, address, body).instrument(span.clone()).await;
        let counted = match &outcome {
            Ok(answer) => {
                span.record("http.response.status_code", answer.status.as_u16());
                format!("{}xx", answer.status.as_u16() / 100)
            }
            Err(failure) => failure.rejection.cause.name().to_owned(),
        };
        let labels = [label("app", self.app.as_str()), label("operation", operation), label("outcome", counted)];
        metrics().downstream_requests.add(1, &labels);
        outcome
    }

    async fn exchange(&self, method: Method, address: Url, body: Option<&Value>) -> Result<Answer, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, SCIM_JSON);
        rollcall_telemetry::inject_headers(&mut headers);
        let mut request = self.http.request(method, address).headers(headers);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, SCIM_JSON).body(body.to_string());
        }
        // The error's text may hold the address, never the token: that is in a header.
        let unreachable = |e: reqwest::Error| Failure::new(RejectionCause::Unreachable, shorten(&causes(&e)));
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER {
                let detail = format!("the answer is longer than {MAX_ANSWER} bytes");
                return Err(Failure::new(RejectionCause::NotScim, detail));
            }
        }
        Ok(Answer {
            status,
            body: serde_json::from_slice(&bytes).ok(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            retry_after: seconds.map(Duration::from_secs),
        })
    }
}

fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

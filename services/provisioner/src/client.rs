//! SCIM over HTTP to one app, within its limits.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use rollcall_config::{AppConfig, PrivateAddresses};
use rollcall_domain::AppId;
use rollcall_domain::account::{Rejection, RejectionCause};
use rollcall_scim::ListResponse;
use rollcall_telemetry::metrics::{label, metrics};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tracing::{Instrument as _, field, info_span};
use url::Url;

use crate::error::ProvisionerError;
use crate::lease::Lease;
use crate::resolver::{Resolver, refused_address};

const SCIM_JSON: HeaderValue = HeaderValue::from_static("application/scim+json");

/// How long a connection may take; a request as a whole has its app's own time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
    pub sent: Sent,
}

impl Failure {
    /// A failure that the app did not answer itself.
    pub fn new(cause: RejectionCause, detail: impl Into<String>) -> Self {
        Self { rejection: Rejection { cause, status: None, detail: detail.into() }, retry_after: None, sent: Sent::Yes }
    }

    /// Nothing was sent: another process works on the app by now.
    fn lost_lease() -> Self {
        Self { sent: Sent::No, ..Self::new(RejectionCause::Unreachable, "the lease on the app is lost") }
    }

    /// Whether the app itself is sick, not only what was asked of it.
    pub fn is_of_the_app(&self) -> bool {
        match (self.rejection.cause, self.rejection.status) {
            (RejectionCause::Unreachable | RejectionCause::NotScim, _) => self.sent == Sent::Yes,
            (RejectionCause::Refused, Some(401 | 403 | 500..)) => true,
            _ => false,
        }
    }

    /// Whether the app said that it will not do this, however often it is asked.
    pub fn is_final(&self) -> bool {
        let by_app = self.rejection.cause == RejectionCause::Refused
            && self.rejection.status.is_some_and(|s| (400..500).contains(&s) && !matches!(s, 401 | 403 | 408 | 425));
        by_app || matches!(self.rejection.cause, RejectionCause::Conflict | RejectionCause::Unmappable)
    }
}

/// Whether a request left us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Sent {
    Yes,
    No,
}

/// Which resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Endpoint {
    Users,
    Groups,
}

impl Endpoint {
    const fn path(self) -> &'static str {
        match self {
            Self::Users => "Users",
            Self::Groups => "Groups",
        }
    }
}

/// Where a page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageStart {
    /// At this resource, counted from 1.
    Index(usize),
    /// Where the last page said; empty: at the first.
    Cursor(String),
}

impl Answer {
    /// The failure that this answer is.
    pub fn failure(&self) -> Failure {
        let cause = match self.status.as_u16() {
            409 => RejectionCause::Conflict,
            429 => RejectionCause::Throttled,
            503 if self.retry_after.is_some() => RejectionCause::Throttled,
            500..=599 => RejectionCause::Unreachable,
            _ => RejectionCause::Refused,
        };
        let said = self.body.as_ref().and_then(|b| b.get("detail")).and_then(Value::as_str).unwrap_or(&self.text);
        let rejection = Rejection { cause, status: Some(self.status.as_u16()), detail: shorten(said) };
        Failure { rejection, retry_after: self.retry_after, sent: Sent::Yes }
    }

    /// The failure that this answer is, although its status says success.
    pub fn not_scim(&self, what: &str) -> Failure {
        let detail = format!("{what}: {}", shorten(&self.text));
        let status = Some(self.status.as_u16());
        let rejection = Rejection { cause: RejectionCause::NotScim, status, detail };
        Failure { rejection, retry_after: None, sent: Sent::Yes }
    }

    /// Whether it says success.
    pub fn done(&self) -> Result<(), Failure> {
        if self.status.is_success() { Ok(()) } else { Err(self.failure()) }
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

/// The connections to all apps: what they have in common is made once, however many there are.
#[derive(Debug, Clone)]
pub struct Http {
    public: reqwest::Client,
    private: reqwest::Client,
}

impl Http {
    /// One without connections.
    ///
    /// # Errors
    /// When TLS can't be had.
    pub fn new() -> Result<Self, ProvisionerError> {
        let client = |private: PrivateAddresses| {
            reqwest::Client::builder()
                .dns_resolver(Arc::new(Resolver { private }))
                .connect_timeout(CONNECT_TIMEOUT)
                // A redirect would take the token to where nobody configured it.
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("rollcall/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|e| ProvisionerError::Client { app: "any".into(), reason: e.to_string() })
        };
        Ok(Self { public: client(PrivateAddresses::Refused)?, private: client(PrivateAddresses::Allowed)? })
    }

    fn for_app(&self, config: &AppConfig) -> reqwest::Client {
        match config.private_addresses {
            PrivateAddresses::Refused => self.public.clone(),
            PrivateAddresses::Allowed => self.private.clone(),
        }
    }
}

/// A SCIM client for one app.
#[derive(Debug)]
pub struct ScimClient {
    app: AppId,
    lease: Arc<Lease>,
    base: Url,
    token: Option<SecretString>,
    http: reqwest::Client,
    timeout: Duration,
    rate: DefaultDirectRateLimiter,
}

impl ScimClient {
    /// One that sends nothing once the lease on its app is lost.
    ///
    /// # Errors
    /// When its address may not be asked.
    pub fn new(config: &AppConfig, lease: Arc<Lease>, http: &Http) -> Result<Self, ProvisionerError> {
        let app = config.spec.id.clone();
        if let Some(reason) = refused_address(&config.base_url, config.private_addresses) {
            return Err(ProvisionerError::Client { app: app.to_string(), reason });
        }
        let per_second = NonZeroU32::new(config.spec.max_requests_per_second).unwrap_or(NonZeroU32::MIN);
        Ok(Self {
            app,
            lease,
            base: config.base_url.clone(),
            token: config.token.as_ref().and_then(|t| t.secret()).cloned(),
            http: http.for_app(config),
            timeout: config.request_timeout,
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

    /// `GET /{Users or Groups}/{id}`.
    pub async fn get(&self, kind: Endpoint, id: &str) -> Result<Answer, Failure> {
        self.send("read", Method::GET, self.address(&[kind.path(), id], &[]), None).await
    }

    /// `GET /{Users or Groups}?filter=attribute eq "value"`; `None`: it does not know the filter or the attribute.
    pub async fn search(&self, kind: Endpoint, attribute: &str, value: &str) -> Result<Option<Answer>, Failure> {
        let filter = format!("{attribute} eq {}", Value::from(value));
        let address = self.address(&[kind.path()], &[("filter", filter.as_str())]);
        let answer = self.send("search", Method::GET, address, None).await?;
        match answer.status.as_u16() {
            200 => Ok(Some(answer)),
            400 | 403 | 404 | 405 | 501 => Ok(None),
            _ => Err(answer.failure()),
        }
    }

    /// `GET /{Users or Groups}?…&count=…`: one page of all.
    pub async fn page(&self, kind: Endpoint, from: &PageStart, count: usize) -> Result<Answer, Failure> {
        let count = count.to_string();
        let start = match from {
            PageStart::Index(index) => ("startIndex", index.to_string()),
            PageStart::Cursor(cursor) => ("cursor", cursor.clone()),
        };
        let query = [(start.0, start.1.as_str()), ("count", count.as_str())];
        self.send("scan", Method::GET, self.address(&[kind.path()], &query), None).await
    }

    /// `GET /{document}`: one of the discovery documents.
    pub async fn discover(&self, document: &str) -> Result<Answer, Failure> {
        self.send("discover", Method::GET, self.address(&[document], &[]), None).await
    }

    /// `POST /{Users or Groups}`.
    pub async fn create(&self, kind: Endpoint, resource: &Value) -> Result<Answer, Failure> {
        self.send("create", Method::POST, self.address(&[kind.path()], &[]), Some(resource)).await
    }

    /// `PATCH /{Users or Groups}/{id}`.
    pub async fn patch(&self, kind: Endpoint, id: &str, request: &Value) -> Result<Answer, Failure> {
        self.send("patch", Method::PATCH, self.address(&[kind.path(), id], &[]), Some(request)).await
    }

    /// `PUT /{Users or Groups}/{id}`.
    pub async fn replace(&self, kind: Endpoint, id: &str, resource: &Value) -> Result<Answer, Failure> {
        self.send("replace", Method::PUT, self.address(&[kind.path(), id], &[]), Some(resource)).await
    }

    /// `DELETE /Users/{id}`.
    pub async fn delete(&self, id: &str) -> Result<Answer, Failure> {
        self.send("delete", Method::DELETE, self.address(&[Endpoint::Users.path(), id], &[]), None).await
    }

    async fn send(
        &self,
        operation: &'static str,
        method: Method,
        address: Url,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        self.rate.until_ready().await;
        if !self.lease.is_held() {
            return Err(Failure::lost_lease());
        }
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
        let mut request = self.http.request(method, address).timeout(self.timeout).headers(headers);
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
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|v| retry_after(v.to_str().ok()?));
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
            retry_after,
        })
    }
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text.trim()).ok()?;
    Some(at.duration_since(std::time::SystemTime::now()).unwrap_or_default())
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

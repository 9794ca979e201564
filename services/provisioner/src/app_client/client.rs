//! SCIM over HTTP to one app, within its limits.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::{Method, StatusCode};
use rollcall_config::AppConfig;
use rollcall_domain::AppId;
use rollcall_domain::access::rejection::{Rejection, RejectionCause};
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::quirk::AppQuirk;
use rollcall_event_log::Lease;
use rollcall_scim::ListResponse;
use rollcall_telemetry::metrics::{label, metrics};
use serde_json::Value;
use tracing::{Instrument as _, field, info_span};
use url::Url;

use crate::app_client::experience::Experience;
use crate::app_client::reading;
use crate::app_client::transport::{Response, Secrets, Transport, Way};

/// The most of an answer that goes into an event.
const MAX_DETAIL: usize = 500;

/// What an app answered: a status, and JSON if it was that.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Option<Value>,
    text: String,
    retry_after: Option<Duration>,
    secrets: Secrets,
    quirks: BTreeSet<AppQuirk>,
}

/// Why an app could not be used, and when it may be tried again at the earliest.
#[derive(Debug, Clone)]
pub struct Failure {
    pub rejection: Rejection,
    pub retry_after: Option<Duration>,
    pub sent: Sent,
    pub scope: Scope,
    /// What failed, without what the app has said, which may be about anybody.
    pub(crate) ours: String,
}

/// What it is that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The app, or an account of it.
    App,
    /// One group, while the app answers for the account itself.
    Group,
    /// Reading one group, or finding it by its name: that may be so until a person has seen to it.
    GroupRead,
}

impl Failure {
    /// A failure that the app did not answer itself.
    pub fn new(cause: RejectionCause, detail: impl Into<String>) -> Self {
        Self::of(Rejection { cause, status: None, detail: detail.into() }, None)
    }

    fn of(rejection: Rejection, retry_after: Option<Duration>) -> Self {
        let ours = rejection.detail.clone();
        Self { rejection, retry_after, sent: Sent::Yes, scope: Scope::App, ours }
    }

    /// The same of one group alone.
    pub fn of_a_group(self) -> Self {
        Self { scope: Scope::Group, ..self }
    }

    /// The same of whether a group can be read, or found by its name.
    pub fn of_a_group_read(self) -> Self {
        Self { scope: Scope::GroupRead, ..self }
    }

    /// Why, as it may be said of the whole app: that is about nobody, so that it stays when somebody is erased.
    pub fn of_the_app(&self) -> Rejection {
        Rejection { detail: self.ours.clone(), ..self.rejection.clone() }
    }

    /// Nothing was sent: another process works on the app by now.
    fn lost_lease() -> Self {
        Self { sent: Sent::No, ..Self::new(RejectionCause::Unreachable, "the lease on the app is lost") }
    }

    /// Whether the app itself is sick, not only what was asked of it.
    pub fn is_of_the_app(&self) -> bool {
        match (self.rejection.cause, self.rejection.status) {
            _ if self.scope != Scope::App => false,
            (
                RejectionCause::Unreachable
                | RejectionCause::Timeout
                | RejectionCause::AppError
                | RejectionCause::BadList
                | RejectionCause::NotScim,
                _,
            ) => self.sent == Sent::Yes,
            (RejectionCause::Refused, Some(401 | 403 | 500..)) => true,
            _ => false,
        }
    }

    /// Whether the app may have done what was asked, although it did not say so.
    pub fn is_unanswered(&self) -> bool {
        let said_no = self.rejection.status.is_some_and(|status| (400..500).contains(&status) && status != 408);
        self.sent == Sent::Yes && !said_no
    }

    /// Whether the app may carry out later what was asked: nothing that stands before it has heard how that ended.
    pub fn may_come_late(&self) -> bool {
        self.sent == Sent::Yes && self.rejection.status.is_none_or(|status| matches!(status, 408 | 502..=504))
    }

    /// Whether the app said that it will not do this, however often it is asked.
    pub fn is_final(&self) -> bool {
        // It goes on by itself once the group can be read again, or has its name back.
        if self.scope == Scope::GroupRead {
            return false;
        }
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

/// What an app answers to a filter.
#[derive(Debug)]
pub enum Filtered {
    /// What it finds.
    List(Answer),
    /// 404: some say so where there is none, and others where they know no such filter.
    NotFound,
    /// It does not know the filter.
    Unknown,
    /// It fails for the filter, and not for others: it may know it all the same.
    Failed,
}

/// Where a page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageStart {
    /// At this resource, counted from 1.
    Index(usize),
    /// Where the last page said; empty: at the first.
    Cursor(String),
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        let (body, quirks) = reading::read(&response.body);
        Self {
            status: response.status,
            body,
            text: String::from_utf8_lossy(&response.body).into_owned(),
            retry_after: response.retry_after,
            secrets: response.secrets,
            quirks,
        }
    }
}

impl Answer {
    /// The failure that this answer is.
    pub fn failure(&self) -> Failure {
        let cause = match self.status.as_u16() {
            409 => RejectionCause::Conflict,
            429 => RejectionCause::Throttled,
            // Some answer 403 to who asks too often.
            403 | 503 if self.retry_after.is_some() => RejectionCause::Throttled,
            408 => RejectionCause::Timeout,
            500..=599 => RejectionCause::AppError,
            _ => RejectionCause::Refused,
        };
        let said = self.body.as_ref().and_then(|b| b.get("detail")).and_then(Value::as_str).unwrap_or(&self.text);
        let rejection =
            Rejection { cause, status: Some(self.status.as_u16()), detail: shorten(&self.secrets.out_of(said)) };
        Failure { ours: format!("it answered {}", self.status), ..Failure::of(rejection, self.retry_after) }
    }

    /// The failure that this answer is, although its status says success.
    pub fn not_scim(&self, what: &str) -> Failure {
        let detail = format!("{what}: {}", shorten(&self.secrets.out_of(&self.text)));
        let status = Some(self.status.as_u16());
        let rejection = Rejection { cause: RejectionCause::NotScim, status, detail };
        Failure { ours: what.to_owned(), ..Failure::of(rejection, None) }
    }

    /// Whether it says success.
    pub fn done(&self) -> Result<(), Failure> {
        if self.status.is_success() { Ok(()) } else { Err(self.failure()) }
    }

    /// The page of resources in it, which was asked for by cursor.
    ///
    /// # Errors
    /// When it is none.
    pub fn list_by_cursor(&self) -> Result<ListResponse, Failure> {
        let page = self.body.as_ref().and_then(ListResponse::read_by_cursor);
        page.ok_or_else(|| self.not_scim("the answer to a search is not a ListResponse"))
    }

    /// What an app that can do this has found.
    ///
    /// # Errors
    /// When it is no list.
    pub fn found(&self, can: &Capabilities) -> Result<ListResponse, Failure> {
        if can.cursor == Support::Yes { self.list_by_cursor() } else { self.list() }
    }

    /// Whether it says how many there are in all.
    pub fn has_total(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.get("totalResults").is_some())
    }

    /// Whether the app is asked too often, or took too long: it says nothing of what was asked.
    pub fn says_later(&self) -> bool {
        self.retry_after.is_some() || matches!(self.status.as_u16(), 408 | 425 | 429 | 502 | 503 | 504)
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.body.is_none() && self.text.trim().is_empty()
    }

    /// The page of resources in it.
    ///
    /// # Errors
    /// When it is none.
    pub fn list(&self) -> Result<ListResponse, Failure> {
        let page = self.body.as_ref().and_then(ListResponse::read);
        page.ok_or_else(|| self.not_scim("the answer to a search is not a ListResponse"))
    }
}

pub fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_DETAIL).collect()
}

/// A SCIM client for one app.
#[derive(Debug)]
pub struct ScimClient {
    app: AppId,
    lease: Arc<Lease>,
    base: Url,
    transport: Arc<dyn Transport>,
    rate: DefaultDirectRateLimiter,
    /// What its answers have taught.
    pub experience: Experience,
}

impl ScimClient {
    /// One that sends nothing once the lease on its app is lost.
    pub fn new(config: &AppConfig, lease: Arc<Lease>, Way { base, transport }: Way) -> Self {
        let per_second = NonZeroU32::new(config.spec.max_requests_per_second).unwrap_or(NonZeroU32::MIN);
        Self {
            app: config.spec.id.clone(),
            lease,
            base,
            transport,
            rate: RateLimiter::direct(Quota::per_second(per_second)),
            experience: Experience::default(),
        }
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

    /// The members of a group, asked for by name (RFC 7644 §3.9); `None`: the app shows none.
    pub async fn members_of(&self, id: &str) -> Result<Option<Vec<Value>>, Failure> {
        let query = [("attributes", "displayName,members")];
        let answer = self.send("read", Method::GET, self.address(&[Endpoint::Groups.path(), id], &query), None).await?;
        if answer.status != StatusCode::OK {
            return Ok(None);
        }
        Ok(answer.body.as_ref().and_then(|body| body.get("members")?.as_array()).cloned())
    }

    /// `GET /{Users or Groups}?filter=attribute eq "value"`; `None`: it does not know the filter or the attribute.
    pub async fn search(&self, kind: Endpoint, attribute: &str, value: &str) -> Result<Filtered, Failure> {
        self.filter(kind, &format!("{attribute} eq {}", Value::from(value))).await
    }

    /// `GET /{Users or Groups}?filter=…`.
    pub async fn filter(&self, kind: Endpoint, filter: &str) -> Result<Filtered, Failure> {
        let address = self.address(&[kind.path()], &[("filter", filter)]);
        let ask = || self.send("search", Method::GET, address.clone(), None);
        let answer = ask().await?;
        match answer.status.as_u16() {
            200 => Ok(Filtered::List(answer)),
            204 | 404 => Ok(Filtered::NotFound),
            403 if answer.retry_after.is_some() => Err(answer.failure()),
            400 | 403 | 405 | 501 => Ok(Filtered::Unknown),
            422 => Ok(Filtered::Failed),
            // It may be sick, or fail for the filter: only that goes on, and nothing else fails.
            500 if self.has_a_list(kind).await? && ask().await?.status == answer.status => Ok(Filtered::Failed),
            _ => Err(answer.failure()),
        }
    }

    async fn has_a_list(&self, kind: Endpoint) -> Result<bool, Failure> {
        // As it is asked by anyone, whatever it pages by.
        let some = self.plain_page(kind, 1).await?;
        Ok(some.status == StatusCode::OK && some.list().or_else(|_| some.list_by_cursor()).is_ok())
    }

    /// The address of a resource.
    pub fn location(&self, kind: Endpoint, id: &str) -> String {
        self.address(&[kind.path(), id], &[]).into()
    }

    /// `GET /{Users or Groups}`: as many as the app shows without a word on how many, from a resource on.
    pub async fn plain_page(&self, kind: Endpoint, from: usize) -> Result<Answer, Failure> {
        let start = from.to_string();
        let query = [("startIndex", start.as_str())];
        let query = if from > 1 { query.as_slice() } else { &[] };
        self.send("scan", Method::GET, self.address(&[kind.path()], query), None).await
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

    /// `DELETE /{Users or Groups}/{id}`.
    pub async fn delete(&self, kind: Endpoint, id: &str) -> Result<Answer, Failure> {
        self.send("delete", Method::DELETE, self.address(&[kind.path(), id], &[]), None).await
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
        let outcome = self.transport.exchange(method, address, body).instrument(span.clone()).await.map(Answer::from);
        let counted = match &outcome {
            Ok(answer) => {
                self.experience.saw(answer.quirks.clone());
                span.record("http.response.status_code", answer.status.as_u16());
                format!("{}xx", answer.status.as_u16() / 100)
            }
            Err(failure) => failure.rejection.cause.name().to_owned(),
        };
        let labels = [label("app", self.app.as_str()), label("operation", operation), label("outcome", counted)];
        metrics().downstream_requests.add(1, &labels);
        outcome
    }
}

//! How requests reach an app: over HTTP, or within a simulation.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
    RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use rollcall_config::{AppConfig, PrivateAddresses, Token};
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_telemetry::causes;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use crate::app_client::client::{Failure, shorten};
use crate::app_client::resolver::{Resolver, refused_address};
use crate::error::ProvisionerError;

const SCIM_JSON: HeaderValue = HeaderValue::from_static("application/scim+json");

/// How long a connection may take; a request as a whole has its app's own time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The most that is read of an answer.
const MAX_ANSWER: usize = 16 << 20;

/// What came back, as it came.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Response {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
    /// What must not be in any text that leaves us.
    pub secrets: Secrets,
}

/// What an app knows us by. An app may answer with what it was sent, and what it answers goes into events and logs.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Arc<[SecretString]>);

/// A token that is shorter is part of ordinary words.
const SHORTEST_SECRET: usize = 8;

impl Secrets {
    /// A text without them.
    pub fn out_of(&self, text: &str) -> String {
        let secrets = self.0.iter().map(|secret| secret.expose_secret()).filter(|s| s.len() >= SHORTEST_SECRET);
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "[the token]"))
    }

    /// Values without them, and without copying those that have none.
    pub fn out_of_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.out_of(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.out_of_value(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.out_of_value(field)),
            _ => {}
        }
    }
}

impl FromIterator<SecretString> for Secrets {
    fn from_iter<I: IntoIterator<Item = SecretString>>(secrets: I) -> Self {
        Self(secrets.into_iter().collect())
    }
}

/// An answer that is waited for.
pub type Exchange<'a> = Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send + 'a>>;

/// Carries requests to one app and its answers back.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends one request; it ends within the app's time.
    fn exchange<'a>(&'a self, method: Method, address: Url, body: Option<&'a Value>) -> Exchange<'a>;
}

/// Where the SCIM service of an app begins, and how requests reach it.
#[derive(Debug, Clone)]
pub struct Way {
    pub base: Url,
    pub transport: Arc<dyn Transport>,
}

/// The most redirects in a row.
const REDIRECTS: usize = 3;

/// Where a redirect leads, within the app that was configured: another one would take the token to where nobody configured it. What was
/// asked is asked there again as it is; a library would make a question of a creation that is moved (RFC 9110 §15.4.2).
fn moved(from: &Url, response: &reqwest::Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 307 | 308) {
        return None;
    }
    let to = from.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()?;
    (to.origin() == from.origin()).then_some(to)
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
                .redirect(Policy::none())
                .user_agent(concat!("rollcall/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|e| ProvisionerError::Client { app: "any".into(), reason: e.to_string() })
        };
        Ok(Self { public: client(PrivateAddresses::Refused)?, private: client(PrivateAddresses::Allowed)? })
    }

    /// What fetches a document of an app.
    ///
    /// # Errors
    /// When its address may not be asked.
    pub fn fetching(&self, config: &AppConfig, url: &Url) -> Result<Fetcher, ProvisionerError> {
        let client = self.client_for(config, url)?;
        Ok(Fetcher { client, url: url.clone(), token: config.token.clone(), timeout: config.request_timeout })
    }

    fn client_for(&self, config: &AppConfig, url: &Url) -> Result<reqwest::Client, ProvisionerError> {
        if let Some(reason) = refused_address(url, config.private_addresses) {
            return Err(ProvisionerError::Client { app: config.spec.id.to_string(), reason });
        }
        Ok(match config.private_addresses {
            PrivateAddresses::Refused => self.public.clone(),
            PrivateAddresses::Allowed => self.private.clone(),
        })
    }

    /// The way to one app.
    ///
    /// # Errors
    /// When its address may not be asked, or it has none.
    pub fn to(&self, config: &AppConfig) -> Result<Way, ProvisionerError> {
        let Some(base) = config.reach.base_url().cloned() else {
            let (app, reason) = (config.spec.id.to_string(), "people change it: there is nothing to ask".into());
            return Err(ProvisionerError::Client { app, reason });
        };
        let client = self.client_for(config, &base)?;
        let token = config.token.clone();
        let transport = Arc::new(OverHttp { client, token, timeout: config.request_timeout });
        Ok(Way { base, transport })
    }
}

/// Fetches one document of an app, and what is newer than what is known of it.
#[derive(Debug)]
pub struct Fetcher {
    client: reqwest::Client,
    url: Url,
    token: Option<Token>,
    timeout: Duration,
}

/// What was fetched.
#[derive(Debug)]
pub enum Fetched {
    /// It is what is known.
    Same,
    Body {
        /// When it was changed last, by its own word.
        changed_at: Option<Timestamp>,
        /// What tells it from another one.
        validator: Option<String>,
        body: Vec<u8>,
    },
}

impl Fetcher {
    /// The document, unless it is still the one with this validator.
    ///
    /// # Errors
    /// When it can't be had, or is longer than that.
    pub async fn fetch(&self, known: Option<&str>, max_bytes: usize) -> Result<Fetched, Failure> {
        let unreachable = |e| unreachable(&e, "the list can't be fetched: ");
        let tokens = self.token.as_ref().map(Token::to_send).unwrap_or_default();
        let mut request = self.client.get(self.url.clone()).timeout(self.timeout);
        if let Some(token) = tokens.first() {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(known) = known {
            let name =
                if known.starts_with('"') || known.starts_with("W/") { IF_NONE_MATCH } else { IF_MODIFIED_SINCE };
            request = request.header(name, known);
        }
        let response = request.send().await.map_err(unreachable)?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::Same);
        }
        if response.status() != StatusCode::OK {
            let status = response.status().as_u16();
            let mut failure =
                Failure::new(RejectionCause::BadList, format!("the address of the list answers with {status}"));
            failure.rejection.status = Some(status);
            return Err(failure);
        }
        let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let changed = header(LAST_MODIFIED).map(str::to_owned);
        let validator = header(ETAG).map(str::to_owned).or_else(|| changed.clone());
        let changed_at = changed.and_then(|text| httpdate::parse_http_date(&text).ok());
        let body = body(response, max_bytes).await.map_err(unreachable)?.ok_or_else(|| {
            let detail = format!("the list is longer than {max_bytes} bytes (list.max_bytes)");
            Failure::new(RejectionCause::BadList, detail)
        })?;
        let changed_at = changed_at.and_then(|at| Timestamp::try_from(at).ok());
        Ok(Fetched::Body { changed_at, validator, body })
    }
}

/// Why there is no answer.
fn unreachable(error: &reqwest::Error, what: &str) -> Failure {
    let cause = if error.is_timeout() { RejectionCause::Timeout } else { RejectionCause::Unreachable };
    Failure::new(cause, shorten(&format!("{what}{}", causes(error))))
}

/// The body of an answer; `None`: it is longer than that.
async fn body(mut response: reqwest::Response, max_bytes: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > max_bytes {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

#[derive(Debug)]
struct OverHttp {
    client: reqwest::Client,
    token: Option<Token>,
    timeout: Duration,
}

impl Transport for OverHttp {
    fn exchange<'a>(&'a self, method: Method, address: Url, body: Option<&'a Value>) -> Exchange<'a> {
        Box::pin(self.send(method, address, body))
    }
}

impl OverHttp {
    async fn send(&self, method: Method, address: Url, body: Option<&Value>) -> Result<Response, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, SCIM_JSON);
        rollcall_telemetry::inject_headers(&mut headers);
        // The error's text may hold the address, never the token: that is in a header.
        let unreachable = |e| unreachable(&e, "");
        let (mut address, mut redirects) = (address, 0);
        // Redirects included.
        let ends = Instant::now() + self.timeout;
        let response = loop {
            let request = self.client.request(method.clone(), address.clone());
            let mut request = request.timeout(ends.saturating_duration_since(Instant::now())).headers(headers.clone());
            if let Some(token) = self.tokens().first() {
                request = request.bearer_auth(token.expose_secret());
            }
            if let Some(body) = body {
                request = request.header(CONTENT_TYPE, SCIM_JSON).body(body.to_string());
            }
            let response = request.send().await.map_err(unreachable)?;
            match moved(&address, &response) {
                Some(to) if redirects < REDIRECTS => {
                    address = to;
                    redirects += 1;
                }
                _ => break response,
            }
        };
        let status = response.status();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header(RETRY_AFTER.as_str()).and_then(retry_after).or_else(|| {
            let is_spent = matches!(status.as_u16(), 403 | 429) && header("x-ratelimit-remaining") == Some("0");
            is_spent.then(|| header("x-ratelimit-reset").and_then(until).unwrap_or(LIMIT_PAUSE))
        });
        let body = self::body(response, MAX_ANSWER).await.map_err(unreachable)?.ok_or_else(|| {
            Failure::new(RejectionCause::NotScim, format!("the answer is longer than {MAX_ANSWER} bytes"))
        })?;
        Ok(Response { status, retry_after, body, secrets: self.tokens().into_iter().collect() })
    }

    /// What the app may know us by, now.
    fn tokens(&self) -> Vec<SecretString> {
        self.token.as_ref().map(Token::to_send).unwrap_or_default()
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

/// How long an app is left alone that says that its limit is reached, and not until when.
const LIMIT_PAUSE: Duration = Duration::from_secs(60);

/// How long it is until a limit is lifted: as seconds, or as a time in seconds since 1970, as GitHub says it; at most an hour.
fn until(reset: &str) -> Option<Duration> {
    const A_TIME: u64 = 1_000_000_000;
    let said: u64 = reset.trim().parse().ok()?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    let seconds = if said < A_TIME { said } else { said.saturating_sub(now) };
    Some(Duration::from_secs(seconds.min(3600)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_in_no_text_that_leaves_us_and_short_ones_break_no_words() {
        let secrets: Secrets = ["tok-4fb1c09a", "iet"].map(|s| SecretString::from(s.to_owned())).into_iter().collect();
        assert_eq!(secrets.out_of("Bearer tok-4fb1c09a of urn:ietf"), "Bearer [the token] of urn:ietf");
        let mut value = json!({ "title": ["tok-4fb1c09a"], "active": true });
        secrets.out_of_value(&mut value);
        assert_eq!(value, json!({ "title": ["[the token]"], "active": true }));
    }
}

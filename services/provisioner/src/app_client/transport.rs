//! How requests reach an app: over HTTP, or within a simulation.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
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
}

/// An answer that is waited for.
pub type Exchange<'a> = Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send + 'a>>;

/// Carries requests to one app and its answers back.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends one request; it ends within the app's time.
    fn exchange<'a>(&'a self, method: Method, address: Url, body: Option<&'a Value>) -> Exchange<'a>;
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

    /// The way to one app.
    ///
    /// # Errors
    /// When its address may not be asked.
    pub fn to(&self, config: &AppConfig) -> Result<Arc<dyn Transport>, ProvisionerError> {
        if let Some(reason) = refused_address(&config.base_url, config.private_addresses) {
            return Err(ProvisionerError::Client { app: config.spec.id.to_string(), reason });
        }
        let client = match config.private_addresses {
            PrivateAddresses::Refused => self.public.clone(),
            PrivateAddresses::Allowed => self.private.clone(),
        };
        let token = config.token.clone();
        Ok(Arc::new(OverHttp { client, token, timeout: config.request_timeout }))
    }
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
        let mut request = self.client.request(method, address).timeout(self.timeout).headers(headers);
        if let Some(token) = self.tokens().first() {
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
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                let detail = format!("the answer is longer than {MAX_ANSWER} bytes");
                return Err(Failure::new(RejectionCause::NotScim, detail));
            }
        }
        Ok(Response { status, retry_after, body: self.without_token(body) })
    }

    /// An app may answer with what it was sent, and what it answers goes into events and logs.
    fn without_token(&self, body: Vec<u8>) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(&body) else { return body };
        let tokens = self.tokens();
        let mut sent = tokens.iter().map(|token| token.expose_secret()).filter(|token| text.contains(token)).peekable();
        if sent.peek().is_none() {
            return body;
        }
        sent.fold(text.to_owned(), |text, token| text.replace(token, "[the token]")).into_bytes()
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

//! Which source is it? Each has its own bearer token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rollcall_config::SourceConfig;
use rollcall_scim::ScimError;

use crate::caller::Caller;
use crate::error::Refusal;
use crate::service::Door;

/// Lets a request in with the source that it comes from, or not at all.
pub async fn authenticate(
    State(door): State<Arc<Door>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let Some(sent) = sent.and_then(|v| v.strip_prefix("Bearer ").or_else(|| v.strip_prefix("bearer "))) else {
        return Err(Refusal::Unauthorized("send the token of a source: Authorization: Bearer …"));
    };
    let source = door.sources.iter().find(|s| s.config.token.matches(sent.trim()));
    let Some(source) = source else {
        return Err(Refusal::Unauthorized("the token is not that of any [[sources]] in the configuration"));
    };
    source.admit()?;
    // Before the apps are known, a change would find nobody to concern.
    if !*door.registered.borrow() {
        return Err(ScimError::status(503, "the gateway is starting").into());
    }
    let caller = Caller::new(Arc::clone(&source.config), door.public_url.as_deref(), request.headers());
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// A source, and how much it may still ask.
#[derive(Debug)]
pub struct KnownSource {
    pub config: Arc<SourceConfig>,
    rate: DefaultDirectRateLimiter,
}

impl KnownSource {
    /// One that has asked nothing yet.
    pub fn new(config: SourceConfig) -> Self {
        let rate = RateLimiter::direct(Quota::per_second(config.max_requests_per_second));
        Self { config: Arc::new(config), rate }
    }

    fn admit(&self) -> Result<(), Refusal> {
        let Err(early) = self.rate.check() else { return Ok(()) };
        let wait = early.wait_time_from(DefaultClock::default().now());
        Err(Refusal::TooMany {
            source_name: self.config.name.clone(),
            per_second: self.config.max_requests_per_second.get(),
            seconds: wait.as_secs() + 1,
        })
    }
}

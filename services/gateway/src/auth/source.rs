//! The sources that may push changes, and how each of them says who it is.

use std::sync::Arc;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rollcall_config::SourceConfig;
use rollcall_tokens::JwtVerifier;

use crate::error::Refusal;

/// A source, and how much it may still ask.
#[derive(Debug)]
pub struct KnownSource {
    pub config: Arc<SourceConfig>,
    pub jwt: Option<JwtVerifier>,
    rate: DefaultDirectRateLimiter,
}

impl KnownSource {
    /// One that has asked nothing yet.
    pub fn new(config: SourceConfig, http: &reqwest::Client) -> Self {
        let jwt = config.jwt.clone().map(|jwt| JwtVerifier::new(jwt, http.clone()));
        let rate = RateLimiter::direct(Quota::per_second(config.max_requests_per_second));
        Self { config: Arc::new(config), jwt, rate }
    }

    /// Waits until it may ask once more.
    pub async fn wait(&self) {
        self.rate.until_ready().await;
    }

    /// Counts one request.
    ///
    /// # Errors
    /// 429 when it asks more often than it may.
    pub fn admit(&self) -> Result<(), Refusal> {
        let Err(early) = self.rate.check() else { return Ok(()) };
        let wait = early.wait_time_from(DefaultClock::default().now());
        Err(Refusal::TooMany {
            source_name: self.config.name.clone(),
            per_second: self.config.max_requests_per_second.get(),
            seconds: wait.as_secs() + 1,
        })
    }
}

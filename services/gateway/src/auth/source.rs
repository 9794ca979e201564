//! The sources that may push changes, and how each of them says who it is.

use std::sync::Arc;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rollcall_config::SourceConfig;
use rollcall_tokens::JwtVerifier;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::Refusal;

/// A source, and how much it may still ask.
#[derive(Debug)]
pub struct KnownSource {
    pub config: Arc<SourceConfig>,
    pub jwt: Option<JwtVerifier>,
    rate: DefaultDirectRateLimiter,
    most: usize,
    requests: Semaphore,
    /// Of the places for answers that may be large, those that it can have.
    pub heavy: Semaphore,
    /// Places for requests of many operations, which are done at the pace at which it may ask.
    pub bulk: Semaphore,
    /// A place for the list of an inventory: one at a time, so that it takes no other source's while it arrives.
    pub list: Semaphore,
}

/// What one source can have at once, so that there is something left for the others.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    pub requests: usize,
    pub heavy: usize,
}

/// How many requests of many operations of a source are worked on at once: each is held in memory meanwhile.
const BULK_AT_ONCE: usize = 4;

impl KnownSource {
    /// One that has asked nothing yet.
    pub fn new(config: SourceConfig, places: Places, http: &reqwest::Client) -> Self {
        let jwt = config.jwt.clone().map(|jwt| JwtVerifier::new(jwt, http.clone()));
        let rate = RateLimiter::direct(Quota::per_second(config.max_requests_per_second));
        let (requests, heavy) = (Semaphore::new(places.requests), Semaphore::new(places.heavy));
        let bulk = Semaphore::new(BULK_AT_ONCE);
        Self {
            config: Arc::new(config),
            jwt,
            rate,
            most: places.requests,
            requests,
            heavy,
            bulk,
            list: Semaphore::new(1),
        }
    }

    /// A place for a request, until it is answered.
    ///
    /// # Errors
    /// 429 when it has as many as it may have.
    pub fn place(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.requests
            .try_acquire()
            .map_err(|_| Refusal::TooManyAtOnce { source_name: self.config.name.clone(), most: self.most })
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

//! The right to work on an app, as long as it holds: a process that was stopped and goes on later must not send what
//! another has sent since.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A lease as its holder sees it.
#[derive(Debug)]
pub struct Lease {
    until: Mutex<Instant>,
}

impl Lease {
    /// One that holds from `asked` on: the moment before it was asked for.
    pub fn from(asked: Instant, term: Duration) -> Self {
        Self { until: Mutex::new(asked + term) }
    }

    /// One that nobody can take.
    pub fn unlimited() -> Self {
        Self::from(Instant::now(), Duration::from_secs(100 * 365 * 24 * 3600))
    }

    /// Holds longer.
    pub fn renew(&self, asked: Instant, term: Duration) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = asked + term;
    }

    /// Whether it still holds.
    pub fn is_held(&self) -> bool {
        Instant::now() < *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

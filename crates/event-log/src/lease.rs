//! The right to do a piece of work, as long as it holds: a process that was stopped and goes on later must not do what
//! another has done since.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::leases::TERM;

/// Time that a lease is given up before it ends: clocks and answers take a moment.
const MARGIN: Duration = Duration::from_secs(1);

/// A lease as its holder sees it.
#[derive(Debug)]
pub struct Lease {
    until: Mutex<Instant>,
}

impl Lease {
    /// One that holds for a term from `asked` on: the moment before it was asked for.
    #[must_use]
    pub fn from(asked: Instant) -> Self {
        Self { until: Mutex::new(asked + TERM.saturating_sub(MARGIN)) }
    }

    /// One that nobody can take.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { until: Mutex::new(Instant::now() + Duration::from_secs(100 * 365 * 24 * 3600)) }
    }

    /// One that does not hold until it is renewed.
    #[must_use]
    pub fn lapsed() -> Self {
        Self { until: Mutex::new(Instant::now()) }
    }

    /// Holds for a term from `asked` on.
    pub fn renew(&self, asked: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = asked + TERM.saturating_sub(MARGIN);
    }

    /// Holds no longer.
    pub fn end(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether it still holds.
    pub fn is_held(&self) -> bool {
        Instant::now() < *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The last positive control of an app that held, and for how long it holds.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a control holds for accounts that nobody has seen yet.
pub const HOLDS_FOR: Duration = Duration::from_secs(60);

/// The last control that held.
#[derive(Debug, Default)]
pub struct Controls(Mutex<Option<(Instant, BTreeSet<&'static str>)>>);

impl Controls {
    pub fn recent(&self, filtered: &BTreeSet<&'static str>) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().is_some_and(|(at, by)| at.elapsed() < HOLDS_FOR && filtered.is_subset(by))
    }

    pub fn held(&self, filtered: &BTreeSet<&'static str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), filtered.clone()));
    }
}

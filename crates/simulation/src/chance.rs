//! Everything that is left to chance comes from one seed.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A source of decisions; clones share it.
#[derive(Debug, Clone)]
pub struct Chance(Arc<Mutex<fastrand::Rng>>);

impl Chance {
    /// The same seed, the same decisions.
    pub fn new(seed: u64) -> Self {
        // Pauses with jitter take theirs from the generator of this thread.
        fastrand::seed(seed);
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    fn with<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One of the numbers in the range.
    pub fn within(&self, range: Range<u64>) -> u64 {
        self.with(|rng| rng.u64(range))
    }

    /// So many milliseconds.
    pub fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// True in so many of a hundred cases.
    pub fn percent(&self, share: u64) -> bool {
        self.within(0..100) < share
    }

    /// One of them; `None` when there are none.
    pub fn pick<'a, T>(&self, among: &'a [T]) -> Option<&'a T> {
        if among.is_empty() {
            return None;
        }
        among.get(self.with(|rng| rng.usize(0..among.len())))
    }

    /// A new id.
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Uuid::from_u128(self.with(|rng| rng.u128(..)))
    }
}

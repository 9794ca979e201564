//! When services ask the log's server something again and again: all of them at the same time. Waking up is most of what such
//! a request costs it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Turns that come at once, and then whenever the time of day is a multiple of their distance.
#[derive(Debug)]
pub struct SharedTicks {
    every: Duration,
    has_begun: bool,
}

impl SharedTicks {
    /// Turns this far from each other; the first two may be nearer, or farther by a quarter.
    #[must_use]
    pub const fn every(every: Duration) -> Self {
        Self { every, has_begun: false }
    }

    /// Waits for the next turn; those that were missed are left out.
    pub async fn turn(&mut self) {
        if std::mem::replace(&mut self.has_begun, true) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            tokio::time::sleep(until_next(now, self.every)).await;
        }
    }
}

/// From a time of day to the next turn: not the one that has just been, should a timer be early, or the last one late.
fn until_next(now: Duration, every: Duration) -> Duration {
    let since = now.as_nanos().checked_rem(every.as_nanos()).unwrap_or_default();
    let left = every.saturating_sub(Duration::from_nanos(u64::try_from(since).unwrap_or_default()));
    if left < every / 4 { left + every } else { left }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_at_multiples_and_never_twice_in_a_row() {
        let second = Duration::from_secs(1);
        let day = 86_400 * 365 * 56 * second;
        for (now, left) in [(0, 2000), (1, 1999), (1500, 500), (1501, 2499), (1999, 2001), (2000, 2000)] {
            let (now, left) = (Duration::from_millis(now), Duration::from_millis(left));
            assert_eq!(until_next(day + now, 2 * second), left, "{now:?}");
        }
        assert_eq!(until_next(day, Duration::ZERO), Duration::ZERO);
    }
}

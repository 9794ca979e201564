//! How many removals in an app are usual.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How many removals of one source in one app are usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// The most in a window.
    pub max_removals: u32,
    /// The most in a window, as a share of the app's accounts in percent; counts from [`FEW`] removals on.
    pub max_percent: u32,
    /// The window.
    pub window: Duration,
}

/// As few removals as these are never too large a share: small teams change, too.
pub const FEW: u32 = 20;

impl Default for Guard {
    fn default() -> Self {
        Self { max_removals: 100, max_percent: 30, window: Duration::from_secs(3600) }
    }
}

impl Guard {
    /// Whether `removals` in a window, of `accounts` that were there before, are too many.
    #[must_use]
    pub fn is_too_many(&self, removals: usize, accounts: usize) -> bool {
        let over = |most: u32| u32::try_from(removals).map_or(true, |n| n > most);
        let share = removals.saturating_mul(100) > accounts.saturating_mul(self.max_percent as usize);
        over(self.max_removals) || (over(FEW) && share)
    }

    /// When the window began that ends at `now`.
    #[must_use]
    pub fn window_start(&self, now: Timestamp) -> Timestamp {
        let window = SignedDuration::try_from(self.window).unwrap_or(SignedDuration::MAX);
        now.checked_sub(window).unwrap_or(Timestamp::MIN)
    }
}

/// The removals in a window: how many there were when. Those that lie closer together than a hundredth of the window
/// count as of the last of them, so that however many there are, little is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent(Vec<(Timestamp, usize)>);

impl Recent {
    /// Adds one, and forgets those that are older than the window; how many there are now.
    pub fn add(&mut self, guard: &Guard, at: Timestamp) -> usize {
        let start = guard.window_start(at);
        self.0.retain(|(last, _)| *last > start);
        let close = at.checked_sub(SignedDuration::try_from(guard.window / 100).unwrap_or_default());
        // The first of a group and the last of the one before are what is compared: a steady flow is many groups.
        match self.0.as_mut_slice() {
            [.., (before, _), (last, count)] if close.is_ok_and(|close| *before > close) => {
                *last = at;
                *count += 1;
            }
            _ => self.0.push((at, 1)),
        }
        self.0.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_there_are_all_count_until_the_window_is_over_and_little_is_kept() {
        let guard = Guard { window: Duration::from_secs(1000), ..Guard::default() };
        let at = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let mut recent = Recent::default();
        for n in 1..=1000 {
            // One a second, none of which is older than the window yet.
            assert_eq!(recent.add(&guard, at(n)), usize::try_from(n).unwrap_or_default());
        }
        assert!(recent.0.len() <= 210, "{} are kept", recent.0.len());
        // A second each still; one that is forgotten late was within a hundredth of the window of one that is not.
        for n in 1001..=5000 {
            assert!((1000..=1010).contains(&recent.add(&guard, at(n))), "at {n}: {recent:?}");
        }
        assert_eq!(recent.add(&guard, at(7000)), 1, "all are older than the window");
    }
}

//! The guard against mass change: when a source takes away more accounts of an app than is usual, its removals wait for
//! a person; whatever else it wants goes on.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::{Account, Target};
use crate::ids::{AppId, BadId, Sequence, SourceName};
use crate::lifecycle::ChangeKind;
use crate::obligation::Obligation;

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

/// What takes accounts away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Cause {
    /// What a source says of people and groups.
    Source(SourceName),
    /// A change of an app's configuration, such as of its rule.
    Configuration(AppId),
}

/// What the cause by a configuration begins with: no source has such a name.
const CONFIGURATION: &str = "configuration:";

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(source) => source.fmt(f),
            Self::Configuration(app) => write!(f, "{CONFIGURATION}{app}"),
        }
    }
}

impl FromStr for Cause {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        match text.strip_prefix(CONFIGURATION) {
            Some(app) => Ok(Self::Configuration(app.parse()?)),
            None => Ok(Self::Source(text.parse()?)),
        }
    }
}

impl TryFrom<String> for Cause {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<Cause> for String {
    fn from(cause: Cause) -> Self {
        cause.to_string()
    }
}

impl Cause {
    /// What took an account away that must go; `None`: nothing that is counted, such as a repair.
    #[must_use]
    pub fn of(account: &Account) -> Option<Self> {
        let is_decided = |change| !matches!(change, ChangeKind::Repair | ChangeKind::Residue);
        let by_rule = |o: &Obligation| o.target == Target::Absent && is_decided(o.change);
        match &account.source {
            Some(source) => Some(Self::Source(source.clone())),
            None => account.owes.iter().any(by_rule).then(|| Self::Configuration(account.app.clone())),
        }
    }

    /// What it is, for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        match self {
            Self::Source(source) => format!("source {source}"),
            Self::Configuration(app) => format!("the changed configuration of {app}"),
        }
    }

    /// The source, when it is one.
    #[must_use]
    pub const fn source(&self) -> Option<&SourceName> {
        match self {
            Self::Source(source) => Some(source),
            Self::Configuration(_) => None,
        }
    }
}

/// The removals by one cause wait for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What took them away.
    pub cause: Cause,
    /// Where there were too many.
    pub app: AppId,
    /// How many there were in the window.
    pub removals: usize,
    /// The change that was one too many.
    pub by: Sequence,
    /// When that was.
    pub since: Timestamp,
    /// The removals up to this change were released: those after it wait.
    pub released: Sequence,
}

impl Hold {
    /// Whether a removal of this cause and version waits.
    #[must_use]
    pub fn covers(&self, account: &Account) -> bool {
        account.desired.target() == Target::Absent
            && account.desired_version > self.released
            && Cause::of(account).as_ref() == Some(&self.cause)
    }
}

/// What a person decided about the removals that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// They are right: they are done.
    Release,
    /// They are a mistake: what they owe is waived until then, for the source to be mended.
    Reject {
        /// When the waivers expire.
        expires_at: Timestamp,
    },
}

/// A named person decided about a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct HoldDecided {
    pub cause: Cause,
    /// The last change that the person has seen the removals of: what came later is held anew.
    pub through: Sequence,
    pub decision: Decision,
    pub reason: String,
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

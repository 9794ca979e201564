//! Drills: an account of Rollcall's own goes through an app, and shows what the app does of what it is asked.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AppId, Sequence};

/// What is tried on the canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillStep {
    /// It is made, and can be read by its id.
    Create,
    /// It is found by its user name.
    FindByUserName,
    /// It is found by our id of it.
    FindByExternalId,
    /// It is among all accounts, page by page.
    List,
    /// One attribute is changed.
    Change,
    /// It is put into a group.
    EnterGroup,
    /// It is taken out of a group.
    LeaveGroup,
    /// It gets another user name.
    Rename,
    /// It is made inactive.
    SwitchOff,
    /// It is made active again.
    SwitchOn,
    /// It is deleted.
    Delete,
    /// It is made once more under the name that was free again.
    CreateAgain,
    /// Nothing of the drill is left.
    CleanUp,
}

impl DrillStep {
    /// All of them, in the order in which they are done.
    pub const ALL: [Self; 13] = [
        Self::Create,
        Self::FindByUserName,
        Self::FindByExternalId,
        Self::List,
        Self::Change,
        Self::EnterGroup,
        Self::LeaveGroup,
        Self::Rename,
        Self::SwitchOff,
        Self::SwitchOn,
        Self::Delete,
        Self::CreateAgain,
        Self::CleanUp,
    ];

    /// The word in events and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::FindByUserName => "find_by_user_name",
            Self::FindByExternalId => "find_by_external_id",
            Self::List => "list",
            Self::Change => "change",
            Self::EnterGroup => "enter_group",
            Self::LeaveGroup => "leave_group",
            Self::Rename => "rename",
            Self::SwitchOff => "switch_off",
            Self::SwitchOn => "switch_on",
            Self::Delete => "delete",
            Self::CreateAgain => "create_again",
            Self::CleanUp => "clean_up",
        }
    }

    /// The step of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    /// Whether somebody keeps access where an app does not do it.
    #[must_use]
    pub const fn ends_access(self) -> bool {
        matches!(self, Self::LeaveGroup | Self::SwitchOff | Self::Delete)
    }
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillVerdict {
    /// It was done, and shows.
    Passed,
    /// It was refused, was not done, or something else was.
    Failed,
    /// It was not tried: the detail says why.
    Skipped,
}

impl DrillVerdict {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Passed, Self::Failed, Self::Skipped];

    /// The word in events and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One step of a drill, and how it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillResult {
    /// What was tried.
    pub step: DrillStep,
    /// With which attribute or group; empty: with the account.
    pub of: String,
    /// How it went.
    pub verdict: DrillVerdict,
    /// What was seen instead, or why it was not tried; empty: nothing to say.
    pub detail: String,
    /// How long it took until it showed in every way; `None`: it never did, or was not tried.
    pub visible_after: Option<Duration>,
}

/// The account that goes through an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Its user name.
    pub user_name: String,
    /// Our id of it: of nobody's identity.
    pub external_id: String,
}

/// What happened to a drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrillEvent {
    /// A person asked for one.
    Requested,
    /// It begins: from now on an account of this name may be in the app.
    Started(Canary),
    /// The app has made an account, with this id.
    Made {
        /// The app's id.
        remote_id: String,
    },
    /// Every step was tried.
    Completed {
        /// Each of them.
        results: Vec<DrillResult>,
        /// The app's ids of the accounts that are left there although they were deleted.
        left_behind: Vec<String>,
    },
    /// It could not be done to its end.
    Failed {
        /// Why.
        detail: String,
        /// As above.
        left_behind: Vec<String>,
    },
}

/// One step of a drill of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Drill {
    pub app: AppId,
    pub event: DrillEvent,
}

/// A drill that runs, or was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningDrill {
    /// The account.
    pub canary: Canary,
    /// The app's ids of what was made.
    pub made: Vec<String>,
    /// The event by which it began.
    pub started: Sequence,
}

/// A drill that was done to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillReport {
    /// The event that says so.
    pub sequence: Sequence,
    /// When.
    #[serde(with = "crate::stored::time")]
    pub at: Timestamp,
    /// The account.
    pub canary: Option<Canary>,
    /// Each step.
    pub results: Vec<DrillResult>,
    /// The app's ids of accounts that are left there.
    pub left_behind: Vec<String>,
}

impl DrillReport {
    /// How many of a hundred tried steps passed; `None`: none was tried.
    #[must_use]
    pub fn score(&self) -> Option<u8> {
        let count = |verdict| self.results.iter().filter(|result| result.verdict == verdict).count();
        let (passed, failed) = (count(DrillVerdict::Passed), count(DrillVerdict::Failed));
        passed.saturating_mul(100).checked_div(passed + failed).and_then(|score| u8::try_from(score).ok())
    }

    /// What keeps access alive that should be gone: the failed steps that end access.
    pub fn keeps_access(&self) -> impl Iterator<Item = &DrillResult> {
        self.results.iter().filter(|result| result.verdict == DrillVerdict::Failed && result.step.ends_access())
    }

    /// What went otherwise than in an earlier drill: each step of this one that did, with how it went before; `None`: it was not
    /// tried then.
    #[must_use]
    pub fn differs_from(&self, before: &Self) -> Vec<(&DrillResult, Option<DrillVerdict>)> {
        let earlier = |now: &DrillResult| {
            before.results.iter().find(|then| then.step == now.step && then.of == now.of).map(|then| then.verdict)
        };
        let with_before = self.results.iter().map(|result| (result, earlier(result)));
        with_before.filter(|(result, before)| *before != Some(result.verdict)).collect()
    }
}

/// An account of a drill that was there when it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftBehind {
    /// The app's id.
    pub id: String,
    /// How it is known.
    pub canary: Canary,
}

/// The drills of one app, in a projection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drilled {
    /// The last request that none has followed yet.
    pub requested: Option<Sequence>,
    /// The one that runs, or was cut off.
    pub running: Option<RunningDrill>,
    /// When the last one ended, however it did.
    #[serde(with = "crate::stored::time_or_none")]
    pub ended_at: Option<Timestamp>,
    /// Why the last one was not done to its end.
    pub failure: Option<String>,
    /// The app's ids of accounts of drills that were there when they ended: they are removed before the next one begins.
    pub left_behind: Vec<LeftBehind>,
    /// Since which drill it is known that the app keeps access that should end, or an account of a drill that was stopped.
    pub failing_since: Option<Sequence>,
    /// The last one that was done to its end.
    pub last: Option<DrillReport>,
}

//! The guard against mass change: when a source takes away more accounts of an app than is usual, its removals wait for
//! a person; whatever else it wants goes on.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::account::Account;
use crate::access::desired::{Queue, Target};
use crate::access::obligation::Obligation;
use crate::identity::lifecycle::ChangeKind;
use crate::ids::{AppId, BadId, Sequence, SourceName};

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
        let is_decided = |change| {
            !matches!(change, ChangeKind::Repair | ChangeKind::Residue | ChangeKind::Disable | ChangeKind::Grant)
        };
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
    /// Whether a removal of this cause and version waits. That of somebody whom a person has switched off waits for nobody.
    #[must_use]
    pub fn covers(&self, account: &Account) -> bool {
        account.queue() == Queue::Absent
            && account.removed_by() > self.released
            && Cause::of(account).as_ref() == Some(&self.cause)
    }
}

/// How removals ended to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// They are right: they are done.
    Release,
    /// They are a mistake: what they owe is waived until then, for the source to be mended.
    Reject {
        /// When the waivers expire.
        expires_at: Timestamp,
    },
    /// Nobody decided: nothing waits any more, since all of it is wanted again, or was done by another decision.
    Lapse,
}

/// A hold ended, or the part of it that was seen: by the decision of a named person, or because nothing waits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct HoldDecided {
    pub cause: Cause,
    /// The last change that the person has seen the removals of: what came later is held anew.
    pub through: Sequence,
    pub decision: Decision,
    pub reason: String,
}

//! Tasks: what a person has to do in an app that Rollcall can't change itself, and what they say of it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::account::Account;
use crate::access::desired::{Desired, Presence, Target};
use crate::access::obligation::Obligation;
use crate::access::outcome::Left;
use crate::ids::{AppId, BadId, IdentityId, Sequence};

/// Which task: an account, and the change that says what it must be. Once something else is desired it is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TaskId {
    pub version: Sequence,
    pub app: AppId,
    pub identity: IdentityId,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}.{}.{}", self.version, self.app, self.identity)
    }
}

impl FromStr for TaskId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { text: text.into(), wanted: "a task id" };
        let mut parts = text.strip_prefix('t').ok_or_else(bad)?.splitn(3, '.');
        let mut part = || parts.next().ok_or_else(bad);
        let version = Sequence(part()?.parse().map_err(|_| bad())?);
        Ok(Self { version, app: part()?.parse()?, identity: part()?.parse()? })
    }
}

impl Serialize for TaskId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl TaskId {
    /// The task that an account is, as it is desired now.
    #[must_use]
    pub fn of(account: &Account) -> Self {
        Self { version: account.desired_version, app: account.app.clone(), identity: account.identity }
    }
}

/// Somebody says that a task is done: their word, and no proof.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TaskDone {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
    pub target: Target,
    /// Where it can be looked up, such as the number of a ticket or the hash of a file; may be empty.
    pub reference: String,
}

/// Somebody takes back what was said of a task: it is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TaskUndone {
    pub app: AppId,
    pub identity: IdentityId,
    /// The task that is said to be done.
    pub version: Sequence,
    pub reason: String,
}

/// What an app shows contradicts nothing that somebody says of an account, and is no proof by itself: it stands on their word.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct StandsOnWord {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
}

/// What somebody said of an account, in a projection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attested {
    /// The change that says what was to be done.
    pub version: Sequence,
    /// When they said it.
    #[serde(with = "crate::stored::time")]
    pub at: Timestamp,
    /// The event that says so.
    pub by: Sequence,
    /// Who.
    pub who: String,
    /// What the account is said to be.
    pub said: Desired,
    /// What that is worth.
    pub weight: Weight,
    /// Whether something is left of an account with which nobody can sign in any more.
    pub left: Left,
    /// Whether it counts for nothing any more: a list has shown that it is not so, or somebody has taken it back.
    pub refuted: bool,
    /// Whether it was taken back.
    pub taken_back: bool,
    /// What there was said to be before, which counts again where it is taken back and nothing can be read.
    pub before: Option<Presence>,
    /// What was owed and has ended by it, as it was then.
    pub ended: Vec<Obligation<Sequence>>,
    /// Whether there was said to be an account before that no list has ever shown: it may have another name.
    pub unseen: bool,
}

impl Attested {
    /// Whether there is, or was, said to be an account.
    #[must_use]
    pub const fn says_there_was_one(&self) -> bool {
        self.unseen || matches!(self.said, Desired::Present(_))
    }
}

/// What the word of a person is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// There is nothing else: what was owed is met by it.
    Final,
    /// A list will show it: until then it is owed on.
    UntilRead,
}

//! What can be done to an account.

use serde::{Deserialize, Serialize};

/// What was done to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Operation {
    Create,
    Update,
    Deactivate,
    Delete,
    /// Put into a group.
    Enter,
    /// Taken out of a group.
    Leave,
}

impl From<Operation> for u8 {
    fn from(operation: Operation) -> Self {
        operation as Self
    }
}

impl Operation {
    /// The word in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Deactivate => "deactivate",
            Self::Delete => "delete",
            Self::Enter => "enter",
            Self::Leave => "leave",
        }
    }

    /// Several of them, for people.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Create => "creates",
            Self::Update => "updates",
            Self::Deactivate => "deactivations",
            Self::Delete => "deletes",
            Self::Enter => "membership additions",
            Self::Leave => "membership removals",
        }
    }
}

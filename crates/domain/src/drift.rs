//! Drift: desired and observed differ.

use jiff::Timestamp;
use rollcall_scim::Changed;
use serde::{Deserialize, Serialize};

use crate::ids::{AppId, IdentityId, Sequence};

/// How an account differs from what is desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftKind {
    /// It should be gone, and lives.
    Zombie,
    /// It shows other attributes.
    Attribute,
    /// It should be there, and is not.
    Missing,
}

impl DriftKind {
    /// The word in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zombie => "zombie",
            Self::Attribute => "attribute",
            Self::Missing => "missing",
        }
    }
}

/// The app was read, and says something else than what is desired.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftDetected {
    /// Where.
    pub app: AppId,
    /// Whose account.
    pub identity: IdentityId,
    /// The change that set what is desired.
    pub version: Sequence,
    /// How it differs.
    pub kind: DriftKind,
    /// Desired before, observed after.
    pub differences: Vec<Changed>,
}

/// An open drift item in a projection; `account.verified` ends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct DriftItem {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
    pub kind: DriftKind,
    pub differences: Vec<Changed>,
    pub detected_at: Timestamp,
}

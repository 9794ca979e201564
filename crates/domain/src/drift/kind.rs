//! How an account can differ from what is desired.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::BadId;

/// How an account differs from what is desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftKind {
    /// It belongs to nobody here.
    Orphan,
    /// It should be gone, and lives.
    Zombie,
    /// It shows other attributes.
    Attribute,
    /// It is in other groups.
    Membership,
    /// It should be there, and is not.
    Missing,
    /// It is there more than once.
    Duplicate,
    /// It is inactive until somebody accepts an invitation.
    Invited,
    /// Nobody can sign in with it any more, and something is left of it: memberships, or itself where it is to be deleted.
    Residue,
}

impl DriftKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Orphan,
        Self::Zombie,
        Self::Attribute,
        Self::Membership,
        Self::Missing,
        Self::Duplicate,
        Self::Residue,
        Self::Invited,
    ];

    /// The word in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orphan => "orphan",
            Self::Zombie => "zombie",
            Self::Attribute => "attribute",
            Self::Membership => "membership",
            Self::Missing => "missing",
            Self::Duplicate => "duplicate",
            Self::Residue => "residue",
            Self::Invited => "invited",
        }
    }
}

impl FromStr for DriftKind {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { text: text.into(), wanted: "a kind of drift" };
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(bad)
    }
}

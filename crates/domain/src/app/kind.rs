//! How an app is reached: by itself, or by people.

use serde::{Deserialize, Serialize};

/// How an app is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppKind {
    /// It has a SCIM service: Rollcall changes it, and reads it back.
    #[default]
    Scim,
    /// People change it, and nothing can be read: what they say is all that is known.
    Manual,
    /// People change it, and a list of its accounts can be read.
    List,
}

impl AppKind {
    /// Each.
    pub const ALL: [Self; 3] = [Self::Scim, Self::Manual, Self::List];

    /// The word in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scim => "scim",
            Self::Manual => "manual",
            Self::List => "list",
        }
    }

    /// The kind that has this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether what it shows can be read.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        match self {
            Self::Scim | Self::List => true,
            Self::Manual => false,
        }
    }

    /// Whether what is to be changed there is a task of a person.
    #[must_use]
    pub const fn is_by_people(self) -> bool {
        match self {
            Self::Scim => false,
            Self::Manual | Self::List => true,
        }
    }
}

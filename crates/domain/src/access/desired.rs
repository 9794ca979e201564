//! What an account must be.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::app::mapping::Attributes;

/// What an account must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Desired {
    /// There.
    Present(Presence),
    /// Gone, and in no managed group.
    Absent,
}

/// How a live account must be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Presence {
    /// What it shows.
    pub attributes: Attributes,
    /// The managed groups that it is in, as the app names them.
    pub groups: BTreeSet<String>,
}

/// Desired, without its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Target {
    Present,
    Absent,
}

impl From<Target> for u8 {
    fn from(target: Target) -> Self {
        target as Self
    }
}

impl Target {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Absent => "absent",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Present => Self::Absent,
            Self::Absent => Self::Present,
        }
    }
}

/// As it is stored: a presence, or none.
impl Serialize for Desired {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Present(presence) => serializer.serialize_some(presence),
            Self::Absent => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for Desired {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Absent, Self::Present))
    }
}

impl Desired {
    /// Whether there must be an account.
    #[must_use]
    pub const fn target(&self) -> Target {
        match self {
            Self::Present(_) => Target::Present,
            Self::Absent => Target::Absent,
        }
    }

    /// The user name that the account must have; `None`: there must be none, or the mapping gives no name.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        match self {
            Self::Present(presence) => presence.attributes.get("userName")?.as_str().filter(|name| !name.is_empty()),
            Self::Absent => None,
        }
    }
}

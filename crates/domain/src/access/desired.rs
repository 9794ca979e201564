//! What an account must be.

use std::collections::BTreeSet;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::app::mapping::Attributes;

/// What an account must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Desired {
    /// There.
    Present(Presence),
    /// Gone, and in no managed group.
    Absent,
    /// Deleted, whatever the app's configuration leaves of those who left: an account that is kept, inactive, is too much.
    Deleted,
    /// Not usable, and otherwise as it is: a person has switched them off, and may switch them on again. Deleted where nothing else
    /// switches it off.
    Off,
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

/// How urgent what is to be done for an account is: each queue of an app is worked on before the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Somebody is switched off: nothing stands before it.
    Off,
    /// Access must go.
    Absent,
    /// There must be access.
    Present,
}

impl Queue {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Off, Self::Absent, Self::Present];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Absent => "absent",
            Self::Present => "present",
        }
    }
}

/// As it is stored: a presence, or none, or `true` where it must be deleted, or `false` where it is switched off.
impl Serialize for Desired {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Present(presence) => serializer.serialize_some(presence),
            Self::Absent => serializer.serialize_none(),
            Self::Deleted => serializer.serialize_bool(true),
            Self::Off => serializer.serialize_bool(false),
        }
    }
}

struct Stored;

impl<'de> Visitor<'de> for Stored {
    type Value = Desired;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("what an account must be")
    }

    fn visit_unit<E>(self) -> Result<Desired, E> {
        Ok(Desired::Absent)
    }

    fn visit_bool<E>(self, is_deleted: bool) -> Result<Desired, E> {
        Ok(if is_deleted { Desired::Deleted } else { Desired::Off })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Desired, A::Error> {
        Presence::deserialize(SeqAccessDeserializer::new(seq)).map(Desired::Present)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Desired, A::Error> {
        Presence::deserialize(MapAccessDeserializer::new(map)).map(Desired::Present)
    }
}

impl<'de> Deserialize<'de> for Desired {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Stored)
    }
}

impl Desired {
    /// Whether there must be an account.
    #[must_use]
    pub const fn target(&self) -> Target {
        match self {
            Self::Present(_) => Target::Present,
            Self::Absent | Self::Deleted | Self::Off => Target::Absent,
        }
    }

    /// What follows from the rules, for an account that must be this now: one that must be deleted still must be, until there must
    /// be one again.
    #[must_use]
    pub fn or_still_deleted(self, now: Option<&Self>) -> Self {
        if self == Self::Absent && now == Some(&Self::Deleted) { Self::Deleted } else { self }
    }

    /// The managed groups that the account must be in.
    #[must_use]
    pub const fn groups(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::Present(presence) => Some(&presence.groups),
            Self::Absent | Self::Deleted | Self::Off => None,
        }
    }

    /// The user name that the account must have; `None`: there must be none, or the mapping gives no name.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        match self {
            Self::Present(presence) => presence.attributes.get("userName")?.as_str().filter(|name| !name.is_empty()),
            Self::Absent | Self::Deleted | Self::Off => None,
        }
    }
}

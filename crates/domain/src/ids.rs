//! Typed identifiers: one kind is never taken for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {wanted}")]
pub struct BadId {
    /// What was given.
    pub text: String,
    /// What it should have been.
    pub wanted: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta] $name:ident, $wanted:literal;)*) => {$(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Uuid::parse_str(text).map(Self).map_err(|_| BadId { text: text.into(), wanted: $wanted })
            }
        }
    )*};
}

uuid_id! {
    /// A person, a service account, or an agent.
    IdentityId, "an identity id";
    /// A group of identities.
    GroupId, "a group id";
    /// A resource that is neither an identity nor a group.
    ResourceId, "a resource id";
    /// A grant, and the request for it.
    GrantId, "a grant id";
    /// A key, a token or a certificate.
    CredentialId, "a credential id";
}

/// The position of an event in the stream, from 1; 0 is before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! slug_id {
    ($(#[$doc:meta] $name:ident, $wanted:literal;)*) => {$(
        #[$doc]
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
                if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
                    return Err(BadId { text: text.into(), wanted: $wanted });
                }
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )*};
}

slug_id! {
    /// A connected downstream system.
    AppId, "an app id: 1 to 64 of a-z, 0-9, - and _";
    /// An authoritative system of record.
    SourceName, "a source name: 1 to 64 of a-z, 0-9, - and _";
    /// A policy as code.
    PolicyId, "a policy id: 1 to 64 of a-z, 0-9, - and _";
    /// A separation.
    SeparationId, "a separation id: 1 to 64 of a-z, 0-9, - and _";
    /// A list of credentials, such as that of a vault.
    InventoryName, "an inventory name: 1 to 64 of a-z, 0-9, - and _";
    /// A named set of entitlements.
    RoleId, "a role id: 1 to 64 of a-z, 0-9, - and _";
}

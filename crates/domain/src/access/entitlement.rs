//! Entitlements: what can be held, an account in an app or a group there; and on which terms it can be asked for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{AppId, BadId, RoleId};

/// What an entitlement is in its app.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// The account itself.
    Account,
    /// A group of the app, as the app names it.
    Group(String),
}

/// What can be held: `APP` is an account there, `APP:group:NAME` a group in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[allow(missing_docs)]
pub struct EntitlementId {
    pub app: AppId,
    pub part: Part,
}

impl EntitlementId {
    /// Those of an app.
    pub fn of_app(app: &AppId, parts: impl IntoIterator<Item = Part>) -> impl Iterator<Item = Self> {
        parts.into_iter().map(|part| Self { app: app.clone(), part })
    }

    /// The account that it is held with.
    #[must_use]
    pub fn account(&self) -> Self {
        Self { app: self.app.clone(), part: Part::Account }
    }
}

const WANTED: &str = "an entitlement: APP for an account there, or APP:group:NAME for a group in it";

/// The longest name of a group.
const MAX_NAME: usize = 256;

impl fmt::Display for EntitlementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Part::Account => write!(f, "{}", self.app),
            Part::Group(name) => write!(f, "{}:group:{name}", self.app),
        }
    }
}

impl FromStr for EntitlementId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { text: text.into(), wanted: WANTED };
        let (app, part) = match text.split_once(':') {
            None => (text, Part::Account),
            Some((app, rest)) => (app, Part::Group(rest.strip_prefix("group:").ok_or_else(bad)?.to_owned())),
        };
        if let Part::Group(name) = &part
            && (name.trim().is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control))
        {
            return Err(bad());
        }
        Ok(Self { app: app.parse().map_err(|_| bad())?, part })
    }
}

impl TryFrom<String> for EntitlementId {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<EntitlementId> for String {
    fn from(id: EntitlementId) -> Self {
        id.to_string()
    }
}

/// What someone can ask for: one entitlement, or all those of a role, `role:ID`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[allow(missing_docs)]
pub enum Grantable {
    Entitlement(EntitlementId),
    Role(RoleId),
}

impl fmt::Display for Grantable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entitlement(id) => id.fmt(f),
            Self::Role(id) => write!(f, "role:{id}"),
        }
    }
}

impl FromStr for Grantable {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        match text.strip_prefix("role:").and_then(|role| role.parse().ok()) {
            Some(role) => Ok(Self::Role(role)),
            None => text.parse().map(Self::Entitlement).map_err(|_| BadId {
                text: text.into(),
                wanted: "an entitlement (APP or APP:group:NAME) or a role (role:ID)",
            }),
        }
    }
}

impl TryFrom<String> for Grantable {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<Grantable> for String {
    fn from(grantable: Grantable) -> Self {
        grantable.to_string()
    }
}

/// How much harm it can do in the wrong hands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Risk {
    #[default]
    Low,
    Medium,
    High,
    Critical,
}

impl Risk {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Who may approve that someone gets something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Approver {
    /// Their manager, by the enterprise extension (RFC 7643 §4.3).
    Manager,
    /// Who owns it.
    Owner,
    /// Anybody in a group of ours.
    Group(String),
}

impl fmt::Display for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manager => f.write_str("manager"),
            Self::Owner => f.write_str("owner"),
            Self::Group(name) => write!(f, "group:{name}"),
        }
    }
}

impl FromStr for Approver {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        match text {
            "manager" => Ok(Self::Manager),
            "owner" => Ok(Self::Owner),
            _ => match text.strip_prefix("group:") {
                Some(name) if !name.trim().is_empty() => Ok(Self::Group(name.to_owned())),
                _ => Err(BadId { text: text.into(), wanted: "an approver: manager, owner, or group:NAME" }),
            },
        }
    }
}

impl TryFrom<String> for Approver {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<Approver> for String {
    fn from(approver: Approver) -> Self {
        approver.to_string()
    }
}

/// Whether it can be asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Requestable {
    Yes,
    #[default]
    No,
}

/// Who answers for something that can be held, and on which terms it can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Who answers for it.
    pub owner: String,
    /// How much harm it can do.
    pub risk: Risk,
    /// Whether it can be asked for.
    pub requestable: Requestable,
    /// For how long at most; `None`: without an end, too.
    pub max_duration: Option<Duration>,
    /// Who may approve it.
    pub approvers: Vec<Approver>,
    /// How many different people have to.
    pub approvals: u32,
}

/// Something that can be held in an app, as its configuration describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Entitlement {
    pub part: Part,
    /// Its name for people.
    pub name: String,
    pub terms: Terms,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_can_be_held_is_read_as_it_is_written() {
        for text in ["crm", "crm:group:Sales EMEA", "crm:group:a:b", "role:sales", "role:group:x"] {
            assert_eq!(text.parse::<Grantable>().unwrap().to_string(), text);
        }
        assert!(matches!("role:sales".parse(), Ok(Grantable::Role(_))));
        assert!(matches!("role".parse(), Ok(Grantable::Entitlement(_))));
        assert!(matches!("role:group:x".parse(), Ok(Grantable::Entitlement(_))));
        for text in ["", "CRM", "crm:", "crm:group:", "crm:group: ", "crm:licence:x", "role:", "crm:group:a\nb"] {
            assert!(text.parse::<Grantable>().is_err(), "{text:?}");
        }
    }
}

//! Separation of duties: entitlements that nobody may hold together.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::entitlement::EntitlementId;
use crate::access::role::Standing;
use crate::ids::{BadId, IdentityId, SeparationId, Sequence};

/// A separation as it was configured: nobody may hold something of the one side and something of the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeparationSpec {
    /// Which.
    pub id: SeparationId,
    /// Its name for people.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it is there.
    pub reason: String,
    /// The one side.
    pub entitlements: BTreeSet<EntitlementId>,
    /// The other side.
    pub never_with: BTreeSet<EntitlementId>,
}

/// The state of a separation in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Separation {
    /// As last configured.
    pub spec: SeparationSpec,
    /// Whether it is in the configuration.
    pub standing: Standing,
    /// The event that changed it last.
    pub version: Sequence,
}

/// Something that is not given to somebody who holds something else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Separated {
    /// By which separation.
    pub by: SeparationId,
    /// What would be the second.
    pub second: EntitlementId,
    /// What is the first.
    pub first: EntitlementId,
}

/// A separation that somebody violates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which.
    pub separation: SeparationId,
    /// Who.
    pub identity: IdentityId,
    /// What they hold of both sides, or are not verified to hold no more.
    pub held: BTreeSet<EntitlementId>,
    /// Since when.
    #[serde(with = "crate::stored::time")]
    pub since: Timestamp,
    /// Which event made it so.
    pub opened_by: Sequence,
    /// That it is left so for a time.
    pub accepted: Option<Acceptance>,
}

/// That two people leave a violation as it is for a time; what is done instead is on the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The event that says so.
    pub sequence: Sequence,
    /// Who asked for it.
    pub by: String,
    /// Until when.
    #[serde(with = "crate::stored::time")]
    pub until: Timestamp,
}

/// Two people leave a violation as it is for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationAccepted {
    /// Of which separation.
    pub separation: SeparationId,
    /// Whose.
    pub identity: IdentityId,
    /// What they hold together, as the two have seen it.
    pub held: BTreeSet<EntitlementId>,
    /// What is done instead.
    pub control: String,
    /// Why.
    pub reason: String,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Whether somebody has decided about a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ViolationStatus {
    /// Nobody has, or their time is over.
    Open,
    /// Two people leave it so.
    Accepted,
}

impl ViolationStatus {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Open, Self::Accepted];

    /// The word in answers and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
        }
    }
}

/// Names a violation: `SEPARATION.IDENTITY`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ViolationId {
    pub separation: SeparationId,
    pub identity: IdentityId,
}

impl fmt::Display for ViolationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.separation, self.identity)
    }
}

impl FromStr for ViolationId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let parts = text.split_once('.').and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)));
        let (separation, identity) =
            parts.ok_or_else(|| BadId { text: text.into(), wanted: "a violation id: SEPARATION.IDENTITY" })?;
        Ok(Self { separation, identity })
    }
}

impl Violation {
    /// What names it.
    #[must_use]
    pub fn id(&self) -> ViolationId {
        ViolationId { separation: self.separation.clone(), identity: self.identity }
    }

    /// Whether somebody has decided about it, at a time.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> ViolationStatus {
        match &self.accepted {
            Some(acceptance) if acceptance.until > now => ViolationStatus::Accepted,
            Some(_) | None => ViolationStatus::Open,
        }
    }
}

impl SeparationSpec {
    /// What of both sides somebody holds; empty: it does not concern them.
    #[must_use]
    pub fn violated_by(&self, held: &BTreeSet<EntitlementId>) -> BTreeSet<EntitlementId> {
        let of = |side: &BTreeSet<EntitlementId>| side.intersection(held).cloned().collect::<BTreeSet<_>>();
        let (mut one, mut other) = (of(&self.entitlements), of(&self.never_with));
        if one.is_empty() || other.is_empty() {
            return BTreeSet::new();
        }
        one.append(&mut other);
        one
    }

    /// What of something wanted would be a second besides what is held, or besides another thing that is wanted.
    #[must_use]
    pub fn against(&self, wanted: &BTreeSet<EntitlementId>, held: &BTreeSet<EntitlementId>) -> Option<Separated> {
        let of = |second: &EntitlementId| {
            let other = match (self.entitlements.contains(second), self.never_with.contains(second)) {
                (true, _) => &self.never_with,
                (false, true) => &self.entitlements,
                (false, false) => return None,
            };
            let first =
                other.iter().find(|id| held.contains(id)).or_else(|| other.iter().find(|id| wanted.contains(id)));
            first.map(|first| Separated { by: self.id.clone(), second: second.clone(), first: first.clone() })
        };
        wanted.iter().find_map(of)
    }
}

//! Drift: desired and observed differ.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rollcall_scim::Changed;
use serde::{Deserialize, Serialize};
use uuid::{Uuid, Version};

use crate::account::Remote;
use crate::exception::Exception;
use crate::ids::{AppId, BadId, IdentityId, Sequence};

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
    /// Nobody can sign in with it any more, and something is left of it: memberships, or itself where it is to be deleted.
    Residue,
}

impl DriftKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Orphan, Self::Zombie, Self::Attribute, Self::Membership, Self::Missing, Self::Duplicate, Self::Residue];

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

/// What is done about drift that is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// It is shown, and grows older.
    #[default]
    Report,
    /// It is brought in line: an obligation like any other.
    Repair,
    /// An account that belongs to nobody becomes that of the identity that has none and whose address it has.
    Adopt,
}

/// What is done about each kind of drift in an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Policies {
    pub orphan: Policy,
    pub zombie: Policy,
    pub attribute: Policy,
    pub membership: Policy,
    pub missing: Policy,
    pub duplicate: Policy,
    pub residue: Policy,
}

impl Default for Policies {
    /// What is ours is repaired; what may be someone else's is reported.
    fn default() -> Self {
        Self {
            orphan: Policy::Report,
            zombie: Policy::Repair,
            attribute: Policy::Repair,
            membership: Policy::Repair,
            missing: Policy::Repair,
            duplicate: Policy::Report,
            residue: Policy::Repair,
        }
    }
}

impl Policies {
    /// What is done about one kind.
    #[must_use]
    pub const fn of(&self, kind: DriftKind) -> Policy {
        match kind {
            DriftKind::Orphan => self.orphan,
            DriftKind::Zombie => self.zombie,
            DriftKind::Attribute => self.attribute,
            DriftKind::Membership => self.membership,
            DriftKind::Missing => self.missing,
            DriftKind::Duplicate => self.duplicate,
            DriftKind::Residue => self.residue,
        }
    }
}

/// Stands for the identity of an account that belongs to nobody, or is somebody's second one: the same account is always
/// the same nobody.
#[must_use]
pub fn nobody(app: &AppId, remote_id: &str) -> IdentityId {
    IdentityId(Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("rollcall orphan {app} {remote_id}").as_bytes()))
}

/// Whether it may stand for nobody; most of those who are somebody can be told by their ids.
#[must_use]
pub const fn may_be_nobody(identity: IdentityId) -> bool {
    matches!(identity.0.get_version(), Some(Version::Sha1))
}

/// Which item: one account differs in one way at most once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[allow(missing_docs)]
pub struct DriftId {
    pub app: AppId,
    /// Whose account; that of nobody stands for itself.
    pub identity: IdentityId,
    pub kind: DriftKind,
}

impl fmt::Display for DriftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.kind.name(), self.app, self.identity)
    }
}

impl FromStr for DriftId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { text: text.into(), wanted: "the id of a drift item" };
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or_else(bad);
        Ok(Self { kind: part()?.parse()?, app: part()?.parse()?, identity: part()?.parse()? })
    }
}

impl TryFrom<String> for DriftId {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<DriftId> for String {
    fn from(id: DriftId) -> Self {
        id.to_string()
    }
}

/// The app was read, and says something else than what is desired.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftDetected {
    /// Where, whose account, and how it differs.
    pub id: DriftId,
    /// The change that set what is desired; 0: nothing did.
    pub version: Sequence,
    /// Desired before, observed after.
    pub differences: Vec<Changed>,
    /// The app's id of the account, and its user name there; empty when there is none.
    pub remote_id: String,
    /// See `remote_id`.
    pub user_name: String,
}

impl DriftDetected {
    /// What differs, and the account that shows it, when there is one.
    #[must_use]
    pub fn new(id: DriftId, version: Sequence, differences: Vec<Changed>, remote: Option<&Remote>) -> Self {
        Self {
            id,
            version,
            differences,
            remote_id: remote.map(|r| r.id.clone()).unwrap_or_default(),
            user_name: remote.map(|r| r.text("userName").to_owned()).unwrap_or_default(),
        }
    }
}

/// One account besides the one that an identity has.
#[must_use]
pub fn duplicate(linked: &str, other: &str) -> Changed {
    Changed { path: "id".into(), before: Some(linked.into()), after: Some(other.into()) }
}

/// A drift item in a projection; it ends when the account is verified, or found in line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct DriftItem {
    pub id: DriftId,
    pub version: Sequence,
    pub differences: Vec<Changed>,
    pub remote_id: String,
    pub user_name: String,
    pub detected_at: Timestamp,
    pub accepted: Option<Exception>,
}

impl DriftItem {
    /// The app's ids of the accounts that an identity has besides its own; none for another kind of drift.
    pub fn duplicates(&self) -> impl Iterator<Item = &str> {
        let differences = if self.id.kind == DriftKind::Duplicate { self.differences.as_slice() } else { &[] };
        differences.iter().filter_map(|change| change.after.as_ref()?.as_str())
    }

    /// How long it has been open, in hours; none while it is accepted.
    #[must_use]
    pub fn debt_hours(&self, now: Timestamp) -> f64 {
        if self.accepted.as_ref().is_some_and(|exception| exception.holds_at(now)) {
            return 0.0;
        }
        now.duration_since(self.detected_at).as_secs_f64().max(0.0) / 3600.0
    }
}

//! Drift: desired and observed differ.

pub mod kind;
pub mod policy;
pub mod reconciliation;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rollcall_scim::Changed;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::{Uuid, Version};

use crate::access::remote::Remote;
use crate::drift::kind::DriftKind;
use crate::governance::exception::Exception;
use crate::ids::{AppId, BadId, IdentityId, Sequence};

/// Stands for the identity of an account that belongs to nobody, or is somebody's second one: the same account is always
/// the same nobody.
#[must_use]
pub fn orphan_id(app: &AppId, remote_id: &str) -> IdentityId {
    IdentityId(Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("rollcall orphan {app} {remote_id}").as_bytes()))
}

/// Whether it may stand for nobody; most of those who are somebody can be told by their ids.
#[must_use]
pub const fn may_be_orphan_id(identity: IdentityId) -> bool {
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
        // The ids of second accounts are kept as they are.
        let differences = match id.kind {
            DriftKind::Duplicate => differences,
            _ => differences.into_iter().map(shortened).collect(),
        };
        Self {
            id,
            version,
            differences,
            remote_id: remote.map(|r| r.id.clone()).unwrap_or_default(),
            user_name: remote.map(|r| short(r.text("userName"))).unwrap_or_default(),
        }
    }

    /// The app's ids of the accounts that an identity has besides its own; none for another kind of drift.
    pub fn duplicates(&self) -> impl Iterator<Item = &str> {
        duplicates(&self.id, &self.differences)
    }
}

/// The longest value of an app that a finding keeps, in bytes: an event has to fit into the log whatever somebody writes there.
const MAX_SHOWN: usize = 8 << 10;

/// How much is kept of a longer one, in characters.
const SHOWN: usize = 1000;

fn short(text: &str) -> String {
    if text.len() <= MAX_SHOWN {
        return text.to_owned();
    }
    let start: String = text.chars().take(SHOWN).collect();
    format!("{start}… ({} bytes)", text.len())
}

/// A difference of which too long a value of the app is kept in part.
fn shortened(mut change: Changed) -> Changed {
    if let Some(after) = &mut change.after {
        let text = match &*after {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if text.len() > MAX_SHOWN {
            *after = Value::String(short(&text));
        }
    }
    change
}

fn duplicates<'a>(id: &DriftId, differences: &'a [Changed]) -> impl Iterator<Item = &'a str> {
    let differences = if id.kind == DriftKind::Duplicate { differences } else { &[] };
    differences.iter().filter_map(|change| change.after.as_ref()?.as_str())
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
    /// The app's last refusal to have it mended, where it gives nobody access.
    pub refused: Option<Refused>,
    pub accepted: Option<Exception>,
}

/// An app has answered that it does not take what would mend a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Refused {
    pub at: Timestamp,
    /// The settings by which it was asked.
    pub app_version: Sequence,
}

impl DriftItem {
    /// When the app is asked again after a refusal: each pause is as long as all of the time before it, so that an app that never
    /// takes it is asked ever more seldom.
    #[must_use]
    pub fn next_try_at(&self, refused: Refused) -> Timestamp {
        refused.at.saturating_add(refused.at.duration_since(self.detected_at)).unwrap_or(Timestamp::MAX)
    }

    /// The app's ids of the accounts that an identity has besides its own; none for another kind of drift.
    pub fn duplicates(&self) -> impl Iterator<Item = &str> {
        duplicates(&self.id, &self.differences)
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

/// Drift is left in place for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DriftAccepted {
    pub id: DriftId,
    pub reason: String,
    pub expires_at: Timestamp,
}

//! Groups of identities; members are kept as differences.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rollcall_scim::{Changed, changed_paths};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{GroupId, IdentityId, Sequence, SourceName};

/// Who a source calls a member: the id of an identity or of a group, or one that nobody knows here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(String);

impl MemberId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The identity, if it is one's id.
    #[must_use]
    pub fn identity(&self) -> Option<IdentityId> {
        self.0.parse().ok()
    }

    /// The group, if it is one's id.
    #[must_use]
    pub fn group(&self) -> Option<GroupId> {
        self.0.parse().ok()
    }
}

impl From<&str> for MemberId {
    /// Ids are written in one way, so that one member is not two.
    fn from(text: &str) -> Self {
        Self(text.parse::<IdentityId>().map_or_else(|_| text.to_owned(), |id| id.to_string()))
    }
}

impl From<IdentityId> for MemberId {
    fn from(id: IdentityId) -> Self {
        Self(id.to_string())
    }
}

impl From<GroupId> for MemberId {
    fn from(id: GroupId) -> Self {
        Self(id.to_string())
    }
}

/// What happened to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupChange {
    /// It is new.
    Created,
    /// Its attributes changed, and perhaps its members.
    Updated,
    /// Only its members changed.
    MembersChanged,
    /// It is gone, and every membership with it.
    Deleted,
}

/// One change of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupChanged {
    /// Which.
    pub id: GroupId,
    /// What it means.
    pub change: GroupChange,
    /// The SCIM resource after the change, without members.
    pub resource: Map<String, Value>,
    /// New members.
    pub added: Vec<MemberId>,
    /// Former members.
    pub removed: Vec<MemberId>,
    /// What differs from before, members left out.
    pub changed: Vec<Changed>,
}

/// The state of a group in a projection, without its members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Which.
    pub id: GroupId,
    /// The SCIM resource, without members.
    pub resource: Map<String, Value>,
    /// How many members it has.
    pub members: u64,
    /// The source that created it.
    #[serde(default)]
    pub created_by: Option<SourceName>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// The event that changed it last.
    pub version: Sequence,
}

impl Group {
    /// The name for display.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.resource.get("displayName").and_then(Value::as_str).unwrap_or_default()
    }
}

/// The most members that one event adds or removes; 1000 ids are far below the payload limit.
pub const MEMBERS_PER_EVENT: usize = 1000;

/// A group before and after a request.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Version {
    pub resource: Map<String, Value>,
    pub members: BTreeSet<MemberId>,
}

/// The events of a new group.
#[must_use]
pub fn create(id: GroupId, after: Version) -> Vec<GroupChanged> {
    split(id, GroupChange::Created, &Version::default(), after)
}

/// The events that turn one version into another; none when nothing differs.
#[must_use]
pub fn update(id: GroupId, before: &Version, after: Version) -> Vec<GroupChanged> {
    let attributes = !changed_paths(&before.resource, &after.resource).is_empty();
    match (attributes, before.members == after.members) {
        (false, true) => Vec::new(),
        (false, false) => split(id, GroupChange::MembersChanged, before, after),
        (true, _) => split(id, GroupChange::Updated, before, after),
    }
}

/// The events of single members that come or go, decided without knowing the others.
#[must_use]
pub fn change_members(
    id: GroupId,
    resource: &Map<String, Value>,
    added: Vec<MemberId>,
    removed: Vec<MemberId>,
) -> Vec<GroupChanged> {
    let whole = |members: Vec<MemberId>| Version { resource: resource.clone(), members: members.into_iter().collect() };
    let (before, after) = (whole(removed), whole(added));
    if before.members == after.members {
        return Vec::new();
    }
    split(id, GroupChange::MembersChanged, &before, after)
}

/// The event of a group that goes.
#[must_use]
pub fn delete(id: GroupId, resource: Map<String, Value>) -> GroupChanged {
    GroupChanged {
        id,
        change: GroupChange::Deleted,
        resource,
        added: Vec::new(),
        removed: Vec::new(),
        changed: Vec::new(),
    }
}

fn split(id: GroupId, change: GroupChange, before: &Version, after: Version) -> Vec<GroupChanged> {
    let added: Vec<_> = after.members.difference(&before.members).cloned().collect();
    let removed: Vec<_> = before.members.difference(&after.members).cloned().collect();
    let events = added.len().div_ceil(MEMBERS_PER_EVENT).max(removed.len().div_ceil(MEMBERS_PER_EVENT)).max(1);
    let part = |all: &[MemberId], n: usize| all.chunks(MEMBERS_PER_EVENT).nth(n).unwrap_or_default().to_vec();
    (0..events)
        .map(|n| GroupChanged {
            id,
            change: if n == 0 { change } else { GroupChange::MembersChanged },
            resource: after.resource.clone(),
            added: part(&added, n),
            removed: part(&removed, n),
            changed: if n == 0 { changed_paths(&before.resource, &after.resource) } else { Vec::new() },
        })
        .collect()
}

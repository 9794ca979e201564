//! Identities: what a source may do with them, decided from the last event of each.

use jiff::Timestamp;
use rollcall_scim::{Changed, changed_paths};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::authority::Provenance;
use crate::ids::{IdentityId, Sequence, SourceName};
use crate::lifecycle::{Active, IdentityChange, Lifecycle, classify, next};
use crate::name::NameSpace;

/// What kind of identity it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IdentityKind {
    /// A person, or a service account.
    #[default]
    User,
    /// An AI agent.
    Agent,
}

impl IdentityKind {
    /// The name of its resource type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Agent => "Agent",
        }
    }
}

/// One change of one identity, with its state after it.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentityChanged {
    /// Which.
    pub id: IdentityId,
    /// What kind of identity.
    pub kind: IdentityKind,
    /// What it means.
    pub change: IdentityChange,
    /// The lifecycle before; `None`: there was no such identity.
    pub before: Option<Lifecycle>,
    /// The lifecycle after.
    pub after: Lifecycle,
    /// The source removed the resource.
    pub deleted: bool,
    /// The SCIM resource after the change.
    pub resource: Map<String, Value>,
    /// What differs from before.
    pub changed: Vec<Changed>,
    /// When it takes effect; `None`: when it was received.
    pub effective_at: Option<Timestamp>,
    /// Which source set the attributes that have a rule.
    pub provenance: Provenance,
}

/// A unique name got or lost its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameChanged {
    /// Within what it is unique.
    pub space: NameSpace,
    /// The name as [`name_key`] gives it, or exactly where case counts.
    pub name: String,
    /// The owner's id.
    pub owner: Uuid,
}

/// The state of an identity in a projection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Which.
    pub id: IdentityId,
    /// What kind.
    #[serde(default)]
    pub kind: IdentityKind,
    /// Where it stands.
    pub lifecycle: Lifecycle,
    /// The source removed the resource.
    pub deleted: bool,
    /// The SCIM resource.
    pub resource: Map<String, Value>,
    /// The system of record that changed it last.
    pub source: Option<SourceName>,
    /// The one that created it.
    #[serde(default)]
    pub created_by: Option<SourceName>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// The event that changed it last.
    pub version: Sequence,
}

impl Identity {
    /// The name it signs in with.
    #[must_use]
    pub fn user_name(&self) -> &str {
        user_name(&self.resource)
    }
}

/// The name that an identity signs in with: the `userName` of a User, the `name` of an Agent; empty when it has none.
#[must_use]
pub fn user_name(resource: &Map<String, Value>) -> &str {
    let name = resource.get("userName").or_else(|| resource.get("name"));
    name.and_then(Value::as_str).unwrap_or_default()
}

fn is_active(resource: &Map<String, Value>) -> Option<bool> {
    resource.get("active").and_then(Value::as_bool)
}

fn with_active(mut resource: Map<String, Value>, active: bool) -> (Map<String, Value>, Active) {
    resource.insert("active".into(), active.into());
    (resource, if active { Active::Yes } else { Active::No })
}

/// A new resource as it is meant: one whose source does not say is active.
#[must_use]
pub fn started(resource: Map<String, Value>) -> Map<String, Value> {
    let active = is_active(&resource).unwrap_or(true);
    with_active(resource, active).0
}

/// A new identity; one whose source does not say is active.
#[must_use]
pub fn create(id: IdentityId, kind: IdentityKind, resource: Map<String, Value>) -> IdentityChanged {
    let active = is_active(&resource).unwrap_or(true);
    let (resource, active) = with_active(resource, active);
    let after = next(None, active);
    IdentityChanged {
        id,
        kind,
        change: classify(None, after),
        before: None,
        after,
        deleted: false,
        changed: changed_paths(&Map::new(), &resource),
        resource,
        effective_at: None,
        provenance: Provenance::new(),
    }
}

/// A whole new resource as it is meant.
///
/// One without `active` keeps the state it had, so that an incomplete PUT never rehires a leaver.
#[must_use]
pub fn completed(last: &IdentityChanged, resource: Map<String, Value>) -> Map<String, Value> {
    let active = is_active(&resource).unwrap_or(last.after == Lifecycle::Active);
    with_active(resource, active).0
}

/// The change to a new version of the resource; `None` when nothing differs.
///
/// Where `active` was removed the identity stays what it was: only a word on it makes a joiner or a leaver.
#[must_use]
pub fn update(last: &IdentityChanged, resource: Map<String, Value>) -> Option<IdentityChanged> {
    let changed = changed_paths(&last.resource, &resource);
    if changed.is_empty() {
        return None;
    }
    let after = match is_active(&resource) {
        Some(true) => next(Some(last.after), Active::Yes),
        Some(false) => next(Some(last.after), Active::No),
        None => last.after,
    };
    Some(IdentityChanged {
        id: last.id,
        kind: last.kind,
        change: classify(Some(last.after), after),
        before: Some(last.after),
        after,
        deleted: false,
        resource,
        changed,
        effective_at: None,
        provenance: last.provenance.clone(),
    })
}

/// The removal of the resource; one that was active leaves by it.
#[must_use]
pub fn delete(last: &IdentityChanged) -> IdentityChanged {
    let (resource, _) = with_active(last.resource.clone(), false);
    let (change, after) = match last.after {
        Lifecycle::Active => (IdentityChange::Left, Lifecycle::Left),
        other => (IdentityChange::Deleted, other),
    };
    IdentityChanged {
        id: last.id,
        kind: last.kind,
        change,
        before: Some(last.after),
        after,
        deleted: true,
        changed: changed_paths(&last.resource, &resource),
        resource,
        effective_at: None,
        provenance: last.provenance.clone(),
    }
}

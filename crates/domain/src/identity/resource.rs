//! Resources that are neither identities nor groups: kept and shown, with no lifecycle of their own.

use jiff::Timestamp;
use rollcall_scim::{Changed, changed_paths};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{ResourceId, Sequence, SourceName};

/// What happened to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ResourceChange {
    Created,
    Updated,
    Deleted,
}

/// One change of one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceChanged {
    /// Which.
    pub id: ResourceId,
    /// The name of its resource type.
    pub resource_type: String,
    /// What happened.
    pub change: ResourceChange,
    /// The resource after the change.
    pub resource: Map<String, Value>,
    /// What differs from before.
    pub changed: Vec<Changed>,
}

/// The state of a resource in a projection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Which.
    pub id: ResourceId,
    /// The name of its resource type.
    pub resource_type: String,
    /// The resource.
    pub resource: Map<String, Value>,
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

/// A new resource.
#[must_use]
pub fn create(id: ResourceId, resource_type: &str, resource: Map<String, Value>) -> ResourceChanged {
    ResourceChanged {
        id,
        resource_type: resource_type.to_owned(),
        change: ResourceChange::Created,
        changed: changed_paths(&Map::new(), &resource),
        resource,
    }
}

/// The change to a new version; `None` when nothing differs.
#[must_use]
pub fn update(last: &ResourceChanged, resource: Map<String, Value>) -> Option<ResourceChanged> {
    let changed = changed_paths(&last.resource, &resource);
    let resource_type = last.resource_type.clone();
    (!changed.is_empty()).then_some(ResourceChanged {
        id: last.id,
        resource_type,
        change: ResourceChange::Updated,
        resource,
        changed,
    })
}

/// The removal of a resource.
#[must_use]
pub fn delete(last: &ResourceChanged) -> ResourceChanged {
    ResourceChanged { change: ResourceChange::Deleted, changed: Vec::new(), ..last.clone() }
}

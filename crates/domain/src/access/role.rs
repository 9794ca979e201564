//! Roles: named sets of entitlements, with a rule of who has them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::access::entitlement::{EntitlementId, Terms};
use crate::ids::{RoleId, Sequence, SourceName};

/// A role as it was configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSpec {
    /// Which.
    pub id: RoleId,
    /// Its name for people.
    pub name: String,
    /// Who has it: a SCIM filter over active identities; empty: only whoever is granted it.
    pub members: String,
    /// What whoever has it holds.
    pub entitlements: BTreeSet<EntitlementId>,
    /// The sources whose groups count for the rule; none: those of each.
    pub groups_from: BTreeSet<SourceName>,
    /// Who answers for it, and on which terms it can be asked for.
    pub terms: Terms,
}

/// The state of a role in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// As last configured.
    pub spec: RoleSpec,
    /// Whether it is in the configuration.
    pub standing: Standing,
    /// The event that changed it last.
    pub version: Sequence,
}

/// Whether a role is still in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is.
    Configured,
    /// It is not: nobody has it.
    Removed,
}

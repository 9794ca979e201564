//! Policies as code, as they were configured.

use serde::{Deserialize, Serialize};

use crate::access::role::Standing;
use crate::ids::{PolicyId, Sequence};

/// A policy, as Cedar has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySpec {
    /// Which: its `@id`.
    pub id: PolicyId,
    /// Itself, with its annotations.
    pub text: String,
    /// Why it is there, for people.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
}

/// The state of a policy in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// As last configured.
    pub spec: PolicySpec,
    /// Whether it is in the configuration.
    pub standing: Standing,
    /// The event that changed it last.
    pub version: Sequence,
}

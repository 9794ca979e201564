//! What became of an attempt to bring an account to what is desired: the facts that the provisioner records.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::access::desired::Target;
use crate::access::operation::Operation;
use crate::access::rejection::Rejection;
use crate::ids::{AppId, IdentityId, Sequence};
use rollcall_scim::Changed;

/// Whether Rollcall created the account it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Origin {
    Ours,
    Adopted,
}

/// The app answered that it has done it; nothing is proved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Applied {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
    pub remote_id: Option<String>,
    pub operation: Operation,
    pub origin: Origin,
    /// The group, for a membership.
    pub group: Option<String>,
}

/// A creation is about to be sent, or it is known again what may exist.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Attempted {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
    /// The user names and e-mail addresses under which an account may exist from now on; none: no creation is unanswered.
    pub sent: BTreeSet<String>,
    /// How many creations have no answer that is known, this one among them.
    pub creations: u32,
}

/// An account that belonged to nobody is taken as that of an identity which has none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Adopted {
    pub app: AppId,
    pub identity: IdentityId,
    pub remote_id: String,
}

/// The app was read back and shows what is desired.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Verified {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
    pub remote_id: Option<String>,
    pub target: Target,
    pub observed: Map<String, Value>,
    /// What is left of an account that is gone.
    pub left: Left,
    /// What it shows otherwise than desired, which gives nobody access: desired before, observed after.
    pub differences: Vec<Changed>,
}

/// Whether something is left of an account with which nobody can sign in any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// It is as desired.
    #[default]
    Nothing,
    /// It is in managed groups, or there and inactive where it is to be deleted, or that could not be seen.
    Something,
}

/// A failure of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Rejected {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
    pub rejection: Rejection,
    /// The version of the app at which it is not asked again until something changes; `None`: it is tried on.
    pub parked_at: Option<Sequence>,
}

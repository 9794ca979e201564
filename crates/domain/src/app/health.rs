//! The health of an app: one that fails again and again is left alone but for a probe, until it answers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::rejection::Rejection;
use crate::ids::{AppId, Sequence};

/// An app is left alone: it failed too often in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Quarantined {
    pub app: AppId,
    /// What it said last.
    pub rejection: Rejection,
    /// How often it failed in a row.
    pub failures: u32,
}

/// A quarantine in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Quarantine {
    pub app: AppId,
    pub rejection: Rejection,
    pub since: Timestamp,
    pub by: Sequence,
}

/// An app answers again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Which.
    pub app: AppId,
    /// The address at which an account that is known was found there; `None`: nobody has looked for one.
    pub recognized_at: Option<String>,
}

/// A person was told that everything, or much, is missing in an app, and has said that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// The event by which they said so.
    pub at: Sequence,
    /// What they were told.
    pub told: String,
}

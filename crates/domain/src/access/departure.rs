//! Leavers: a departure is complete when the last of its obligations is verified.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::obligation::Count;
use crate::ids::{AppId, IdentityId, Sequence, SourceName};

/// One departure of one identity, in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaver {
    /// Who.
    pub identity: IdentityId,
    /// The event by which they left.
    pub opened_by: Sequence,
    /// The clock's start: the later of received and effective.
    #[serde(with = "crate::stored::time")]
    pub left_at: Timestamp,
    /// The system of record that said so.
    pub source: Option<SourceName>,
    /// How many of its obligations are how far. Which ones follows from the obligations: a departure from a thousand apps is
    /// written a thousand times.
    pub count: Count,
    /// When the first of its obligations was found overdue, while one is.
    #[serde(with = "crate::stored::time_or_none")]
    pub overdue_since: Option<Timestamp>,
    /// When the last obligation was verified.
    #[serde(with = "crate::stored::time_or_none")]
    pub completed_at: Option<Timestamp>,
    /// The later change, a rehire, that ended one of its obligations before it was verified.
    pub superseded_by: Option<Sequence>,
}

/// How far a departure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LeaverStatus {
    Open,
    Overdue,
    Completed,
    Superseded,
}

impl Leaver {
    /// How far it is.
    #[must_use]
    pub fn status(&self) -> LeaverStatus {
        match (self.completed_at, self.count.open == 0, self.count.overdue == 0) {
            (Some(_), _, _) => LeaverStatus::Completed,
            (None, true, _) => LeaverStatus::Superseded,
            (None, false, true) => LeaverStatus::Open,
            (None, false, false) => LeaverStatus::Overdue,
        }
    }
}

/// The record of a departure whose last obligation was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct LeaverCompleted {
    pub identity: IdentityId,
    pub opened_by: Sequence,
    pub left_at: Timestamp,
    pub completed_at: Timestamp,
    pub apps: Vec<AppOutcome>,
}

/// What became of a departure in one app.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AppOutcome {
    pub app: AppId,
    pub deadline: Timestamp,
    pub applied_at: Option<Timestamp>,
    pub verified_at: Option<Timestamp>,
    pub overdue_at: Option<Timestamp>,
}

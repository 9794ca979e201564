//! The record of a departure: the case of a leaver.

use jiff::Timestamp;

use crate::ids::{AppId, IdentityId, Sequence};

/// The record of a departure whose last obligation was met.
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
    /// Where nothing can be read: when somebody said so, and who.
    pub attested: Option<(Timestamp, String)>,
    pub overdue_at: Option<Timestamp>,
}

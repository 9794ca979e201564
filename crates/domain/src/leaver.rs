//! Leavers: a departure is complete when the last of its obligations is verified.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AppId, IdentityId, Sequence, SourceName};

/// One departure of one identity, in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaver {
    /// Who.
    pub identity: IdentityId,
    /// The event by which they left.
    pub opened_by: Sequence,
    /// The clock's start: the later of received and effective.
    pub left_at: Timestamp,
    /// The system of record that said so.
    #[serde(default)]
    pub source: Option<SourceName>,
    /// Those of the open ones of which most of the time allowed has passed.
    #[serde(default)]
    pub at_risk: BTreeSet<AppId>,
    /// When the first of its obligations was found overdue, while one is.
    #[serde(default)]
    pub overdue_since: Option<Timestamp>,
    /// Every app that ever had an account.
    pub apps: BTreeSet<AppId>,
    /// Those where it is not verified gone.
    pub open: BTreeSet<AppId>,
    /// Those of them past their deadline.
    pub overdue: BTreeSet<AppId>,
    /// Those of them that are left as they are by someone's decision, for a while.
    #[serde(default)]
    pub waived: BTreeSet<AppId>,
    /// When the last obligation was verified.
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
    /// Takes an app from those that are at risk, overdue or waived.
    pub fn unmark(&mut self, app: &AppId) {
        self.at_risk.remove(app);
        self.overdue.remove(app);
        self.waived.remove(app);
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> LeaverStatus {
        match (self.completed_at, self.open.is_empty(), self.overdue.is_empty()) {
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

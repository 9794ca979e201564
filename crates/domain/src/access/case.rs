//! Cases: all that one change has opened for one identity, and whether it is done.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::obligation::Count;
use crate::ids::{IdentityId, Sequence, SourceName};

/// What one change has opened for one identity, in a projection: today a departure, which is owed by every app that ever had an
/// account of theirs. It is complete when the last of its obligations is verified; where somebody's word has ended one it is attested, and
/// never complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Who.
    pub identity: IdentityId,
    /// The event of the change.
    pub opened_by: Sequence,
    /// The clock's start: the later of received and effective.
    #[serde(with = "crate::stored::time")]
    pub opened_at: Timestamp,
    /// The system of record that said so.
    pub source: Option<SourceName>,
    /// How many of its obligations are how far. Which ones follows from the obligations: a case of a thousand would be written a
    /// thousand times.
    pub count: Count,
    /// When the first of its obligations was found overdue, while one is.
    #[serde(with = "crate::stored::time_or_none")]
    pub overdue_since: Option<Timestamp>,
    /// When the last obligation was verified, where every one was.
    #[serde(with = "crate::stored::time_or_none")]
    pub completed_at: Option<Timestamp>,
    /// When the last obligation was met, where somebody's word has ended one of them.
    #[serde(with = "crate::stored::time_or_none")]
    pub attested_at: Option<Timestamp>,
    /// How many of its obligations somebody's word has ended.
    pub on_word: u64,
    /// The later change, such as a rehire, that ended one of its obligations before it was verified.
    pub superseded_by: Option<Sequence>,
}

/// How far a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum CaseStatus {
    Open,
    Overdue,
    Completed,
    /// Nothing is owed any more, and some of that is somebody's word.
    Attested,
    Superseded,
}

impl Case {
    /// How far it is.
    #[must_use]
    pub fn status(&self) -> CaseStatus {
        match (self.completed_at, self.attested_at, self.count.open == 0, self.count.overdue == 0) {
            (Some(_), ..) => CaseStatus::Completed,
            (None, Some(_), ..) => CaseStatus::Attested,
            (None, None, true, _) => CaseStatus::Superseded,
            (None, None, false, true) => CaseStatus::Open,
            (None, None, false, false) => CaseStatus::Overdue,
        }
    }

    /// When nothing was owed any more, whatever that stands on.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.completed_at.or(self.attested_at)
    }
}

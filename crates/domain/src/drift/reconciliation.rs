//! Comparing a whole app with what is desired.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AppId, Sequence};

/// How far a comparison is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Progress {
    pub accounts: u64,
    pub groups: u64,
    pub findings: u64,
}

/// What happened to a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReconciliationEvent {
    /// A person asked for one.
    Requested,
    /// It began.
    Started,
    /// It is so far: the page after this index comes next.
    Progressed {
        /// The accounts that were read.
        progress: Progress,
    },
    /// Every account was read.
    Completed {
        /// What there was.
        progress: Progress,
    },
    /// The app could not be read to its end.
    Failed {
        /// Why.
        detail: String,
    },
}

/// One step of a comparison of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Reconciliation {
    pub app: AppId,
    pub event: ReconciliationEvent,
}

/// The comparisons of one app, in a projection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciled {
    /// The last request that none has followed yet.
    pub requested: Option<Sequence>,
    /// The one that runs, and how far it is.
    pub running: Option<Progress>,
    /// The last one that read everything.
    pub completed_at: Option<Timestamp>,
    /// What it found.
    pub last: Option<Progress>,
    /// Why the last one did not end.
    pub failure: Option<String>,
    /// Since when none has read everything: the first that was begun since.
    pub unfinished: Option<Unfinished>,
}

/// A comparison has begun, and neither it nor a later one has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// When it began.
    pub since: Timestamp,
    /// The event that said so.
    pub by: Sequence,
}

/// A person asked for an account, or for all of an app, to be brought in line and read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncRequested {
    /// Every account of an identity.
    Identity(crate::ids::IdentityId),
    /// Every account of an app.
    App(AppId),
    /// The same, and that what was said to be missing there is gone.
    Gone {
        /// Where.
        app: AppId,
        /// The event that said what is missing: no other is answered by it.
        told: Sequence,
    },
    /// Nothing is read for it: that an app in which nothing that we know was found is the one that we know, whose accounts have other names.
    Same {
        /// Where.
        app: AppId,
        /// The event that said what is missing.
        told: Sequence,
    },
}

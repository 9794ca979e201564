//! Alerts that were delivered: one key for each thing that is wrong, so that receivers see one alert.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AppId, IdentityId, Sequence, SourceName};

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// Someone left and still has access, past the deadline.
    Leaver {
        /// Who.
        identity: IdentityId,
        /// The departure.
        opened_by: Sequence,
    },
    /// An app is left alone because it fails.
    Quarantine {
        /// Which.
        app: AppId,
        /// Since when.
        by: Sequence,
    },
    /// The removals of a source wait for a person.
    Hold {
        /// Whose.
        source: SourceName,
        /// Since when.
        by: Sequence,
    },
}

impl About {
    /// What receivers tell alerts apart by.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Leaver { identity, opened_by } => format!("leaver-{identity}-{opened_by}"),
            Self::Quarantine { app, by } => format!("quarantine-{app}-{by}"),
            Self::Hold { source, by } => format!("hold-{source}-{by}"),
        }
    }

    /// The name of the alert.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Leaver { .. } => "LeaverOverdue",
            Self::Quarantine { .. } => "AppQuarantined",
            Self::Hold { .. } => "RemovalsHeld",
        }
    }

    /// Whom it is about, when that is someone.
    #[must_use]
    pub const fn identity(&self) -> Option<IdentityId> {
        match self {
            Self::Leaver { identity, .. } => Some(*identity),
            _ => None,
        }
    }

    /// Which app it is about, when it is one.
    #[must_use]
    pub const fn app(&self) -> Option<&AppId> {
        match self {
            Self::Quarantine { app, .. } => Some(app),
            _ => None,
        }
    }
}

/// A sink accepted an alert, or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertChanged {
    /// What the receiver tells alerts apart by.
    pub key: String,
    /// Which sink.
    pub sink: String,
    /// What it is about.
    pub about: About,
    /// For people.
    pub summary: String,
}

/// An alert that a sink has accepted, in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Alert {
    pub key: String,
    pub sink: String,
    pub about: About,
    pub summary: String,
    pub fired_at: Timestamp,
}

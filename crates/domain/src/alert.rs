//! Alerts that were delivered: one key per leaver and departure, so that receivers see one alert.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{IdentityId, Sequence};

/// A sink accepted an alert, or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertChanged {
    /// What the receiver tells alerts apart by.
    pub key: String,
    /// Which sink.
    pub sink: String,
    /// Whom it is about.
    pub identity: IdentityId,
    /// For people.
    pub summary: String,
}

/// An alert that a sink has accepted, in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Alert {
    pub key: String,
    pub sink: String,
    pub identity: IdentityId,
    pub summary: String,
    pub fired_at: Timestamp,
}

/// The key of the alert about a leaver who is overdue; `opened_by` is the departure.
#[must_use]
pub fn leaver_key(identity: IdentityId, opened_by: Sequence) -> String {
    format!("leaver-{identity}-{opened_by}")
}

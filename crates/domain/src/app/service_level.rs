//! How soon changes must be verified in an app.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::access::desired::Target;
use crate::app::hours::BusinessHours;
use crate::identity::lifecycle::{ChangeKind, Urgency};

/// How soon a change must be verified, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceLevel {
    /// The tier that it comes from; empty: the app's own.
    pub tier: String,
    /// For joiners and rehires.
    pub joiner: Duration,
    /// For movers.
    pub mover: Duration,
    /// For leavers.
    pub leaver: Duration,
    /// For leavers whose source calls it an emergency.
    pub emergency: Duration,
    /// For whom a person has switched off.
    pub disable: Duration,
    /// For what begins and ends by a grant.
    pub grant: Duration,
    /// The share of the time allowed after which someone is told, in percent.
    pub at_risk_percent: u32,
    /// When the clock of joiners and movers runs; `None`: always. That of leavers, and of what is granted for a time, never stands still.
    pub hours: Option<BusinessHours>,
}

/// The time that a change has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Allowed<'a> {
    pub time: Duration,
    /// For people, such as `critical leaver: 15m`.
    pub rule: String,
    /// When it runs; `None`: always.
    pub hours: Option<&'a BusinessHours>,
}

impl ServiceLevel {
    /// The time allowed for a change of this kind; what should be gone is as urgent as a leaver.
    #[must_use]
    pub fn allowed(&self, kind: ChangeKind, target: Target, urgency: Urgency) -> Allowed<'_> {
        let must_go = target == Target::Absent;
        let leaves = matches!(kind, ChangeKind::Leaver | ChangeKind::Disable)
            || (matches!(kind, ChangeKind::Repair | ChangeKind::Grant) && must_go);
        let (name, time) = match (leaves, kind, urgency) {
            (true, ChangeKind::Leaver, Urgency::Emergency) => ("emergency leaver", self.emergency),
            (_, ChangeKind::Disable, _) => (kind.name(), self.disable),
            (_, ChangeKind::Grant, _) => (kind.name(), self.grant),
            (true, ..) => (kind.name(), self.leaver),
            (false, ChangeKind::Joiner, _) => (kind.name(), self.joiner),
            (false, ..) => (kind.name(), self.mover),
        };
        let hours = self.hours.as_ref().filter(|_| !leaves && kind != ChangeKind::Grant);
        let tier = if self.tier.is_empty() { "own" } else { self.tier.as_str() };
        let during = hours.map(|h| format!(" within {h}")).unwrap_or_default();
        Allowed { time, rule: format!("{tier} {name}: {}{during}", span(time)), hours }
    }
}

pub(crate) fn span(time: Duration) -> String {
    SignedDuration::try_from(time).map_or_else(|_| format!("{time:?}"), |time| format!("{time:#}"))
}

//! Hand-overs: whoever leaves answers for machines, and somebody else must, or they must end.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::obligation::{Obligation, ObligationId};
use crate::access::subject::Subject;
use crate::ids::{IdentityId, Sequence};

/// What the configuration says of machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachinePolicy {
    /// How long a hand-over may take.
    pub handover_within: Duration,
    /// How long the credentials of whoever has left may go on working.
    pub revoke_within: Duration,
    /// How long those may that were reported.
    pub compromised_within: Duration,
}

impl Default for MachinePolicy {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Self { handover_within: hours(72), revoke_within: hours(24), compromised_within: hours(1) }
    }
}

/// Who answers for a machine, in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Which.
    pub id: IdentityId,
    /// Who answers for it.
    pub owner: Option<IdentityId>,
    /// Who does by the last statement of its source. An owner who has accepted it stays one until the source names another.
    pub stated: Option<IdentityId>,
    /// The event by which they do.
    pub since: Sequence,
    /// When that was.
    #[serde(with = "crate::stored::time")]
    pub since_at: Timestamp,
}

/// A machine that is handed over, in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// Which machine.
    pub machine: IdentityId,
    /// Who leaves; the machine itself, where nobody ever answered for it.
    pub owner: IdentityId,
    /// The departure, or what made it one without an owner.
    pub opened_by: Sequence,
    /// When it was opened.
    #[serde(with = "crate::stored::time")]
    pub opened_at: Timestamp,
    /// Whom a person has asked to take it.
    pub passed_to: Option<IdentityId>,
    /// Since when it is to end: once it is gone in every app the hand-over is done.
    pub retired_in: Option<Sequence>,
    /// What is owed, while it is.
    pub owes: Option<Obligation<Sequence>>,
    /// What became of it.
    pub end: Option<HandoverEnd>,
}

/// What became of a hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HandoverEnd {
    /// Somebody has taken it.
    Accepted(IdentityId),
    /// Its source names somebody else.
    Reassigned(IdentityId),
    /// The machine has ended, and is gone in every app.
    Retired,
    /// Who left is back.
    Returned,
}

/// How far a hand-over is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum HandoverStatus {
    Open,
    Retiring,
    Accepted,
    Reassigned,
    Retired,
    Returned,
}

impl Handover {
    /// Who answered for it; none: nobody ever did, and the machine stands for them.
    #[must_use]
    pub fn former(&self) -> Option<IdentityId> {
        (self.owner != self.machine).then_some(self.owner)
    }

    /// What it is about.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        Subject::Handover { machine: self.machine, owner: self.owner }
    }

    /// Which obligation it is, open or ended.
    #[must_use]
    pub const fn id(&self) -> ObligationId {
        ObligationId { opened_by: self.opened_by, subject: self.subject() }
    }

    /// What is owed, while it is.
    #[must_use]
    pub fn obligation(&self) -> Option<Obligation> {
        let subject = self.subject();
        self.owes.clone().map(|open| open.known_as(|opened_by| ObligationId { opened_by, subject }))
    }

    /// How far it is.
    #[must_use]
    pub const fn status(&self) -> HandoverStatus {
        match (self.end, self.retired_in) {
            (None, None) => HandoverStatus::Open,
            (None, Some(_)) => HandoverStatus::Retiring,
            (Some(HandoverEnd::Accepted(_)), _) => HandoverStatus::Accepted,
            (Some(HandoverEnd::Reassigned(_)), _) => HandoverStatus::Reassigned,
            (Some(HandoverEnd::Retired), _) => HandoverStatus::Retired,
            (Some(HandoverEnd::Returned), _) => HandoverStatus::Returned,
        }
    }
}

/// What a person does about a hand-over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverChanged {
    /// Which machine.
    pub machine: IdentityId,
    /// Who leaves.
    pub owner: IdentityId,
    /// What.
    pub step: HandoverStep,
    /// Why, for people.
    pub reason: String,
}

/// What a person does about a hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandoverStep {
    /// Somebody takes the machine: they answer for it from now on.
    Accepted(IdentityId),
    /// Somebody is asked to.
    Passed(IdentityId),
    /// It is to end.
    Retired,
}

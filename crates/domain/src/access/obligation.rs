//! Obligations: "this account must reach this state by this deadline, because of that change".
//! Derived, never sent; ended only by what was read back, or by a change that wants the opposite.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use crate::access::desired::Target;
use crate::access::subject::Subject;
use crate::app::service_level::{Allowed, ServiceLevel};
use crate::governance::exception::Exception;
use crate::identity::lifecycle::{ChangeKind, Urgency};
use crate::ids::{BadId, Sequence, SourceName};

/// Which obligation: the change that opened it, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct ObligationId {
    pub opened_by: Sequence,
    pub subject: Subject,
}

impl fmt::Display for ObligationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "o{}.{}", self.opened_by, self.subject)
    }
}

impl FromStr for ObligationId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { text: text.into(), wanted: "an obligation id" };
        let (opened_by, subject) = text.strip_prefix('o').and_then(|rest| rest.split_once('.')).ok_or_else(bad)?;
        Ok(Self { opened_by: Sequence(opened_by.parse().map_err(|_| bad())?), subject: subject.parse()? })
    }
}

/// As text where people may read it. Where it is stored, the change alone: the key says what it is about, and whoever reads an
/// obligation takes it from there.
impl Serialize for ObligationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.opened_by.serialize(serializer) }
    }
}

/// A change that may open obligations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The event.
    pub sequence: Sequence,
    /// What it means for the identity.
    pub kind: ChangeKind,
    /// The later of received and effective: the clock starts here.
    pub at: Timestamp,
    /// From when the time that is allowed counts: a departure that was said late is late.
    pub due_from: Timestamp,
    /// Which service level.
    pub urgency: Urgency,
}

impl Change {
    /// One that takes effect when it is recorded.
    #[must_use]
    pub const fn at_once(sequence: Sequence, kind: ChangeKind, at: Timestamp) -> Self {
        Self { sequence, kind, at, due_from: at, urgency: Urgency::Usual }
    }
}

/// One obligation in a projection. As it is stored it knows only the change that opened it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligation<Id = ObligationId> {
    /// Which.
    pub id: Id,
    /// Why.
    #[serde(serialize_with = "crate::stored::number")]
    pub change: ChangeKind,
    /// What must be read back.
    #[serde(serialize_with = "crate::stored::number")]
    pub target: Target,
    /// The clock's start.
    #[serde(with = "crate::stored::time")]
    pub opened_at: Timestamp,
    /// The clock's end: fixed when it opens.
    #[serde(with = "crate::stored::time")]
    pub deadline: Timestamp,
    /// The rule that gave it, for people.
    pub rule: String,
    /// When someone should be told that it will hardly be met.
    #[serde(with = "crate::stored::time")]
    pub risk_at: Timestamp,
    /// When someone was.
    #[serde(with = "crate::stored::time_or_none")]
    pub at_risk_at: Option<Timestamp>,
    /// The system of record that it goes back to.
    pub source: Option<SourceName>,
    /// When the app first answered that it had done it.
    #[serde(with = "crate::stored::time_or_none")]
    pub applied_at: Option<Timestamp>,
    /// When it was found past its deadline.
    #[serde(with = "crate::stored::time_or_none")]
    pub overdue_at: Option<Timestamp>,
    /// The exception that leaves it unmet for a while.
    pub waived: Option<Exception>,
    /// How it ended; `None`: it is open.
    pub end: Option<End>,
}

/// Until when something is owed, and by which rule.
struct Due {
    deadline: Timestamp,
    rule: String,
    at_risk_percent: u32,
}

/// How an obligation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The app was read back and shows it.
    Verified {
        /// When.
        #[serde(with = "crate::stored::time")]
        at: Timestamp,
        /// The event that says so.
        by: Sequence,
    },
    /// A later change wants the opposite; that one is now owed instead.
    Superseded {
        /// When.
        #[serde(with = "crate::stored::time")]
        at: Timestamp,
        /// The later change.
        by: Sequence,
        /// What it was.
        because: Because,
    },
    /// Somebody says that it is so, of an app that can't be read: their word, which proves nothing.
    Attested {
        /// When.
        #[serde(with = "crate::stored::time")]
        at: Timestamp,
        /// The event that says so.
        by: Sequence,
        /// Who.
        who: String,
    },
}

/// Why an obligation ended without a proof.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// A change wants the opposite.
    #[default]
    Changed,
    /// Whoever left was rehired.
    Rehired,
    /// Whoever came has left.
    Left,
    /// The account that was nobody's has become somebody's.
    Claimed,
}

/// How far an obligation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum ObligationStatus {
    Open,
    Applied,
    Overdue,
    Waived,
    Verified,
    Superseded,
    Attested,
}

/// How many obligations are how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Not ended.
    pub open: u64,
    /// Of these, those of which most of the time that is allowed has passed.
    pub at_risk: u64,
    /// Of these, those past their deadline.
    pub overdue: u64,
    /// Of these, those left as they are by someone's decision, for a while.
    pub waived: u64,
}

impl Count {
    /// What one obligation counts for.
    #[must_use]
    pub fn of(obligation: &Obligation) -> Self {
        let status = obligation.status();
        Self {
            open: u64::from(obligation.end.is_none()),
            at_risk: u64::from(obligation.is_at_risk()),
            overdue: u64::from(status == ObligationStatus::Overdue),
            waived: u64::from(status == ObligationStatus::Waived),
        }
    }

    /// The count once one obligation counts for `is`, which counted for `was`.
    #[must_use]
    pub const fn moved(self, was: Self, is: Self) -> Self {
        Self {
            open: (self.open + is.open).saturating_sub(was.open),
            at_risk: (self.at_risk + is.at_risk).saturating_sub(was.at_risk),
            overdue: (self.overdue + is.overdue).saturating_sub(was.overdue),
            waived: (self.waived + is.waived).saturating_sub(was.waived),
        }
    }
}

/// A deadline passed, and nothing was read back that ends the obligation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Overdue {
    pub id: ObligationId,
    pub change: ChangeKind,
    pub deadline: Timestamp,
}

impl<Id> Obligation<Id> {
    /// The same, known by another id.
    #[must_use]
    pub fn known_as<Other>(self, id: impl FnOnce(Id) -> Other) -> Obligation<Other> {
        Obligation {
            id: id(self.id),
            change: self.change,
            target: self.target,
            opened_at: self.opened_at,
            deadline: self.deadline,
            rule: self.rule,
            risk_at: self.risk_at,
            at_risk_at: self.at_risk_at,
            source: self.source,
            applied_at: self.applied_at,
            overdue_at: self.overdue_at,
            waived: self.waived,
            end: self.end,
        }
    }
}

impl End {
    /// When.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Verified { at, .. } | Self::Superseded { at, .. } | Self::Attested { at, .. } => *at,
        }
    }
}

impl Obligation {
    /// When it was read back.
    #[must_use]
    pub const fn verified_at(&self) -> Option<Timestamp> {
        match self.end {
            Some(End::Verified { at, .. }) => Some(at),
            _ => None,
        }
    }

    /// When somebody said that it is so, of an app that can't be read.
    #[must_use]
    pub const fn attested_at(&self) -> Option<Timestamp> {
        match self.end {
            Some(End::Attested { at, .. }) => Some(at),
            _ => None,
        }
    }

    /// When nothing was owed any more since it was met: read back, or said to be so where nothing can be read.
    #[must_use]
    pub fn met_at(&self) -> Option<Timestamp> {
        self.verified_at().or_else(|| self.attested_at())
    }

    /// What `change` owes for something, by the service level that counts for it.
    #[must_use]
    pub fn new(change: Change, subject: Subject, sla: &ServiceLevel, target: Target) -> Self {
        let Allowed { time, rule, hours } = sla.allowed(change.kind, target, change.urgency);
        let deadline = hours.map_or_else(|| later(change.due_from, time), |hours| hours.after(change.due_from, time));
        Self::due(change, subject, target, Due { deadline, rule, at_risk_percent: sla.at_risk_percent })
    }

    /// What a change owes for something that is no account: that somebody sees to it in time. Besides the time it is said after which
    /// part of it, in percent, somebody is told.
    #[must_use]
    pub fn within(
        change: Change,
        subject: Subject,
        target: Target,
        (time, at_risk_percent): (Duration, u32),
        rule: String,
    ) -> Self {
        let deadline = later(change.due_from, time);
        Self::due(change, subject, target, Due { deadline, rule, at_risk_percent })
    }

    fn due(change: Change, subject: Subject, target: Target, due: Due) -> Self {
        let Due { deadline, rule, at_risk_percent } = due;
        let share = share(deadline.duration_since(change.due_from), at_risk_percent);
        Self {
            id: ObligationId { opened_by: change.sequence, subject },
            change: change.kind,
            target,
            opened_at: change.at,
            deadline,
            rule,
            risk_at: change.due_from.checked_add(share).unwrap_or(deadline),
            at_risk_at: None,
            source: None,
            applied_at: None,
            overdue_at: None,
            waived: None,
            end: None,
        }
    }

    /// When its clock rings: at its deadline, or when it is no longer excepted.
    #[must_use]
    pub fn rings_at(&self) -> Timestamp {
        self.waived.as_ref().map_or(self.deadline, |exception| exception.expires_at)
    }

    /// When its clock rings next: when it is at risk, and that it may be is of interest, or at its end; `None`: it has rung.
    #[must_use]
    pub fn next_ring(&self) -> Option<Timestamp> {
        let has_rung = self.overdue_at.is_some() && self.waived.is_none();
        let end = (self.end.is_none() && !has_rung).then(|| self.rings_at())?;
        Some(if self.may_become_at_risk() { end.min(self.risk_at) } else { end })
    }

    /// Whether it may still be said that it is at risk: that is for access that must go.
    #[must_use]
    pub fn may_become_at_risk(&self) -> bool {
        self.target == Target::Absent && self.end.is_none() && self.at_risk_at.is_none() && self.overdue_at.is_none()
    }

    /// Whether most of the time that is allowed has passed, and not all of it.
    #[must_use]
    pub fn is_at_risk(&self) -> bool {
        let open = matches!(self.status(), ObligationStatus::Open | ObligationStatus::Applied);
        open && self.at_risk_at.is_some()
    }

    /// How far it is.
    #[must_use]
    pub const fn status(&self) -> ObligationStatus {
        match (&self.end, &self.waived, self.overdue_at, self.applied_at) {
            (Some(End::Verified { .. }), ..) => ObligationStatus::Verified,
            (Some(End::Superseded { .. }), ..) => ObligationStatus::Superseded,
            (Some(End::Attested { .. }), ..) => ObligationStatus::Attested,
            (None, Some(_), ..) => ObligationStatus::Waived,
            (None, None, Some(_), _) => ObligationStatus::Overdue,
            (None, None, None, Some(_)) => ObligationStatus::Applied,
            (None, None, None, None) => ObligationStatus::Open,
        }
    }
}

/// So much later; the end of time when that is too far to tell.
fn later(start: Timestamp, allowed: Duration) -> Timestamp {
    SignedDuration::try_from(allowed).ok().and_then(|allowed| start.checked_add(allowed).ok()).unwrap_or(Timestamp::MAX)
}

/// A part of a span of time, to the millisecond.
fn share(span: SignedDuration, percent: u32) -> SignedDuration {
    let millis = span.as_millis() / 100 * i128::from(percent) + span.as_millis() % 100 * i128::from(percent) / 100;
    SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// It will hardly be met: most of the time that is allowed has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AtRisk {
    pub id: ObligationId,
    pub change: ChangeKind,
    pub deadline: Timestamp,
}

/// An obligation is left unmet for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Waived {
    pub id: ObligationId,
    pub reason: String,
    pub expires_at: Timestamp,
}

//! Obligations: "this account must reach this state by this deadline, because of that change".
//! Derived, never sent; ended only by what was read back, or by a change that wants the opposite.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::account::{Account, Desired, Target};
use crate::app::ServiceLevel;
use crate::exception::Exception;
use crate::ids::{AppId, BadId, IdentityId, Sequence};
use crate::lifecycle::ChangeKind;

/// Which obligation: the change that opened it, the app and the identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[allow(missing_docs)]
pub struct ObligationId {
    pub opened_by: Sequence,
    pub app: AppId,
    pub identity: IdentityId,
}

impl fmt::Display for ObligationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "o{}.{}.{}", self.opened_by, self.app, self.identity)
    }
}

impl FromStr for ObligationId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { text: text.into(), wanted: "an obligation id" };
        let mut parts = text.strip_prefix('o').ok_or_else(bad)?.splitn(3, '.');
        let mut part = || parts.next().ok_or_else(bad);
        Ok(Self {
            opened_by: Sequence(part()?.parse().map_err(|_| bad())?),
            app: part()?.parse()?,
            identity: part()?.parse()?,
        })
    }
}

impl TryFrom<String> for ObligationId {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<ObligationId> for String {
    fn from(id: ObligationId) -> Self {
        id.to_string()
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
}

/// One obligation in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligation {
    /// Which.
    pub id: ObligationId,
    /// Why.
    pub change: ChangeKind,
    /// What must be read back.
    pub target: Target,
    /// The clock's start.
    pub opened_at: Timestamp,
    /// The clock's end.
    pub deadline: Timestamp,
    /// When the app first answered that it had done it.
    pub applied_at: Option<Timestamp>,
    /// When it was found past its deadline.
    pub overdue_at: Option<Timestamp>,
    /// The exception that leaves it unmet for a while.
    pub waived: Option<Exception>,
    /// How it ended; `None`: it is open.
    pub end: Option<End>,
}

/// How an obligation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The app was read back and shows it.
    Verified {
        /// When.
        at: Timestamp,
        /// The event that says so.
        by: Sequence,
    },
    /// A later change wants the opposite; that one is now owed instead.
    Superseded {
        /// When.
        at: Timestamp,
        /// The later change.
        by: Sequence,
    },
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
}

/// A deadline passed, and nothing was read back that ends the obligation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Overdue {
    pub id: ObligationId,
    pub change: ChangeKind,
    pub deadline: Timestamp,
}

impl Obligation {
    /// What `change` owes for one account.
    #[must_use]
    pub fn new(change: Change, app: &AppId, identity: IdentityId, sla: &ServiceLevel, target: Target) -> Self {
        Self {
            id: ObligationId { opened_by: change.sequence, app: app.clone(), identity },
            change: change.kind,
            target,
            opened_at: change.at,
            deadline: deadline(change.at, sla.allowed(change.kind, target)),
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

    /// How far it is.
    #[must_use]
    pub const fn status(&self) -> ObligationStatus {
        match (&self.end, &self.waived, self.overdue_at, self.applied_at) {
            (Some(End::Verified { .. }), ..) => ObligationStatus::Verified,
            (Some(End::Superseded { .. }), ..) => ObligationStatus::Superseded,
            (None, Some(_), ..) => ObligationStatus::Waived,
            (None, None, Some(_), _) => ObligationStatus::Overdue,
            (None, None, None, Some(_)) => ObligationStatus::Applied,
            (None, None, None, None) => ObligationStatus::Open,
        }
    }
}

/// The obligation that a change opens for one account; `None` when nothing is owed.
///
/// A leaver is owed by every app that ever had the account, desired there or not: what was gone once may have been
/// changed by hand, and an older removal may not be verified yet.
#[must_use]
pub fn derive(
    change: Change,
    app: &AppId,
    identity: IdentityId,
    sla: &ServiceLevel,
    account: Option<&Account>,
    desired: &Desired,
) -> Option<Obligation> {
    let owed = match account {
        None => desired.target() == Target::Present,
        Some(_) if matches!(change.kind, ChangeKind::Leaver | ChangeKind::Repair) => true,
        Some(account) => account.desired != *desired,
    };
    owed.then(|| Obligation::new(change, app, identity, sla, desired.target()))
}

/// The end of the time allowed; the end of time when that is too far to tell.
fn deadline(start: Timestamp, allowed: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(allowed)
        .ok()
        .and_then(|allowed| start.checked_add(allowed).ok())
        .unwrap_or(Timestamp::MAX)
}

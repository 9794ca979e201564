//! Grants: something for someone, for a time, because someone asked and others agreed.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::access::entitlement::{Approver, Grantable};
use crate::ids::{GrantId, IdentityId, Sequence};

/// Until when something is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lasts {
    /// Until a time.
    Until(#[serde(with = "crate::stored::time")] Timestamp),
    /// For so long from its approval.
    For(Duration),
    /// Until somebody ends it.
    Standing,
}

impl Lasts {
    /// When what is approved at `at` ends; `None`: it has no end.
    #[must_use]
    pub fn end(self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Until(until) => Some(until),
            Self::For(time) => {
                let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
                Some(at.checked_add(time).unwrap_or(Timestamp::MAX))
            }
            Self::Standing => None,
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRequested {
    /// What.
    pub what: Grantable,
    /// Until when.
    pub lasts: Lasts,
    /// Why.
    pub reason: String,
    /// Where it is talked about; empty: nowhere.
    pub ticket: String,
    /// Who may approve it.
    pub approvers: Vec<Approver>,
    /// How many different people have to.
    pub approvals: u32,
    /// Until when it can be approved.
    pub expires_at: Timestamp,
    /// The grant that is to last longer by it, where it is that.
    pub extends: Option<GrantId>,
}

/// Why a grant, or a request for one, has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantEnd {
    /// Its time is over.
    Expired,
    /// A person has ended it.
    Ended,
    /// An approver has said no.
    Denied,
    /// Who asked has taken it back.
    Withdrawn,
    /// Nobody has approved it in time.
    Unanswered,
    /// Whoever had it has left.
    Left,
    /// It is part of the grant that it extends.
    Extended,
    /// A separation forbids it besides what is held.
    Separated,
}

impl GrantEnd {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Expired,
        Self::Ended,
        Self::Denied,
        Self::Withdrawn,
        Self::Unanswered,
        Self::Left,
        Self::Extended,
        Self::Separated,
    ];

    /// The word in events and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Ended => "ended",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
            Self::Unanswered => "unanswered",
            Self::Left => "left",
            Self::Extended => "extended",
            Self::Separated => "separated",
        }
    }
}

/// What happened to a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantStep {
    /// Somebody asked for it.
    Requested(Box<GrantRequested>),
    /// One of those who may has approved it.
    Approved,
    /// It is over, or never began.
    Ended {
        /// Why.
        why: GrantEnd,
        /// Which end has come, where the clock says so.
        of: Option<Timestamp>,
        /// What a person said of it.
        reason: String,
    },
}

/// Something happened to a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct GrantChanged {
    pub id: GrantId,
    /// Whose it is.
    pub identity: IdentityId,
    pub step: GrantStep,
}

/// How far a grant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum GrantStatus {
    Requested,
    Active,
    Ended,
}

impl GrantStatus {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Requested, Self::Active, Self::Ended];

    /// The word in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Active => "active",
            Self::Ended => "ended",
        }
    }
}

/// One grant, in a projection; why it was asked for is on the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Which.
    pub id: GrantId,
    /// Whose.
    pub identity: IdentityId,
    /// What.
    pub what: Grantable,
    /// How long it was asked for.
    pub lasts: Lasts,
    /// Who asked.
    pub requested_by: String,
    /// When.
    #[serde(with = "crate::stored::time")]
    pub requested_at: Timestamp,
    /// The request.
    pub requested_in: Sequence,
    /// Who may approve it.
    pub approvers: Vec<Approver>,
    /// How many different people have to.
    pub approvals: u32,
    /// Until when it can be approved.
    #[serde(with = "crate::stored::time")]
    pub expires_at: Timestamp,
    /// The grant that is to last longer by it.
    pub extends: Option<GrantId>,
    /// Who has approved it.
    pub approved_by: BTreeSet<String>,
    /// Since when it is held; `None`: it is not, or never was.
    #[serde(with = "crate::stored::time_or_none")]
    pub active_since: Option<Timestamp>,
    /// When it ends by itself.
    #[serde(with = "crate::stored::time_or_none")]
    pub until: Option<Timestamp>,
    /// When and why it ended.
    pub ended: Option<Ended>,
    /// The event that changed it last.
    pub version: Sequence,
}

/// When and why something ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Ended {
    #[serde(with = "crate::stored::time")]
    pub at: Timestamp,
    pub why: GrantEnd,
    /// Who.
    pub by: String,
}

impl Grant {
    /// How far it is.
    #[must_use]
    pub const fn status(&self) -> GrantStatus {
        match (&self.ended, self.active_since) {
            (Some(_), _) => GrantStatus::Ended,
            (None, Some(_)) => GrantStatus::Active,
            (None, None) => GrantStatus::Requested,
        }
    }

    /// When people are reminded of its end: `before` it, and where it is short at the last tenth; `None`: never.
    #[must_use]
    pub fn reminds_at(&self, before: SignedDuration) -> Option<Timestamp> {
        let (since, until) = (self.active_since?, self.until?);
        let ahead = before.min(until.duration_since(since) / 10);
        (self.status() == GrantStatus::Active && ahead > SignedDuration::ZERO)
            .then(|| until.checked_sub(ahead).unwrap_or(Timestamp::MIN))
    }

    /// When its clock rings: when it ends, or when it can't be approved any more; `None`: never.
    #[must_use]
    pub fn rings_at(&self) -> Option<Timestamp> {
        match self.status() {
            GrantStatus::Requested => Some(self.expires_at),
            GrantStatus::Active => self.until,
            GrantStatus::Ended => None,
        }
    }
}

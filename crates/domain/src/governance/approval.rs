//! What is dangerous is asked for by one person and approved by another.

use jiff::Timestamp;

use crate::event::Event;
use crate::ids::IdentityId;

/// What happens to what was asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum ApprovalStep {
    /// The event's actor asks for it.
    Requested {
        /// What is appended once it is approved.
        wanted: Box<Event>,
        /// Whom it is about: they may not approve it.
        about: Option<IdentityId>,
        /// When it can't be approved any more.
        expires_at: Timestamp,
    },
    /// The event's actor approves: it is appended together with this.
    Approved,
    /// The event's actor does not.
    Denied,
}

/// One step of one approval.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalChanged {
    /// Which.
    pub id: String,
    /// What happened.
    pub step: ApprovalStep,
}

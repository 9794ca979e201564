//! Who asked for what is personal.

use crate::ids::IdentityId;

/// Whether they were answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Outcome {
    Read,
    Denied,
}

/// A person, named by the event's actor, asked for what is personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Whether they got it.
    pub outcome: Outcome,
    /// Their role.
    pub role: String,
    /// GET or POST.
    pub method: String,
    /// What they asked.
    pub path: String,
    /// Whom it is about; `None`: nobody in particular.
    pub identity: Option<IdentityId>,
}

//! What waits for a second person. Keys: `approval/<id>`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::Recorded;
use crate::governance::approval::{ApprovalChanged, ApprovalStep};
use crate::ids::{IdentityId, Sequence};
use crate::kv::{KvError, Read, Write, load, load_all, store, values};

const PREFIX: &str = "approval/";

/// Something that was asked for, and not decided yet; what it is is on the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingApproval {
    /// Which.
    pub id: String,
    /// Who asks.
    pub asked_by: String,
    /// Why.
    pub reason: String,
    /// Where it is on the log.
    pub asked_in: Sequence,
    /// When they asked.
    pub asked_at: Timestamp,
    /// Whom it is about.
    pub about: Option<IdentityId>,
    /// When it can't be approved any more.
    pub expires_at: Timestamp,
}

/// Brings what waits up to date.
pub fn changed(state: &mut impl Write, changed: &ApprovalChanged, event: &Recorded) {
    let key = format!("{PREFIX}{}", changed.id);
    let ApprovalStep::Requested { about, expires_at, .. } = &changed.step else {
        state.delete(&key);
        return;
    };
    let waiting = WaitingApproval {
        id: changed.id.clone(),
        asked_by: event.meta.actor.clone(),
        reason: event.meta.reason.clone(),
        asked_in: event.sequence,
        asked_at: event.recorded_at,
        about: *about,
        expires_at: *expires_at,
    };
    store(state, key, &waiting);
}

/// Drops what waits about someone.
pub fn forget(state: &mut impl Write, about: IdentityId) -> Result<(), KvError> {
    let all: Vec<(String, WaitingApproval)> = load_all(state, PREFIX, None, usize::MAX)?;
    for (key, _) in all.iter().filter(|(_, waiting)| waiting.about == Some(about)) {
        state.delete(key);
    }
    Ok(())
}

/// One that is not decided.
///
/// # Errors
/// When the state can't be read.
pub fn approval(state: &(impl Read + ?Sized), id: &str) -> Result<Option<WaitingApproval>, KvError> {
    load(state, &format!("{PREFIX}{id}"))
}

/// Everything that is not decided, and can still be.
///
/// # Errors
/// When the state can't be read.
pub fn approvals(state: &(impl Read + ?Sized), now: Timestamp) -> Result<Vec<WaitingApproval>, KvError> {
    let all: Vec<WaitingApproval> = values(state, PREFIX)?;
    Ok(all.into_iter().filter(|waiting| waiting.expires_at > now).collect())
}

//! The console sessions that the log knows.

use jiff::Timestamp;
use rollcall_domain::governance::session::{SessionChanged, SessionHolder, SessionStep};
use rollcall_domain::kv::{KvError, Read, Write, load, store};
use rollcall_domain::{Event, Recorded};
use serde::{Deserialize, Serialize};

pub(crate) const PREFIX: &str = "session/";

/// A session in the projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Session {
    pub id: String,
    pub holder: SessionHolder,
    pub opened_at: Timestamp,
    pub used_at: Timestamp,
    pub until: Timestamp,
}

/// Keeps the sessions that are open.
///
/// # Errors
/// When the state can't be read.
pub fn add(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    let Event::Session(SessionChanged { id, step }) = &event.event else { return Ok(()) };
    let key = format!("{PREFIX}{id}");
    match step {
        SessionStep::Opened { holder, until } => {
            let (opened_at, used_at) = (event.recorded_at, event.recorded_at);
            let session = Session { id: id.clone(), holder: holder.clone(), opened_at, used_at, until: *until };
            store(state, key, &session);
        }
        SessionStep::Used => {
            if let Some(session) = find(state, id)? {
                store(state, key, &Session { used_at: event.recorded_at, ..session });
            }
        }
        SessionStep::Ended => state.delete(&key),
    }
    Ok(())
}

/// One that is open.
///
/// # Errors
/// When the state can't be read.
pub fn find(state: &impl Read, id: &str) -> Result<Option<Session>, KvError> {
    load(state, &format!("{PREFIX}{id}"))
}

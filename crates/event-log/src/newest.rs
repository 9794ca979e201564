//! The newest event of an identity, wherever it is: its creation is under its name, and each change after it under its id.

use rollcall_domain::{Event, IdentityId, Recorded, Sequence};

use crate::effects::Log;
use crate::error::LogError;
use crate::subject::Subject;

/// The newest event of an identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Newest {
    /// That event.
    pub recorded: Recorded,
    /// The last event under the identity's id, which the next change expects; 0: it was never changed.
    pub last: Sequence,
}

/// The newest event of an identity. One that was never changed is found where the reader knows an event of it to be, such as
/// the newest that its own state holds; `None` when there is none, or when the reader knows of none and there was no change.
///
/// # Errors
/// When the log does not answer.
pub async fn newest(log: &dyn Log, id: IdentityId, known: Option<Sequence>) -> Result<Option<Newest>, LogError> {
    if let Some(recorded) = log.last(&Subject::identity(id)).await? {
        return Ok(Some(Newest { last: recorded.sequence, recorded }));
    }
    let Some(at) = known else { return Ok(None) };
    let found = log.event(at).await?;
    let is_its = |recorded: &Recorded| match &recorded.event {
        Event::Identity(changed) => changed.id == id,
        // By a newer version: nothing else than what is known of its place is known of it.
        event => *event == Event::Unknown,
    };
    Ok(found.filter(is_its).map(|recorded| Newest { recorded, last: Sequence(0) }))
}

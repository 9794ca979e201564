//! The checkpoints that the log holds. Keys: `checkpoint/<size>`, and `checkpoint-latest`.

use jiff::Timestamp;
use rollcall_domain::governance::checkpoint::Checkpoint;
use rollcall_domain::ids::Sequence;
use rollcall_domain::kv::{KvError, Read, Write, load, store};
use rollcall_domain::{Event, Recorded};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::schema;

/// The key prefix of all of them.
pub const PREFIX: &str = "checkpoint/";
const LATEST: &str = "checkpoint-latest";

/// A signed statement of what the log was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointView {
    /// The events 1 to this one are in it.
    #[schema(value_type = u64)]
    pub size: Sequence,
    /// Origin, size and root hash, signed (C2SP tlog-checkpoint).
    pub note: String,
    /// The event that holds it.
    #[schema(value_type = u64)]
    pub sequence: Sequence,
    #[schema(schema_with = schema::time)]
    pub recorded_at: Timestamp,
}

/// Notes a checkpoint.
pub fn add(state: &mut impl Write, event: &Recorded) {
    let Event::Checkpoint(Checkpoint { size, note, .. }) = &event.event else { return };
    let (sequence, recorded_at) = (event.sequence, event.recorded_at);
    let view = CheckpointView { size: *size, note: note.clone(), sequence, recorded_at };
    store(state, format!("{PREFIX}{:020}", size.0), &view);
    store(state, LATEST.to_owned(), &view);
}

/// The newest; `None`: there is none yet.
pub fn latest(state: &impl Read) -> Result<Option<CheckpointView>, KvError> {
    load(state, LATEST)
}

/// The one of this size.
pub fn of_size(state: &impl Read, size: Sequence) -> Result<Option<CheckpointView>, KvError> {
    load(state, &format!("{PREFIX}{:020}", size.0))
}

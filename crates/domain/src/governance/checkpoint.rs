//! Checkpoints: what the log was up to an event, signed. What they prove is in docs/audit.md.

use crate::ids::Sequence;

/// A signed statement about the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Events up to here were in the checkpoint before.
    pub from: Sequence,
    /// Events up to here are in this one.
    pub size: Sequence,
    /// Origin, size and root hash, signed (C2SP tlog-checkpoint).
    pub note: String,
    /// The leaf hashes of the events after `from`, up to `size`, 32 bytes each: they say which event was changed.
    pub leaves: Vec<u8>,
}

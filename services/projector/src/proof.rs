//! Proofs: checkpoints of the log, signed and kept on the log itself.

pub mod checkpoints;
pub mod seal;

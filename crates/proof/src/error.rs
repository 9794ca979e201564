//! What can go wrong with a proof.

use rollcall_domain::Sequence;
use rollcall_domain::kv::KvError;

/// A proof can't be made, or does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// A key is not one.
    #[error("the {what} is not a signed-note key (C2SP signed-note): {reason}")]
    Key {
        /// Which.
        what: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// A checkpoint is not one, or not by whom it should be.
    #[error("the checkpoint can't be trusted: {0}")]
    Checkpoint(String),
    /// The tree does not have it.
    #[error("the tree holds {size} events: {wanted} is not in it")]
    Range {
        /// What was asked for.
        wanted: Sequence,
        /// How many there are.
        size: Sequence,
    },
    /// Stored hashes are missing, or proofs do not fit.
    #[error("the tree can't be read: {0}")]
    Tree(String),
    /// The state can't be read.
    #[error("{0}")]
    State(#[from] KvError),
}

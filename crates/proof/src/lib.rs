//! Tamper evidence: every event of the log is a leaf of one Merkle tree, whose root is signed again and again. Whoever
//! has the public key can prove what the log said, and that it was never rewritten, without trusting whoever runs it.

mod audit;
mod checkpoint;
mod error;
mod leaf;
mod tree;

pub use audit::{Auditor, Finding, Verdict, check_consistency, check_inclusion};
pub use checkpoint::{Key, Keys, Signed, generate_key, sign};
pub use error::ProofError;
pub use leaf::{Hash, leaf_hash};
pub use tree::{Frontier, Tree};

//! What happens to the account of someone who should have none.

use serde::{Deserialize, Serialize};

/// What happens to the account of someone who should have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deprovision {
    /// It is set inactive; absent also satisfies.
    Deactivate,
    /// It is deleted; inactive does not satisfy.
    Delete,
}

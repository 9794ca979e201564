//! Exceptions: a named person's time-boxed decision to leave something as it is. Each one expires.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who decided, why, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Exception {
    pub by: String,
    pub reason: String,
    #[serde(with = "crate::stored::time")]
    pub expires_at: Timestamp,
}

impl Exception {
    /// Whether it still holds.
    #[must_use]
    pub fn holds_at(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

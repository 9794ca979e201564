//! Off, now: a person switches someone off in every app at once, and later on again. It outranks every source.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{IdentityId, Sequence};

/// Whether someone is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Nobody signs in as them anywhere, whatever their source says.
    Off,
    /// What their source says counts again.
    On,
}

/// Someone was switched off, or on again, by a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    /// Whom.
    pub id: IdentityId,
    /// To what.
    pub to: Switch,
    /// Why.
    pub reason: String,
}

/// That someone is switched off, in a projection. Its key says whom, and its event why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchedOff {
    /// By which event.
    pub sequence: Sequence,
    /// By whom.
    pub by: String,
    /// Since when.
    #[serde(with = "crate::stored::time")]
    pub since: Timestamp,
}

//! Whether what is personal about an identity is here.

use serde::{Deserialize, Serialize};

/// Whether what is personal about an identity is here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// It is.
    #[default]
    Open,
    /// It is sealed with a key that is not here: nothing is concluded of what can't be read.
    Sealed,
    /// It was erased.
    Erased,
}

impl Content {
    /// The word in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Sealed => "sealed",
            Self::Erased => "erased",
        }
    }
}

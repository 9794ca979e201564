//! Sessions of people in the console, as the log has them: what a browser holds of one is on no log.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How somebody is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionHolder {
    /// By an API token: what it may do is what the configuration says now, for as long as the token is the same.
    Token {
        /// Its name.
        name: String,
        /// What can be made of the token and the browser's secret, and of neither alone.
        proof: Vec<u8>,
    },
    /// By the identity provider, with the role that it gave them at sign-in.
    Provider {
        /// Their name there.
        name: String,
        /// The word for it.
        role: String,
    },
}

impl SessionHolder {
    /// Who it is.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Token { name, .. } | Self::Provider { name, .. } => name,
        }
    }
}

/// What happens to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionStep {
    /// Someone signed in.
    Opened {
        /// Who.
        holder: SessionHolder,
        /// When it ends at the latest.
        until: Timestamp,
    },
    /// It was used again after a while.
    Used,
    /// Someone signed out, or ended it for another.
    Ended,
}

/// One step of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionChanged {
    /// Which: a digest of the browser's secret.
    pub id: String,
    /// What happened.
    pub step: SessionStep,
}

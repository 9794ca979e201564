//! What an obligation is about.

use std::fmt;
use std::str::FromStr;

use crate::ids::{AppId, BadId, IdentityId};

/// What must reach a state by a deadline. Each is somebody's: deadline, risk, waiver, alert and timeline go by that.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The account of an identity in an app, there or not.
    Account {
        /// Where.
        app: AppId,
        /// Whose.
        identity: IdentityId,
    },
}

impl Subject {
    /// Whose it is.
    #[must_use]
    pub const fn identity(&self) -> IdentityId {
        match self {
            Self::Account { identity, .. } => *identity,
        }
    }

    /// The app that it is in, when it is in one.
    #[must_use]
    pub const fn app(&self) -> Option<&AppId> {
        match self {
            Self::Account { app, .. } => Some(app),
        }
    }

    /// Where it is, in a word, for metrics and pages: the app's id.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Account { app, .. } => app.as_str(),
        }
    }
}

/// `APP.IDENTITY` for an account.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account { app, identity } => write!(f, "{app}.{identity}"),
        }
    }
}

impl FromStr for Subject {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { text: text.into(), wanted: "what an obligation is about" };
        let (app, identity) = text.split_once('.').ok_or_else(bad)?;
        Ok(Self::Account { app: app.parse()?, identity: identity.parse()? })
    }
}

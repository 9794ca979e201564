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
    /// A machine for which somebody who leaves answers: somebody else must, or it must end.
    Handover {
        /// Which.
        machine: IdentityId,
        /// Who leaves.
        owner: IdentityId,
    },
}

impl Subject {
    /// Whose it is.
    #[must_use]
    pub const fn identity(&self) -> IdentityId {
        match self {
            Self::Account { identity, .. } => *identity,
            Self::Handover { owner, .. } => *owner,
        }
    }

    /// The app that it is in, when it is in one.
    #[must_use]
    pub const fn app(&self) -> Option<&AppId> {
        match self {
            Self::Account { app, .. } => Some(app),
            Self::Handover { .. } => None,
        }
    }

    /// Where it is, in a word, for metrics and pages: the app's id, or what no app's id can be.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Account { app, .. } => app.as_str(),
            Self::Handover { .. } => HANDOVER,
        }
    }
}

/// What no app's id begins with.
const HANDOVER: &str = "handover:";

/// `APP.IDENTITY` for an account, `handover:MACHINE.OWNER` for a hand-over.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account { app, identity } => write!(f, "{app}.{identity}"),
            Self::Handover { machine, owner } => write!(f, "{HANDOVER}{machine}.{owner}"),
        }
    }
}

impl FromStr for Subject {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { text: text.into(), wanted: "what an obligation is about" };
        let (what, whose) = text.split_once('.').ok_or_else(bad)?;
        match what.strip_prefix(HANDOVER) {
            Some(machine) => Ok(Self::Handover { machine: machine.parse()?, owner: whose.parse()? }),
            None => Ok(Self::Account { app: what.parse()?, identity: whose.parse()? }),
        }
    }
}

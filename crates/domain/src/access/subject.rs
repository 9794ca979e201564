//! What an obligation is about.

use std::fmt;
use std::str::FromStr;

use crate::ids::{AppId, BadId, CredentialId, IdentityId};

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
    /// A key or token that must not open anything any more.
    Credential {
        /// Which.
        credential: CredentialId,
        /// Whose it is; that of nobody stands for its own holder.
        holder: IdentityId,
    },
}

impl Subject {
    /// What is in a place of somebody, where accounts have the app's id.
    pub(crate) fn named(what: &str, whose: IdentityId) -> Result<Self, BadId> {
        if let Some(machine) = what.strip_prefix(HANDOVER) {
            Ok(Self::Handover { machine: machine.parse()?, owner: whose })
        } else if let Some(credential) = what.strip_prefix(CREDENTIAL) {
            Ok(Self::Credential { credential: credential.parse()?, holder: whose })
        } else {
            Ok(Self::Account { app: what.parse()?, identity: whose })
        }
    }

    /// What it is in such a place: the opposite of [`Self::named`].
    pub(crate) fn within(&self) -> String {
        match self {
            Self::Account { app, .. } => app.to_string(),
            Self::Handover { machine, .. } => format!("{HANDOVER}{machine}"),
            Self::Credential { credential, .. } => format!("{CREDENTIAL}{credential}"),
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn identity(&self) -> IdentityId {
        match self {
            Self::Account { identity, .. } => *identity,
            Self::Handover { owner, .. } => *owner,
            Self::Credential { holder, .. } => *holder,
        }
    }

    /// The app that it is in, when it is in one.
    #[must_use]
    pub const fn app(&self) -> Option<&AppId> {
        match self {
            Self::Account { app, .. } => Some(app),
            Self::Handover { .. } | Self::Credential { .. } => None,
        }
    }

    /// Where it is, in a word, for metrics and pages: the app's id, or what no app's id can be.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Account { app, .. } => app.as_str(),
            Self::Handover { .. } => HANDOVER,
            Self::Credential { .. } => CREDENTIAL,
        }
    }
}

/// What stands in a place where an app's id does, before the machine that is handed over; no app's id has it.
pub(crate) const HANDOVER: &str = "handover:";

/// The same before the credential that is to be revoked.
pub(crate) const CREDENTIAL: &str = "credential:";

/// `APP.IDENTITY` for an account, `handover:MACHINE.OWNER` for a hand-over, `credential:CREDENTIAL.HOLDER` for a credential.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.within(), self.identity())
    }
}

impl FromStr for Subject {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { text: text.into(), wanted: "what an obligation is about" };
        let (what, whose) = text.split_once('.').ok_or_else(bad)?;
        Self::named(what, whose.parse()?)
    }
}

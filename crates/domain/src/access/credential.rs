//! Credentials: keys, tokens and certificates by which somebody gets in without signing in. Never the secret itself.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::access::obligation::{Obligation, ObligationId};
use crate::access::subject::Subject;
use crate::ids::{AppId, CredentialId, IdentityId, InventoryName, Sequence};

/// What kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum CredentialKind {
    ApiKey,
    ClientSecret,
    Certificate,
    PersonalAccessToken,
    SshKey,
    /// A token that is none of a person's own, such as one of a vault.
    Token,
    Password,
}

impl CredentialKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::ApiKey,
        Self::ClientSecret,
        Self::Certificate,
        Self::PersonalAccessToken,
        Self::SshKey,
        Self::Token,
        Self::Password,
    ];

    /// The word in files, metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::ClientSecret => "client_secret",
            Self::Certificate => "certificate",
            Self::PersonalAccessToken => "personal_access_token",
            Self::SshKey => "ssh_key",
            Self::Token => "token",
            Self::Password => "password",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn from_name(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == word)
    }

    /// What it is, for people.
    #[must_use]
    pub fn in_words(self) -> String {
        self.name().replace('_', " ")
    }
}

/// Whether one gets in by it, as its inventory says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Usability {
    /// One does.
    #[default]
    Usable,
    /// It is listed, and switched off.
    Disabled,
}

/// What an inventory says of one credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Which: one id for what an inventory knows by one name.
    pub id: CredentialId,
    /// Which list has it.
    pub inventory: InventoryName,
    /// Whose it is, where that is known.
    pub holder: Option<IdentityId>,
    /// Where it opens, where an app of that name is connected.
    pub app: Option<AppId>,
    /// What it is.
    pub kind: CredentialKind,
    /// Whether one gets in by it.
    pub usability: Usability,
    /// What its inventory calls it: an id, an accessor or a fingerprint. Personal: it may name people.
    pub name: String,
    /// Whom its inventory names. Personal.
    pub holder_named: String,
    /// When it was made.
    #[serde(with = "crate::stored::time_or_none")]
    pub issued_at: Option<Timestamp>,
    /// When it stops working by itself.
    #[serde(with = "crate::stored::time_or_none")]
    pub expires_at: Option<Timestamp>,
    /// When its secret was last another one.
    #[serde(with = "crate::stored::time_or_none")]
    pub rotated_at: Option<Timestamp>,
    /// When somebody last got in by it, as far as was told: not every use is.
    #[serde(with = "crate::stored::time_or_none")]
    pub used_at: Option<Timestamp>,
    /// When the list was taken.
    #[serde(with = "crate::stored::time")]
    pub taken_at: Timestamp,
}

impl Listed {
    /// Whose it is; that of nobody stands for its own holder.
    #[must_use]
    pub fn person(&self) -> IdentityId {
        holder_of(self.id, self.holder)
    }
}

/// Whose a credential is; that of nobody stands for its own holder.
#[must_use]
pub fn holder_of(id: CredentialId, holder: Option<IdentityId>) -> IdentityId {
    holder.unwrap_or(IdentityId(id.0))
}

/// A credential that was listed is not in the next list of its inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlisted {
    /// Which.
    pub id: CredentialId,
    /// Of which list.
    pub inventory: InventoryName,
    /// Whose it was, where that was known.
    pub holder: Option<IdentityId>,
    /// When the list was taken that lacks it.
    pub taken_at: Timestamp,
}

/// Somebody has said that others may know the secret of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compromised {
    /// Which.
    pub id: CredentialId,
    /// Whose it is, where that is known.
    pub holder: Option<IdentityId>,
    /// Why, for people.
    pub reason: String,
}

/// How far the list of an inventory was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// A part of it.
    Part,
    /// All of it.
    Whole,
}

/// The list of an inventory was compared with what was known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryRead {
    /// Which.
    pub inventory: InventoryName,
    /// When the list was taken.
    #[serde(with = "crate::stored::time")]
    pub taken_at: Timestamp,
    /// How far.
    pub extent: Extent,
    /// How many it has.
    pub listed: u64,
    /// Those of them of which it is not known whose they are.
    pub of_nobody: u64,
    /// Those that were not known.
    pub added: u64,
    /// Those that have changed.
    pub changed: u64,
    /// Those that it lacks.
    pub gone: u64,
}

/// An inventory, in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// What was read last as a whole; none yet: a first list broke off.
    pub read: Option<InventoryRead>,
    /// When that was recorded.
    #[serde(with = "crate::stored::time_or_none")]
    pub read_at: Option<Timestamp>,
    /// When the newest list was taken of which anything is known, also one that broke off.
    #[serde(with = "crate::stored::time")]
    pub newest: Timestamp,
    /// The last event of it.
    pub version: Sequence,
}

/// Whether an inventory still has a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It has.
    Listed,
    /// It has not.
    Gone {
        /// When the list was taken that lacks it.
        #[serde(with = "crate::stored::time")]
        at: Timestamp,
        /// The event that says so.
        by: Sequence,
    },
}

/// That somebody has a credential, or had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// When the first list was taken that shows it with somebody else; none: it is theirs.
    #[serde(with = "crate::stored::time_or_none")]
    pub passed_on_at: Option<Timestamp>,
}

/// One report that others may know a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The event.
    pub by: Sequence,
    /// When.
    #[serde(with = "crate::stored::time")]
    pub at: Timestamp,
}

/// A credential, in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// What its inventory said of it last.
    pub listed: Listed,
    /// The event that said so.
    pub version: Sequence,
    /// When it was first listed.
    #[serde(with = "crate::stored::time")]
    pub first_listed_at: Timestamp,
    /// Whether it still is.
    pub presence: Presence,
    /// That others may know its secret.
    pub compromised: Option<Report>,
    /// When it was made, where another one was listed by its name before.
    #[serde(default, with = "crate::stored::time_or_none")]
    pub made_anew_at: Option<Timestamp>,
}

impl Credential {
    /// When its secret was last another one, as far as the list can know.
    #[must_use]
    pub fn rotated_at(&self) -> Option<Timestamp> {
        self.listed.rotated_at.map(|at| at.min(self.listed.taken_at))
    }

    /// Since when it has the secret that it has, as far as that is known to be another one than before.
    #[must_use]
    pub fn secret_since(&self) -> Option<Timestamp> {
        self.rotated_at().max(self.made_anew_at)
    }

    /// When the one that a list shows was made, where it is another than this one, which has its name.
    #[must_use]
    pub fn replaced_by(&self, listed: &Listed) -> Option<Timestamp> {
        let made_at = listed.issued_at.filter(|_| self.listed.issued_at != listed.issued_at)?;
        let is_newer = match self.listed.issued_at {
            Some(before) => made_at > before,
            // A list may begin to say when what it lists was made.
            None => self.presence != Presence::Listed,
        };
        is_newer.then(|| made_at.min(listed.taken_at))
    }

    /// Whether a list shows one that was made before this one: the former is back, as from a backup.
    #[must_use]
    pub fn is_older(&self, listed: &Listed) -> bool {
        listed.issued_at.zip(self.listed.issued_at).is_some_and(|(now, before)| now < before)
    }

    /// The report by which others may know the secret that it has now; none: nobody has reported it, or it is another since.
    #[must_use]
    pub fn standing_report(&self) -> Option<&Report> {
        let since = self.secret_since();
        self.compromised.as_ref().filter(|report| since.is_none_or(|since| since <= report.at))
    }

    /// How old its secret is at a time; `None`: its list does not say when it was made or was another one.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        self.rotated_at().max(self.listed.issued_at).map(|since| now.duration_since(since))
    }

    /// Whether its secret has been the same for longer than that, and one gets in by it.
    #[must_use]
    pub fn is_over_age(&self, now: Timestamp, most: Duration) -> bool {
        self.is_usable() && self.age(now).is_some_and(|age| SignedDuration::try_from(most).is_ok_and(|most| age > most))
    }

    /// Whether one gets in by it, as far as is known.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.presence == Presence::Listed && self.listed.usability == Usability::Usable
    }
}

/// What is owed of a credential: that it is revoked. Kept for each that ever had to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Which.
    pub credential: CredentialId,
    /// Whose it was when that was owed.
    pub holder: IdentityId,
    /// What is open.
    pub owes: Vec<Obligation<Sequence>>,
}

impl Revocation {
    /// What it is about.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        Subject::Credential { credential: self.credential, holder: self.holder }
    }

    /// What is open.
    #[must_use]
    pub fn obligations(&self) -> Vec<Obligation> {
        let known = |owed: &Obligation<Sequence>| {
            owed.clone().known_as(|opened_by| ObligationId { opened_by, subject: self.subject() })
        };
        self.owes.iter().map(known).collect()
    }
}

//! A change that concerns many people, such as another rule of an app, is decided for them in pieces, with other events between.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::account::{Account, Causation};
use super::desired::{Queue, Target};
use super::obligation::Obligation;
use crate::governance::hold::Cause;
use crate::identity::lifecycle::ChangeKind;
use crate::ids::{AppId, IdentityId, Sequence, SourceName};

/// What is decided anew while people are gone through: first who loses an account, so that nobody keeps one for longer than the others
/// need to get theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Pass {
    /// Who is to have no account any more.
    Losses,
    /// Everything that somebody is to have.
    Access,
    /// Which separations of duties somebody violates.
    Separations,
}

impl Pass {
    /// Every pass, in the order in which they are gone through.
    pub const ALL: [Self; 3] = [Self::Losses, Self::Access, Self::Separations];

    /// Its name on the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Losses => "losses",
            Self::Access => "access",
            Self::Separations => "separations",
        }
    }
}

/// Whom a change concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum People {
    /// Everybody whom the directory knows.
    Everybody,
    /// Those who are kept in a list of its own, such as the members of a group.
    Listed,
}

/// People whose access is decided anew after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reevaluation {
    /// The change.
    pub since: Sequence,
    /// When it was: from then on their time counts.
    pub changed_at: Timestamp,
    /// Who said it, when that was a source.
    pub source: Option<SourceName>,
    /// What it belongs to.
    pub story: Causation,
    /// In which apps it may change something; `None`: in any.
    pub apps: Option<BTreeSet<AppId>>,
    /// Whom it concerns.
    pub people: People,
    /// What is decided now.
    pub pass: Pass,
    /// The last of those for whom this pass has decided.
    pub after: Option<IdentityId>,
}

/// How what concerns many is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReevaluationPolicy {
    /// Where a change concerns more people than these, it is decided for as many at once.
    pub people_at_once: usize,
}

impl Default for ReevaluationPolicy {
    /// Some tenths of a second of work.
    fn default() -> Self {
        Self { people_at_once: 1000 }
    }
}

impl Reevaluation {
    /// Whether a removal has to wait until all that this change takes away is known, so that the guard counts it before the first is done.
    #[must_use]
    pub fn keeps_waiting(&self, account: &Account) -> bool {
        // Also what an earlier change takes away: this one may give it back. Who leaves, or was switched off by a person, waits for nobody.
        let by_rule = |o: &Obligation| o.target == Target::Absent && o.change == ChangeKind::Mover;
        let must_go = |o: &Obligation| matches!(o.change, ChangeKind::Leaver | ChangeKind::Disable);
        let is_of_it = match (Cause::of(account), &self.source) {
            (Some(Cause::Source(by)), Some(source)) => by == *source,
            (Some(Cause::Configuration(_)), None) => true,
            _ => false,
        };
        self.pass == Pass::Losses
            && account.queue() == Queue::Absent
            && self.apps.as_ref().is_none_or(|apps| apps.contains(&account.app))
            && is_of_it
            && account.owes.iter().any(by_rule)
            && !account.owes.iter().any(must_go)
    }
}

/// One piece of the people was decided for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reevaluated {
    /// The change.
    pub since: Sequence,
    /// What was decided.
    pub pass: Pass,
    /// The last of them, in the order of their ids; `None`: everybody who is left.
    pub through: Option<IdentityId>,
}

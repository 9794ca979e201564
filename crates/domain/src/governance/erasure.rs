//! Erasing a person: what is personal is gone from then on, and that they were there, what was owed for them and when it was done stays.

use crate::access::desired::Target;
use crate::identity::lifecycle::ChangeKind;
use crate::ids::{AppId, IdentityId, Sequence};
use crate::key_ref::KeyRef;

/// A person is erased: the keys that sealed what is personal about them are destroyed, and every service drops what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// Whom.
    pub id: IdentityId,
    /// Why; it names nobody, since it stays.
    pub reason: String,
    /// What allows it, such as `GDPR Art. 17(1)(a)`.
    pub legal_basis: String,
    /// The second person; none: it took one.
    pub approved_by: Option<String>,
    /// The keys that are destroyed.
    pub keys: Vec<KeyRef>,
    /// What was ever owed for them, which can't be derived any more of what is sealed.
    pub owed: Vec<Owed>,
    /// The accounts of theirs that stood for themselves for a time: as nobody's, or as their second one.
    pub others: Vec<Other>,
}

impl Erased {
    /// Everybody whose events can't be read any more: the person, and those who stood for accounts of theirs.
    pub fn everybody(&self) -> impl Iterator<Item = IdentityId> {
        std::iter::once(self.id).chain(self.others.iter().map(|other| other.nobody))
    }
}

/// An account of somebody's that stood for itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Other {
    /// Where.
    pub app: AppId,
    /// The id that it stood as.
    pub nobody: IdentityId,
}

/// It is decided that a person is erased: that happens by itself as soon as no app keeps an account of theirs any more, and each that
/// does owes its deletion from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureOrdered {
    /// Whom.
    pub id: IdentityId,
    /// Why; it names nobody, since it stays.
    pub reason: String,
    /// What allows it.
    pub legal_basis: String,
    /// The second person; none: it took one.
    pub approved_by: Option<String>,
}

/// What one event has opened for a person who is erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// The event.
    pub opened_by: Sequence,
    /// For an account that stood for itself, the id that it stood as.
    pub nobody: Option<IdentityId>,
    /// What it meant for them.
    pub change: ChangeKind,
    /// What had to be reached.
    pub target: Target,
    /// Where.
    pub apps: Vec<AppId>,
}

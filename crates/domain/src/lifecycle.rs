//! The lifecycle of an identity, and what one change means for it.

use serde::{Deserialize, Serialize};

/// Where an identity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// Known, not active yet.
    Staged,
    /// Should have access.
    Active,
    /// Should have none.
    Left,
}

/// What happened to an identity; derived from before and after, never sent by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityChange {
    /// Became active for the first time.
    Joined,
    /// Changed while active.
    Moved,
    /// Stopped being active, or was deleted while active.
    Left,
    /// Became active again.
    Rehired,
    /// Appeared without being active.
    Staged,
    /// Changed while not active.
    Updated,
    /// Was deleted while not active.
    Deleted,
}

/// What kind of change an obligation comes from; a rehire counts as a joiner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Gets access.
    Joiner,
    /// Keeps some, gets some, loses some.
    Mover,
    /// Loses all.
    Leaver,
    /// An app no longer shows what was verified there.
    Repair,
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Joiner, Self::Mover, Self::Leaver, Self::Repair];

    /// The word in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joiner => "joiner",
            Self::Mover => "mover",
            Self::Leaver => "leaver",
            Self::Repair => "repair",
        }
    }
}

impl IdentityChange {
    /// The kind of the obligations that this change opens; `None`: it opens none.
    #[must_use]
    pub const fn kind(self) -> Option<ChangeKind> {
        match self {
            Self::Joined | Self::Rehired => Some(ChangeKind::Joiner),
            Self::Moved => Some(ChangeKind::Mover),
            Self::Left => Some(ChangeKind::Leaver),
            Self::Staged | Self::Updated | Self::Deleted => None,
        }
    }
}

/// The lifecycle after a change, from the one before and whether the source calls the identity active.
#[must_use]
pub const fn next(before: Option<Lifecycle>, active: Active) -> Lifecycle {
    match (before, active) {
        (_, Active::Yes) => Lifecycle::Active,
        (None | Some(Lifecycle::Staged), Active::No) => Lifecycle::Staged,
        (Some(Lifecycle::Active | Lifecycle::Left), Active::No) => Lifecycle::Left,
    }
}

/// The source's word on whether an identity should have access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Active {
    Yes,
    No,
}

/// What a change that was not a deletion means.
#[must_use]
pub const fn classify(before: Option<Lifecycle>, after: Lifecycle) -> IdentityChange {
    use Lifecycle::{Active, Left, Staged};
    match (before, after) {
        (None | Some(Staged), Active) => IdentityChange::Joined,
        (Some(Left), Active) => IdentityChange::Rehired,
        (Some(Active), Active) => IdentityChange::Moved,
        (Some(Active), Left | Staged) => IdentityChange::Left,
        (None, Staged | Left) => IdentityChange::Staged,
        (Some(Staged | Left), Staged | Left) => IdentityChange::Updated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_has_its_meaning() {
        use Lifecycle as L;
        let table = [
            (None, Active::Yes, L::Active, IdentityChange::Joined),
            (None, Active::No, L::Staged, IdentityChange::Staged),
            (Some(L::Staged), Active::Yes, L::Active, IdentityChange::Joined),
            (Some(L::Staged), Active::No, L::Staged, IdentityChange::Updated),
            (Some(L::Active), Active::Yes, L::Active, IdentityChange::Moved),
            (Some(L::Active), Active::No, L::Left, IdentityChange::Left),
            (Some(L::Left), Active::Yes, L::Active, IdentityChange::Rehired),
            (Some(L::Left), Active::No, L::Left, IdentityChange::Updated),
        ];
        for (before, active, after, change) in table {
            assert_eq!(next(before, active), after, "{before:?} {active:?}");
            assert_eq!(classify(before, after), change, "{before:?} {after:?}");
        }
    }
}

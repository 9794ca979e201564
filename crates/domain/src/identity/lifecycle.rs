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
    /// Should have access until a time that is known.
    Leaving,
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
    /// Is to stop being active at a time that is known.
    LeaveScheduled,
    /// Is not to stop being active after all.
    LeaveCancelled,
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
    /// Something is left of an account that is gone: nobody can sign in with it.
    Residue,
    /// A person has switched them off.
    Disable,
    /// Something was granted for a time, or that time is over.
    Grant,
    /// Somebody has said that others may know the secret of a credential.
    Compromise,
}

impl From<ChangeKind> for u8 {
    fn from(kind: ChangeKind) -> Self {
        kind as Self
    }
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Joiner,
        Self::Mover,
        Self::Leaver,
        Self::Repair,
        Self::Residue,
        Self::Disable,
        Self::Grant,
        Self::Compromise,
    ];

    /// The word in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joiner => "joiner",
            Self::Mover => "mover",
            Self::Leaver => "leaver",
            Self::Repair => "repair",
            Self::Residue => "residue",
            Self::Disable => "disable",
            Self::Grant => "grant",
            Self::Compromise => "compromise",
        }
    }
}

impl IdentityChange {
    /// The kind of the obligations that this change opens; `None`: it opens none.
    #[must_use]
    pub const fn kind(self) -> Option<ChangeKind> {
        match self {
            Self::Joined | Self::Rehired => Some(ChangeKind::Joiner),
            Self::Moved | Self::LeaveScheduled | Self::LeaveCancelled => Some(ChangeKind::Mover),
            Self::Left => Some(ChangeKind::Leaver),
            Self::Staged | Self::Updated | Self::Deleted => None,
        }
    }
}

impl Lifecycle {
    /// Whether there should be access now.
    #[must_use]
    pub const fn has_access(self) -> bool {
        matches!(self, Self::Active | Self::Leaving)
    }
}

/// When the source's word takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Effect {
    Now,
    Later,
}

/// The lifecycle after a change, from the one before and whether the source calls the identity active.
#[must_use]
pub const fn next(before: Option<Lifecycle>, active: Active, effect: Effect) -> Lifecycle {
    use Lifecycle::{Active as Is, Leaving, Left, Staged};
    match (before, active, effect) {
        (Some(Is | Leaving), Active::Yes, _) => Is,
        (Some(Is | Leaving), Active::No, Effect::Later) => Leaving,
        (Some(Is | Leaving | Left), Active::No, _) => Left,
        (None | Some(Staged), Active::No, _) => Staged,
        (None | Some(Staged), Active::Yes, Effect::Later) => Staged,
        (Some(Left), Active::Yes, Effect::Later) => Left,
        (None | Some(Staged | Left), Active::Yes, Effect::Now) => Is,
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
    use Lifecycle::{Active, Leaving, Left, Staged};
    match (before, after) {
        (None | Some(Staged), Active | Leaving) => IdentityChange::Joined,
        (Some(Left), Active | Leaving) => IdentityChange::Rehired,
        (Some(Active), Active) | (Some(Leaving), Leaving) => IdentityChange::Moved,
        (Some(Active), Leaving) => IdentityChange::LeaveScheduled,
        (Some(Leaving), Active) => IdentityChange::LeaveCancelled,
        (Some(Active | Leaving), Left | Staged) => IdentityChange::Left,
        (None, Staged | Left) => IdentityChange::Staged,
        (Some(Staged | Left), Staged | Left) => IdentityChange::Updated,
    }
}

/// How urgent a departure is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Urgency {
    #[default]
    Usual,
    Emergency,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_has_its_meaning() {
        use Lifecycle as L;
        let (now, later) = (Effect::Now, Effect::Later);
        let table = [
            (None, Active::Yes, now, L::Active, IdentityChange::Joined),
            (None, Active::Yes, later, L::Staged, IdentityChange::Staged),
            (None, Active::No, now, L::Staged, IdentityChange::Staged),
            (Some(L::Staged), Active::Yes, now, L::Active, IdentityChange::Joined),
            (Some(L::Staged), Active::Yes, later, L::Staged, IdentityChange::Updated),
            (Some(L::Staged), Active::No, now, L::Staged, IdentityChange::Updated),
            (Some(L::Active), Active::Yes, now, L::Active, IdentityChange::Moved),
            (Some(L::Active), Active::Yes, later, L::Active, IdentityChange::Moved),
            (Some(L::Active), Active::No, now, L::Left, IdentityChange::Left),
            (Some(L::Active), Active::No, later, L::Leaving, IdentityChange::LeaveScheduled),
            (Some(L::Leaving), Active::No, later, L::Leaving, IdentityChange::Moved),
            (Some(L::Leaving), Active::No, now, L::Left, IdentityChange::Left),
            (Some(L::Leaving), Active::Yes, now, L::Active, IdentityChange::LeaveCancelled),
            (Some(L::Left), Active::Yes, now, L::Active, IdentityChange::Rehired),
            (Some(L::Left), Active::Yes, later, L::Left, IdentityChange::Updated),
            (Some(L::Left), Active::No, later, L::Left, IdentityChange::Updated),
        ];
        for (before, active, effect, after, change) in table {
            assert_eq!(next(before, active, effect), after, "{before:?} {active:?} {effect:?}");
            assert_eq!(classify(before, after), change, "{before:?} {after:?}");
        }
    }
}

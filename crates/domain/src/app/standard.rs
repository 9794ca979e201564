//! By what an account in an app is judged.

use std::collections::BTreeSet;

use rollcall_scim::Changed;

use crate::access::account::Account;
use crate::app::AppSpec;
use crate::app::capability::{Capabilities, Support};
use crate::app::deprovision::Deprovision;
use crate::app::own_way::{OwnWays, Way, is_own_way};

/// What gives access in every app; what else differs is the profile, unless the app's configuration says otherwise.
const ACCESS: [&str; 3] = ["userName", "active", "externalId"];

/// By what an account in an app is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standard {
    /// How accounts go.
    pub deprovision: Deprovision,
    /// The attributes that the app keeps in a way of its own.
    pub ways: OwnWays,
    /// The attributes that the configuration calls essential.
    pub essential: BTreeSet<String>,
    /// Whether the account waits for somebody to accept an invitation.
    pub invitation: Invitation,
}

/// Whether an account that is inactive may become live by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Invitation {
    /// It was live before, or its app invites nobody.
    #[default]
    None,
    /// Somebody may still accept an invitation.
    Stands,
}

impl Invitation {
    /// Whether somebody may still accept one to an account of theirs that an app shows as inactive: it was never live, and we have
    /// not switched it off. That the app has confirmed a deletion is not enough: it may still stand.
    #[must_use]
    pub fn to(account: &Account, remote_id: &str, can: &Capabilities) -> Self {
        if can.invites == Support::Yes && !account.was_used(remote_id) { Self::Stands } else { Self::None }
    }
}

impl Standard {
    /// That of an app, by its settings and by what it can do.
    #[must_use]
    pub fn of(spec: &AppSpec, can: &Capabilities) -> Self {
        Self {
            deprovision: spec.effective_deprovision(),
            ways: can.keeps.clone(),
            essential: spec.essential.clone(),
            invitation: Invitation::None,
        }
    }

    /// The same for the account of this id, which is theirs.
    #[must_use]
    pub fn for_account(mut self, account: &Account, remote_id: &str, can: &Capabilities) -> Self {
        self.invitation = Invitation::to(account, remote_id, can);
        self
    }

    /// The same for what is sent when a change is owed: values of the app's own may have become ours again.
    #[must_use]
    pub fn for_a_change(mut self) -> Self {
        self.ways.retain(|_, keeps| keeps.way != Way::OwnValue);
        self
    }

    /// Whether an attribute gives access: a difference keeps an obligation open.
    #[must_use]
    pub fn gives_access(&self, path: &str) -> bool {
        gives_access(&self.essential, path)
    }

    /// Whether a difference is nothing but the app's own way; never for what gives access.
    #[must_use]
    pub fn is_own_way(&self, change: &Changed) -> bool {
        !self.gives_access(&change.path) && is_own_way(&self.ways, change)
    }

    /// Whether an attribute is sent to the app at all.
    #[must_use]
    pub fn is_managed(&self, path: &str) -> bool {
        is_managed(&self.essential, &self.ways, path)
    }
}

impl From<Deprovision> for Standard {
    /// That of an app that keeps what it is sent.
    fn from(deprovision: Deprovision) -> Self {
        Self { deprovision, ways: OwnWays::new(), essential: BTreeSet::new(), invitation: Invitation::None }
    }
}

/// Whether an attribute is sent to an app of these ways, where these are essential: not when its schema does not have it.
#[must_use]
pub fn is_managed(essential: &BTreeSet<String>, ways: &OwnWays, path: &str) -> bool {
    gives_access(essential, path) || ways.get(path).is_none_or(|keeps| keeps.way != Way::NotInSchema)
}

/// Whether an attribute gives access, where these are essential.
#[must_use]
pub fn gives_access(essential: &BTreeSet<String>, path: &str) -> bool {
    ACCESS.contains(&path) || path.starts_with("groups[") || essential.contains(path)
}

//! By what an account in an app is judged.

use std::collections::BTreeSet;

use rollcall_scim::Changed;

use crate::access::account::Account;
use crate::app::AppSpec;
use crate::app::capability::{Capabilities, Support};
use crate::app::deprovision::Deprovision;
use crate::app::own_way::{OwnWays, Way, is_own_way};

const USER_NAME: &str = "userName";

/// What gives access in every app; what else differs is the profile, unless the app's configuration says otherwise. Whose an account is
/// we know by our own link: an `externalId` that the app shows otherwise gives nobody anything.
const ACCESS: [&str; 2] = [USER_NAME, "active"];

/// By what an account in an app is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standard {
    /// How accounts go.
    pub deprovision: Deprovision,
    /// How accounts are switched off of whom a person has switched off.
    pub switches_off: Deprovision,
    /// The attributes that the app keeps in a way of its own.
    pub ways: OwnWays,
    /// The attributes that the configuration calls essential.
    pub essential: BTreeSet<String>,
    /// What the app makes of user names: what its configuration says, since nothing that gives access is ever learned.
    pub user_name: Option<Way>,
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
            switches_off: switches_off(spec, can),
            ways: can.keeps.clone(),
            essential: spec.essential.clone(),
            user_name: spec.capabilities.keeps.get(USER_NAME).map(|keeps| keeps.way),
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

    /// Whether a difference is nothing but the app's own way; of what gives access only for the user name, where the configuration
    /// says so.
    #[must_use]
    pub fn is_own_way(&self, change: &Changed) -> bool {
        if change.path == USER_NAME && !self.essential.contains(USER_NAME) {
            let explains = |way: Way| way.explains(change.before.as_ref(), change.after.as_ref());
            return change.after.is_some() && self.user_name.is_some_and(explains);
        }
        !self.gives_access(&change.path) && is_own_way(&self.ways, change)
    }

    /// Whether an attribute is sent to the app at all.
    #[must_use]
    pub fn is_managed(&self, path: &str) -> bool {
        is_managed(&self.essential, &self.ways, path)
    }
}

/// How somebody is switched off: where the app knows no `active`, by deletion, if the configuration deletes accounts at all, or says
/// itself that nothing else is possible.
fn switches_off(spec: &AppSpec, can: &Capabilities) -> Deprovision {
    let deletes = spec.effective_deprovision() == Deprovision::Delete;
    if deletes && can.deactivate == Support::No { Deprovision::Delete } else { Deprovision::Deactivate }
}

impl From<Deprovision> for Standard {
    /// That of an app that keeps what it is sent.
    fn from(deprovision: Deprovision) -> Self {
        Self {
            deprovision,
            switches_off: Deprovision::Deactivate,
            ways: OwnWays::new(),
            essential: BTreeSet::new(),
            user_name: None,
            invitation: Invitation::None,
        }
    }
}

/// Whether an attribute is sent to an app of these ways, where these are essential: not when its schema does not have it.
#[must_use]
pub fn is_managed(essential: &BTreeSet<String>, ways: &OwnWays, path: &str) -> bool {
    gives_access(essential, path) || ways.get(path).is_none_or(|keeps| keeps.way != Way::NotInSchema)
}

/// Whether the configuration may say that an app keeps an attribute in this way: of what gives access only that it makes user names of
/// its own, or of ours.
#[must_use]
pub fn may_be_configured(path: &str, way: Way) -> bool {
    let of_names = !matches!(way, Way::NotInSchema | Way::NotKept);
    !gives_access(&BTreeSet::new(), path) || path == USER_NAME && of_names
}

/// Whether an attribute gives access, where these are essential.
#[must_use]
pub fn gives_access(essential: &BTreeSet<String>, path: &str) -> bool {
    ACCESS.contains(&path) || path.starts_with("groups[") || essential.contains(path)
}

//! By what an account in an app is judged.

use std::collections::BTreeSet;

use rollcall_scim::Changed;

use crate::app::AppSpec;
use crate::app::capability::Capabilities;
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
}

impl Standard {
    /// That of an app, by its settings and by what it can do.
    #[must_use]
    pub fn of(spec: &AppSpec, can: &Capabilities) -> Self {
        Self { deprovision: spec.effective_deprovision(), ways: can.keeps.clone(), essential: spec.essential.clone() }
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
        self.gives_access(path) || self.ways.get(path).is_none_or(|keeps| keeps.way != Way::NotInSchema)
    }
}

impl From<Deprovision> for Standard {
    /// That of an app that keeps what it is sent.
    fn from(deprovision: Deprovision) -> Self {
        Self { deprovision, ways: OwnWays::new(), essential: BTreeSet::new() }
    }
}

/// Whether an attribute gives access, where these are essential.
#[must_use]
pub fn gives_access(essential: &BTreeSet<String>, path: &str) -> bool {
    ACCESS.contains(&path) || path.starts_with("groups[") || essential.contains(path)
}

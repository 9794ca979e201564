//! Connected apps: the configuration of one (`AppSpec`), and its state in a projection (`App`).

pub mod capability;
pub mod conformance;
pub mod deprovision;
pub mod drill;
pub mod guard;
pub mod health;
pub mod hours;
pub mod kind;
pub mod mapping;
pub mod own_way;
pub mod quirk;
pub mod service_level;
pub mod standard;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::access::entitlement::{Entitlement, Part};
use crate::access::remote::Remote;
use crate::app::capability::Capabilities;
use crate::app::deprovision::Deprovision;
use crate::app::guard::Guard;
use crate::app::kind::AppKind;
use crate::app::mapping::{Mapping, names_by_user_name};
use crate::app::service_level::ServiceLevel;
use crate::drift::policy::Policies;
use crate::identity::IdentityKind;
use crate::identity::name::name_key;
use crate::ids::{AppId, Sequence, SourceName};

/// An app as it was configured, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSpec {
    /// The app's id.
    pub id: AppId,
    /// Its name for people.
    pub name: String,
    /// How it is reached.
    #[serde(default)]
    pub kind: AppKind,
    /// Where its SCIM service is; empty where it has none.
    pub base_url: String,
    /// Instructions for people who change this app by hand: text, or the address of a runbook. May be empty.
    #[serde(default)]
    pub instructions: String,
    /// Who answers for it.
    pub owner: String,
    /// Who has an account here: a SCIM filter over active identities; empty: only whoever has a role or a grant that gives one.
    pub assign: String,
    /// Which kinds of identity may have one.
    pub identities: Vec<IdentityKind>,
    /// What happens to leavers.
    pub deprovision: Deprovision,
    /// How soon changes must arrive.
    pub sla: ServiceLevel,
    /// How often the whole app is compared.
    pub reconcile_every: Duration,
    /// The most requests in a second.
    pub max_requests_per_second: u32,
    /// The most requests at once.
    pub max_in_flight: u32,
    /// Which attributes Rollcall writes to an account. Empty: the default mapping.
    #[serde(default)]
    pub attributes: Mapping,
    /// Which group here is which group of the app.
    #[serde(default)]
    pub groups: Vec<GroupRule>,
    /// Only groups from these sources count in `assign` and in `groups`. Empty: groups from every source.
    #[serde(default)]
    pub groups_from: BTreeSet<SourceName>,
    /// What is done about drift.
    #[serde(default)]
    pub drift: Policies,
    /// Whether an account that was not made by Rollcall is taken over.
    #[serde(default)]
    pub adopt: Adopt,
    /// User names and ids of accounts that are never touched, such as those for emergencies.
    #[serde(default)]
    pub protected: BTreeSet<String>,
    /// How many removals are usual.
    #[serde(default)]
    pub guard: Guard,
    /// The configured capabilities: they go before what was learned ([`Capabilities::over`]).
    #[serde(default)]
    pub capabilities: Capabilities,
    /// A difference in one of these attributes counts as a difference of access, and not of the profile.
    #[serde(default)]
    pub essential: BTreeSet<String>,
    /// The entitlements that the configuration describes. Rollcall manages every group among them.
    #[serde(default)]
    pub entitlements: Vec<Entitlement>,
}

/// Whether an account that Rollcall has not made, and that is linked to nobody, is taken as that of an identity whose user
/// name it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adopt {
    /// A person has to link it.
    Never,
    /// Only if the mapping gives an account the identity's own user name, which no other identity has.
    #[default]
    OwnName,
    /// By whatever user name the mapping gives.
    Unlinked,
}

impl Adopt {
    /// The word in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::OwnName => "own_name",
            Self::Unlinked => "unlinked",
        }
    }
}

/// Whoever is in a group here is in a group of the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRule {
    /// The display name of the group here, whatever its case.
    pub from: String,
    /// The display name of the group there.
    pub to: String,
}

impl AppSpec {
    /// How an account is removed: as configured, corrected by the configured capabilities.
    #[must_use]
    pub fn effective_deprovision(&self) -> Deprovision {
        self.capabilities.deprovision(self.deprovision)
    }

    /// Whether an account that has the mapped user name of someone, and is linked to nobody, may be taken as theirs.
    #[must_use]
    pub fn adopts_by_name(&self) -> bool {
        match self.adopt {
            Adopt::Never => false,
            Adopt::OwnName => names_by_user_name(&self.attributes),
            Adopt::Unlinked => true,
        }
    }

    /// Whether an account is never touched.
    #[must_use]
    pub fn protects(&self, remote: &Remote) -> bool {
        let name = name_key(remote.text("userName"));
        self.protected.iter().any(|entry| *entry == remote.id || name_key(entry) == name)
    }

    /// The groups of the app that Rollcall manages.
    #[must_use]
    pub fn managed_groups(&self) -> BTreeSet<String> {
        let described = self.entitlements.iter().filter_map(|entitlement| match &entitlement.part {
            Part::Group(name) => Some(name.clone()),
            Part::Account => None,
        });
        self.groups.iter().map(|rule| rule.to.clone()).chain(described).collect()
    }

    /// Whether Rollcall manages a group of the app.
    #[must_use]
    pub fn manages(&self, group: &str) -> bool {
        let is_it = |part: &Part| matches!(part, Part::Group(name) if name == group);
        self.groups.iter().any(|rule| rule.to == group) || self.entitlements.iter().any(|e| is_it(&e.part))
    }

    /// The description that the configuration has of an entitlement; `None`: it has none.
    #[must_use]
    pub fn entitlement(&self, part: &Part) -> Option<&Entitlement> {
        self.entitlements.iter().find(|entitlement| entitlement.part == *part)
    }
}

/// The state of an app in a projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// As last configured.
    pub spec: AppSpec,
    /// Whether it is in the configuration.
    pub connection: Connection,
    /// The event that changed it last.
    pub version: Sequence,
}

/// Whether an app is still in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connection {
    /// It is.
    Configured,
    /// It is not; its accounts and obligations stay.
    Removed,
}

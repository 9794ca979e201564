//! Connected apps: who should have an account, and how soon.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::account::{Remote, Target};
use crate::capability::Capabilities;
use crate::drift::Policies;
use crate::event::Event;
use crate::guard::Guard;
use crate::hours::BusinessHours;
use crate::identity::IdentityKind;
use crate::ids::{AppId, Sequence, SourceName};
use crate::lifecycle::ChangeKind;
use crate::mapping::{Mapping, names_by_user_name};
use crate::name::name_key;
use crate::obligation::Urgency;

/// What happens to the account of someone who should have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deprovision {
    /// It is set inactive; absent also satisfies.
    Deactivate,
    /// It is deleted; inactive does not satisfy.
    Delete,
}

/// How soon a change must be verified, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceLevel {
    /// The tier that it comes from; empty: the app's own.
    pub tier: String,
    /// For joiners and rehires.
    pub joiner: Duration,
    /// For movers.
    pub mover: Duration,
    /// For leavers.
    pub leaver: Duration,
    /// For leavers whose source calls it an emergency.
    pub emergency: Duration,
    /// The share of the time allowed after which someone is told, in percent.
    pub at_risk_percent: u32,
    /// When the clock of joiners and movers runs; `None`: always. That of leavers never stands still.
    pub hours: Option<BusinessHours>,
}

/// The time that a change has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Allowed<'a> {
    pub time: Duration,
    /// For people, such as `critical leaver: 15m`.
    pub rule: String,
    /// When it runs; `None`: always.
    pub hours: Option<&'a BusinessHours>,
}

impl ServiceLevel {
    /// The time allowed for a change of this kind; what should be gone is as urgent as a leaver.
    #[must_use]
    pub fn allowed(&self, kind: ChangeKind, target: Target, urgency: Urgency) -> Allowed<'_> {
        let leaves = kind == ChangeKind::Leaver || (kind == ChangeKind::Repair && target == Target::Absent);
        let (name, time) = match (leaves, kind, urgency) {
            (true, ChangeKind::Leaver, Urgency::Emergency) => ("emergency leaver", self.emergency),
            (true, ..) => (kind.name(), self.leaver),
            (false, ChangeKind::Joiner, _) => (kind.name(), self.joiner),
            (false, ..) => (kind.name(), self.mover),
        };
        let hours = self.hours.as_ref().filter(|_| !leaves);
        let tier = if self.tier.is_empty() { "own" } else { self.tier.as_str() };
        let during = hours.map(|h| format!(" within {h}")).unwrap_or_default();
        Allowed { time, rule: format!("{tier} {name}: {}{during}", span(time)), hours }
    }
}

fn span(time: Duration) -> String {
    SignedDuration::try_from(time).map_or_else(|_| format!("{time:?}"), |time| format!("{time:#}"))
}

/// An app as it was configured, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSpec {
    /// Which.
    pub id: AppId,
    /// Its name for people.
    pub name: String,
    /// Where its SCIM service is.
    pub base_url: String,
    /// Who answers for it.
    pub owner: String,
    /// Who has an account here: a SCIM filter over active identities.
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
    /// What its accounts show; none: the usual.
    #[serde(default)]
    pub attributes: Mapping,
    /// Which groups of ours are groups of its own.
    #[serde(default)]
    pub groups: Vec<GroupRule>,
    /// The sources whose groups count here, for the rule and for its groups; none: those of each.
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
    /// What it can do, where it does not say so itself.
    #[serde(default)]
    pub capabilities: Capabilities,
}

/// Whether an account that Rollcall has not made, and that is linked to nobody, is taken as that of an identity whose user
/// name it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adopt {
    /// A person has to link it.
    Never,
    /// By an identity's own user name, which no other identity has; not by a name that the mapping makes of anything else.
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
    /// The display name of the group here, in any case.
    pub from: String,
    /// The display name of the group there.
    pub to: String,
}

impl AppSpec {
    /// How accounts go, with what the app is configured to be able to do.
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
        self.groups.iter().map(|rule| rule.to.clone()).collect()
    }

    /// Those of them that someone in these groups of ours is in.
    #[must_use]
    pub fn groups_for<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> BTreeSet<String> {
        let chosen = |rule: &&GroupRule| names.clone().any(|name| name_key(name) == name_key(&rule.from));
        self.groups.iter().filter(chosen).map(|rule| rule.to.clone()).collect()
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

/// The events that bring the log in line with the configuration; none when nothing differs.
#[must_use]
pub fn configure(known: &[App], configured: &[AppSpec]) -> Vec<Event> {
    let known: BTreeMap<&AppId, &App> = known.iter().map(|app| (&app.spec.id, app)).collect();
    let same = |spec: &AppSpec| {
        known.get(&spec.id).is_some_and(|app| app.spec == *spec && app.connection == Connection::Configured)
    };
    let changed = configured.iter().filter(|spec| !same(spec)).map(|spec| Event::AppConfigured(Box::new(spec.clone())));
    let gone = known
        .values()
        .filter(|app| app.connection == Connection::Configured)
        .filter(|app| !configured.iter().any(|spec| spec.id == app.spec.id))
        .map(|app| Event::AppRemoved(app.spec.id.clone()));
    changed.chain(gone).collect()
}

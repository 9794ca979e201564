//! The rules that decide who holds what: apps, roles, policies and separations, read once and asked about many.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_policy::{Action, Head, Principal, Scope};
use rollcall_scim::Catalogue;
use serde::{Deserialize, Serialize};

use crate::access::entitlement::EntitlementId;
use crate::access::policy::{Policy, PolicySpec};
use crate::access::role::{Role, RoleSpec, Standing};
use crate::access::separation::SeparationSpec;
use crate::app::{App, AppSpec, Connection};
use crate::decision::policies::{Policies, Readable};
use crate::decision::rule::{Rule, Rules};
use crate::decision::{Asked, Holder, RolesHeld};
use crate::directory;
use crate::identity::content::Content;
use crate::identity::{Identity, IdentityKind};
use crate::ids::{AppId, Sequence};
use crate::kv::{KvError, Read};

/// What a configuration says of who holds what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessSpec {
    /// The apps.
    pub apps: Vec<AppSpec>,
    /// Named sets of entitlements.
    pub roles: Vec<RoleSpec>,
    /// Policies as code.
    pub policies: Vec<PolicySpec>,
    /// What nobody may hold together.
    pub separations: Vec<SeparationSpec>,
}

/// The apps, the roles, the policies and the separations, with their rules.
#[derive(Debug, Default)]
pub struct AccessRules {
    /// The apps, removed ones included.
    pub apps: BTreeMap<AppId, (App, Rules)>,
    /// The roles, removed ones included.
    pub roles: Vec<(Role, Rules)>,
    /// The policies that are configured.
    pub policies: Policies,
    /// The separations that are configured.
    pub separations: Vec<SeparationSpec>,
    undecidable: Undecidable,
}

/// Where nothing can be decided, since a role can't be read.
#[derive(Debug, Default)]
enum Undecidable {
    /// Nowhere.
    #[default]
    Nowhere,
    /// In these apps, for a kind of identity.
    In(BTreeSet<(IdentityKind, AppId)>),
    /// Anywhere: policies ask who has a role.
    Anywhere,
}

impl AccessRules {
    /// Those of the log.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn of(state: &(impl Read + ?Sized), catalogue: &Catalogue) -> Result<Self, KvError> {
        let separations = directory::configured_separations(state)?;
        let (apps, roles) = (directory::apps(state)?, directory::roles(state)?);
        Ok(Self::new(apps, roles, &directory::policies(state)?, separations, catalogue))
    }

    /// Those of a configuration, as they would be.
    #[must_use]
    pub fn configured(spec: &AccessSpec, catalogue: &Catalogue) -> Self {
        let version = Sequence(0);
        let app = |spec: &AppSpec| App { connection: Connection::Configured, version, spec: spec.clone() };
        let role = |spec: &RoleSpec| Role { standing: Standing::Configured, version, spec: spec.clone() };
        let policy = |spec: &PolicySpec| Policy { standing: Standing::Configured, version, spec: spec.clone() };
        let (apps, roles) = (spec.apps.iter().map(app).collect(), spec.roles.iter().map(role).collect());
        let policies: Vec<Policy> = spec.policies.iter().map(policy).collect();
        Self::new(apps, roles, &policies, spec.separations.clone(), catalogue)
    }

    fn new(
        apps: Vec<App>,
        roles: Vec<Role>,
        policies: &[Policy],
        separations: Vec<SeparationSpec>,
        catalogue: &Catalogue,
    ) -> Self {
        let app = |app: App| {
            let rules = Rules::of_app(&app, catalogue);
            (app.spec.id.clone(), (app, rules))
        };
        let role = |role: Role| {
            let rules = Rules::of_role(&role.spec, catalogue);
            (role, rules)
        };
        let apps: BTreeMap<AppId, (App, Rules)> = apps.into_iter().map(app).collect();
        let roles: Vec<(Role, Rules)> = roles.into_iter().map(role).collect();
        let policies = Policies::of(policies, apps.values().map(|(app, _)| app));
        Self { undecidable: undecidable(&roles, &policies), policies, roles, separations, apps }
    }

    /// An identity as policies are asked about it.
    #[must_use]
    pub fn principal(&self, catalogue: &Catalogue, holder: &Holder, roles: &RolesHeld<'_>) -> Option<Principal> {
        let roles = roles.iter().map(|(role, _)| role.id.as_str());
        self.policies.principal(catalogue, &holder.identity, &holder.groups, roles)
    }

    /// The policies, asked about an identity.
    #[must_use]
    pub const fn asked<'a>(&'a self, principal: Option<&'a Principal>) -> Asked<'a> {
        Asked { policies: &self.policies, principal }
    }

    /// Whether it can be decided what somebody holds in an app: it is configured, and every rule and policy can be read, and who they
    /// are.
    #[must_use]
    pub fn decides(&self, app: &App, rule: &Rule, identity: &Identity) -> bool {
        let is_undecidable = match &self.undecidable {
            Undecidable::Nowhere => false,
            Undecidable::In(apps) => apps.contains(&(identity.kind, app.spec.id.clone())),
            Undecidable::Anywhere => true,
        };
        app.connection == Connection::Configured
            && !matches!(rule, Rule::Unreadable)
            && !is_undecidable
            && self.policies.readable() == Readable::Yes
            && identity.content == Content::Open
    }

    /// The roles that somebody has.
    #[must_use]
    pub fn roles_of(&self, holder: &Holder) -> RolesHeld<'_> {
        let kind = holder.identity.kind;
        holder.roles(self.roles.iter().map(|(role, rules)| (role, rules.of(kind))))
    }
}

/// Where a role that can't be read gives something, and everywhere where a policy asks who has which.
fn undecidable(roles: &[(Role, Rules)], policies: &Policies) -> Undecidable {
    let mut apps = BTreeSet::new();
    let mut found = Undecidable::Nowhere;
    for (role, rules) in roles.iter().filter(|(role, _)| role.standing == Standing::Configured) {
        for kind in IdentityKind::ALL {
            if matches!(rules.of(kind), Rule::Unreadable) {
                found = Undecidable::Anywhere;
                apps.extend(role.spec.entitlements.iter().map(|id| (kind, id.app.clone())));
            }
        }
    }
    match found {
        Undecidable::Anywhere if !policies.ask_about_roles() => Undecidable::In(apps),
        found => found,
    }
}

/// The apps in which any of these policies may change who holds something; `None`: in any.
pub fn apps_of_policies<'a>(policies: impl IntoIterator<Item = &'a PolicySpec>) -> Option<BTreeSet<AppId>> {
    let mut apps = BTreeSet::new();
    for policy in policies {
        let Head { action, scope, .. } = Head::of(&policy.text)?;
        match (action, scope) {
            (Action::Request | Action::Approve, _) => {}
            (Action::Hold, Scope::App(id)) => apps.extend(id.parse::<AppId>()),
            (Action::Hold, Scope::Entitlement(id)) => apps.extend(id.parse().map(|id: EntitlementId| id.app)),
            (Action::Hold, Scope::Any) => return None,
        }
    }
    Some(apps)
}

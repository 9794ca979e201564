//! What policies as code say of who holds what.

use std::collections::BTreeMap;

use rollcall_policy::engine::Known;
use rollcall_policy::{Action, Engine, Kind, Principal, Resource};
use rollcall_scim::Catalogue;

use crate::access::entitlement::{EntitlementId, Part};
use crate::access::policy::Policy;
use crate::access::role::Standing;
use crate::app::{App, AppSpec};
use crate::decision::rule::InGroup;
use crate::identity::{Identity, IdentityKind};
use crate::ids::PolicyId;

/// Policies, and all that they are asked about.
#[derive(Debug, Default)]
pub struct Policies {
    engine: Engine,
    resources: BTreeMap<EntitlementId, Resource>,
    readable: Readable,
}

/// Whether every policy can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Readable {
    /// They can.
    #[default]
    Yes,
    /// A newer version has written one, or by another schema: nothing can be decided.
    No,
}

impl Policies {
    /// Those that are configured, for these apps.
    #[must_use]
    pub fn of<'a>(policies: &[Policy], apps: impl Iterator<Item = &'a App>) -> Self {
        let configured = policies.iter().filter(|policy| policy.standing == Standing::Configured);
        let texts = configured.map(|policy| (policy.spec.id.as_str(), policy.spec.text.as_str()));
        let Ok(engine) = Engine::new(texts) else { return Self { readable: Readable::No, ..Self::default() } };
        // Nobody asks where there are none.
        let resources = if engine.is_empty() {
            BTreeMap::new()
        } else {
            apps.flat_map(|app| parts(&app.spec).into_iter().map(|part| resource(&app.spec, part))).flatten().collect()
        };
        Self { engine, resources, readable: Readable::Yes }
    }

    /// Whether every one of them can be read.
    #[must_use]
    pub const fn readable(&self) -> Readable {
        self.readable
    }

    /// Whether any of them asks which roles somebody has: then a role may change what is held in any app. One that can't be read may ask
    /// about anything.
    #[must_use]
    pub fn ask_about_roles(&self) -> bool {
        self.readable == Readable::No || self.engine.asks_about_roles()
    }

    /// An identity as they are asked about it; `None`: there are none to ask.
    #[must_use]
    pub fn principal<'a>(
        &self,
        catalogue: &Catalogue,
        identity: &Identity,
        groups: &'a [InGroup],
        roles: impl Iterator<Item = &'a str>,
    ) -> Option<Principal> {
        if self.engine.is_empty() {
            return None;
        }
        let kind = match identity.kind {
            IdentityKind::User => Kind::User,
            IdentityKind::Agent => Kind::Agent,
            IdentityKind::ServiceAccount => Kind::ServiceAccount,
        };
        let groups = groups.iter().map(|(group, _)| group.display_name());
        Principal::new(catalogue, kind, &identity.id.to_string(), &identity.resource, groups, roles)
    }

    /// Whether any of them gives something to anybody.
    #[must_use]
    pub fn give_anything(&self) -> bool {
        self.engine.permits_anything(Action::Hold)
    }

    /// The policies that give something to somebody.
    #[must_use]
    pub fn gives(&self, principal: Option<&Principal>, id: &EntitlementId) -> Vec<PolicyId> {
        let asked = principal.zip(self.resources.get(id));
        named(asked.map(|(principal, resource)| self.engine.permits(Action::Hold, principal, resource)))
    }

    /// The policies by which somebody may not do something about something.
    #[must_use]
    pub fn forbid(&self, action: Action, principal: Option<&Principal>, id: &EntitlementId) -> Vec<PolicyId> {
        let asked = principal.zip(self.resources.get(id));
        named(asked.map(|(principal, resource)| self.engine.forbids(action, principal, resource)))
    }
}

fn named(ids: Option<Vec<String>>) -> Vec<PolicyId> {
    ids.unwrap_or_default().iter().filter_map(|id| id.parse().ok()).collect()
}

/// What can be held in an app.
#[must_use]
pub fn parts(spec: &AppSpec) -> Vec<Part> {
    std::iter::once(Part::Account).chain(spec.managed_groups().into_iter().map(Part::Group)).collect()
}

fn resource(spec: &AppSpec, part: Part) -> Option<(EntitlementId, Resource)> {
    let described = spec.entitlement(&part);
    let (kind, usual) = match &part {
        Part::Account => ("account", spec.name.as_str()),
        Part::Group(name) => ("group", name.as_str()),
    };
    let id = EntitlementId { app: spec.id.clone(), part: part.clone() };
    let known = Known {
        id: &id.to_string(),
        app: spec.id.as_str(),
        app_owner: &spec.owner,
        kind,
        name: described.map_or(usual, |known| known.name.as_str()),
        owner: described.map_or(spec.owner.as_str(), |known| known.terms.owner.as_str()),
        risk: described.map_or("low", |known| known.terms.risk.name()),
    };
    Resource::new(known).map(|resource| (id, resource))
}

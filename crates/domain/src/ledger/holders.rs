//! What a decision is made from: the rules of apps and roles, and identities as these are asked about them; and what follows
//! from it for an account.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_policy::Principal;
use rollcall_scim::Catalogue;
use serde_json::Value;

use super::grants;
use crate::access::account::Account;
use crate::access::desired::{Desired, Presence};
use crate::access::entitlement::Part;
use crate::access::holding::{Decision, Holding, Holdings, Reason, decision_of};
use crate::access::role::{Role, Standing};
use crate::access::separation::SeparationSpec;
use crate::app::mapping::managed_attributes;
use crate::app::{App, Connection};
use crate::decision::policies::{Policies, Readable};
use crate::decision::rule::{Rule, Rules};
use crate::decision::{Asked, Holder, RolesHeld};
use crate::directory;
use crate::identity::Identity;
use crate::identity::content::Content;
use crate::identity::switch::SwitchedOff;
use crate::ids::AppId;
use crate::kv::{KvError, Read};

/// The apps and the roles, with their rules.
#[derive(Debug, Default)]
pub struct AccessRules {
    pub apps: BTreeMap<AppId, (App, Rules)>,
    pub roles: Vec<(Role, Rules)>,
    pub policies: Policies,
    pub separations: Vec<SeparationSpec>,
}

impl AccessRules {
    pub fn of(state: &(impl Read + ?Sized), catalogue: &Catalogue) -> Result<Self, KvError> {
        let app = |app: App| {
            let rules = Rules::of_app(&app, catalogue);
            (app.spec.id.clone(), (app, rules))
        };
        let role = |role: Role| {
            let rules = Rules::of_role(&role.spec, catalogue);
            (role, rules)
        };
        let apps: BTreeMap<AppId, (App, Rules)> = directory::apps(state)?.into_iter().map(app).collect();
        Ok(Self {
            roles: directory::roles(state)?.into_iter().map(role).collect(),
            policies: Policies::of(&directory::policies(state)?, apps.values().map(|(app, _)| app)),
            separations: super::configured_separations(state)?,
            apps,
        })
    }

    /// The same where one app is another one.
    pub fn with(mut self, state: &(impl Read + ?Sized), app: App, rules: Rules) -> Result<Self, KvError> {
        self.apps.insert(app.spec.id.clone(), (app, rules));
        self.policies = Policies::of(&directory::policies(state)?, self.apps.values().map(|(app, _)| app));
        Ok(self)
    }

    /// An identity as policies are asked about it.
    pub fn principal(&self, catalogue: &Catalogue, holder: &Holder, roles: &RolesHeld<'_>) -> Option<Principal> {
        let roles = roles.iter().map(|(role, _)| role.id.as_str());
        self.policies.principal(catalogue, &holder.identity, &holder.groups, roles)
    }

    /// The policies, asked about an identity.
    pub const fn asked<'a>(&'a self, principal: Option<&'a Principal>) -> Asked<'a> {
        Asked { policies: &self.policies, principal }
    }

    /// Whether it can be decided what somebody holds in an app: it is configured, and every rule and policy can be read, and who they
    /// are.
    pub fn decides(&self, app: &App, rule: &Rule, identity: &Identity) -> bool {
        let unreadable = |(role, rules): &(Role, Rules)| {
            let gives = || role.spec.entitlements.iter().any(|id| id.app == app.spec.id);
            matches!(rules.of(identity.kind), Rule::Unreadable) && role.standing == Standing::Configured && gives()
        };
        app.connection == Connection::Configured
            && !matches!(rule, Rule::Unreadable)
            && !self.roles.iter().any(unreadable)
            && self.policies.readable() == Readable::Yes
            && identity.content == Content::Open
    }

    pub fn roles_of(&self, holder: &Holder) -> RolesHeld<'_> {
        let kind = holder.identity.kind;
        holder.roles(self.roles.iter().map(|(role, rules)| (role, rules.of(kind))))
    }
}

/// About whom access is decided: an identity, as rules are asked about it.
pub fn holder_of(state: &impl Read, identity: Identity) -> Result<Holder, KvError> {
    let mut subject = Value::Object(identity.resource.clone());
    let groups = directory::groups_of(state, identity.id)?;
    if let Some(resource) = subject.as_object_mut() {
        resource.insert("groups".into(), directory::groups_attribute(&groups));
        // A resource need not say it; the lifecycle does.
        resource.insert("active".into(), identity.lifecycle.has_access().into());
    }
    let grants = grants::active_grants_of(state, identity.id)?;
    Ok(Holder { identity, subject, groups, grants })
}

/// What an account must be for what is held with it, and for whom a person has switched off.
pub fn desired_for(decision: &Decision, identity: &Identity, app: &App, off: Option<&SwitchedOff>) -> Desired {
    if decision.is_empty() {
        return Desired::Absent;
    }
    if off.is_some() {
        return Desired::Off;
    }
    let group = |part: &Part| match part {
        Part::Group(name) => Some(name.clone()),
        Part::Account => None,
    };
    Desired::Present(Presence {
        attributes: managed_attributes(&app.spec.attributes, identity.id, &identity.resource),
        groups: decision.keys().filter_map(group).collect(),
    })
}

/// What an account must be, and what is held with it, where nothing can be decided: what was decided last, but for grants that have
/// ended since.
pub fn kept(before: &Account, holder: &Holder, app: &App, off: Option<&SwitchedOff>) -> (Desired, Holdings) {
    let stands = |reason: &Reason| match reason {
        Reason::Grant(id) | Reason::GrantedRole(_, id) => holder.grants.iter().any(|grant| grant.id == *id),
        Reason::Rule | Reason::Group(_) | Reason::Role(_) | Reason::Policy(_) => true,
    };
    let kept = |(part, holding): (&Part, &Holding)| {
        let reasons: BTreeSet<Reason> = holding.reasons.iter().filter(|reason| stands(reason)).cloned().collect();
        (!reasons.is_empty()).then(|| (part.clone(), Holding { since: holding.since, reasons }))
    };
    let mut holds: Holdings = before.holds.iter().filter_map(kept).collect();
    if !holds.contains_key(&Part::Account) {
        holds.clear();
    }
    let has_ended = |part: &Part| before.holds.contains_key(part) && !holds.contains_key(part);
    let desired = match &before.desired {
        Desired::Absent | Desired::Deleted => before.desired.clone(),
        Desired::Present(_) | Desired::Off if has_ended(&Part::Account) => Desired::Absent,
        Desired::Present(_) | Desired::Off if off.is_some() => Desired::Off,
        Desired::Present(presence) => {
            let groups = presence.groups.iter().filter(|name| !has_ended(&Part::Group((*name).clone()))).cloned();
            Desired::Present(Presence { attributes: presence.attributes.clone(), groups: groups.collect() })
        }
        Desired::Off => desired_for(&decision_of(&holds), &holder.identity, app, None),
    };
    (desired, holds)
}

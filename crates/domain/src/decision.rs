//! The decision who holds what, and why: a function of the identity, its groups and grants, the roles and the app.

pub mod access_rules;
pub mod imagined;
pub mod policies;
pub mod rule;

use std::collections::BTreeSet;

use rollcall_policy::{Action, Principal};
use serde_json::Value;

use crate::access::entitlement::{EntitlementId, Grantable, Part};
use crate::access::grant::Grant;
use crate::access::holding::{Decision, Reason};
use crate::access::role::{Role, RoleSpec, Standing};
use crate::app::{App, AppSpec, Connection};
use crate::decision::policies::Policies;
use crate::decision::rule::{InGroup, Rule, counting, group_rules, seen_in};
use crate::directory;
use crate::identity::Identity;
use crate::ids::PolicyId;

/// About whom it is decided: an identity, as rules are asked about it.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Who.
    pub identity: Identity,
    /// It, with the groups that it is in.
    pub subject: Value,
    /// These groups.
    pub groups: Vec<InGroup>,
    /// What is granted to it now.
    pub grants: Vec<Grant>,
}

/// The roles of someone, each with every reason.
pub type RolesHeld<'a> = Vec<(&'a RoleSpec, BTreeSet<Reason>)>;

impl Holder {
    /// Somebody, as rules are asked about them.
    #[must_use]
    pub fn new(identity: Identity, groups: Vec<InGroup>, grants: Vec<Grant>) -> Self {
        let mut resource = identity.resource.clone();
        resource.insert("groups".into(), directory::groups_attribute(&groups));
        // A resource need not say it; the lifecycle does.
        resource.insert("active".into(), identity.lifecycle.has_access().into());
        Self { identity, subject: Value::Object(resource), groups, grants }
    }

    /// Whether it may hold anything at all.
    #[must_use]
    pub const fn may_hold(&self) -> bool {
        self.identity.is_active()
    }

    /// The roles that it has.
    pub fn roles<'a>(&self, all: impl Iterator<Item = (&'a Role, &'a Rule)>) -> RolesHeld<'a> {
        let has = |(role, rule): (&'a Role, &Rule)| {
            if role.standing == Standing::Removed {
                return None;
            }
            let spec = &role.spec;
            let is_chosen = match spec.groups_from.is_empty() {
                true => rule.chooses(&self.subject),
                false => rule.chooses(&seen_in(&self.subject, &counting(&self.groups, &spec.groups_from))),
            };
            let by_rule = is_chosen.then(|| Reason::Role(spec.id.clone()));
            let granted = self.grants.iter().filter(|grant| grant.what == Grantable::Role(spec.id.clone()));
            let by_grant = granted.map(|grant| Reason::GrantedRole(spec.id.clone(), grant.id));
            let reasons: BTreeSet<Reason> = by_rule.into_iter().chain(by_grant).collect();
            (!reasons.is_empty()).then_some((spec, reasons))
        };
        all.filter_map(has).collect()
    }

    /// What it is to hold in an app. What a policy forbids is held by nobody whom it is about, whatever else gives it.
    #[must_use]
    pub fn decide(&self, app: &App, rule: &Rule, roles: &RolesHeld<'_>, policies: Asked<'_>) -> Decision {
        let mut held = Decision::new();
        let spec = &app.spec;
        if !self.may_hold()
            || app.connection != Connection::Configured
            || !spec.identities.contains(&self.identity.kind)
        {
            return held;
        }
        for (part, reason) in self.given(app, rule, roles, policies) {
            held.entry(part).or_default().insert(reason);
        }
        let is_forbidden = |part: &Part| !policies.forbidden(spec, part).is_empty();
        // A group of an app that nobody manages is not entered.
        held.retain(|part, _| match part {
            Part::Account => true,
            Part::Group(name) => spec.manages(name) && !is_forbidden(part),
        });
        // No group without an account.
        let of_groups: BTreeSet<Reason> = held.values().flatten().cloned().collect();
        if of_groups.is_empty() || is_forbidden(&Part::Account) {
            return Decision::new();
        }
        held.entry(Part::Account).or_insert(of_groups);
        // Groups of ours give groups of the app to whoever has an account.
        for rule in group_rules(spec, &self.groups) {
            let part = Part::Group(rule.to.clone());
            if !is_forbidden(&part) {
                held.entry(part).or_default().insert(Reason::Group(rule.from.clone()));
            }
        }
        held
    }

    /// Whether the rule of an app chooses it.
    #[must_use]
    pub fn is_chosen(&self, spec: &AppSpec, rule: &Rule) -> bool {
        match spec.groups_from.is_empty() {
            true => rule.chooses(&self.subject),
            false => rule.chooses(&seen_in(&self.subject, &counting(&self.groups, &spec.groups_from))),
        }
    }

    /// What is given to it in an app, each with a reason.
    fn given(&self, app: &App, rule: &Rule, roles: &RolesHeld<'_>, policies: Asked<'_>) -> Vec<(Part, Reason)> {
        let spec = &app.spec;
        let mut all = Vec::new();
        all.extend(self.is_chosen(spec, rule).then_some((Part::Account, Reason::Rule)));
        for (role, reasons) in roles {
            for EntitlementId { part, .. } in role.entitlements.iter().filter(|id| id.app == spec.id) {
                all.extend(reasons.iter().map(|reason| (part.clone(), reason.clone())));
            }
        }
        for grant in &self.grants {
            if let Grantable::Entitlement(EntitlementId { app, part }) = &grant.what
                && *app == spec.id
            {
                all.push((part.clone(), Reason::Grant(grant.id)));
            }
        }
        all.extend(policies.given(spec));
        all
    }
}

/// Policies, and the identity that they are asked about.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The policies.
    pub policies: &'a Policies,
    /// The identity; `None`: there are none to ask.
    pub principal: Option<&'a Principal>,
}

impl Asked<'_> {
    fn given(self, spec: &AppSpec) -> Vec<(Part, Reason)> {
        if self.principal.is_none() || !self.policies.give_anything() {
            return Vec::new();
        }
        let of = |part: Part| {
            let id = EntitlementId { app: spec.id.clone(), part };
            let found = self.policies.gives(self.principal, &id);
            found.into_iter().map(move |policy| (id.part.clone(), Reason::Policy(policy)))
        };
        policies::parts(spec).into_iter().flat_map(of).collect()
    }

    /// The policies by which it does not hold something, or the account that comes with it.
    #[must_use]
    pub fn forbidden_with_account(self, spec: &AppSpec, part: &Part) -> Vec<PolicyId> {
        let mut by = self.forbidden(spec, part);
        if *part != Part::Account {
            by.extend(self.forbidden(spec, &Part::Account));
        }
        by
    }

    /// The policies by which it does not hold something.
    #[must_use]
    pub fn forbidden(self, spec: &AppSpec, part: &Part) -> Vec<PolicyId> {
        if self.principal.is_none() {
            return Vec::new();
        }
        let id = EntitlementId { app: spec.id.clone(), part: part.clone() };
        self.policies.forbid(Action::Hold, self.principal, &id)
    }
}

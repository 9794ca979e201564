//! Rules: SCIM filters that choose identities, for accounts in an app and for roles.

use std::collections::BTreeSet;

use rollcall_scim::{Catalogue, Filter};
use serde_json::Value;

use crate::access::role::RoleSpec;
use crate::app::{App, AppSpec, GroupRule};
use crate::directory::{self, Membership};
use crate::identity::IdentityKind;
use crate::identity::group::Group;
use crate::identity::name::name_key;
use crate::ids::SourceName;

/// A group that somebody is in, and how.
pub type InGroup = (Group, Membership);

/// A rule, as it applies to each kind of identity.
#[derive(Debug, Clone)]
pub struct Rules {
    user: Rule,
    agent: Rule,
    service_account: Rule,
}

/// A rule for one kind of identity.
#[derive(Debug, Clone)]
pub enum Rule {
    /// It chooses those whom the filter matches.
    Matches(Box<Filter>),
    /// It chooses nobody.
    Nobody,
    /// A newer version wrote it.
    Unreadable,
}

impl Rules {
    /// Who has an account in an app.
    #[must_use]
    pub fn of_app(app: &App, catalogue: &Catalogue) -> Self {
        Self::read(&app.spec.assign, &app.spec.identities, catalogue)
    }

    /// Who has a role.
    #[must_use]
    pub fn of_role(role: &RoleSpec, catalogue: &Catalogue) -> Self {
        Self::read(&role.members, &IdentityKind::ALL, catalogue)
    }

    fn read(filter: &str, kinds: &[IdentityKind], catalogue: &Catalogue) -> Self {
        if filter.is_empty() {
            return Self { user: Rule::Nobody, agent: Rule::Nobody, service_account: Rule::Nobody };
        }
        let parse = |kind| Filter::parse(filter, kind).ok().map(|f| Rule::Matches(Box::new(f)));
        let user = if kinds.contains(&IdentityKind::User) { parse(catalogue.user()) } else { Some(Rule::Nobody) };
        // A rule about attributes that only people have chooses no machines.
        let machine = |kind, of| kinds.contains(&kind).then(|| parse(of)).flatten().unwrap_or(Rule::Nobody);
        Self {
            user: user.unwrap_or(Rule::Unreadable),
            agent: machine(IdentityKind::Agent, catalogue.agent()),
            service_account: machine(IdentityKind::ServiceAccount, catalogue.service_account()),
        }
    }

    /// The one for a kind of identity.
    #[must_use]
    pub const fn of(&self, kind: IdentityKind) -> &Rule {
        match kind {
            IdentityKind::User => &self.user,
            IdentityKind::Agent => &self.agent,
            IdentityKind::ServiceAccount => &self.service_account,
        }
    }
}

impl Rule {
    /// Whether it chooses an identity, of which these groups count.
    #[must_use]
    pub fn chooses(&self, subject: &Value) -> bool {
        matches!(self, Self::Matches(filter) if filter.matches(subject))
    }
}

/// Those of the groups that count, where those of some sources do; none: those of each.
#[must_use]
pub fn counting(groups: &[InGroup], from: &BTreeSet<SourceName>) -> Vec<InGroup> {
    let counts = |group: &Group| from.is_empty() || group.created_by.as_ref().is_some_and(|by| from.contains(by));
    groups.iter().filter(|(group, _)| counts(group)).cloned().collect()
}

/// The rules of an app by which whoever is in these groups is in groups there.
pub fn group_rules<'a>(spec: &'a AppSpec, groups: &[InGroup]) -> impl Iterator<Item = &'a GroupRule> {
    let names = counting(groups, &spec.groups_from).into_iter().map(|(group, _)| name_key(group.display_name()));
    let names: BTreeSet<String> = names.collect();
    spec.groups.iter().filter(move |rule| names.contains(&name_key(&rule.from)))
}

/// An identity, as rules are asked about it, with these groups.
#[must_use]
pub fn seen_in(subject: &Value, groups: &[InGroup]) -> Value {
    let mut subject = subject.clone();
    if let Some(resource) = subject.as_object_mut() {
        resource.insert("groups".into(), directory::groups_attribute(groups));
    }
    subject
}

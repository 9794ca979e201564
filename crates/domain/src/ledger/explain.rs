//! Who holds what, since when, until when and why; and why not.

use jiff::Timestamp;
use rollcall_policy::Action;
use rollcall_scim::Catalogue;

use super::holders::{AccessRules, holder_of};
use super::read::{account, accounts_of};
use super::{grants, switch};
use crate::access::account::Account;
use crate::access::entitlement::{EntitlementId, Grantable, Part, Requestable};
use crate::access::grant::Grant;
use crate::access::holding::{Decision, Reason};
use crate::app::Connection;
use crate::decision::Holder;
use crate::decision::rule::{Rule, counting};
use crate::directory;
use crate::identity::Identity;
use crate::identity::lifecycle::Lifecycle;
use crate::identity::name::name_key;
use crate::ids::{IdentityId, PolicyId, RoleId};
use crate::kv::{KvError, Read};

/// Something that is held.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// What.
    pub id: EntitlementId,
    /// Since when; `None`: that it is held is not in the state yet.
    pub since: Option<Timestamp>,
    /// When the last reason for it ends by itself; `None`: it does not.
    pub until: Option<Timestamp>,
    /// Every reason.
    pub reasons: Vec<Reason>,
    /// The account it is held with, where there is one.
    pub account: Option<Account>,
}

/// Why something is not held, or not usable: each would have to change, or one of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// They are not active.
    NotActive(Lifecycle),
    /// A person has switched them off.
    SwitchedOff,
    /// There is no such app.
    NoApp,
    /// The app is not in the configuration any more.
    AppRemoved,
    /// The app takes none of their kind.
    Kind,
    /// Nobody manages this group of the app.
    NotManaged,
    /// The rule of the app does not choose them; empty: it has none.
    Rule(String),
    /// A newer version has written the rule of the app.
    RuleUnreadable,
    /// They are in none of these groups of ours, which would give it to whoever has an account.
    NotInGroups(Vec<String>),
    /// This role would give it, and its rule does not choose them; empty: it is only granted.
    NotInRole(RoleId, String),
    /// These policies forbid it, whatever gives it.
    Forbidden(Vec<PolicyId>),
    /// Nothing was granted to them that gives it.
    NotGranted(Requestable),
}

/// What someone holds now, in every app.
///
/// # Errors
/// When the state can't be read.
pub fn held_by(state: &impl Read, catalogue: &Catalogue, identity: Identity) -> Result<Vec<Held>, KvError> {
    let access = AccessRules::of(state, catalogue)?;
    let id = identity.id;
    let holder = holder_of(state, identity)?;
    let roles = access.roles_of(&holder);
    let principal = access.principal(catalogue, &holder, &roles);
    let accounts = accounts_of(state, id)?;
    let mut all = Vec::new();
    for (app, rules) in access.apps.values() {
        let asked = access.asked(principal.as_ref());
        let decision = holder.decide(app, rules.of(holder.identity.kind), &roles, asked);
        let account = accounts.iter().find(|account| account.app == app.spec.id);
        all.extend(decision.into_iter().map(|(part, reasons)| {
            let id = EntitlementId { app: app.spec.id.clone(), part };
            held(&holder, id, reasons.into_iter().collect(), account.cloned())
        }));
    }
    Ok(all)
}

fn held(holder: &Holder, id: EntitlementId, reasons: Vec<Reason>, account: Option<Account>) -> Held {
    let since = account.as_ref().and_then(|account| account.holds.get(&id.part)).map(|holding| holding.since);
    Held { since, until: until(holder, &reasons), id, reasons, account }
}

/// When the last of some reasons ends by itself.
fn until(holder: &Holder, reasons: &[Reason]) -> Option<Timestamp> {
    let end = |reason: &Reason| match reason {
        Reason::Grant(id) | Reason::GrantedRole(_, id) => holder.grants.iter().find(|grant| grant.id == *id)?.until,
        Reason::Rule | Reason::Group(_) | Reason::Role(_) | Reason::Policy(_) => None,
    };
    reasons.iter().map(end).collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Whether someone holds something, and why or why not.
///
/// # Errors
/// When the state can't be read.
pub fn explain(
    state: &impl Read,
    catalogue: &Catalogue,
    identity: Identity,
    entitlement: &EntitlementId,
) -> Result<(Option<Held>, Vec<Missing>), KvError> {
    let id = identity.id;
    let mut missing = Vec::new();
    if !identity.lifecycle.has_access() || identity.deleted {
        missing.push(Missing::NotActive(identity.lifecycle));
    }
    if switch::switched_off(state, id)?.is_some() {
        missing.push(Missing::SwitchedOff);
    }
    let access = AccessRules::of(state, catalogue)?;
    let Some((app, rules)) = access.apps.get(&entitlement.app) else {
        missing.push(Missing::NoApp);
        return Ok((None, missing));
    };
    let holder = holder_of(state, identity)?;
    let roles = access.roles_of(&holder);
    let rule = rules.of(holder.identity.kind);
    let principal = access.principal(catalogue, &holder, &roles);
    let asked = access.asked(principal.as_ref());
    let mut decision: Decision = holder.decide(app, rule, &roles, asked);
    if let Some(reasons) = decision.remove(&entitlement.part) {
        let account = account(state, id, &entitlement.app)?;
        return Ok((Some(held(&holder, entitlement.clone(), reasons.into_iter().collect(), account)), missing));
    }
    let spec = &app.spec;
    if app.connection == Connection::Removed {
        missing.push(Missing::AppRemoved);
    }
    let mut forbidden = asked.forbidden(spec, &entitlement.part);
    if entitlement.part != Part::Account {
        forbidden.extend(asked.forbidden(spec, &Part::Account));
    }
    if !forbidden.is_empty() {
        missing.push(Missing::Forbidden(forbidden));
    }
    if !spec.identities.contains(&holder.identity.kind) {
        missing.push(Missing::Kind);
    }
    match &entitlement.part {
        Part::Account => missing.push(match rule {
            Rule::Unreadable => Missing::RuleUnreadable,
            Rule::Matches(_) | Rule::Nobody => Missing::Rule(spec.assign.clone()),
        }),
        Part::Group(name) => {
            if !spec.manages(name) {
                missing.push(Missing::NotManaged);
            }
            let theirs = counting(&holder.groups, &spec.groups_from);
            let is_in = |from: &str| theirs.iter().any(|(group, _)| name_key(group.display_name()) == name_key(from));
            let from: Vec<String> = spec.groups.iter().filter(|r| r.to == *name).map(|r| r.from.clone()).collect();
            if !from.is_empty() && !from.iter().any(|from| is_in(from)) {
                missing.push(Missing::NotInGroups(from));
            } else if !from.is_empty() && decision.is_empty() {
                // They are in the group, and have no account that it would be held with.
                missing.push(Missing::Rule(spec.assign.clone()));
            }
        }
    }
    let mut requestable = spec.entitlement(&entitlement.part).map_or(Requestable::No, |known| known.terms.requestable);
    for role in directory::roles(state)?.into_iter().map(|role| role.spec) {
        if role.entitlements.contains(entitlement) && !roles.iter().any(|(held, _)| held.id == role.id) {
            if role.terms.requestable == Requestable::Yes {
                requestable = Requestable::Yes;
            }
            missing.push(Missing::NotInRole(role.id, role.members));
        }
    }
    missing.push(Missing::NotGranted(requestable));
    Ok((None, missing))
}

/// Whether someone has asked for something and nobody has answered, or holds it by a grant.
///
/// # Errors
/// When the state can't be read.
pub fn grant_for(state: &impl Read, id: IdentityId, what: &Grantable) -> Result<Option<Grant>, KvError> {
    Ok(grants::grants_of(state, id)?.into_iter().find(|grant| grant.what == *what && grant.ended.is_none()))
}

/// The policies by which somebody may not do something about all that can be granted so.
///
/// # Errors
/// When the state can't be read.
pub fn forbidden(
    state: &impl Read,
    catalogue: &Catalogue,
    identity: Identity,
    action: Action,
    what: &Grantable,
) -> Result<Vec<PolicyId>, KvError> {
    let access = AccessRules::of(state, catalogue)?;
    let holder = holder_of(state, identity)?;
    let roles = access.roles_of(&holder);
    let principal = access.principal(catalogue, &holder, &roles);
    let all: Vec<EntitlementId> = match what {
        Grantable::Entitlement(id) => vec![id.clone()],
        Grantable::Role(id) => {
            directory::role(state, id)?.into_iter().flat_map(|role| role.spec.entitlements).collect()
        }
    };
    let mut found: Vec<PolicyId> =
        all.iter().flat_map(|id| access.policies.forbid(action, principal.as_ref(), id)).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

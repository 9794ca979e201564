//! Who holds what, since when, until when and why; and why not.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rollcall_policy::Action;
use rollcall_scim::Catalogue;

use super::holders::holder_of;
use super::read::{account, accounts_of, drift_of};
use super::separations::separated;
use super::{grants, switch};
use crate::access::account::{Account, Proof};
use crate::access::desired::{Desired, Target};
use crate::access::entitlement::{EntitlementId, Grantable, Part, Requestable};
use crate::access::grant::Grant;
use crate::access::holding::{Decision, Reason, decision_of};
use crate::access::role::Standing;
use crate::app::Connection;
use crate::decision::Holder;
use crate::decision::access_rules::AccessRules;
use crate::decision::rule::{Rule, group_rules};
use crate::directory;
use crate::drift::DriftItem;
use crate::drift::kind::DriftKind;
use crate::identity::Identity;
use crate::identity::lifecycle::Lifecycle;
use crate::ids::{AppId, IdentityId, PolicyId, RoleId, SeparationId};
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
    /// A separation forbids it besides something that they hold.
    Separated(SeparationId, EntitlementId),
    /// An account of theirs is being taken away, and that is not verified.
    Ending,
}

/// How far what is held is, as the app was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The app was read back and shows it.
    Verified,
    /// Somebody says so, and the app can't be read.
    Attested,
    /// It is to be changed, or read.
    Pending,
    /// The app was read and shows it otherwise.
    Differs,
    /// A person has switched them off, and the app was read back.
    Off,
    /// It is being taken away, and that is not verified.
    Ending,
}

impl Progress {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Attested => "attested",
            Self::Pending => "pending",
            Self::Differs => "differs",
            Self::Off => "off",
            Self::Ending => "ending",
        }
    }
}

/// How far something that is held with an account is.
///
/// # Errors
/// When the state can't be read.
pub fn progress(state: &(impl Read + ?Sized), account: &Account, part: &Part) -> Result<Progress, KvError> {
    let is_access =
        |kind| matches!(kind, DriftKind::Zombie | DriftKind::Missing | DriftKind::Membership | DriftKind::Invited);
    let differs = drift_of(state, &account.app, account.identity)?.iter().any(|item| is_access(item.id.kind));
    Ok(match &account.desired {
        Desired::Absent | Desired::Deleted => Progress::Ending,
        Desired::Present(_) | Desired::Off if account.is_pending() => Progress::Pending,
        Desired::Present(_) if !account.holds.contains_key(part) => Progress::Pending,
        Desired::Present(_) | Desired::Off if differs => Progress::Differs,
        Desired::Present(_) if account.proof() == Proof::Word => Progress::Attested,
        Desired::Present(_) => Progress::Verified,
        Desired::Off => Progress::Off,
    })
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
        all.extend(decision.keys().map(|part| held(&holder, &app.spec.id, part, &decision, account.cloned())));
    }
    // What is there besides: kept where nothing can be decided, or not verified gone.
    let covered: BTreeSet<AppId> = all.iter().map(|held| held.id.app.clone()).collect();
    for account in accounts.into_iter().filter(|account| !covered.contains(&account.app)) {
        if account.desired.target() == Target::Present {
            let decision = decision_of(&account.holds);
            let app = account.app.clone();
            all.extend(decision.keys().map(|part| held(&holder, &app, part, &decision, Some(account.clone()))));
        } else if is_ending(state, &account)? {
            let id = EntitlementId { app: account.app.clone(), part: Part::Account };
            all.push(Held { id, since: None, until: None, reasons: Vec::new(), account: Some(account) });
        }
    }
    Ok(all)
}

/// Whether an account must be gone, and is not verified to be.
fn is_ending(state: &impl Read, account: &Account) -> Result<bool, KvError> {
    let lives = |item: &DriftItem| matches!(item.id.kind, DriftKind::Zombie | DriftKind::Invited);
    let drift = drift_of(state, &account.app, account.identity)?;
    Ok(account.desired.target() == Target::Absent && (!account.owes_no_access() || drift.iter().any(lives)))
}

fn held(holder: &Holder, app: &AppId, part: &Part, decision: &Decision, account: Option<Account>) -> Held {
    let since = account.as_ref().and_then(|account| account.holds.get(part)).map(|holding| holding.since);
    let reasons = decision.get(part).into_iter().flatten().cloned().collect();
    let id = EntitlementId { app: app.clone(), part: part.clone() };
    Held { id, since, until: until(holder, part, decision), reasons, account }
}

/// When something that is held ends by itself: an account with the last of all that is held with it, and what a group of ours gives
/// with the account.
fn until(holder: &Holder, part: &Part, decision: &Decision) -> Option<Timestamp> {
    let end = |reason: &Reason| match reason {
        Reason::Grant(id) | Reason::GrantedRole(_, id) => holder.grants.iter().find(|grant| grant.id == *id)?.until,
        Reason::Rule | Reason::Group(_) | Reason::Role(_) | Reason::Policy(_) => None,
    };
    let last =
        |reasons: &mut dyn Iterator<Item = &Reason>| reasons.map(end).collect::<Option<Vec<_>>>()?.into_iter().max();
    let of_account = || last(&mut decision.values().flatten().filter(|reason| !matches!(reason, Reason::Group(_))));
    let reasons = decision.get(part)?;
    if *part == Part::Account || reasons.iter().any(|reason| matches!(reason, Reason::Group(_))) {
        return of_account();
    }
    last(&mut reasons.iter())
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
    if !identity.is_active() {
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
    let account = account(state, id, &entitlement.app)?;
    // What can't be decided stays as it was decided last.
    if !access.decides(app, rule, &holder.identity)
        && let Some(account) = account.as_ref().filter(|account| account.desired.target() == Target::Present)
    {
        decision = decision_of(&account.holds);
    }
    if decision.contains_key(&entitlement.part) {
        return Ok((Some(held(&holder, &entitlement.app, &entitlement.part, &decision, account)), missing));
    }
    if let Some(account) = &account
        && is_ending(state, account)?
    {
        missing.push(Missing::Ending);
    }
    let spec = &app.spec;
    if app.connection == Connection::Removed {
        missing.push(Missing::AppRemoved);
    }
    let forbidden = asked.forbidden_with_account(spec, &entitlement.part);
    if !forbidden.is_empty() {
        missing.push(Missing::Forbidden(forbidden));
    }
    if !spec.identities.contains(&holder.identity.kind) {
        missing.push(Missing::Kind);
    }
    match &entitlement.part {
        Part::Account if holder.is_chosen(spec, rule) => {}
        Part::Account => missing.push(match rule {
            Rule::Unreadable => Missing::RuleUnreadable,
            Rule::Matches(_) | Rule::Nobody => Missing::Rule(spec.assign.clone()),
        }),
        Part::Group(name) => {
            if !spec.manages(name) {
                missing.push(Missing::NotManaged);
            }
            let is_in_one = group_rules(spec, &holder.groups).any(|rule| rule.to == *name);
            let from: Vec<String> = spec.groups.iter().filter(|r| r.to == *name).map(|r| r.from.clone()).collect();
            if !from.is_empty() && !is_in_one {
                missing.push(Missing::NotInGroups(from));
            } else if !from.is_empty() && decision.is_empty() {
                // They are in the group, and have no account that it would be held with.
                missing.push(Missing::Rule(spec.assign.clone()));
            }
        }
    }
    let mut requestable = spec.entitlement(&entitlement.part).map_or(Requestable::No, |known| known.terms.requestable);
    let configured = access.roles.iter().filter(|(role, _)| role.standing == Standing::Configured);
    for role in configured.map(|(role, _)| &role.spec) {
        if role.entitlements.contains(entitlement) && !roles.iter().any(|(held, _)| held.id == role.id) {
            if role.terms.requestable == Requestable::Yes {
                requestable = Requestable::Yes;
            }
            missing.push(Missing::NotInRole(role.id.clone(), role.members.clone()));
        }
    }
    let what = Grantable::Entitlement(entitlement.clone());
    missing.extend(separated(state, id, &what)?.into_iter().map(|one| Missing::Separated(one.by, one.first)));
    let gives = |grant: &Grant| match &grant.what {
        Grantable::Entitlement(id) => id == entitlement,
        Grantable::Role(role) => {
            roles.iter().any(|(held, _)| held.id == *role && held.entitlements.contains(entitlement))
        }
    };
    if !holder.grants.iter().any(gives) {
        missing.push(Missing::NotGranted(requestable));
    }
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

//! Stories of roles, grants and whoever is switched off.

use std::collections::BTreeSet;

use rollcall_domain::access::desired::Desired;
use rollcall_domain::access::entitlement::{Approver, Entitlement, Part, Requestable, Risk, Terms};
use rollcall_domain::access::grant::{GrantChanged, GrantEnd, GrantRequested, GrantStatus, GrantStep, Lasts};
use rollcall_domain::access::holding::Reason;
use rollcall_domain::access::role::RoleSpec;
use rollcall_domain::app::AppSpec;
use rollcall_domain::identity::switch::{Switch, Switched};
use rollcall_domain::{Event, GrantId, IdentityId, Sequence, ledger};
use uuid::Uuid;

use super::{World, app_id, at, spec, two_apps};

pub fn terms() -> Terms {
    Terms {
        owner: "owner@example.com".into(),
        risk: Risk::High,
        requestable: Requestable::Yes,
        max_duration: None,
        approvers: vec![Approver::Owner],
        approvals: 1,
    }
}

/// An app in which a group is managed, and that nobody has an account in by a rule.
pub fn code() -> AppSpec {
    let admins = Entitlement { part: Part::Group("Admins".into()), name: "Administrators".into(), terms: terms() };
    AppSpec { entitlements: vec![admins], ..spec("code", "") }
}

pub fn role(id: &str, members: &str, entitlements: &[&str]) -> RoleSpec {
    RoleSpec {
        id: id.parse().unwrap(),
        name: id.to_uppercase(),
        members: members.into(),
        entitlements: entitlements.iter().map(|text| text.parse().unwrap()).collect(),
        groups_from: BTreeSet::new(),
        terms: terms(),
    }
}

pub fn with_code() -> World {
    let mut world = two_apps();
    world.append(Event::AppConfigured(Box::new(code())));
    world
}

pub fn switch(world: &mut World, id: IdentityId, to: Switch) -> Sequence {
    world.append_by("olga", Event::IdentitySwitched(Switched { id, to, reason: "phished".into() }))
}

pub fn groups(world: &World, id: IdentityId, app: &str) -> Option<Vec<String>> {
    match ledger::account(&world.state, id, &app_id(app)).unwrap()?.desired {
        Desired::Present(presence) => Some(presence.groups.into_iter().collect()),
        Desired::Absent | Desired::Deleted | Desired::Off => None,
    }
}

pub fn reasons(world: &World, id: IdentityId, app: &str, part: &Part) -> Vec<Reason> {
    let account = ledger::account(&world.state, id, &app_id(app)).unwrap();
    let holding = account.and_then(|account| account.holds.get(part).cloned());
    holding.map(|holding| holding.reasons.into_iter().collect()).unwrap_or_default()
}

pub struct Ask<'a> {
    pub what: &'a str,
    pub lasts: Lasts,
    pub approvals: u32,
    pub extends: Option<GrantId>,
}

pub fn admins(lasts: Lasts) -> Ask<'static> {
    Ask { what: "code:group:Admins", lasts, approvals: 1, extends: None }
}

pub fn grant_id(n: u128) -> GrantId {
    GrantId(Uuid::from_u128(n))
}

pub fn request(world: &mut World, n: u128, who: IdentityId, ask: Ask<'_>) -> Sequence {
    let request = GrantRequested {
        what: ask.what.parse().unwrap(),
        lasts: ask.lasts,
        reason: "incident".into(),
        ticket: String::new(),
        approvers: vec![Approver::Owner],
        approvals: ask.approvals,
        expires_at: at(10_000),
        extends: ask.extends,
    };
    let step = GrantStep::Requested(Box::new(request));
    world.append_by("anna", Event::Grant(GrantChanged { id: grant_id(n), identity: who, step }))
}

pub fn approve(world: &mut World, by: &str, n: u128, who: IdentityId) -> Sequence {
    world.append_by(by, Event::Grant(GrantChanged { id: grant_id(n), identity: who, step: GrantStep::Approved }))
}

pub fn end(world: &mut World, n: u128, who: IdentityId, why: GrantEnd, of: Option<jiff::Timestamp>) -> Sequence {
    let step = GrantStep::Ended { why, of, reason: String::new() };
    world.append_by("sla-monitor", Event::Grant(GrantChanged { id: grant_id(n), identity: who, step }))
}

pub fn status(world: &World, n: u128) -> (GrantStatus, Option<GrantEnd>) {
    let grant = ledger::grant(&world.state, grant_id(n)).unwrap().unwrap();
    (grant.status(), grant.ended.map(|ended| ended.why))
}

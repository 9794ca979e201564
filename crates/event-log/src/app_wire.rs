//! The settings of an app, to and from their stored form.

use std::time::Duration;

use rollcall_domain::app::capability::Capabilities;
use rollcall_domain::app::guard::Guard;
use rollcall_domain::app::kind::AppKind;
use rollcall_domain::app::mapping::{Origin, Rule, WhenEmpty};
use rollcall_domain::app::own_way::Keeps;
use rollcall_domain::app::service_level::ServiceLevel;
use rollcall_domain::app::{Adopt, AppSpec, GroupRule};
use rollcall_domain::drift::policy::Policies;
use rollcall_domain::identity::IdentityKind;
use rollcall_proto::v1;
use rollcall_proto::v1::attribute_rule::Origin as StoredOrigin;

use crate::{access_wire, wire};

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// As it is stored.
pub fn to_stored(spec: &AppSpec) -> v1::AppConfigured {
    v1::AppConfigured {
        app_id: spec.id.to_string(),
        name: spec.name.clone(),
        base_url: spec.base_url.clone(),
        owner: spec.owner.clone(),
        assign: spec.assign.clone(),
        deprovision: wire::to_deprovision(spec.deprovision),
        joiner_sla_ms: millis(spec.sla.joiner),
        mover_sla_ms: millis(spec.sla.mover),
        leaver_sla_ms: millis(spec.sla.leaver),
        reconcile_every_ms: millis(spec.reconcile_every),
        max_requests_per_second: spec.max_requests_per_second,
        max_in_flight: spec.max_in_flight,
        identities: spec.identities.iter().copied().map(wire::to_kind).collect(),
        attributes: spec.attributes.iter().map(to_rule).collect(),
        groups: spec.groups.iter().map(|r| v1::GroupRule { from: r.from.clone(), to: r.to.clone() }).collect(),
        drift: Some(to_policies(&spec.drift)),
        guard: Some(v1::Guard {
            max_removals: spec.guard.max_removals,
            max_percent: spec.guard.max_percent,
            window_ms: millis(spec.guard.window),
        }),
        capabilities: Some(to_capabilities(&spec.capabilities)),
        tier: spec.sla.tier.clone(),
        emergency_sla_ms: millis(spec.sla.emergency),
        at_risk_percent: spec.sla.at_risk_percent,
        business_hours: spec.sla.hours.as_ref().map(ToString::to_string).unwrap_or_default(),
        groups_from: spec.groups_from.iter().map(ToString::to_string).collect(),
        adopt: to_adopt(spec.adopt).into(),
        protected: spec.protected.iter().cloned().collect(),
        essential: spec.essential.iter().cloned().collect(),
        entitlements: spec.entitlements.iter().map(access_wire::to_entitlement).collect(),
        disable_sla_ms: millis(spec.sla.disable),
        grant_sla_ms: millis(spec.sla.grant),
        kind: to_kind(spec.kind).into(),
        instructions: spec.instructions.clone(),
    }
}

/// From what was stored.
pub fn from_stored(stored: v1::AppConfigured) -> Option<AppSpec> {
    let or = |said: u64, usual: u64| if said == 0 { usual } else { said };
    let emergency = or(stored.emergency_sla_ms, stored.leaver_sla_ms);
    Some(AppSpec {
        id: stored.app_id.parse().ok()?,
        name: stored.name,
        kind: from_kind(stored.kind)?,
        base_url: stored.base_url,
        instructions: stored.instructions,
        owner: stored.owner,
        assign: stored.assign,
        identities: kinds(&stored.identities),
        deprovision: wire::from_deprovision(stored.deprovision)?,
        sla: ServiceLevel {
            joiner: Duration::from_millis(stored.joiner_sla_ms),
            mover: Duration::from_millis(stored.mover_sla_ms),
            leaver: Duration::from_millis(stored.leaver_sla_ms),
            tier: stored.tier,
            // Before there were emergencies they were leavers like any other.
            emergency: Duration::from_millis(emergency),
            // Before anybody could be switched off, and anything granted, nothing was owed for it.
            disable: Duration::from_millis(or(stored.disable_sla_ms, emergency)),
            grant: Duration::from_millis(or(stored.grant_sla_ms, stored.leaver_sla_ms)),
            at_risk_percent: if stored.at_risk_percent == 0 { 75 } else { stored.at_risk_percent },
            hours: match stored.business_hours.as_str() {
                "" => None,
                text => Some(text.parse().ok()?),
            },
        },
        reconcile_every: Duration::from_millis(stored.reconcile_every_ms),
        max_requests_per_second: stored.max_requests_per_second,
        max_in_flight: stored.max_in_flight,
        attributes: stored.attributes.into_iter().map(from_rule).collect::<Option<_>>()?,
        groups: stored.groups.into_iter().map(|r| GroupRule { from: r.from, to: r.to }).collect(),
        drift: stored.drift.map(|p| from_policies(&p)).unwrap_or_default(),
        groups_from: stored.groups_from.iter().map(|name| name.parse().ok()).collect::<Option<_>>()?,
        adopt: from_adopt(stored.adopt),
        protected: stored.protected.into_iter().collect(),
        essential: stored.essential.into_iter().collect(),
        entitlements: stored.entitlements.into_iter().map(access_wire::from_entitlement).collect::<Option<_>>()?,
        guard: stored.guard.map_or_else(Guard::default, |g| Guard {
            max_removals: g.max_removals,
            max_percent: g.max_percent,
            window: Duration::from_millis(g.window_ms),
        }),
        capabilities: stored.capabilities.map(from_capabilities).unwrap_or_default(),
    })
}

const fn to_kind(kind: AppKind) -> v1::AppKind {
    match kind {
        AppKind::Scim => v1::AppKind::Scim,
        AppKind::Manual => v1::AppKind::Manual,
        AppKind::List => v1::AppKind::List,
    }
}

/// None: a newer version knows this kind.
fn from_kind(stored: i32) -> Option<AppKind> {
    Some(match v1::AppKind::try_from(stored).ok()? {
        v1::AppKind::Unspecified | v1::AppKind::Scim => AppKind::Scim,
        v1::AppKind::Manual => AppKind::Manual,
        v1::AppKind::List => AppKind::List,
    })
}

const fn to_adopt(adopt: Adopt) -> v1::AdoptPolicy {
    match adopt {
        Adopt::Never => v1::AdoptPolicy::Never,
        Adopt::OwnName => v1::AdoptPolicy::OwnName,
        Adopt::Unlinked => v1::AdoptPolicy::Unlinked,
    }
}

fn from_adopt(stored: i32) -> Adopt {
    match v1::AdoptPolicy::try_from(stored) {
        Ok(v1::AdoptPolicy::Never) => Adopt::Never,
        Ok(v1::AdoptPolicy::Unlinked) => Adopt::Unlinked,
        Ok(v1::AdoptPolicy::OwnName | v1::AdoptPolicy::Unspecified) | Err(_) => Adopt::OwnName,
    }
}

/// Which kinds an app takes; before agents were known it took users.
fn kinds(stored: &[i32]) -> Vec<IdentityKind> {
    let kinds: Vec<_> = stored.iter().filter_map(|kind| wire::from_kind(*kind)).collect();
    if kinds.is_empty() { vec![IdentityKind::User] } else { kinds }
}

fn to_rule(rule: &Rule) -> v1::AttributeRule {
    let origin = match &rule.origin {
        Origin::Attribute(path) => StoredOrigin::Attribute(path.clone()),
        Origin::Constant(value) => StoredOrigin::ConstantJson(value.to_string()),
        Origin::Template(template) => StoredOrigin::Template(template.clone()),
    };
    let leave_when_empty = rule.when_empty == WhenEmpty::Leave;
    v1::AttributeRule { target: rule.target.clone(), origin: Some(origin), leave_when_empty }
}

fn from_rule(stored: v1::AttributeRule) -> Option<Rule> {
    let origin = match stored.origin? {
        StoredOrigin::Attribute(path) => Origin::Attribute(path),
        StoredOrigin::ConstantJson(json) => Origin::Constant(serde_json::from_str(&json).ok()?),
        StoredOrigin::Template(template) => Origin::Template(template),
    };
    let when_empty = if stored.leave_when_empty { WhenEmpty::Leave } else { WhenEmpty::Clear };
    Some(Rule { target: stored.target, origin, when_empty })
}

fn to_policies(policies: &Policies) -> v1::DriftPolicies {
    v1::DriftPolicies {
        orphan: wire::to_policy(policies.orphan),
        zombie: wire::to_policy(policies.zombie),
        attribute: wire::to_policy(policies.attribute),
        membership: wire::to_policy(policies.membership),
        missing: wire::to_policy(policies.missing),
        duplicate: wire::to_policy(policies.duplicate),
        residue: wire::to_policy(policies.residue),
    }
}

fn from_policies(stored: &v1::DriftPolicies) -> Policies {
    let usual = Policies::default();
    Policies {
        orphan: wire::from_policy(stored.orphan).unwrap_or(usual.orphan),
        zombie: wire::from_policy(stored.zombie).unwrap_or(usual.zombie),
        attribute: wire::from_policy(stored.attribute).unwrap_or(usual.attribute),
        membership: wire::from_policy(stored.membership).unwrap_or(usual.membership),
        missing: wire::from_policy(stored.missing).unwrap_or(usual.missing),
        duplicate: wire::from_policy(stored.duplicate).unwrap_or(usual.duplicate),
        residue: wire::from_policy(stored.residue).unwrap_or(usual.residue),
    }
}

/// What an app can do, as it is stored.
pub fn to_capabilities(can: &Capabilities) -> v1::Capabilities {
    v1::Capabilities {
        patch: wire::to_support(can.patch),
        filter: wire::to_support(can.filter),
        groups: wire::to_support(can.groups),
        deactivate: wire::to_support(can.deactivate),
        cursor: wire::to_support(can.cursor),
        page_size: can.page_size.unwrap_or_default(),
        members_per_request: can.members_per_request.unwrap_or_default(),
        required: can.required.clone(),
        consistency_delay_ms: can.consistency_delay.map(millis).unwrap_or_default(),
        keeps: can.keeps.iter().map(to_kept).collect(),
        patch_capitalized: wire::to_support(can.patch_capitalized),
        patch_paths: wire::to_support(can.patch_paths),
        patch_many: wire::to_support(can.patch_many),
        members_shown: wire::to_support(can.members_shown),
        removal_by_value: wire::to_support(can.removal_by_value),
        invites: wire::to_support(can.invites),
        quirks: can.quirks.iter().map(ToString::to_string).collect(),
    }
}

fn to_kept((path, keeps): (&String, &Keeps)) -> v1::KeptAttribute {
    v1::KeptAttribute {
        path: path.clone(),
        way: keeps.way.to_string(),
        sent: keeps.sent.clone(),
        shown: keeps.shown.clone(),
    }
}

/// None: a newer version knows this way.
fn from_kept(stored: v1::KeptAttribute) -> Option<(String, Keeps)> {
    Some((stored.path, Keeps { way: stored.way.parse().ok()?, sent: stored.sent, shown: stored.shown }))
}

/// From what was stored.
pub fn from_capabilities(stored: v1::Capabilities) -> Capabilities {
    let known = |number: u32| Some(number).filter(|n| *n != 0);
    Capabilities {
        patch: wire::from_support(stored.patch),
        filter: wire::from_support(stored.filter),
        groups: wire::from_support(stored.groups),
        deactivate: wire::from_support(stored.deactivate),
        cursor: wire::from_support(stored.cursor),
        page_size: known(stored.page_size),
        members_per_request: known(stored.members_per_request),
        required: stored.required,
        consistency_delay: Some(stored.consistency_delay_ms).filter(|ms| *ms != 0).map(Duration::from_millis),
        keeps: stored.keeps.into_iter().filter_map(from_kept).collect(),
        patch_capitalized: wire::from_support(stored.patch_capitalized),
        patch_paths: wire::from_support(stored.patch_paths),
        patch_many: wire::from_support(stored.patch_many),
        members_shown: wire::from_support(stored.members_shown),
        removal_by_value: wire::from_support(stored.removal_by_value),
        invites: wire::from_support(stored.invites),
        quirks: stored.quirks.iter().filter_map(|quirk| quirk.parse().ok()).collect(),
    }
}

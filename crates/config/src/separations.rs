//! `[[separations]]`: entitlements that nobody may hold together.

use std::collections::BTreeSet;

use rollcall_domain::SeparationId;
use rollcall_domain::access::entitlement::{EntitlementId, Part};
use rollcall_domain::access::policy::PolicySpec;
use rollcall_domain::access::role::RoleSpec;
use rollcall_domain::access::separation::SeparationSpec;
use rollcall_domain::app::AppSpec;
use rollcall_policy::{Action, Effect, Head, Scope};

use crate::roles::known_entitlement;
use crate::section::{Section, some_text};

/// One `[[separations]]`.
pub(crate) fn separation<'a>(
    mut s: Section<'_>,
    apps: &[&AppSpec],
    roles: impl Iterator<Item = &'a RoleSpec>,
) -> Option<(usize, SeparationSpec)> {
    let id = s.required("id", |text| text.parse::<SeparationId>().map_err(|e| e.to_string()));
    let name = s.parsed("name", some_text);
    let owner = s.required("owner", some_text);
    let reason = s.parsed("reason", some_text).unwrap_or_default();
    let entitlements = side(&mut s, "entitlements", apps);
    let never_with = side(&mut s, "never_with", apps);
    if let (Some(one), Some(other)) = (&entitlements, &never_with) {
        for both in one.intersection(other) {
            s.mistake(format!("'{both}' is in entitlements and in never_with: whoever held it would violate it alone"));
        }
        for (side, other) in [(one, other), (other, one)] {
            for group in side.iter().filter(|id| id.part != Part::Account && other.contains(&id.account())) {
                s.mistake(format!(
                    "whoever holds '{group}' holds the account '{}' too, and would violate it alone",
                    group.app
                ));
            }
        }
        for role in roles {
            // A group brings the account.
            let all: BTreeSet<EntitlementId> =
                role.entitlements.iter().flat_map(|id| [id.clone(), id.account()]).collect();
            let of = |side: &BTreeSet<EntitlementId>| side.intersection(&all).next().cloned();
            if let (Some(one), Some(other)) = (of(one), of(other)) {
                s.mistake(format!("role '{}' gives both '{one}' and '{other}': take one of them out of it", role.id));
            }
        }
    }
    let line = s.line();
    s.finish();
    let id = id?;
    let spec = SeparationSpec {
        name: name.unwrap_or_else(|| id.to_string()),
        owner: owner?,
        reason,
        entitlements: entitlements?,
        never_with: never_with?,
        id,
    };
    Some((line, spec))
}

fn side(s: &mut Section<'_>, key: &'static str, apps: &[&AppSpec]) -> Option<BTreeSet<EntitlementId>> {
    let found = s.list(key, |text| known_entitlement(text, apps));
    if !s.has(key) || found.as_ref().is_some_and(Vec::is_empty) {
        s.mistake(format!("{key} is missing: name what nobody may hold together with the other side"));
    }
    found.map(|all| all.into_iter().collect())
}

/// The policies that give both sides of a separation to whoever they are about, as far as their heads say.
pub(crate) fn contradictions(separations: &[&SeparationSpec], policies: &[PolicySpec]) -> Vec<String> {
    let mut found = Vec::new();
    for policy in policies {
        let Some(Head { effect: Effect::Permit, action: Action::Hold, scope, .. }) = Head::of(&policy.text) else {
            continue;
        };
        let covers = |id: &EntitlementId| match &scope {
            Scope::Any => true,
            Scope::App(app) => id.app.as_str() == app,
            Scope::Entitlement(_) => false,
        };
        for separation in separations {
            if separation.entitlements.iter().any(covers) && separation.never_with.iter().any(covers) {
                found.push(format!(
                    "policy '{}' gives both sides of separation '{}', unless its conditions tell them apart: name the entitlement \
                     in its head",
                    policy.id, separation.id
                ));
            }
        }
    }
    found
}

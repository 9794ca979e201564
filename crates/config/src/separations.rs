//! `[[separations]]`: entitlements that nobody may hold together.

use std::collections::BTreeSet;

use rollcall_domain::SeparationId;
use rollcall_domain::access::entitlement::EntitlementId;
use rollcall_domain::access::role::RoleSpec;
use rollcall_domain::access::separation::SeparationSpec;
use rollcall_domain::app::AppSpec;

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
        for role in roles {
            let of = |side: &BTreeSet<EntitlementId>| side.intersection(&role.entitlements).next().cloned();
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

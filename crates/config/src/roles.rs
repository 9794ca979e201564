//! `[[roles]]` and `[[apps.entitlements]]`: what can be held, by whom, and on which terms it can be asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use rollcall_domain::access::entitlement::{Approver, Entitlement, EntitlementId, Part, Requestable, Risk, Terms};
use rollcall_domain::access::role::RoleSpec;
use rollcall_domain::app::AppSpec;
use rollcall_domain::{RoleId, SourceName};
use rollcall_scim::{Catalogue, Filter};

use crate::section::{Section, some_text, truth};
use crate::sources::known_source;

/// The most people who have to approve one thing.
const MOST_APPROVALS: u64 = 10;

/// Who answers for it and on which terms it can be asked for; without an owner of its own it has that of `around`.
fn terms(s: &mut Section<'_>, around: Option<&str>) -> Option<Terms> {
    let owner = match around {
        Some(owner) => Some(s.parsed("owner", some_text).unwrap_or_else(|| owner.to_owned())),
        None => s.required("owner", some_text),
    };
    let risk = s.parsed("risk", |text| {
        let found = Risk::ALL.into_iter().find(|risk| risk.name() == text);
        found.ok_or_else(|| format!("'{text}' must be low, medium, high or critical"))
    });
    let requestable = match s.parsed("requestable", truth) {
        Some(true) => Requestable::Yes,
        _ => Requestable::No,
    };
    let max_duration = s.long_span("max_duration");
    let approvers = s.list("approvers", |text| text.parse::<Approver>().map_err(|e| e.to_string()));
    let approvers = approvers.filter(|all| !all.is_empty()).unwrap_or_else(|| vec![Approver::Owner]);
    let approvals = s.integer("approvals", 1..=MOST_APPROVALS, 1);
    if max_duration.is_some_and(|time| time < Duration::from_secs(1)) {
        s.mistake("max_duration must be a second or more");
    }
    let groups = approvers.iter().filter(|approver| matches!(approver, Approver::Group(_))).count();
    if groups == 0 && u64::try_from(approvers.len()).unwrap_or(u64::MAX) < approvals {
        s.mistake(format!("approvals is {approvals}, and approvers names fewer: nobody could ever get it"));
    }
    let approvals = u32::try_from(approvals).unwrap_or(u32::MAX);
    Some(Terms { owner: owner?, risk: risk.unwrap_or_default(), requestable, max_duration, approvers, approvals })
}

/// One `[[apps.entitlements]]`: the account itself, or with `group` a group of the app, which is managed by that.
pub(crate) fn entitlement(mut s: Section<'_>, app: &str, owner: &str) -> Option<Entitlement> {
    let group = s.parsed("group", |text| {
        let id: EntitlementId = format!("x:group:{text}").parse().map_err(|_| format!("'{text}' can't be a group"))?;
        Ok(id.part)
    });
    let part = group.unwrap_or(Part::Account);
    let usual = || match &part {
        Part::Account => app.to_owned(),
        Part::Group(name) => name.clone(),
    };
    let name = s.parsed("name", some_text).unwrap_or_else(usual);
    let terms = terms(&mut s, Some(owner));
    s.finish();
    Some(Entitlement { part, name, terms: terms? })
}

/// One `[[roles]]`.
pub(crate) fn role(
    mut s: Section<'_>,
    catalogue: &Catalogue,
    sources: &[SourceName],
    apps: &[&AppSpec],
) -> Option<(usize, RoleSpec)> {
    let id = s.required("id", |text| text.parse::<RoleId>().map_err(|e| e.to_string()));
    let name = s.parsed("name", some_text);
    let members = s.parsed("members", |text| {
        Filter::parse(text, catalogue.user()).map(|filter| filter.text().to_owned()).map_err(|e| e.to_string())
    });
    let groups_from = s.list("groups_from", |text| known_source(text, sources));
    let entitlements: Option<BTreeSet<EntitlementId>> =
        s.list("entitlements", |text| known_entitlement(text, apps)).map(|all| all.into_iter().collect());
    let terms = terms(&mut s, None);
    if entitlements.as_ref().is_some_and(BTreeSet::is_empty) || !s.has("entitlements") {
        s.mistake("entitlements is missing: name what whoever has the role holds");
    }
    if members.is_none() && terms.as_ref().is_some_and(|terms| terms.requestable == Requestable::No) {
        s.mistake("nobody would have this role: give members, a filter, or set requestable = true");
    }
    let line = s.line();
    s.finish();
    let id = id?;
    let spec = RoleSpec {
        name: name.unwrap_or_else(|| id.to_string()),
        members: members.unwrap_or_default(),
        entitlements: entitlements?,
        groups_from: groups_from.unwrap_or_default().into_iter().collect(),
        terms: terms?,
        id,
    };
    Some((line, spec))
}

/// An entitlement that an app has.
pub(crate) fn known_entitlement(text: &str, apps: &[&AppSpec]) -> Result<EntitlementId, String> {
    let id: EntitlementId = text.parse().map_err(|e: rollcall_domain::ids::BadId| e.to_string())?;
    let Some(app) = apps.iter().find(|app| app.id == id.app) else {
        return Err(format!("'{text}': there is no app '{}'", id.app));
    };
    match &id.part {
        Part::Group(name) if !app.manages(name) => Err(format!(
            "'{text}': Rollcall manages no group '{name}' of '{}': add [[apps.entitlements]] with group = \"{name}\" to it",
            id.app
        )),
        _ => Ok(id),
    }
}

//! What differs between the apps, roles and policies on the log and those in the configuration.

use std::collections::BTreeMap;

use crate::access::policy::{Policy, PolicySpec};
use crate::access::role::{Role, RoleSpec, Standing};
use crate::app::{App, AppSpec, Connection};
use crate::event::Event;
use crate::ids::{AppId, PolicyId, RoleId};

/// The events that bring the log in line with the configuration; none when nothing differs.
#[must_use]
pub fn configure(known: &[App], configured: &[AppSpec]) -> Vec<Event> {
    let known: BTreeMap<&AppId, &App> = known.iter().map(|app| (&app.spec.id, app)).collect();
    let same = |spec: &AppSpec| {
        known.get(&spec.id).is_some_and(|app| app.spec == *spec && app.connection == Connection::Configured)
    };
    let changed = configured.iter().filter(|spec| !same(spec)).map(|spec| Event::AppConfigured(Box::new(spec.clone())));
    let gone = known
        .values()
        .filter(|app| app.connection == Connection::Configured)
        .filter(|app| !configured.iter().any(|spec| spec.id == app.spec.id))
        .map(|app| Event::AppRemoved(app.spec.id.clone()));
    changed.chain(gone).collect()
}

/// The same for roles.
#[must_use]
pub fn configure_roles(known: &[Role], configured: &[RoleSpec]) -> Vec<Event> {
    let known: BTreeMap<&RoleId, &Role> = known.iter().map(|role| (&role.spec.id, role)).collect();
    let same = |spec: &RoleSpec| {
        known.get(&spec.id).is_some_and(|role| role.spec == *spec && role.standing == Standing::Configured)
    };
    let changed = configured.iter().filter(|spec| !same(spec));
    let gone = known
        .values()
        .filter(|role| role.standing == Standing::Configured)
        .filter(|role| !configured.iter().any(|spec| spec.id == role.spec.id));
    let gone = gone.map(|role| Event::RoleRemoved(role.spec.id.clone()));
    changed.map(|spec| Event::RoleConfigured(Box::new(spec.clone()))).chain(gone).collect()
}

/// The same for policies.
#[must_use]
pub fn configure_policies(known: &[Policy], configured: &[PolicySpec]) -> Vec<Event> {
    let known: BTreeMap<&PolicyId, &Policy> = known.iter().map(|policy| (&policy.spec.id, policy)).collect();
    let same = |spec: &PolicySpec| {
        known.get(&spec.id).is_some_and(|policy| policy.spec == *spec && policy.standing == Standing::Configured)
    };
    let changed = configured.iter().filter(|spec| !same(spec));
    let gone = known
        .values()
        .filter(|policy| policy.standing == Standing::Configured)
        .filter(|policy| !configured.iter().any(|spec| spec.id == policy.spec.id));
    let gone = gone.map(|policy| Event::PolicyRemoved(policy.spec.id.clone()));
    changed.map(|spec| Event::PolicyConfigured(Box::new(spec.clone()))).chain(gone).collect()
}

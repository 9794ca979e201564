//! What differs between the apps, roles, policies and separations on the log and those in the configuration.

use std::collections::BTreeMap;

use crate::access::policy::{Policy, PolicySpec};
use crate::access::role::{Role, RoleSpec, Standing};
use crate::access::separation::{Separation, SeparationSpec};
use crate::app::{App, AppSpec, Connection};
use crate::event::Event;

/// Something of the log: what it is, and whether it is in the configuration by what the log says.
type Known<'a, S> = (&'a S, Standing);

/// What is to be configured, or is another one than the log knows, and what is to be removed.
fn differing<'a, S: PartialEq, K: Ord>(
    known: impl Iterator<Item = Known<'a, S>>,
    configured: &'a [S],
    id: impl Fn(&'a S) -> &'a K,
) -> (Vec<&'a S>, Vec<&'a K>) {
    let known: BTreeMap<&K, Known<'_, S>> = known.map(|(spec, standing)| (id(spec), (spec, standing))).collect();
    let is_same = |spec: &&'a S| known.get(id(spec)) == Some(&(*spec, Standing::Configured));
    let changed = configured.iter().filter(|spec| !is_same(spec)).collect();
    let is_there = |wanted: &K| configured.iter().any(|spec| id(spec) == wanted);
    let gone = known.iter().filter(|(id, (_, standing))| *standing == Standing::Configured && !is_there(id));
    let gone = gone.map(|(id, _)| *id).collect();
    (changed, gone)
}

/// The events that bring the log in line with the configuration; none when nothing differs.
#[must_use]
pub fn configure(known: &[App], configured: &[AppSpec]) -> Vec<Event> {
    let standing = |app: &App| match app.connection {
        Connection::Configured => Standing::Configured,
        Connection::Removed => Standing::Removed,
    };
    let (changed, gone) = differing(known.iter().map(|app| (&app.spec, standing(app))), configured, |spec| &spec.id);
    let changed = changed.into_iter().map(|spec| Event::AppConfigured(Box::new(spec.clone())));
    changed.chain(gone.into_iter().map(|id| Event::AppRemoved(id.clone()))).collect()
}

/// The same for roles.
#[must_use]
pub fn configure_roles(known: &[Role], configured: &[RoleSpec]) -> Vec<Event> {
    let (changed, gone) = differing(known.iter().map(|one| (&one.spec, one.standing)), configured, |spec| &spec.id);
    let changed = changed.into_iter().map(|spec| Event::RoleConfigured(Box::new(spec.clone())));
    changed.chain(gone.into_iter().map(|id| Event::RoleRemoved(id.clone()))).collect()
}

/// The same for policies.
#[must_use]
pub fn configure_policies(known: &[Policy], configured: &[PolicySpec]) -> Vec<Event> {
    let (changed, gone) = differing(known.iter().map(|one| (&one.spec, one.standing)), configured, |spec| &spec.id);
    let changed = changed.into_iter().map(|spec| Event::PolicyConfigured(Box::new(spec.clone())));
    changed.chain(gone.into_iter().map(|id| Event::PolicyRemoved(id.clone()))).collect()
}

/// The same for separations.
#[must_use]
pub fn configure_separations(known: &[Separation], configured: &[SeparationSpec]) -> Vec<Event> {
    let (changed, gone) = differing(known.iter().map(|one| (&one.spec, one.standing)), configured, |spec| &spec.id);
    let changed = changed.into_iter().map(|spec| Event::SeparationConfigured(Box::new(spec.clone())));
    changed.chain(gone.into_iter().map(|id| Event::SeparationRemoved(id.clone()))).collect()
}

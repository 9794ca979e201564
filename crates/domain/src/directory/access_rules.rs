//! Roles, policies and separations, as they are configured.

use crate::access::handover::MachinePolicy;
use crate::access::policy::{Policy, PolicySpec};
use crate::access::reevaluation::ReevaluationPolicy;
use crate::access::role::{Role, RoleSpec, Standing};
use crate::access::separation::{Separation, SeparationSpec};
use crate::event::{Event, Recorded};
use crate::governance::configuration::Configuring;
use crate::ids::{PolicyId, RoleId, SeparationId};
use crate::kv::{KvError, Read, Write, load, store, values};

/// The key prefix of all roles.
pub const ROLES: &str = "role/";

/// The key prefix of all policies.
pub const POLICIES: &str = "policy/";

/// The key prefix of all separations.
pub const SEPARATIONS: &str = "separation/";

const MACHINES: &str = "machine-policy";
const REEVALUATION: &str = "reevaluation-policy";
const CONFIGURING: &str = "configuring";

fn role_key(id: &RoleId) -> String {
    format!("{ROLES}{id}")
}

fn policy_key(id: &PolicyId) -> String {
    format!("{POLICIES}{id}")
}

fn separation_key(id: &SeparationId) -> String {
    format!("{SEPARATIONS}{id}")
}

/// The role with this id, removed ones included.
///
/// # Errors
/// When the state can't be read.
pub fn role(state: &(impl Read + ?Sized), id: &RoleId) -> Result<Option<Role>, KvError> {
    load(state, &role_key(id))
}

/// Every role, removed ones included.
///
/// # Errors
/// When the state can't be read.
pub fn roles(state: &(impl Read + ?Sized)) -> Result<Vec<Role>, KvError> {
    values(state, ROLES)
}

/// The policy with this id, removed ones included.
///
/// # Errors
/// When the state can't be read.
pub fn policy(state: &(impl Read + ?Sized), id: &PolicyId) -> Result<Option<Policy>, KvError> {
    load(state, &policy_key(id))
}

/// Every policy, removed ones included.
///
/// # Errors
/// When the state can't be read.
pub fn policies(state: &(impl Read + ?Sized)) -> Result<Vec<Policy>, KvError> {
    values(state, POLICIES)
}

/// The separation with this id, removed ones included.
///
/// # Errors
/// When the state can't be read.
pub fn separation(state: &(impl Read + ?Sized), id: &SeparationId) -> Result<Option<Separation>, KvError> {
    load(state, &separation_key(id))
}

/// Every separation, removed ones included.
///
/// # Errors
/// When the state can't be read.
pub fn separations(state: &(impl Read + ?Sized)) -> Result<Vec<Separation>, KvError> {
    values(state, SEPARATIONS)
}

/// What nobody may hold together now.
///
/// # Errors
/// When the state can't be read.
pub fn configured_separations(state: &(impl Read + ?Sized)) -> Result<Vec<SeparationSpec>, KvError> {
    let configured = separations(state)?.into_iter().filter(|one| one.standing == Standing::Configured);
    Ok(configured.map(|one| one.spec).collect())
}

/// What the configuration says of machines.
///
/// # Errors
/// When the state can't be read.
pub fn machine_policy(state: &(impl Read + ?Sized)) -> Result<MachinePolicy, KvError> {
    Ok(configured_machine_policy(state)?.unwrap_or_default())
}

/// The same as it is on the log; none: nothing was said of it.
///
/// # Errors
/// When the state can't be read.
pub fn configured_machine_policy(state: &(impl Read + ?Sized)) -> Result<Option<MachinePolicy>, KvError> {
    load(state, MACHINES)
}

/// For how many people at once a change that concerns many is decided; none: nothing was said of it.
///
/// # Errors
/// When the state can't be read.
pub fn reevaluation_policy(state: &(impl Read + ?Sized)) -> Result<Option<ReevaluationPolicy>, KvError> {
    load(state, REEVALUATION)
}

/// Whether apps and roles are being changed together, and not all of it is known yet.
///
/// # Errors
/// When the state can't be read.
pub fn is_configuring(state: &(impl Read + ?Sized)) -> Result<bool, KvError> {
    Ok(state.get(CONFIGURING)?.is_some())
}

/// Brings them up to date with one event.
pub(super) fn evolve(state: &mut (impl Write + ?Sized), event: &Recorded) -> Result<(), KvError> {
    match &event.event {
        Event::RoleConfigured(spec) => put_role(state, (**spec).clone(), Standing::Configured, event),
        Event::RoleRemoved(id) => {
            if let Some(role) = role(state, id)? {
                put_role(state, role.spec, Standing::Removed, event);
            }
        }
        Event::PolicyConfigured(spec) => put_policy(state, (**spec).clone(), Standing::Configured, event),
        Event::PolicyRemoved(id) => {
            if let Some(policy) = policy(state, id)? {
                put_policy(state, policy.spec, Standing::Removed, event);
            }
        }
        Event::SeparationConfigured(spec) => put_separation(state, (**spec).clone(), Standing::Configured, event),
        Event::SeparationRemoved(id) => {
            if let Some(separation) = separation(state, id)? {
                put_separation(state, separation.spec, Standing::Removed, event);
            }
        }
        Event::MachinesConfigured(policy) => store(state, MACHINES.to_owned(), policy),
        Event::ReevaluationConfigured(policy) => store(state, REEVALUATION.to_owned(), policy),
        Event::Configuring(Configuring::Begins) => store(state, CONFIGURING.to_owned(), &()),
        Event::Configuring(Configuring::Ends) => state.delete(CONFIGURING),
        _ => {}
    }
    Ok(())
}

fn put_role(state: &mut (impl Write + ?Sized), spec: RoleSpec, standing: Standing, event: &Recorded) {
    store(state, role_key(&spec.id), &Role { standing, version: event.sequence, spec });
}

fn put_policy(state: &mut (impl Write + ?Sized), spec: PolicySpec, standing: Standing, event: &Recorded) {
    store(state, policy_key(&spec.id), &Policy { standing, version: event.sequence, spec });
}

fn put_separation(state: &mut (impl Write + ?Sized), spec: SeparationSpec, standing: Standing, event: &Recorded) {
    store(state, separation_key(&spec.id), &Separation { standing, version: event.sequence, spec });
}

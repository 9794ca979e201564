//! What follows from desired and observed: the steps to take, and what a read-back proves.

use std::collections::BTreeSet;

use rollcall_scim::Changed;
use serde_json::Value;

use crate::access::desired::{Desired, Target};
use crate::access::operation::Operation;
use crate::access::remote::Remote;
use crate::app::deprovision::Deprovision;
use crate::app::mapping::{self, Attributes};
use crate::app::standard::{Invitation, Standard};
use crate::drift::kind::DriftKind;

/// What to ask of an app.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Create it with these attributes.
    Create(Attributes),
    /// Change these: desired before, observed after.
    Update(Vec<Changed>),
    /// Put it into a group.
    Enter(String),
    /// Take it out of a group.
    Leave(String),
    /// Set it inactive.
    Deactivate,
    /// Delete it.
    Delete,
}

impl Step {
    /// The word in events and answers.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Create(_) => Operation::Create,
            Self::Update(_) => Operation::Update,
            Self::Enter(_) => Operation::Enter,
            Self::Leave(_) => Operation::Leave,
            Self::Deactivate => Operation::Deactivate,
            Self::Delete => Operation::Delete,
        }
    }
}

/// What follows from desired and observed, in the order in which it is done: whoever leaves can't sign in any more before
/// anything else is done, and leaves the groups before the account is deleted.
#[must_use]
pub fn plan(desired: &Desired, observed: Option<&Remote>, standard: &Standard) -> Vec<Step> {
    let nobody = BTreeSet::new();
    let in_groups = observed.map_or(&nobody, |remote| &remote.groups);
    let leave = |groups: &BTreeSet<String>| in_groups.difference(groups).cloned().map(Step::Leave).collect::<Vec<_>>();
    let (mut steps, mut profile) = (Vec::new(), None);
    match (desired, observed) {
        (Desired::Present(presence), _) => {
            match observed.map(|remote| differences(&presence.attributes, remote, standard)) {
                None => {
                    let managed = presence.attributes.iter().filter(|(path, _)| standard.is_managed(path));
                    steps.push(Step::Create(managed.map(|(path, value)| (path.clone(), value.clone())).collect()));
                }
                Some(changes) => {
                    let (access, rest): (Vec<_>, _) = changes.into_iter().partition(|c| standard.gives_access(&c.path));
                    steps.extend(Some(access).filter(|changes| !changes.is_empty()).map(Step::Update));
                    profile = Some(rest).filter(|changes| !changes.is_empty()).map(Step::Update);
                }
            }
            steps.extend(leave(&presence.groups));
            steps.extend(presence.groups.difference(in_groups).cloned().map(Step::Enter));
            // What the app refuses of a profile keeps nobody in a group, and out of none.
            steps.extend(profile);
        }
        (Desired::Absent | Desired::Deleted | Desired::Off, None) => {}
        // Everything else stays, so that it is as it was when they are switched on again.
        (Desired::Off, Some(remote)) => match standard.switches_off {
            Deprovision::Deactivate if waits(standard, remote) => steps.push(Step::Delete),
            Deprovision::Deactivate => steps.extend(remote.is_active().then_some(Step::Deactivate)),
            Deprovision::Delete => steps.push(Step::Delete),
        },
        (Desired::Absent | Desired::Deleted, Some(remote)) => {
            let invited = waits(standard, remote);
            let is_deleted = *desired == Desired::Deleted || standard.deprovision == Deprovision::Delete;
            if remote.is_active() && !is_deleted {
                steps.push(Step::Deactivate);
            }
            steps.extend(leave(&nobody));
            // An invitation is withdrawn with the account alone.
            if is_deleted || invited {
                steps.push(Step::Delete);
            }
        }
    }
    steps
}

/// What a read-back proves: nothing, or the differences that give nobody access (desired before, observed after); or how it
/// differs.
///
/// # Errors
/// The kind of drift, and all differences: something that gives access differs.
pub fn judge(
    desired: &Desired,
    observed: Option<&Remote>,
    standard: &Standard,
) -> Result<Vec<Changed>, (DriftKind, Vec<Changed>)> {
    let mut kind = None;
    let (mut access, mut profile) = (Vec::new(), Vec::new());
    let group = |name: &str, before: Option<Value>, after: Option<Value>| Changed {
        path: format!("groups[display eq {}]", Value::from(name)),
        before,
        after,
    };
    let there = || Some(Value::Bool(true));
    for step in plan(desired, observed, standard) {
        match step {
            Step::Create(_) => kind = Some(DriftKind::Missing),
            Step::Update(differences) => {
                let differences = differences.into_iter().filter(|c| !is_unkept_id(c));
                let (gives_access, rest): (Vec<_>, _) = differences.partition(|c| standard.gives_access(&c.path));
                if !gives_access.is_empty() {
                    kind = Some(DriftKind::Attribute);
                }
                access.extend(gives_access);
                profile.extend(rest);
            }
            Step::Enter(name) => access.push(group(&name, there(), None)),
            Step::Leave(name) => access.push(group(&name, None, there())),
            Step::Deactivate | Step::Delete => {
                let active = observed.is_some_and(Remote::is_active);
                let before = active.then_some(Value::Bool(false));
                access.push(Changed { path: "active".into(), before, after: Some(active.into()) });
            }
        }
    }
    if desired.target() == Target::Present && observed.is_some_and(|remote| waits(standard, remote)) {
        profile.push(Changed { path: "active".into(), before: there(), after: Some(false.into()) });
    }
    if kind.is_none() && access.is_empty() {
        return Ok(profile);
    }
    let kind = match desired.target() {
        Target::Absent if observed.is_some_and(|remote| waits(standard, remote)) => DriftKind::Invited,
        Target::Absent if is_gone(observed, standard) => DriftKind::Residue,
        Target::Absent => DriftKind::Zombie,
        Target::Present => kind.unwrap_or(DriftKind::Membership),
    };
    access.extend(profile);
    Err((kind, access))
}

/// Whether a difference is only that an app shows no `externalId`: many keep none, and whose account it is we know by our own link.
#[must_use]
pub fn is_unkept_id(change: &Changed) -> bool {
    change.path == "externalId" && change.after.as_ref().is_none_or(|value| value.as_str() == Some(""))
}

/// Whether nobody can sign in with an account any more: also not by accepting an invitation.
#[must_use]
pub fn is_gone(observed: Option<&Remote>, standard: &Standard) -> bool {
    observed.is_none_or(|remote| !remote.is_active() && standard.invitation == Invitation::None)
}

/// Whether an account waits for somebody to accept an invitation.
fn waits(standard: &Standard, remote: &Remote) -> bool {
    standard.invitation == Invitation::Stands && !remote.is_active()
}

/// How an account differs from the desired attributes; attributes that Rollcall does not manage don't count, nor does what is
/// only the app's own way of keeping them.
#[must_use]
pub fn differences(desired: &Attributes, remote: &Remote, standard: &Standard) -> Vec<Changed> {
    let mut out = Vec::new();
    for (path, want) in desired {
        let same = match path.as_str() {
            // Only whoever is invited can accept.
            "active" => waits(standard, remote) || *want == Value::Bool(remote.is_active()),
            _ => mapping::shows(&remote.resource, path, want),
        };
        if !same {
            let before = Some(want.clone()).filter(|value| !value.is_null());
            let change = Changed { path: path.clone(), before, after: mapping::observed(&remote.resource, path) };
            if !standard.is_own_way(&change) {
                out.push(change);
            }
        }
    }
    out
}

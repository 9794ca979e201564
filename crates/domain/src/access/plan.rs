//! What follows from desired and observed: the steps to take, and what a read-back proves.

use std::collections::BTreeSet;

use rollcall_scim::Changed;
use serde_json::Value;

use crate::access::desired::{Desired, Target};
use crate::access::operation::Operation;
use crate::access::remote::Remote;
use crate::app::deprovision::Deprovision;
use crate::app::mapping::{self, Attributes};
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
pub fn plan(desired: &Desired, observed: Option<&Remote>, deprovision: Deprovision) -> Vec<Step> {
    let nobody = BTreeSet::new();
    let in_groups = observed.map_or(&nobody, |remote| &remote.groups);
    let leave = |groups: &BTreeSet<String>| in_groups.difference(groups).cloned().map(Step::Leave).collect::<Vec<_>>();
    let mut steps = Vec::new();
    match (desired, observed) {
        (Desired::Present(presence), _) => {
            match observed.map(|remote| differences(&presence.attributes, remote)) {
                None => steps.push(Step::Create(presence.attributes.clone())),
                Some(changes) if changes.is_empty() => {}
                Some(changes) => steps.push(Step::Update(changes)),
            }
            steps.extend(leave(&presence.groups));
            steps.extend(presence.groups.difference(in_groups).cloned().map(Step::Enter));
        }
        (Desired::Absent, None) => {}
        (Desired::Absent, Some(remote)) => {
            if remote.is_active() && deprovision == Deprovision::Deactivate {
                steps.push(Step::Deactivate);
            }
            steps.extend(leave(&nobody));
            if deprovision == Deprovision::Delete {
                steps.push(Step::Delete);
            }
        }
    }
    steps
}

/// What a read-back proves, or how it differs.
///
/// # Errors
/// The kind of drift, and the differences: desired before, observed after.
pub fn judge(
    desired: &Desired,
    observed: Option<&Remote>,
    deprovision: Deprovision,
) -> Result<Target, (DriftKind, Vec<Changed>)> {
    let steps = plan(desired, observed, deprovision);
    if steps.is_empty() {
        return Ok(desired.target());
    }
    let mut kind = DriftKind::Membership;
    let mut changes = Vec::new();
    let group = |name: &str, before: Option<Value>, after: Option<Value>| Changed {
        path: format!("groups[display eq {}]", Value::from(name)),
        before,
        after,
    };
    let there = || Some(Value::Bool(true));
    for step in steps {
        match step {
            Step::Create(_) => kind = DriftKind::Missing,
            Step::Update(differences) => {
                // Many apps keep none: whose account it is we know by our own link.
                let not_kept = |c: &Changed| c.path == "externalId" && c.after.is_none();
                changes.extend(differences.into_iter().filter(|c| !not_kept(c)));
                if changes.is_empty() {
                    continue;
                }
                kind = DriftKind::Attribute;
            }
            Step::Enter(name) => changes.push(group(&name, there(), None)),
            Step::Leave(name) => changes.push(group(&name, None, there())),
            Step::Deactivate | Step::Delete => {
                let active = observed.is_some_and(Remote::is_active);
                let before = active.then_some(Value::Bool(false));
                changes.push(Changed { path: "active".into(), before, after: Some(active.into()) });
            }
        }
    }
    if desired.target() == Target::Absent {
        kind = if is_gone(observed) { DriftKind::Residue } else { DriftKind::Zombie };
    }
    if changes.is_empty() && kind == DriftKind::Membership {
        return Ok(desired.target());
    }
    Err((kind, changes))
}

/// Whether nobody can sign in with an account any more.
#[must_use]
pub fn is_gone(observed: Option<&Remote>) -> bool {
    observed.is_none_or(|remote| !remote.is_active())
}

/// How an account differs from the desired attributes; attributes that Rollcall does not manage don't count.
#[must_use]
pub fn differences(desired: &Attributes, remote: &Remote) -> Vec<Changed> {
    let mut out = Vec::new();
    for (path, want) in desired {
        let same = match path.as_str() {
            "active" => *want == Value::Bool(remote.is_active()),
            _ => mapping::shows(&remote.resource, path, want),
        };
        if !same {
            let before = Some(want.clone()).filter(|value| !value.is_null());
            out.push(Changed { path: path.clone(), before, after: mapping::observed(&remote.resource, path) });
        }
    }
    out
}

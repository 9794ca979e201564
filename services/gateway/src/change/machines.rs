//! What is said of a machine's owners and of its end: refused where it can't be, and without an owner a machine does not begin.

use jiff::Timestamp;
use rollcall_config::WithoutOwner;
use rollcall_domain::directory;
use rollcall_domain::identity::lifecycle::Lifecycle;
use rollcall_domain::identity::ownership::referred;
use rollcall_domain::identity::{IdentityChanged, IdentityKind, effective_at, without_owner};
use rollcall_domain::ids::{GroupId, IdentityId};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger::can_own;
use rollcall_scim::{MACHINE, ScimError, ScimType};
use serde_json::{Map, Value};

use crate::auth::caller::Caller;
use crate::change::scope;
use crate::error::Refusal;
use crate::state::GatewayState;

/// What a resource says of a machine.
fn said<'a>(resource: Option<&'a Map<String, Value>>, name: &str) -> Option<&'a Value> {
    resource?.get(MACHINE.id)?.get(name)
}

/// What a reference says, as it was sent.
fn text(reference: &Value) -> &str {
    reference.as_str().unwrap_or_default()
}

pub fn wrong(detail: impl Into<String>) -> ScimError {
    ScimError::bad_request(ScimType::InvalidValue, detail)
}

/// Whether the machine of a resource says anything new that has to be looked at.
fn says_anew(before: Option<&Map<String, Value>>, after: &Map<String, Value>) -> bool {
    ["owner", "secondOwner", "team", "expiresAt"].iter().any(|name| said(before, name) != said(Some(after), name))
}

/// Refuses owners who are not there, or are machines, and an end that is past. What stood there before may stay:
/// an owner may have left since.
///
/// # Errors
/// 400, with which attribute and why.
pub async fn check(
    state: &GatewayState,
    caller: &Caller,
    of: IdentityKind,
    before: Option<&Map<String, Value>>,
    after: &Map<String, Value>,
) -> Result<(), Refusal> {
    if !of.is_machine() || !says_anew(before, after) {
        return Ok(());
    }
    // Somebody who was added a moment ago may own it.
    let view = state.fresh().await?;
    well_formed(before, after, Timestamp::now())?;
    for name in ["owner", "secondOwner"] {
        if let Some(owner) = said(Some(after), name).filter(|owner| said(before, name) != Some(owner)) {
            person(&view, caller, name, text(owner))?;
        }
    }
    if let Some(team) = said(Some(after), "team").filter(|team| said(before, "team") != Some(team)) {
        let id: Option<GroupId> = referred("Groups", text(team)).and_then(|id| id.parse().ok());
        let found = id.map(|id| directory::group(&view, id)).transpose()?.flatten();
        if found.is_none_or(|group| !scope::sees(caller, group.created_by.as_ref())) {
            return Err(wrong(format!("team: there is no group '{}'", text(team))).into());
        }
    }
    Ok(())
}

/// What can be told of a machine without knowing whom there is.
///
/// # Errors
/// 400, with which attribute and why.
pub fn well_formed(
    before: Option<&Map<String, Value>>,
    after: &Map<String, Value>,
    now: Timestamp,
) -> Result<(), ScimError> {
    let end = said(Some(after), "expiresAt").filter(|end| said(before, "expiresAt") != Some(end));
    if let Some(end) = end.and_then(Value::as_str) {
        let at: Timestamp = end.parse().map_err(|_| wrong(format!("expiresAt: '{end}' is no time")))?;
        let begins = effective_at(after).filter(|begins| *begins >= at);
        if let Some(begins) = begins {
            return Err(wrong(format!("expiresAt: {end} is before it takes effect, at {begins}")));
        }
        if at <= now {
            return Err(wrong(format!("expiresAt: {end} is past; to end the machine now send active: false")));
        }
    }
    Ok(())
}

fn person(state: &impl Read, caller: &Caller, attribute: &str, id: &str) -> Result<(), Refusal> {
    let parsed: Option<IdentityId> = referred("Users", id).and_then(|id| id.parse().ok());
    let found = parsed.map(|id| directory::identity(state, id)).transpose()?.flatten();
    // Who is not seen is not there.
    let found = found.filter(|found| scope::sees(caller, found.created_by.as_ref()));
    let found = found.filter(|found| !found.deleted);
    is_person(attribute, id, found.map(|found| (found.kind, found.lifecycle))).map_err(Into::into)
}

/// Refuses an owner who is not there, is a machine, or has left.
///
/// # Errors
/// 400, with why.
pub fn is_person(attribute: &str, id: &str, found: Option<(IdentityKind, Lifecycle)>) -> Result<(), ScimError> {
    match found {
        None => Err(wrong(format!("{attribute}: there is no User '{id}'"))),
        Some((kind, _)) if kind.is_machine() => {
            Err(wrong(format!("{attribute}: '{id}' is a machine ({}): a person answers for a machine", kind.name())))
        }
        Some((_, lifecycle)) if !lifecycle.has_access() => {
            Err(wrong(format!("{attribute}: '{id}' has left, or is not active yet: give somebody who is there")))
        }
        Some(_) => Ok(()),
    }
}

/// A change of a machine as the configuration has it: one for which nobody answers who is there does not begin.
///
/// # Errors
/// 400, where a machine without an owner is refused.
pub fn begins(
    without: WithoutOwner,
    changed: IdentityChanged,
    has_owner: impl FnOnce(IdentityId) -> Result<bool, KvError>,
) -> Result<IdentityChanged, Refusal> {
    if !changed.kind.is_machine() || !changed.begins() || without == WithoutOwner::Allow {
        return Ok(changed);
    }
    let is_owned = match changed.ownership.owner {
        Some(owner) => has_owner(owner)?,
        None => false,
    };
    match without {
        _ if is_owned => Ok(changed),
        WithoutOwner::Refuse => {
            Err(wrong(format!("a machine needs an owner who is there: give {}:owner", MACHINE.id)).into())
        }
        WithoutOwner::Stage | WithoutOwner::Allow => Ok(without_owner(changed)),
    }
}

/// The same by what is known here.
///
/// # Errors
/// As [`begins`], and when the state can't be read.
pub async fn begins_here(state: &GatewayState, changed: IdentityChanged) -> Result<IdentityChanged, Refusal> {
    // Of most changes there is nothing to ask.
    if !changed.kind.is_machine() || !changed.begins() {
        return Ok(changed);
    }
    let view = state.fresh().await?;
    begins(state.without_owner, changed, |owner| can_own(&view, owner))
}

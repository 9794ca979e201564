//! Groups: membership, as differences.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use rollcall_config::Sight;
use rollcall_domain::identity::group::{self, Group, GroupChange, GroupChanged, MemberId, Version};
use rollcall_domain::identity::name::{invisible, name_key};
use rollcall_domain::ids::{GroupId, Sequence};
use rollcall_domain::kv::Read;
use rollcall_domain::{Event, EventMeta, NewEvent, directory};
use rollcall_event_log::{Appended, Expect, LogError, Subject, Unit};
use rollcall_projection::View;
use rollcall_scim::{MemberChange, Quirk, Reading, ResourceType, ScimError, ScimType, Selection};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::auth::caller::Caller;
use crate::change::names::{self, LookUp, NameOwner};
use crate::change::operation::{Done, Edit};
use crate::change::scope::sees;
use crate::change::version::Condition;
use crate::error::Refusal;
use crate::read::render;
use crate::read::search::Amount;
use crate::state::GatewayState;

const ATTEMPTS: usize = 10;

fn parse_id(kind: &ResourceType, id: &str) -> Result<GroupId, Refusal> {
    id.parse().map_err(|_| Refusal::not_found(kind.name, id))
}

/// The longest id of a member, in bytes: so many as one event names fit into it, when they go as well as when they come.
const MAX_MEMBER_BYTES: usize = 512;

/// The member that a value of `members` names; `None`: nobody, and none is made of it.
fn member(
    value: &Value,
    state: &impl Read,
    caller: &Caller,
    reading: &mut Reading,
) -> Result<Option<MemberId>, Refusal> {
    let invalid = |detail: String| ScimError::bad_request(ScimType::InvalidValue, detail);
    let text = value.get("value").and_then(Value::as_str);
    let text = text.ok_or_else(|| invalid("each of 'members' must have a 'value'".into()))?;
    if text.len() > MAX_MEMBER_BYTES {
        let bytes = text.len();
        return Err(
            invalid(format!("a member's 'value' is {bytes} bytes long: at most {MAX_MEMBER_BYTES} are kept")).into()
        );
    }
    let member = MemberId::from(text);
    let (identity, group) = match (member.identity(), member.group()) {
        (Some(identity), Some(group)) => {
            (directory::identity(state, identity)?.filter(|i| !i.deleted), directory::group(state, group)?)
        }
        _ => (None, None),
    };
    let known = identity.is_some() || group.is_some();
    let made_by = identity.map(|i| i.created_by).or(group.map(|g| g.created_by));
    match made_by {
        Some(made_by) if sees(caller, made_by.as_ref()) => {}
        // Who is not seen is not there; kept as someone unknown they would be a member all the same.
        Some(_) => return Err(invalid(format!("nobody here is '{text}'")).into()),
        None => reading.accept(Quirk::UnknownMember, ScimType::InvalidValue, || format!("nobody here is '{text}'"))?,
    }
    // Nobody yet would be a member once they are added, perhaps by another source.
    let is_seen = known || caller.source.sight == Sight::Everything || member.identity().is_none();
    Ok(is_seen.then_some(member))
}

/// Splits a resource into its attributes and its members.
fn version(
    mut resource: Map<String, Value>,
    before: &BTreeSet<MemberId>,
    state: &impl Read,
    caller: &Caller,
    reading: &mut Reading,
) -> Result<Version, Refusal> {
    let mut members = BTreeSet::new();
    let listed = resource.remove("members");
    for value in listed.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let known = value.get("value").and_then(Value::as_str).map(MemberId::from).filter(|id| before.contains(id));
        members.extend(match known {
            Some(id) => Some(id),
            None => member(value, state, caller, reading)?,
        });
    }
    Ok(Version { resource, members })
}

/// The resource with its members.
fn joined(version: &Version) -> Map<String, Value> {
    let mut resource = version.resource.clone();
    if !version.members.is_empty() {
        resource.insert("members".into(), version.members.iter().map(|m| json!({ "value": m })).collect());
    }
    resource
}

fn within(count: usize, max: usize) -> Result<(), Refusal> {
    if count <= max {
        return Ok(());
    }
    let detail = format!("{count} members are more than {max}, the most in one request: send several");
    Err(ScimError::status(413, detail).into())
}

async fn append(
    state: &GatewayState,
    mut unit: Unit,
    meta: &(dyn Fn() -> EventMeta + Sync),
    events: Vec<GroupChanged>,
    expect: Sequence,
) -> Result<Appended, LogError> {
    for changed in events {
        unit.push(NewEvent { meta: meta(), event: Event::Group(changed) }, Expect::Last(expect));
    }
    state.log.append(&unit).await
}

fn name_of(resource: &Map<String, Value>) -> &str {
    resource.get("displayName").and_then(Value::as_str).unwrap_or_default()
}

/// Refuses what is about a group that is not the caller's to change, or that another source's group has the name of: apps
/// may give accounts to whoever is in it. That is recorded.
async fn may_have(
    state: &GatewayState,
    view: &View,
    caller: &Caller,
    kind: &'static ResourceType,
    id: Option<GroupId>,
    resource: &Map<String, Value>,
    operation: &str,
) -> Result<(), Refusal> {
    let (source, name) = (&caller.source.name, name_of(resource));
    if let Some(unseen) = invisible(name).filter(|_| operation != "delete") {
        let detail = format!("displayName holds U+{:04X}, which nobody sees", u32::from(unseen));
        return Err(ScimError::bad_request(ScimType::InvalidValue, detail).into());
    }
    let before = match id {
        Some(id) => directory::group(view, id)?,
        None => None,
    };
    let made_by = before.as_ref().and_then(|group| group.created_by.as_ref());
    let others = |group: &Group| Some(group.id) != id && group.created_by.as_ref().is_some_and(|by| by != source);
    // Who has a group of the name already can always empty and remove it.
    let keeps = before.as_ref().is_some_and(|group| name_key(group.display_name()) == name_key(name));
    let held =
        !keeps && !state.authority.governs_group(name) && directory::groups_by_name(view, name)?.iter().any(others);
    let refusal = if !state.authority.allows_group(source, name, made_by) {
        let detail = format!(
            "group '{name}' is not for source '{source}' to {operation}: [[group_authority]] says for whom it is"
        );
        ScimError::status(403, detail)
    } else if held {
        let detail =
            format!("another source has a group '{name}': [[group_authority]] says which sources may share the name");
        ScimError::uniqueness(detail)
    } else {
        return Ok(());
    };
    let id = id.map(|id| id.to_string());
    state.refuse(caller, kind, operation, id.as_deref(), &refusal.detail, Vec::new()).await?;
    Err(refusal.into())
}

/// Adds a group.
pub async fn create(
    state: &GatewayState,
    caller: &Caller,
    kind: &'static ResourceType,
    resource: Map<String, Value>,
    mut reading: Reading,
    selection: &Selection,
) -> Result<Done, Refusal> {
    let view = state.fresh().await?;
    may_have(state, &view, caller, kind, None, &resource, "create").await?;
    let version = version(resource, &BTreeSet::new(), &view, caller, &mut reading)?;
    within(version.members.len(), state.max_members)?;
    let meta = || caller.meta(&format!("create {}", kind.name), &reading);
    for attempt in 0..ATTEMPTS {
        let id = GroupId(Uuid::now_v7());
        let owner = NameOwner { kind, id: id.0, source: &caller.source, meta: &meta };
        let from = if attempt == 0 { LookUp::State } else { LookUp::Log };
        let mut unit = Unit::default();
        names::claim(state, &mut unit, &owner, from, None, Some(&version.resource)).await?;
        match append(state, unit, &meta, group::create(id, version.clone()), Sequence(0)).await {
            Ok(appended) => {
                let done = match settled(state, id, appended.last, caller, selection).await? {
                    done if done.version.is_some() => done,
                    _ => Done::unseen(id.to_string(), joined(&version)),
                };
                return Ok(Done { status: StatusCode::CREATED, ..done });
            }
            Err(LogError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::Contention("the name"))
}

async fn last_change(
    state: &GatewayState,
    kind: &ResourceType,
    id: GroupId,
) -> Result<(GroupChanged, Sequence), Refusal> {
    let last = state.log.last(&Subject::group(id)).await?;
    match last.map(|e| (e.event, e.sequence)) {
        Some((Event::Group(changed), sequence)) if changed.change != GroupChange::Deleted => Ok((changed, sequence)),
        Some((Event::Unknown, _)) => {
            let detail = "the group was changed by a newer version of Rollcall: upgrade this one";
            Err(ScimError::status(501, detail).into())
        }
        _ => Err(Refusal::not_found(kind.name, &id.to_string())),
    }
}

/// Changes a group.
#[allow(clippy::too_many_arguments)]
pub async fn change(
    state: &GatewayState,
    caller: &Caller,
    kind: &'static ResourceType,
    id: &str,
    condition: &Condition,
    edit: &Edit,
    reading: Reading,
    selection: &Selection,
) -> Result<Done, Refusal> {
    let id = parse_id(kind, id)?;
    for _ in 0..ATTEMPTS {
        let (last, sequence) = last_change(state, kind, id).await?;
        condition.check(sequence)?;
        // Members are differences on the log: our state must hold the last one before the next is decided.
        state.store.wait_for(sequence, state.patience).await?;
        let view = state.fresh().await?;
        may_have(state, &view, caller, kind, Some(id), &last.resource, edit.name()).await?;
        let mut reading = reading.clone();
        let single = match edit {
            Edit::Patch(request) => request.member_changes(),
            Edit::Replace(_) => None,
        };
        let (events, after) = match single {
            Some(changes) => {
                within(changes.len(), state.max_members)?;
                (single_members(&view, caller, id, &last.resource, changes, &mut reading)?, last.resource.clone())
            }
            None => {
                // All of its members are held for that.
                let _place = state.place(caller, Amount::Many).await;
                whole(state, &view, caller, id, kind, &last.resource, edit, &mut reading)?
            }
        };
        if name_of(&after) != name_of(&last.resource) {
            may_have(state, &view, caller, kind, Some(id), &after, edit.name()).await?;
        }
        if events.is_empty() {
            if state.log.last_sequence(&Subject::group(id)).await? != sequence {
                continue;
            }
            return settled(state, id, sequence, caller, selection).await;
        }
        let meta = || caller.meta(&format!("{} {}", edit.name(), kind.name), &reading);
        let owner = NameOwner { kind, id: id.0, source: &caller.source, meta: &meta };
        let mut unit = Unit::default();
        names::claim(state, &mut unit, &owner, LookUp::Log, Some(&last.resource), Some(&after)).await?;
        match append(state, unit, &meta, events, sequence).await {
            Ok(appended) => return settled(state, id, appended.last, caller, selection).await,
            Err(LogError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::Contention("the group"))
}

/// Members that come and go, without a look at the others.
fn single_members(
    view: &View,
    caller: &Caller,
    id: GroupId,
    resource: &Map<String, Value>,
    changes: Vec<MemberChange>,
    reading: &mut Reading,
) -> Result<Vec<GroupChanged>, Refusal> {
    let mut after: BTreeMap<MemberId, Presence> = BTreeMap::new();
    for change in changes {
        match change {
            MemberChange::Add(value) => match member(&value, view, caller, reading)? {
                Some(member) => after.insert(member, Presence::In),
                None => continue,
            },
            MemberChange::Remove(value) => after.insert(MemberId::from(value.as_str()), Presence::Out),
        };
    }
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for (member, presence) in after {
        match (presence, directory::is_member(view, id, &member)?) {
            (Presence::In, false) => added.push(member),
            (Presence::Out, true) => removed.push(member),
            _ => {}
        }
    }
    Ok(group::change_members(id, resource, added, removed))
}

#[derive(Debug, Clone, Copy)]
enum Presence {
    In,
    Out,
}

/// Any other change, decided on the group with all its members.
#[allow(clippy::too_many_arguments)]
fn whole(
    state: &GatewayState,
    view: &View,
    caller: &Caller,
    id: GroupId,
    kind: &'static ResourceType,
    resource: &Map<String, Value>,
    edit: &Edit,
    reading: &mut Reading,
) -> Result<(Vec<GroupChanged>, Map<String, Value>), Refusal> {
    let before = Version { resource: resource.clone(), members: directory::members(view, id)? };
    let after = version(edit.apply(&joined(&before), kind, reading)?, &before.members, view, caller, reading)?;
    within(after.members.symmetric_difference(&before.members).count(), state.max_members)?;
    let resource = after.resource.clone();
    Ok((group::update(id, &before, after), resource))
}

/// Removes a group, and every membership with it.
pub async fn delete(
    state: &GatewayState,
    caller: &Caller,
    kind: &'static ResourceType,
    id: &str,
    condition: &Condition,
) -> Result<Done, Refusal> {
    let id = parse_id(kind, id)?;
    let meta = || caller.meta(&format!("delete {}", kind.name), &caller.reading());
    for _ in 0..ATTEMPTS {
        let (last, sequence) = last_change(state, kind, id).await?;
        condition.check(sequence)?;
        may_have(state, &state.fresh().await?, caller, kind, Some(id), &last.resource, "delete").await?;
        let owner = NameOwner { kind, id: id.0, source: &caller.source, meta: &meta };
        let mut unit = Unit::default();
        names::claim(state, &mut unit, &owner, LookUp::Log, Some(&last.resource), None).await?;
        match append(state, unit, &meta, vec![group::delete(id, last.resource)], sequence).await {
            Ok(_) => return Ok(Done::no_content()),
            Err(LogError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::Contention("the group"))
}

/// The group after a change. One with very many members is answered without a body (RFC 7644 §3.5.2), unless the
/// client does not want to see them; so is one that our own state does not show yet, which has no version.
async fn settled(
    state: &GatewayState,
    id: GroupId,
    at: Sequence,
    caller: &Caller,
    selection: &Selection,
) -> Result<Done, Refusal> {
    let shown = state.store.wait_for(at, state.patience).await.is_ok();
    let view = state.store.view();
    let Some(found) = directory::group(&view, id)?.filter(|_| shown) else {
        return Ok(Done { status: StatusCode::NO_CONTENT, ..Done::unseen(id.to_string(), Map::new()) });
    };
    let done = Done { status: StatusCode::OK, id: Some(id.to_string()), version: Some(found.version), body: None };
    if selection.wants("members") && usize::try_from(found.members).map_or(true, |n| n > state.max_members_shown) {
        return Ok(Done { status: StatusCode::NO_CONTENT, ..done });
    }
    Ok(Done { body: Some(render::group(&view, &found, selection, &caller.base)?), ..done })
}

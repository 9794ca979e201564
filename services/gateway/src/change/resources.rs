//! Resources that are neither identities nor groups: agentic applications, and what the operator's own schemas describe.

use axum::http::StatusCode;
use rollcall_domain::identity::resource::{self, ResourceChange, ResourceChanged};
use rollcall_domain::ids::{ResourceId, Sequence};
use rollcall_domain::{Event, EventMeta, NewEvent, directory};
use rollcall_event_log::{Expect, LogError, Subject, Unit};
use rollcall_scim::{Reading, ResourceType, ScimError};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::auth::caller::Caller;
use crate::change::names::{self, LookUp, NameOwner};
use crate::change::operation::{Done, Edit};
use crate::change::version::Condition;
use crate::error::Refusal;
use crate::read::render;
use crate::state::GatewayState;

const ATTEMPTS: usize = 10;

fn parse_id(kind: &ResourceType, id: &str) -> Result<ResourceId, Refusal> {
    id.parse().map_err(|_| Refusal::not_found(kind.name, id))
}

fn event(meta: EventMeta, changed: ResourceChanged) -> NewEvent {
    NewEvent { meta, event: Event::Resource(changed) }
}

/// Adds one.
pub async fn create(
    state: &GatewayState,
    caller: &Caller,
    kind: &'static ResourceType,
    resource: Map<String, Value>,
    reading: Reading,
) -> Result<Done, Refusal> {
    let meta = || caller.meta(&format!("create {}", kind.name), &reading);
    for attempt in 0..ATTEMPTS {
        let id = ResourceId(Uuid::now_v7());
        let created = resource::create(id, kind.name, resource.clone());
        let owner = NameOwner { kind, id: id.0, source: &caller.source, meta: &meta };
        let from = if attempt == 0 { LookUp::State } else { LookUp::Log };
        let mut unit = Unit::default();
        names::claim(state, &mut unit, &owner, from, None, Some(&created.resource)).await?;
        unit.push(event(meta(), created.clone()), Expect::Last(Sequence(0)));
        match state.log.append(&unit).await {
            Ok(appended) => {
                let done = settled(state, kind, created, appended.last, &caller.base).await?;
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
    id: ResourceId,
) -> Result<(ResourceChanged, Sequence), Refusal> {
    let last = state.log.last(&Subject::resource(id)).await?;
    match last.map(|e| (e.event, e.sequence)) {
        Some((Event::Resource(changed), sequence))
            if changed.change != ResourceChange::Deleted && changed.resource_type == kind.name =>
        {
            Ok((changed, sequence))
        }
        Some((Event::Unknown, _)) => {
            let detail = format!("the {} was changed by a newer version of Rollcall: upgrade this one", kind.name);
            Err(ScimError::status(501, detail).into())
        }
        _ => Err(Refusal::not_found(kind.name, &id.to_string())),
    }
}

/// Changes one.
pub async fn change(
    state: &GatewayState,
    caller: &Caller,
    kind: &'static ResourceType,
    id: &str,
    condition: &Condition,
    edit: &Edit,
    reading: Reading,
) -> Result<Done, Refusal> {
    let id = parse_id(kind, id)?;
    for _ in 0..ATTEMPTS {
        let (last, sequence) = last_change(state, kind, id).await?;
        condition.check(sequence)?;
        let mut reading = reading.clone();
        let after = edit.apply(&last.resource, kind, &mut reading)?;
        let Some(changed) = resource::update(&last, after) else {
            if state.log.last_sequence(&Subject::resource(id)).await? != sequence {
                continue;
            }
            return settled(state, kind, last, sequence, &caller.base).await;
        };
        let meta = || caller.meta(&format!("{} {}", edit.name(), kind.name), &reading);
        let owner = NameOwner { kind, id: id.0, source: &caller.source, meta: &meta };
        let mut unit = Unit::default();
        let (before, after) = (Some(&last.resource), Some(&changed.resource));
        names::claim(state, &mut unit, &owner, LookUp::Log, before, after).await?;
        unit.push(event(meta(), changed.clone()), Expect::Last(sequence));
        match state.log.append(&unit).await {
            Ok(appended) => return settled(state, kind, changed, appended.last, &caller.base).await,
            Err(LogError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::Contention("the resource"))
}

/// Removes one.
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
        let owner = NameOwner { kind, id: id.0, source: &caller.source, meta: &meta };
        let mut unit = Unit::one(event(meta(), resource::delete(&last)), Expect::Last(sequence));
        names::claim(state, &mut unit, &owner, LookUp::Log, Some(&last.resource), None).await?;
        match state.log.append(&unit).await {
            Ok(_) => return Ok(Done::no_content()),
            Err(LogError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::Contention("the resource"))
}

/// One after a change, read from our own state once it holds the change.
async fn settled(
    state: &GatewayState,
    kind: &ResourceType,
    changed: ResourceChanged,
    at: Sequence,
    base: &str,
) -> Result<Done, Refusal> {
    let id = changed.id.to_string();
    if state.store.wait_for(at, state.patience).await.is_ok()
        && let Some(found) = directory::resource(&state.store.view(), kind.name, changed.id)?
    {
        let body = Some(render::resource(&found, kind, base));
        return Ok(Done { status: StatusCode::OK, id: Some(id), version: Some(found.version), body });
    }
    Ok(Done::unseen(id, changed.resource))
}

//! Users, Agents and ServiceAccounts: joiners, movers and leavers come in here.

use axum::http::StatusCode;
use jiff::Timestamp;
use rollcall_config::Recreate;
use rollcall_domain::identity::authority::Denied;
use rollcall_domain::identity::content::Content;
use rollcall_domain::identity::statement::{Says, completed};
use rollcall_domain::identity::{self, Identity, IdentityChanged, IdentityKind};
use rollcall_domain::ids::{IdentityId, Sequence};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{Event, EventMeta, NewEvent, directory};
use rollcall_event_log::{Expect, LogError, Newest, Subject, Unit, newest};
use rollcall_projection::View;
use rollcall_scim::{Presence, Reading, ResourceType, ScimError};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::auth::caller::Caller;
use crate::change::machines;
use crate::change::names::{self, LookUp, NameOwner};
use crate::change::operation::{Done, Edit};
use crate::change::scope;
use crate::change::version::Condition;
use crate::error::Refusal;
use crate::read::render;
use crate::state::GatewayState;

/// How often a change is decided anew when someone else changed the same thing meanwhile.
const ATTEMPTS: usize = 10;

fn parse_id(kind: &ResourceType, id: &str) -> Result<IdentityId, Refusal> {
    id.parse().map_err(|_| Refusal::not_found(kind.name, id))
}

/// Adds someone; without a word on it they are active.
pub async fn create(
    state: &GatewayState,
    caller: &Caller,
    kind: &'static ResourceType,
    of: IdentityKind,
    resource: Map<String, Value>,
    reading: Reading,
) -> Result<Done, Refusal> {
    let started = identity::started(resource);
    let says = Says::whole(&started);
    let rules = state.authority.settle(&caller.source.name, None, started, says);
    let essential = |d: &Denied| kind.core.attribute(&d.change.path).is_some_and(|a| a.presence == Presence::Required);
    if state.authority.forbids_creation(&caller.source.name) || rules.denied.iter().any(essential) {
        let detail = format!("source '{}' has no say on what a new {} needs", caller.source.name, kind.name);
        state.refuse(caller, kind, "create", None, &detail, rules.denied).await?;
        return Err(ScimError::status(403, detail).into());
    }
    machines::check(state, caller, of, None, &rules.resource).await?;
    if caller.source.recreate == Recreate::Restore
        && let Some(id) = restorable(&state.fresh().await?, caller, of, &rules.resource)?
    {
        let edit = Edit::Replace(rules.resource);
        let restored = change(state, caller, kind, of, &id.to_string(), &Condition::None, &edit, reading).await?;
        return Ok(Done { status: StatusCode::CREATED, ..restored });
    }
    let meta = || caller.meta(&format!("create {}", kind.name), &reading);
    for attempt in 0..ATTEMPTS {
        let id = IdentityId(Uuid::now_v7());
        let mut created = identity::create(id, of, rules.resource.clone(), Timestamp::now());
        created.provenance.clone_from(&rules.provenance);
        let created = machines::begins_here(state, created).await?;
        let owner = NameOwner { kind, id: id.0, source: &caller.source, meta: &meta };
        let from = if attempt == 0 { LookUp::State } else { LookUp::Log };
        let mut unit = Unit::default();
        let expect = names::claim(state, &mut unit, &owner, from, None, Some(&created.resource)).await?;
        let shared = names::shared_external_id(&state.store.view(), &owner, None, &created.resource)?;
        unit.push(event(noting(meta(), shared), created.clone()), expect);
        let denied = rules.denied.clone();
        let refused = scope::partly_refused(&state.store.view(), caller, meta(), kind, "create", id.0, denied)?;
        refused.into_iter().for_each(|event| unit.push(event, Expect::Any));
        match state.log.append(&unit).await {
            Ok(appended) => {
                let body = settled(state, &created, appended.last, caller).await?;
                return Ok(Done { status: StatusCode::CREATED, ..body });
            }
            Err(LogError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::Contention("the name"))
}

/// Who is inactive, and whom a creation by the source that has created them, with their name and `externalId`, means.
fn restorable(
    state: &impl Read,
    caller: &Caller,
    of: IdentityKind,
    resource: &Map<String, Value>,
) -> Result<Option<IdentityId>, KvError> {
    let Some(id) = directory::id_by_name(state, of, identity::user_name(resource))? else { return Ok(None) };
    let external = |r: &Map<String, Value>| r.get("externalId").and_then(Value::as_str).map(str::to_owned);
    let is_meant = |found: &Identity| {
        !found.deleted
            && !found.lifecycle.has_access()
            && found.created_by.as_ref() == Some(&caller.source.name)
            && external(resource).is_some_and(|sent| external(&found.resource) == Some(sent))
    };
    Ok(directory::identity(state, id)?.filter(is_meant).map(|found| found.id))
}

/// The same with one more deviation.
fn noting(mut meta: EventMeta, quirk: Option<&str>) -> EventMeta {
    meta.quirks.extend(quirk.map(str::to_owned));
    meta
}

fn event(meta: EventMeta, changed: IdentityChanged) -> NewEvent {
    NewEvent { meta, event: Event::Identity(changed) }
}

/// The newest statement about an identity.
struct Statement {
    changed: IdentityChanged,
    /// Where it is on the log.
    version: Sequence,
    /// What the next change expects.
    last: Sequence,
}

async fn last_change(
    state: &GatewayState,
    kind: &ResourceType,
    of: IdentityKind,
    id: IdentityId,
) -> Result<Statement, Refusal> {
    if directory::identity(&state.store.view(), id)?.is_some_and(|found| found.content == Content::Erased) {
        return Err(Refusal::not_found(kind.name, &id.to_string()));
    }
    let known = |view: &View| directory::identity(view, id).map(|found| found.map(|identity| identity.version));
    let mut found = newest(&state.log, id, known(&state.store.view())?).await?;
    if found.is_none() {
        // Another gateway may have added them a moment ago.
        found = newest(&state.log, id, known(&state.fresh().await?)?).await?;
    }
    if found.as_ref().is_some_and(|newest| newest.recorded.seal.is_closed()) {
        let detail = format!(
            "what is known of {} '{id}' is sealed, and its key is not here: nothing is decided on it",
            kind.name
        );
        return Err(ScimError::status(503, detail).into());
    }
    match found.map(|Newest { recorded, last }| (recorded.event, recorded.sequence, last)) {
        Some((Event::Identity(changed), version, last)) if !changed.deleted && changed.kind == of => {
            Ok(Statement { changed, version, last })
        }
        Some((Event::Unknown, ..)) => {
            let detail = format!("the {} was changed by a newer version of Rollcall: upgrade this one", kind.name);
            Err(ScimError::status(501, detail).into())
        }
        _ => Err(Refusal::not_found(kind.name, &id.to_string())),
    }
}

/// Changes someone, from the newest state on the log.
#[allow(clippy::too_many_arguments)]
pub async fn change(
    state: &GatewayState,
    caller: &Caller,
    kind: &'static ResourceType,
    of: IdentityKind,
    id: &str,
    condition: &Condition,
    edit: &Edit,
    reading: Reading,
) -> Result<Done, Refusal> {
    let id = parse_id(kind, id)?;
    for _ in 0..ATTEMPTS {
        let Statement { changed: last, version, last: expected } = last_change(state, kind, of, id).await?;
        condition.check(version)?;
        let mut reading = reading.clone();
        let resource = edit.apply(&last.resource, kind, &mut reading)?;
        let now = Timestamp::now();
        let says = Says::of(&edit.outright(&last.resource, kind, &reading), &last.resource, now);
        let wanted = match edit {
            Edit::Replace(_) => completed(&last.resource, resource),
            Edit::Patch(_) => resource,
        };
        let rules = state.authority.settle(&caller.source.name, Some(&last), wanted, says);
        let meta = || caller.meta(&format!("{} {}", edit.name(), kind.name), &reading);
        let view = state.store.view();
        let refused = scope::partly_refused(&view, caller, meta(), kind, edit.name(), id.0, rules.denied)?;
        machines::check(state, caller, of, Some(&last.resource), &rules.resource).await?;
        let changed = identity::update(&last, rules.resource, now);
        let Some(mut changed) = changed.or_else(|| identity::restated(&last, &rules.provenance, now)) else {
            if let Some(event) = refused {
                state.log.append(&Unit::one(event, Expect::Any)).await?;
            }
            if state.log.last_sequence(&Subject::identity(id)).await? != expected {
                continue;
            }
            return settled(state, &last, version, caller).await;
        };
        changed.provenance = rules.provenance;
        let changed = machines::begins_here(state, changed).await?;
        let owner = NameOwner { kind, id: id.0, source: &caller.source, meta: &meta };
        let mut unit = Unit::default();
        let (before, after) = (Some(&last.resource), Some(&changed.resource));
        names::claim(state, &mut unit, &owner, LookUp::Log, before, after).await?;
        let shared = names::shared_external_id(&view, &owner, before, &changed.resource)?;
        unit.push(event(noting(meta(), shared), changed.clone()), Expect::Last(expected));
        refused.into_iter().for_each(|event| unit.push(event, Expect::Any));
        match state.log.append(&unit).await {
            Ok(appended) => return settled(state, &changed, appended.last, caller).await,
            Err(LogError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::Contention("the identity"))
}

/// Removes someone: whoever was active leaves by it.
pub async fn delete(
    state: &GatewayState,
    caller: &Caller,
    kind: &'static ResourceType,
    of: IdentityKind,
    id: &str,
    condition: &Condition,
) -> Result<Done, Refusal> {
    let id = parse_id(kind, id)?;
    let meta = || caller.meta(&format!("delete {}", kind.name), &caller.reading());
    for _ in 0..ATTEMPTS {
        let Statement { changed: last, version, last: expected } = last_change(state, kind, of, id).await?;
        condition.check(version)?;
        if let Some(denied) = state.authority.forbids_removal(&caller.source.name, &last) {
            let detail = scope::explain(std::slice::from_ref(&denied));
            state.refuse(caller, kind, "delete", Some(&id.to_string()), &detail, vec![denied]).await?;
            return Err(ScimError::status(403, detail).into());
        }
        let owner = NameOwner { kind, id: id.0, source: &caller.source, meta: &meta };
        let mut unit = Unit::one(event(meta(), identity::delete(&last)), Expect::Last(expected));
        names::claim(state, &mut unit, &owner, LookUp::Log, Some(&last.resource), None).await?;
        match state.log.append(&unit).await {
            Ok(_) => return Ok(Done::no_content()),
            Err(LogError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::Contention("the identity"))
}

/// The identity after a change, read from our own state once it holds the change.
async fn settled(
    state: &GatewayState,
    changed: &IdentityChanged,
    at: Sequence,
    caller: &Caller,
) -> Result<Done, Refusal> {
    if state.store.wait_for(at, state.patience).await.is_ok() {
        let view = state.store.view();
        if let Some(found) = directory::identity(&view, changed.id)?.filter(|i| !i.deleted) {
            let body = Some(render::identity(&view, &found, &caller.base, |by| scope::sees(caller, by))?);
            let id = Some(changed.id.to_string());
            return Ok(Done { status: StatusCode::OK, id, version: Some(found.version), body });
        }
    }
    Ok(Done::unseen(changed.id.to_string(), changed.resource.clone()))
}

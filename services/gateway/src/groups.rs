//! `/Groups`: membership, as differences.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use rollcall_domain::group::{self, Group, GroupChange, GroupChanged, Version};
use rollcall_domain::ids::{GroupId, IdentityId, Sequence, SourceName};
use rollcall_domain::kv::{Read, load_all};
use rollcall_domain::{Event, NewEvent, directory};
use rollcall_event_log::{Appended, Expect, LogError, Subject, Unit};
use rollcall_scim::{GROUP_TYPE, PatchRequest, ScimError, ScimType, normalize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::{Refusal, scim_response};
use crate::list::Search;
use crate::render;
use crate::request::{Context, Path, Query, base, read_json};
use crate::service::Door;

type Shared = State<Arc<Door>>;
type Answer = Result<Response, Refusal>;

const ATTEMPTS: usize = 10;

/// What a change turns a whole group, members included, into.
type Change<'a> = dyn Fn(&Map<String, Value>) -> Result<Map<String, Value>, ScimError> + Send + Sync + 'a;

fn parse_id(id: &str) -> Result<GroupId, Refusal> {
    id.parse().map_err(|_| Refusal::not_found("Group", id))
}

/// Splits a resource into its attributes and its members, each of which must be a user we know.
fn version(mut resource: Map<String, Value>, state: &impl Read) -> Result<Version, Refusal> {
    let invalid = |detail: String| ScimError::bad_request(ScimType::InvalidValue, detail);
    let mut members = BTreeSet::new();
    let listed = resource.remove("members");
    for member in listed.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| member.get(name).and_then(Value::as_str);
        if text("type").is_some_and(|kind| !kind.eq_ignore_ascii_case("User")) {
            return Err(invalid("a member must be a User: groups in groups are not supported".into()).into());
        }
        let value = text("value").ok_or_else(|| invalid("each of 'members' must have a 'value'".into()))?;
        let known = match value.parse::<IdentityId>() {
            Ok(id) => directory::identity(state, id)?.filter(|i| !i.deleted).map(|i| i.id),
            Err(_) => None,
        };
        members.insert(known.ok_or_else(|| invalid(format!("member '{value}' is not a user here")))?);
    }
    Ok(Version { resource, members })
}

async fn append(
    door: &Door,
    context: &Context,
    events: Vec<GroupChanged>,
    expect: Sequence,
) -> Result<Appended, LogError> {
    let mut unit = Unit::default();
    for changed in events {
        unit.push(NewEvent { meta: context.meta(), event: Event::Group(changed) }, Expect::Last(expect));
    }
    door.log.append(&unit).await
}

/// `POST /Groups`.
pub async fn create(
    State(door): Shared,
    Extension(source): Extension<SourceName>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let context = Context::new(source, "create Group", &headers);
    let body = read_json(&headers, body, door.max_body_bytes).await?;
    let resource = normalize(&body, &GROUP_TYPE)?;
    let version = version(resource, &door.fresh().await?)?;
    let id = GroupId(Uuid::now_v7());
    let appended = append(&door, &context, group::create(id, version), Sequence(0)).await?;
    let mut response = answer(&door, id, appended.last, StatusCode::CREATED, &headers).await?;
    let location = format!("{}/Groups/{id}", base(door.public_url.as_deref(), &headers));
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn last_change(door: &Door, id: GroupId) -> Result<(GroupChanged, Sequence), Refusal> {
    let last = door.log.last(&Subject::group(id)).await?;
    match last.map(|e| (e.event, e.sequence)) {
        Some((Event::Group(changed), sequence)) if changed.change != GroupChange::Deleted => Ok((changed, sequence)),
        Some((Event::Unknown, _)) => {
            let detail = "the group was changed by a newer version of Rollcall: upgrade this one";
            Err(ScimError::status(501, detail).into())
        }
        _ => Err(Refusal::not_found("Group", &id.to_string())),
    }
}

async fn change(
    door: &Door,
    id: GroupId,
    context: &Context,
    headers: &HeaderMap,
    change: &Change<'_>,
) -> Result<Sequence, Refusal> {
    let base = base(door.public_url.as_deref(), headers);
    for _ in 0..ATTEMPTS {
        let (last, sequence) = last_change(door, id).await?;
        // Members are differences on the log: our state must hold the last one before the next is decided.
        door.store.wait_for(sequence, door.patience).await?;
        let view = door.fresh().await?;
        let before = Version { resource: last.resource, members: directory::members(&view, id)? };
        let mut whole = before.resource.clone();
        if !before.members.is_empty() {
            whole.insert("members".into(), render::members_attribute(&before.members, &base));
        }
        let after = version(change(&whole)?, &view)?;
        let events = group::update(id, &before, after);
        if events.is_empty() {
            return Ok(sequence);
        }
        match append(door, context, events, sequence).await {
            Ok(appended) => return Ok(appended.last),
            Err(LogError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::Contention("the group"))
}

/// `PUT /Groups/{id}`.
pub async fn replace(
    State(door): Shared,
    Extension(source): Extension<SourceName>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let context = Context::new(source, "replace Group", &headers);
    let id = parse_id(&id)?;
    let body = read_json(&headers, body, door.max_body_bytes).await?;
    let resource = normalize(&body, &GROUP_TYPE)?;
    let at = change(&door, id, &context, &headers, &|_| Ok(resource.clone())).await?;
    answer(&door, id, at, StatusCode::OK, &headers).await
}

/// `PATCH /Groups/{id}`.
pub async fn patch(
    State(door): Shared,
    Extension(source): Extension<SourceName>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let context = Context::new(source, "patch Group", &headers);
    let id = parse_id(&id)?;
    let body = read_json(&headers, body, door.max_body_bytes).await?;
    let request = PatchRequest::parse(&body, &GROUP_TYPE)?;
    let at = change(&door, id, &context, &headers, &|before| request.apply(before, &GROUP_TYPE)).await?;
    answer(&door, id, at, StatusCode::OK, &headers).await
}

/// `DELETE /Groups/{id}`.
pub async fn delete(
    State(door): Shared,
    Extension(source): Extension<SourceName>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let context = Context::new(source, "delete Group", &headers);
    let id = parse_id(&id)?;
    for _ in 0..ATTEMPTS {
        let (last, sequence) = last_change(&door, id).await?;
        match append(&door, &context, vec![group::delete(id, last.resource)], sequence).await {
            Ok(_) => return Ok(StatusCode::NO_CONTENT.into_response()),
            Err(LogError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::Contention("the group"))
}

async fn answer(door: &Door, id: GroupId, at: Sequence, status: StatusCode, headers: &HeaderMap) -> Answer {
    door.store.wait_for(at, door.patience).await?;
    let view = door.store.view();
    let found = directory::group(&view, id)?.ok_or_else(|| Refusal::not_found("Group", &id.to_string()))?;
    let members = directory::members(&view, id)?;
    let body = render::group(&found, &members, &base(door.public_url.as_deref(), headers));
    Ok(scim_response(status, Value::Object(body)))
}

/// `GET /Groups/{id}`.
pub async fn read(
    State(door): Shared,
    Path(id): Path<String>,
    Query(search): Query<Search>,
    headers: HeaderMap,
) -> Answer {
    let selection = search.check(&GROUP_TYPE, door.max_page)?.selection;
    let view = door.fresh().await?;
    let id = parse_id(&id)?;
    let found = directory::group(&view, id)?.ok_or_else(|| Refusal::not_found("Group", &id.to_string()))?;
    let members = directory::members(&view, id)?;
    let body = render::group(&found, &members, &base(door.public_url.as_deref(), &headers));
    Ok(scim_response(StatusCode::OK, Value::Object(selection.apply(body))))
}

/// `GET /Groups`.
pub async fn search(State(door): Shared, Query(search): Query<Search>, headers: HeaderMap) -> Answer {
    let checked = search.check(&GROUP_TYPE, door.max_page)?;
    let view = door.fresh().await?;
    let base = base(door.public_url.as_deref(), &headers);
    let body = tokio::task::spawn_blocking(move || -> Result<Value, Refusal> {
        let mut page = checked.page();
        let groups: Vec<(String, Group)> = load_all(&view, directory::GROUPS, None, usize::MAX)?;
        for (_, group) in groups {
            page.offer(render::group(&group, &directory::members(&view, group.id)?, &base));
        }
        Ok(page.finish())
    })
    .await
    .map_err(|_| ScimError::status(500, "the search stopped unexpectedly"))??;
    Ok(scim_response(StatusCode::OK, body))
}

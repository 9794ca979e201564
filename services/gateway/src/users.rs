//! `/Users`: joiners, movers and leavers come in here.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use rollcall_domain::identity::{self, Identity, IdentityChanged, NameChanged, name_key, user_name};
use rollcall_domain::ids::{IdentityId, Sequence, SourceName};
use rollcall_domain::kv::load_all;
use rollcall_domain::{Event, NewEvent, directory};
use rollcall_event_log::{Expect, LogError, Subject, Unit};
use rollcall_projection::View;
use rollcall_scim::{PatchRequest, ScimError, Selection, USER_TYPE, normalize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::{Refusal, scim_response};
use crate::list::Search;
use crate::render;
use crate::request::{Context, Path, Query, base, read_json};
use crate::service::Door;

type Shared = State<Arc<Door>>;
type Answer = Result<Response, Refusal>;

/// How often a change is decided anew when someone else changed the same thing meanwhile.
const ATTEMPTS: usize = 10;

const CHUNK: usize = 500;

/// What a change turns a resource into; asked again with the newest resource after a conflict.
type Change<'a> = dyn Fn(&Map<String, Value>) -> Result<Map<String, Value>, ScimError> + Send + Sync + 'a;

fn parse_id(id: &str) -> Result<IdentityId, Refusal> {
    id.parse().map_err(|_| Refusal::not_found("User", id))
}

fn event(context: &Context, event: Event) -> NewEvent {
    NewEvent { meta: context.meta(), event }
}

/// `POST /Users`.
pub async fn create(
    State(door): Shared,
    Extension(source): Extension<SourceName>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let context = Context::new(source, "create User", &headers);
    let body = read_json(&headers, body, door.max_body_bytes).await?;
    let resource = normalize(&body, &USER_TYPE)?;
    let name = name_key(user_name(&resource));
    for _ in 0..ATTEMPTS {
        let claim = last_claim(&door, &name).await?;
        if claim.owner.is_some() {
            return Err(ScimError::uniqueness(format!("userName '{}' is taken", user_name(&resource))).into());
        }
        let id = IdentityId(Uuid::now_v7());
        let claimed = NameChanged { name: name.clone(), identity: id };
        let mut unit = Unit::one(event(&context, Event::NameClaimed(claimed)), Expect::Last(claim.sequence));
        let created = identity::create(id, resource.clone());
        unit.push(event(&context, Event::Identity(created.clone())), Expect::Last(Sequence(0)));
        match door.log.append(&unit).await {
            Ok(appended) => {
                let base = base(door.public_url.as_deref(), &headers);
                let body = door.settled_user(&created, appended.last, &base).await?;
                let mut response = scim_response(StatusCode::CREATED, Value::Object(body));
                if let Ok(location) = HeaderValue::from_str(&format!("{base}/Users/{id}")) {
                    response.headers_mut().insert(header::LOCATION, location);
                }
                return Ok(response);
            }
            Err(LogError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::Contention("the user name"))
}

struct Claim {
    owner: Option<IdentityId>,
    sequence: Sequence,
}

/// Who owns a name, on the log's own word.
async fn last_claim(door: &Door, name: &str) -> Result<Claim, Refusal> {
    let last = door.log.last(&Subject::user_name(name)).await?;
    let sequence = last.as_ref().map_or(Sequence(0), |e| e.sequence);
    let owner = match last.map(|e| e.event) {
        Some(Event::NameClaimed(claimed)) => Some(claimed.identity),
        _ => None,
    };
    Ok(Claim { owner, sequence })
}

async fn last_change(door: &Door, id: IdentityId) -> Result<(IdentityChanged, Sequence), Refusal> {
    let last = door.log.last(&Subject::identity(id)).await?;
    match last.map(|e| (e.event, e.sequence)) {
        Some((Event::Identity(changed), sequence)) if !changed.deleted => Ok((changed, sequence)),
        Some((Event::Unknown, _)) => {
            let detail = "the user was changed by a newer version of Rollcall: upgrade this one";
            Err(ScimError::status(501, detail).into())
        }
        _ => Err(Refusal::not_found("User", &id.to_string())),
    }
}

async fn change(
    door: &Door,
    id: IdentityId,
    context: &Context,
    change: &Change<'_>,
) -> Result<(IdentityChanged, Sequence), Refusal> {
    for _ in 0..ATTEMPTS {
        let (last, sequence) = last_change(door, id).await?;
        let resource = change(&last.resource)?;
        let Some(changed) = identity::update(&last, resource) else { return Ok((last, sequence)) };
        let old = name_key(user_name(&last.resource));
        let new = name_key(user_name(&changed.resource));
        let mut unit = Unit::default();
        if new != old {
            let claim = last_claim(door, &new).await?;
            if claim.owner.is_some_and(|owner| owner != id) {
                let name = user_name(&changed.resource);
                return Err(ScimError::uniqueness(format!("userName '{name}' is taken")).into());
            }
            let claimed = NameChanged { name: new.clone(), identity: id };
            unit.push(event(context, Event::NameClaimed(claimed)), Expect::Last(claim.sequence));
        }
        unit.push(event(context, Event::Identity(changed.clone())), Expect::Last(sequence));
        if new != old {
            release(door, context, id, old, &mut unit).await?;
        }
        match door.log.append(&unit).await {
            Ok(appended) => return Ok((changed, appended.last)),
            Err(LogError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::Contention("the user"))
}

async fn release(door: &Door, context: &Context, id: IdentityId, name: String, unit: &mut Unit) -> Result<(), Refusal> {
    let claim = last_claim(door, &name).await?;
    if claim.owner == Some(id) {
        let released = NameChanged { name, identity: id };
        unit.push(event(context, Event::NameReleased(released)), Expect::Last(claim.sequence));
    }
    Ok(())
}

/// `PUT /Users/{id}`.
pub async fn replace(
    State(door): Shared,
    Extension(source): Extension<SourceName>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let context = Context::new(source, "replace User", &headers);
    let id = parse_id(&id)?;
    let body = read_json(&headers, body, door.max_body_bytes).await?;
    let resource = normalize(&body, &USER_TYPE)?;
    let (changed, at) = change(&door, id, &context, &|_| Ok(resource.clone())).await?;
    answer(&door, &changed, at, &headers).await
}

/// `PATCH /Users/{id}`.
pub async fn patch(
    State(door): Shared,
    Extension(source): Extension<SourceName>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let context = Context::new(source, "patch User", &headers);
    let id = parse_id(&id)?;
    let body = read_json(&headers, body, door.max_body_bytes).await?;
    let request = PatchRequest::parse(&body, &USER_TYPE)?;
    let (changed, at) = change(&door, id, &context, &|before| request.apply(before, &USER_TYPE)).await?;
    answer(&door, &changed, at, &headers).await
}

async fn answer(door: &Door, changed: &IdentityChanged, at: Sequence, headers: &HeaderMap) -> Answer {
    let base = base(door.public_url.as_deref(), headers);
    let body = door.settled_user(changed, at, &base).await?;
    Ok(scim_response(StatusCode::OK, Value::Object(body)))
}

/// `DELETE /Users/{id}`: whoever was active leaves by it.
pub async fn delete(
    State(door): Shared,
    Extension(source): Extension<SourceName>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let context = Context::new(source, "delete User", &headers);
    let id = parse_id(&id)?;
    for _ in 0..ATTEMPTS {
        let (last, sequence) = last_change(&door, id).await?;
        let deleted = identity::delete(&last);
        let mut unit = Unit::one(event(&context, Event::Identity(deleted)), Expect::Last(sequence));
        release(&door, &context, id, name_key(user_name(&last.resource)), &mut unit).await?;
        match door.log.append(&unit).await {
            Ok(_) => return Ok(StatusCode::NO_CONTENT.into_response()),
            Err(LogError::Conflict { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(Refusal::Contention("the user"))
}

/// `GET /Users/{id}`.
pub async fn read(
    State(door): Shared,
    Path(id): Path<String>,
    Query(search): Query<Search>,
    headers: HeaderMap,
) -> Answer {
    let selection = search.check(&USER_TYPE, door.max_page)?.selection;
    let view = door.fresh().await?;
    let found = directory::identity(&view, parse_id(&id)?)?.filter(|i| !i.deleted);
    let found = found.ok_or_else(|| Refusal::not_found("User", &id))?;
    let user = render::user(&view, &found, &base(door.public_url.as_deref(), &headers))?;
    Ok(scim_response(StatusCode::OK, Value::Object(selection.apply(user))))
}

/// `GET /Users`.
pub async fn search(State(door): Shared, Query(search): Query<Search>, headers: HeaderMap) -> Answer {
    let checked = search.check(&USER_TYPE, door.max_page)?;
    let view = door.fresh().await?;
    let base = base(door.public_url.as_deref(), &headers);
    // Reading every identity blocks; so does sled.
    let body = tokio::task::spawn_blocking(move || -> Result<Value, Refusal> {
        let mut page = checked.page();
        for identity in candidates(&view, checked.filter.as_ref().and_then(|f| f.equality()))? {
            let identity = identity?;
            if !identity.deleted {
                page.offer(render::user(&view, &identity, &base)?);
            }
        }
        Ok(page.finish())
    })
    .await
    .map_err(|_| ScimError::status(500, "the search stopped unexpectedly"))??;
    Ok(scim_response(StatusCode::OK, body))
}

type Candidates<'a> = Box<dyn Iterator<Item = Result<Identity, Refusal>> + 'a>;

/// The identities that may match: a few by an index where the filter allows it, else all.
fn candidates<'a>(view: &'a View, equality: Option<(&str, &str)>) -> Result<Candidates<'a>, Refusal> {
    let few = match equality {
        Some(("userName", name)) => directory::identity_by_user_name(view, name)?.into_iter().collect(),
        Some(("externalId", value)) => directory::identities_by_external_id(view, value)?,
        Some(("id", id)) => match id.parse() {
            Ok(id) => directory::identity(view, id)?.into_iter().collect(),
            Err(_) => Vec::new(),
        },
        _ => return Ok(Box::new(all(view))),
    };
    Ok(Box::new(few.into_iter().map(Ok)))
}

fn all(view: &View) -> impl Iterator<Item = Result<Identity, Refusal>> + '_ {
    let mut after: Option<String> = None;
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let chunk: Vec<(String, Identity)> = match load_all(view, directory::IDENTITIES, after.as_deref(), CHUNK) {
            Ok(chunk) => chunk,
            Err(e) => {
                done = true;
                return Some(vec![Err(e.into())]);
            }
        };
        after = chunk.last().map(|(key, _)| key.clone());
        done = chunk.len() < CHUNK;
        Some(chunk.into_iter().map(|(_, identity)| Ok(identity)).collect())
    })
    .flatten()
}

impl Door {
    /// The user after a change, read from our own state once it holds the change.
    async fn settled_user(
        &self,
        changed: &IdentityChanged,
        at: Sequence,
        base: &str,
    ) -> Result<Map<String, Value>, Refusal> {
        // The change is on the log already: a slow projection must not make it look like a failure.
        if self.store.wait_for(at, self.patience).await.is_ok() {
            let view = self.store.view();
            if let Some(found) = directory::identity(&view, changed.id)?.filter(|i| !i.deleted) {
                return Ok(Selection::Default.apply(render::user(&view, &found, base)?));
            }
        }
        let mut resource = changed.resource.clone();
        resource.insert("id".into(), changed.id.to_string().into());
        Ok(resource)
    }
}

//! Unique values: claimed and released on the log, in one unit with the change that needs it.

use rollcall_config::{ExternalIds, SourceConfig};
use rollcall_domain::identity::content::Content;
use rollcall_domain::identity::name::{NameSpace, UniqueValue, invisible, unique_values};
use rollcall_domain::identity::{Identity, IdentityKind, NameChanged};
use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::{KvError, Read, Write, load, store};
use rollcall_domain::{Event, EventMeta, NewEvent, Recorded, Sequence, directory};
use rollcall_event_log::{Expect, NameHash, Subject, Unit};
use rollcall_scim::{LIFECYCLE, ResourceType, ScimError, ScimType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::change::operation::Family;
use crate::error::Refusal;
use crate::state::GatewayState;

/// Who owns a name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Claim {
    owner: Option<Uuid>,
    /// The last event about the name; 0: there was none.
    sequence: Sequence,
}

/// Where a claim is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookUp {
    /// In our own state, which may be behind: the log refuses what was decided on old state.
    State,
    /// On the log itself.
    Log,
}

/// What has an owner, and who it is.
pub struct NameOwner<'a> {
    pub kind: &'static ResourceType,
    pub id: Uuid,
    pub source: &'a SourceConfig,
    pub meta: &'a (dyn Fn() -> EventMeta + Sync),
}

/// Where a claim is in our state: by the hash that its subject has, which says nobody's name.
fn key(subject: &str) -> Option<String> {
    Subject::name_in(subject).map(|name| format!("name/{name}"))
}

/// What an event says of the owner of the name that its subject is about; `None`: it is about no name. A creation is its own claim,
/// unless it was appended under the id of the identity, as version 1 did.
fn said_of(event: &Recorded) -> Option<Option<Uuid>> {
    Subject::name_in(&event.subject)?;
    match &event.event {
        Event::NameClaimed(name) => Some(Some(name.owner)),
        Event::NameReleased(_) => Some(None),
        Event::Identity(changed) => Some(Some(changed.id.0)),
        _ => None,
    }
}

/// Keeps the claims in our state.
pub fn evolve(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    if let (Some(key), Some(owner)) = (key(&event.subject), said_of(event)) {
        store(state, key, &Claim { owner, sequence: event.sequence });
    }
    Ok(())
}

/// Who has a name, by the last event about it.
pub fn owner(last: Option<&Recorded>) -> Option<Uuid> {
    said_of(last?)?
}

/// A claim of a name that was hashed otherwise: the next event expects nothing of the subject that the name has now.
fn owned_before(claim: Claim) -> Claim {
    Claim { sequence: Sequence(0), ..claim }
}

fn known_claim(state: &impl Read, subject: &Subject, former: &Subject) -> Result<Claim, KvError> {
    let known = |subject: &Subject| match key(subject.as_str()) {
        Some(key) => load::<Claim>(state, &key),
        None => Ok(None),
    };
    Ok(match known(subject)? {
        Some(claim) => claim,
        None => known(former)?.map(owned_before).unwrap_or_default(),
    })
}

async fn find_claim(state: &GatewayState, from: LookUp, space: &NameSpace, name: &str) -> Result<Claim, Refusal> {
    let subject = Subject::name(state.log.names(), space, name);
    // As names were hashed before the installation had a key for them: what was claimed so is still owned.
    let former = Subject::name(&NameHash::Plain, space, name);
    if from == LookUp::State {
        return Ok(known_claim(&state.store.view(), &subject, &former)?);
    }
    let on_log = |last: Option<Recorded>| last.map(|e| Claim { owner: owner(Some(&e)), sequence: e.sequence });
    if let Some(claim) = on_log(state.log.last(&subject).await?) {
        return Ok(claim);
    }
    if former == subject {
        return Ok(Claim::default());
    }
    Ok(on_log(state.log.last(&former).await?).map(owned_before).unwrap_or_default())
}

/// Who has a user name that was claimed when names were folded otherwise: under another key, and it is still theirs. Both are
/// looked at in the same state, in which a name that was just released is nobody's in either.
fn owner_by_another_key(state: &impl Read, names: &NameHash, value: &UniqueValue) -> Result<Option<Uuid>, KvError> {
    let subject = |hash| Subject::name(hash, &value.space, &value.key);
    let claim = known_claim(state, &subject(names), &subject(&NameHash::Plain))?;
    let known = directory::id_by_name(state, IdentityKind::User, &value.value)?;
    Ok(known.map(|id| id.0).filter(|_| claim.owner.is_none()))
}

fn changed(space: NameSpace, name: String, holder: &NameOwner<'_>, event: fn(NameChanged) -> Event) -> NewEvent {
    NewEvent { meta: (holder.meta)(), event: event(NameChanged { space, name, owner: holder.id }) }
}

/// The most that a resource may say of when somebody leaves, in bytes, beyond what is kept of everything else.
const MAX_LIFECYCLE_BYTES: usize = 16 << 10;

/// How many bytes a resource has, without what says that somebody leaves; and how many that is.
fn sizes(resource: Option<&Map<String, Value>>) -> (usize, usize) {
    let Some(resource) = resource else { return (0, 0) };
    let (mut all, mut lifecycle) = (2, 0);
    for (name, value) in resource {
        let bytes = name.len() + value.to_string().len() + 4;
        match name.as_str() {
            "active" | "schemas" => {}
            urn if urn == LIFECYCLE.id => lifecycle += bytes,
            _ => all += bytes,
        }
    }
    (all, lifecycle)
}

/// Refuses a resource that is so large that a later change of it might not fit into the log, which holds what was before and
/// what is after: whoever was let in can always be changed, and can always leave, which is not counted. One that is too large
/// already may shrink.
pub fn within_size(
    most: usize,
    kind: &ResourceType,
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
) -> Result<(), ScimError> {
    let ((was, was_lifecycle), (bytes, lifecycle)) = (sizes(before), sizes(after));
    if lifecycle > MAX_LIFECYCLE_BYTES && lifecycle > was_lifecycle {
        let detail = format!("{} is {lifecycle} bytes large: at most {MAX_LIFECYCLE_BYTES} are kept", LIFECYCLE.id);
        return Err(ScimError::status(413, detail));
    }
    if bytes <= most || bytes <= was {
        return Ok(());
    }
    let detail = format!("the {} is {bytes} bytes large: at most {most} are kept (scim.max_resource_bytes)", kind.name);
    Err(ScimError::status(413, detail))
}

/// Those of the same source and kind, besides the holder, that have an `externalId`.
fn others_with_external_id(state: &impl Read, holder: &NameOwner<'_>, value: &str) -> Result<Vec<IdentityId>, KvError> {
    let Family::Identity(of) = Family::of(holder.kind) else { return Ok(Vec::new()) };
    let mut others = Vec::new();
    for id in directory::ids_by_external_id(state, value)?.into_iter().filter(|id| id.0 != holder.id) {
        let found = directory::identity(state, id)?;
        let same = |i: &Identity| !i.deleted && i.kind == of && i.created_by.as_ref() == Some(&holder.source.name);
        others.extend(found.filter(same).map(|i| i.id));
    }
    Ok(others)
}

/// The word on the event of a change after which two resources of the source have the same `externalId`.
const SHARED_EXTERNAL_ID: &str = "shared-external-id";

/// The word for it when a change gives an identity the `externalId` of another one of the same source.
///
/// # Errors
/// When the state can't be read.
pub fn shared_external_id(
    state: &impl Read,
    holder: &NameOwner<'_>,
    before: Option<&Map<String, Value>>,
    after: &Map<String, Value>,
) -> Result<Option<&'static str>, KvError> {
    let is_new = |value: &&str| before.and_then(|b| b.get("externalId")?.as_str()) != Some(*value);
    match after.get("externalId").and_then(Value::as_str).filter(is_new) {
        Some(value) if !others_with_external_id(state, holder, value)?.is_empty() => Ok(Some(SHARED_EXTERNAL_ID)),
        _ => Ok(None),
    }
}

/// Adds to `unit` what makes the holder's names those of `after`. Gives what a creation expects of the name that it claims by
/// itself: for that no event is added.
///
/// # Errors
/// `uniqueness` when one of them is someone else's.
pub async fn claim(
    state: &GatewayState,
    unit: &mut Unit,
    holder: &NameOwner<'_>,
    from: LookUp,
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
) -> Result<Expect, Refusal> {
    let by_itself = match (before, Family::of(holder.kind)) {
        (None, Family::Identity(of)) => Some(NameSpace::of_identities(of)),
        _ => None,
    };
    let mut expected = Expect::Last(Sequence(0));
    within_size(state.max_resource_bytes, holder.kind, before, after)?;
    let external = |r: Option<&Map<String, Value>>| r.and_then(|r| r.get("externalId")).cloned();
    // Who set an external id does not lose it because another source changes something else.
    let same_external = external(before) == external(after);
    let values =
        |r: Option<&Map<String, Value>>, source| r.map(|r| unique_values(r, holder.kind, source)).unwrap_or_default();
    let old = values(before, None);
    let claims_external = !same_external && holder.source.external_ids == ExternalIds::Unique;
    let new = values(after, Some(&holder.source.name).filter(|_| claims_external));
    let known = |all: &[UniqueValue], v: &UniqueValue| all.iter().any(|o| o.space == v.space && o.key == v.key);
    for value in new.iter().filter(|v| !known(&old, v)) {
        if let Some(unseen) = invisible(&value.value) {
            let detail = format!(
                "{} holds U+{:04X}, which nobody sees: it would be another name that looks the same",
                value.attribute,
                u32::from(unseen)
            );
            return Err(ScimError::bad_request(ScimType::InvalidValue, detail).into());
        }
        let mut found = find_claim(state, from, &value.space, &value.key).await?;
        if found.owner.is_some_and(|owner| owner != holder.id) && from == LookUp::State {
            found = find_claim(state, LookUp::Log, &value.space, &value.key).await?;
        }
        if found.owner.is_none() && value.space == NameSpace::default() {
            found.owner = owner_by_another_key(&state.store.view(), state.log.names(), value)?
                .filter(|owner| *owner != holder.id);
        }
        if found.owner.is_none() && value.attribute == "externalId" {
            // From when two could have the same one.
            found.owner = others_with_external_id(&state.store.view(), holder, &value.value)?.first().map(|id| id.0);
        }
        // The names of who was erased are free.
        if let Some(owner) = found.owner
            && directory::identity(&state.store.view(), IdentityId(owner))?
                .is_some_and(|i| i.content == Content::Erased)
        {
            found.owner = None;
        }
        match found.owner {
            Some(owner) if owner != holder.id => {
                let detail = format!("{} '{}' is taken", value.attribute, value.value);
                return Err(ScimError::uniqueness(detail).into());
            }
            Some(_) => {}
            None if by_itself.as_ref() == Some(&value.space) => expected = Expect::Last(found.sequence),
            None => {
                let event = changed(value.space.clone(), value.key.clone(), holder, Event::NameClaimed);
                unit.push(event, Expect::Last(found.sequence));
            }
        }
    }
    let mut gone: Vec<(NameSpace, String)> =
        old.into_iter().filter(|v| !known(&new, v)).map(|v| (v.space, v.key)).collect();
    if let (false, Some(Value::String(value))) = (same_external, external(before)) {
        let spaces = state.sources.iter().map(|s| NameSpace::external_id(&s.config.name, holder.kind));
        gone.extend(spaces.map(|space| (space, value.clone())));
    }
    for (space, name) in gone {
        let found = find_claim(state, LookUp::Log, &space, &name).await?;
        if found.owner == Some(holder.id) {
            unit.push(changed(space, name, holder, Event::NameReleased), Expect::Last(found.sequence));
        }
    }
    Ok(expected)
}

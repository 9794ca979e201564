//! The directory: identities, groups and apps as the log has them. Every service keeps it.
//!
//! Keys: `identity/<id>`, `user-name/<key>`, `external-id/<value>/<id>`, `group/<id>`, `member/<group>/<identity>`,
//! `member-of/<identity>/<group>`, `app/<id>`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::app::{App, AppSpec, Connection};
use crate::event::{Event, Recorded};
use crate::group::{Group, GroupChange, GroupChanged};
use crate::identity::{Identity, IdentityChanged, name_key, user_name};
use crate::ids::{AppId, GroupId, IdentityId};
use crate::kv::{KvError, Read, Write, load, load_all, store, suffixes};

/// The key prefix of all identities.
pub const IDENTITIES: &str = "identity/";
/// The key prefix of all groups.
pub const GROUPS: &str = "group/";
/// The key prefix of all apps.
pub const APPS: &str = "app/";

fn identity_key(id: IdentityId) -> String {
    format!("{IDENTITIES}{id}")
}

fn group_key(id: GroupId) -> String {
    format!("{GROUPS}{id}")
}

fn app_key(id: &AppId) -> String {
    format!("{APPS}{id}")
}

fn external_id(resource: &Map<String, Value>) -> Option<&str> {
    resource.get("externalId").and_then(Value::as_str)
}

/// The identity with this id, deleted ones included.
///
/// # Errors
/// When the state can't be read.
pub fn identity(state: &(impl Read + ?Sized), id: IdentityId) -> Result<Option<Identity>, KvError> {
    load(state, &identity_key(id))
}

/// The identity that owns a user name, in any case.
///
/// # Errors
/// When the state can't be read.
pub fn identity_by_user_name(state: &(impl Read + ?Sized), name: &str) -> Result<Option<Identity>, KvError> {
    let Some(id) = load::<IdentityId>(state, &format!("user-name/{}", name_key(name)))? else { return Ok(None) };
    identity(state, id)
}

/// The identities whose `externalId` is this.
///
/// # Errors
/// When the state can't be read.
pub fn identities_by_external_id(state: &(impl Read + ?Sized), value: &str) -> Result<Vec<Identity>, KvError> {
    let ids = suffixes(state, &format!("external-id/{value}/"))?;
    let found = ids.iter().filter_map(|id| id.parse().ok()).map(|id| identity(state, id));
    Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The group with this id; deleted ones are gone.
///
/// # Errors
/// When the state can't be read.
pub fn group(state: &(impl Read + ?Sized), id: GroupId) -> Result<Option<Group>, KvError> {
    load(state, &group_key(id))
}

/// The members of a group.
///
/// # Errors
/// When the state can't be read.
pub fn members(state: &(impl Read + ?Sized), id: GroupId) -> Result<BTreeSet<IdentityId>, KvError> {
    Ok(suffixes(state, &format!("member/{id}/"))?.iter().filter_map(|id| id.parse().ok()).collect())
}

/// The groups an identity is in.
///
/// # Errors
/// When the state can't be read.
pub fn groups_of(state: &(impl Read + ?Sized), id: IdentityId) -> Result<Vec<Group>, KvError> {
    let ids = suffixes(state, &format!("member-of/{id}/"))?;
    let found = ids.iter().filter_map(|id| id.parse().ok()).map(|id| group(state, id));
    Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The app with this id, removed ones included.
///
/// # Errors
/// When the state can't be read.
pub fn app(state: &(impl Read + ?Sized), id: &AppId) -> Result<Option<App>, KvError> {
    load(state, &app_key(id))
}

/// Every app, removed ones included.
///
/// # Errors
/// When the state can't be read.
pub fn apps(state: &(impl Read + ?Sized)) -> Result<Vec<App>, KvError> {
    Ok(load_all(state, APPS, None, usize::MAX)?.into_iter().map(|(_, app)| app).collect())
}

/// The `groups` attribute of a User.
#[must_use]
pub fn groups_attribute(groups: &[Group]) -> Value {
    let one = |g: &Group| json!({ "value": g.id, "display": g.display_name(), "type": "direct" });
    Value::Array(groups.iter().map(one).collect())
}

/// Brings the directory up to date with one event.
///
/// # Errors
/// When the state can't be read.
pub fn evolve(state: &mut (impl Write + ?Sized), event: &Recorded) -> Result<(), KvError> {
    match &event.event {
        Event::Identity(changed) => identity_changed(state, changed, event),
        Event::Group(changed) => group_changed(state, changed, event),
        Event::AppConfigured(spec) => {
            put_app(state, spec.clone(), Connection::Configured, event);
            Ok(())
        }
        Event::AppRemoved(id) => {
            if let Some(app) = app(state, id)? {
                put_app(state, app.spec, Connection::Removed, event);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn put_app(state: &mut (impl Write + ?Sized), spec: AppSpec, connection: Connection, event: &Recorded) {
    store(state, app_key(&spec.id), &App { connection, version: event.sequence, spec });
}

fn identity_changed(
    state: &mut (impl Write + ?Sized),
    changed: &IdentityChanged,
    event: &Recorded,
) -> Result<(), KvError> {
    let before = identity(state, changed.id)?;
    if let Some(before) = before.as_ref().filter(|b| !b.deleted) {
        let key = format!("user-name/{}", name_key(before.user_name()));
        // A name that was released may already have a new owner.
        if load::<IdentityId>(state, &key)? == Some(changed.id) {
            state.delete(&key);
        }
        if let Some(value) = external_id(&before.resource) {
            state.delete(&format!("external-id/{value}/{}", changed.id));
        }
    }
    if changed.deleted {
        for group in suffixes(state, &format!("member-of/{}/", changed.id))? {
            state.delete(&format!("member/{group}/{}", changed.id));
            state.delete(&format!("member-of/{}/{group}", changed.id));
        }
    } else {
        store(state, format!("user-name/{}", name_key(user_name(&changed.resource))), &changed.id);
        if let Some(value) = external_id(&changed.resource) {
            store(state, format!("external-id/{value}/{}", changed.id), &());
        }
    }
    let identity = Identity {
        id: changed.id,
        lifecycle: changed.after,
        deleted: changed.deleted,
        resource: changed.resource.clone(),
        source: event.meta.source.clone().or_else(|| before.as_ref().and_then(|b| b.source.clone())),
        created_at: before.map_or(event.recorded_at, |b| b.created_at),
        changed_at: event.recorded_at,
        version: event.sequence,
    };
    store(state, identity_key(changed.id), &identity);
    Ok(())
}

fn group_changed(state: &mut (impl Write + ?Sized), changed: &GroupChanged, event: &Recorded) -> Result<(), KvError> {
    if changed.change == GroupChange::Deleted {
        for member in members(state, changed.id)? {
            state.delete(&format!("member/{}/{member}", changed.id));
            state.delete(&format!("member-of/{member}/{}", changed.id));
        }
        state.delete(&group_key(changed.id));
        return Ok(());
    }
    for member in &changed.removed {
        state.delete(&format!("member/{}/{member}", changed.id));
        state.delete(&format!("member-of/{member}/{}", changed.id));
    }
    for member in &changed.added {
        // Whoever was deleted while the group was being changed does not come back through it.
        if identity(state, *member)?.is_some_and(|i| !i.deleted) {
            store(state, format!("member/{}/{member}", changed.id), &());
            store(state, format!("member-of/{member}/{}", changed.id), &());
        }
    }
    let before = group(state, changed.id)?;
    let group = Group {
        id: changed.id,
        resource: changed.resource.clone(),
        created_at: before.map_or(event.recorded_at, |b| b.created_at),
        changed_at: event.recorded_at,
        version: event.sequence,
    };
    store(state, group_key(changed.id), &group);
    Ok(())
}

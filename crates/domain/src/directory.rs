//! The directory: identities, groups and apps as the log has them. Every service keeps it.
//!
//! Keys: `identity/<id>`, `user-name/<kind>/<hash of the key>`, `external-id/<hash of the value>/<id>`, `group/<id>`, `group-name/<key>/<id>`,
//! `member/<group>/<member>`, `member-of/<member>/<group>`, `resource/<type>/<id>`, `app/<id>`, `count/<type>`,
//! `machine-policy`, `credential/<id>`, `inventory/<name>`, `role/<id>`, `policy/<id>`, `separation/<id>`, `former-name/<id>/<key of the name>`, `last-<place of a name or externalId>/<id>`: who had it before, `lost/<id>/<place>`, and `live/<kind>/<id>`: the identities of a kind that are not deleted.

mod access_rules;
pub mod app_changes;
mod credentials;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;
use uuid::fmt::Simple;

use crate::app::{App, AppSpec, Connection};
use crate::event::{Event, Recorded};
use crate::identity::content::Content;
use crate::identity::group::{Group, GroupChange, GroupChanged, MemberId};
use crate::identity::lifecycle::Lifecycle;
use crate::identity::name::name_key;
use crate::identity::resource::{Resource, ResourceChange, ResourceChanged};
use crate::identity::{Identity, IdentityChanged, IdentityKind, user_name};
use crate::ids::{AppId, GroupId, IdentityId, ResourceId, Sequence};
use crate::kv::{KvError, Read, Write, encode, load, load_all, store, suffixes, values};

pub use access_rules::{
    POLICIES, ROLES, SEPARATIONS, configured_machine_policy, configured_separations, is_configuring, machine_policy,
    policies, policy, reevaluation_policy, role, roles, separation, separations,
};
pub use credentials::{
    CREDENTIALS, INVENTORIES, credential, credentials_held_after, credentials_in, credentials_of, holders_of, holding,
    inventory,
};

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

/// Whose a `userName` is, in any case: a person's, else a service account's.
///
/// # Errors
/// When the state can't be read.
pub fn identity_by_user_name(state: &(impl Read + ?Sized), name: &str) -> Result<Option<Identity>, KvError> {
    match identity_by_name(state, IdentityKind::User, name)? {
        Some(person) => Ok(Some(person)),
        None => identity_by_name(state, IdentityKind::ServiceAccount, name),
    }
}

/// The identity of a kind that signs in with a name, in any case.
///
/// # Errors
/// When the state can't be read.
pub fn identity_by_name(
    state: &(impl Read + ?Sized),
    kind: IdentityKind,
    name: &str,
) -> Result<Option<Identity>, KvError> {
    let Some(id) = id_by_name(state, kind, name)? else { return Ok(None) };
    identity(state, id)
}

/// The id of who signed in with a name last, in any case, and does not any more: whoever was renamed or deleted since.
///
/// # Errors
/// When the state can't be read.
pub fn id_by_last_name(
    state: &(impl Read + ?Sized),
    kind: IdentityKind,
    name: &str,
) -> Result<Option<IdentityId>, KvError> {
    last_of(state, &name_of(kind, name))
}

/// Everybody of a kind who had a name before, and has it no longer.
///
/// # Errors
/// When the state can't be read.
pub fn ids_by_former_name(
    state: &(impl Read + ?Sized),
    kind: IdentityKind,
    name: &str,
) -> Result<Vec<IdentityId>, KvError> {
    let ids = suffixes(state, &last_prefix(&name_of(kind, name)))?;
    Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
}

/// The id of who had an `externalId` last, and has it no longer.
///
/// # Errors
/// When the state can't be read.
pub fn id_by_last_external_id(state: &(impl Read + ?Sized), value: &str) -> Result<Option<IdentityId>, KvError> {
    last_of(state, &external_ids_of(value))
}

fn last_of(state: &(impl Read + ?Sized), place: &str) -> Result<Option<IdentityId>, KvError> {
    let prefix = last_prefix(place);
    let all: Vec<(String, Sequence)> = load_all(state, &prefix, None, usize::MAX)?;
    let newest = all.into_iter().max_by_key(|(_, until)| *until);
    Ok(newest.and_then(|(key, _)| key.strip_prefix(&prefix)?.parse().ok()))
}

/// The id of the identity of a kind that signs in with a name, in any case.
///
/// # Errors
/// When the state can't be read.
pub fn id_by_name(state: &(impl Read + ?Sized), kind: IdentityKind, name: &str) -> Result<Option<IdentityId>, KvError> {
    load(state, &name_of(kind, name))
}

/// Names are hashed: a key, and its history, would say them when the person is erased.
fn name_of(kind: IdentityKind, name: &str) -> String {
    format!("user-name/{}/{}", kind.name(), hash(&name_key(name)))
}

/// Who had a name, or an id, before, by its place: each with the event by which they lost it.
fn last_prefix(place: &str) -> String {
    format!("last-{}/", place.trim_end_matches('/'))
}

/// Where names and ids were that somebody had.
fn lost_prefix(id: IdentityId) -> String {
    format!("lost/{id}/")
}

/// Somebody has a name, or an id, no longer.
fn lose(state: &mut (impl Write + ?Sized), place: &str, id: IdentityId, by: Sequence) {
    store(state, format!("{}{id}", last_prefix(place)), &by);
    store(state, format!("{}{}", lost_prefix(id), place.trim_end_matches('/')), &());
}

const FORMER: &str = "former-name/";

/// That an identity had another name before: where it was is in the key.
fn former_key(id: IdentityId, name: &str) -> String {
    format!("{FORMER}{id}/{name}")
}

fn hash(text: &str) -> Simple {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).simple()
}

/// How many resources of a type there are, deleted ones not counted.
///
/// # Errors
/// When the state can't be read.
pub fn count(state: &(impl Read + ?Sized), resource_type: &str) -> Result<u64, KvError> {
    Ok(load(state, &count_key(resource_type))?.unwrap_or_default())
}

fn count_key(resource_type: &str) -> String {
    format!("count/{resource_type}")
}

fn recount(state: &mut (impl Write + ?Sized), resource_type: &str, change: impl Fn(u64) -> u64) -> Result<(), KvError> {
    let now = change(count(state, resource_type)?);
    store(state, count_key(resource_type), &now);
    Ok(())
}

/// The ids of the identities whose `externalId` is this.
///
/// # Errors
/// When the state can't be read.
pub fn ids_by_external_id(state: &(impl Read + ?Sized), value: &str) -> Result<Vec<IdentityId>, KvError> {
    let ids = suffixes(state, &external_ids_of(value))?;
    Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
}

/// The group with this id; deleted ones are gone.
///
/// # Errors
/// When the state can't be read.
pub fn group(state: &(impl Read + ?Sized), id: GroupId) -> Result<Option<Group>, KvError> {
    load(state, &group_key(id))
}

/// The groups whose `displayName` is this, in any case.
///
/// # Errors
/// When the state can't be read.
pub fn groups_by_name(state: &(impl Read + ?Sized), name: &str) -> Result<Vec<Group>, KvError> {
    let ids = suffixes(state, &format!("group-name/{}/", escape(&name_key(name))))?;
    let found = ids.iter().filter_map(|id| id.parse().ok()).map(|id| group(state, id));
    Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Keeps a text in one part of a key.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}

fn unescape(text: &str) -> String {
    text.replace("%2F", "/").replace("%25", "%")
}

/// The key prefix of the identities of a kind that are not deleted; their ids follow it.
#[must_use]
pub fn live_prefix(kind: IdentityKind) -> String {
    format!("live/{}/", kind.name())
}

fn member_key(group: GroupId, member: &MemberId) -> String {
    format!("member/{group}/{}", escape(member.as_str()))
}

fn member_of_key(member: &MemberId, group: GroupId) -> String {
    format!("member-of/{}/{group}", escape(member.as_str()))
}

/// The members of a group, as its source names them.
///
/// # Errors
/// When the state can't be read.
pub fn members(state: &(impl Read + ?Sized), id: GroupId) -> Result<BTreeSet<MemberId>, KvError> {
    Ok(suffixes(state, &format!("member/{id}/"))?.iter().map(|m| MemberId::from(unescape(m).as_str())).collect())
}

/// Whether someone is a member of a group, not counting groups in it.
///
/// # Errors
/// When the state can't be read.
pub fn is_member(state: &(impl Read + ?Sized), group: GroupId, member: &MemberId) -> Result<bool, KvError> {
    Ok(state.get(&member_key(group, member))?.is_some())
}

/// Some members of a group after a member, at most `limit`.
///
/// # Errors
/// When the state can't be read.
pub fn members_after(
    state: &(impl Read + ?Sized),
    id: GroupId,
    after: Option<&MemberId>,
    limit: usize,
) -> Result<Vec<(MemberId, MemberKind)>, KvError> {
    let prefix = format!("member/{id}/");
    let after = after.map(|m| member_key(id, m));
    let found: Vec<(String, MemberKind)> = load_all(state, &prefix, after.as_deref(), limit)?;
    let member = |key: String| key.strip_prefix(&prefix).map(|m| MemberId::from(unescape(m).as_str()));
    Ok(found.into_iter().filter_map(|(key, kind)| Some((member(key)?, kind))).collect())
}

/// What a member was when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum MemberKind {
    User,
    Agent,
    ServiceAccount,
    Group,
    Unknown,
}

fn kind_of(state: &(impl Read + ?Sized), member: &MemberId) -> Result<MemberKind, KvError> {
    if let Some(id) = member.identity() {
        match identity(state, id)?.map(|i| i.kind) {
            Some(IdentityKind::User) => return Ok(MemberKind::User),
            Some(IdentityKind::Agent) => return Ok(MemberKind::Agent),
            Some(IdentityKind::ServiceAccount) => return Ok(MemberKind::ServiceAccount),
            None => {}
        }
    }
    match member.group() {
        Some(id) if group(state, id)?.is_some() => Ok(MemberKind::Group),
        _ => Ok(MemberKind::Unknown),
    }
}

/// The ids of the groups that have a member, not counting groups in them.
///
/// # Errors
/// When the state can't be read.
pub fn groups_with(state: &(impl Read + ?Sized), member: &MemberId) -> Result<Vec<String>, KvError> {
    suffixes(state, &format!("member-of/{}/", escape(member.as_str())))
}

/// The identities in a group, those in groups in it included.
///
/// # Errors
/// When the state can't be read.
pub fn identities_in(state: &(impl Read + ?Sized), id: GroupId) -> Result<BTreeSet<IdentityId>, KvError> {
    let (mut found, mut seen, mut open) = (BTreeSet::new(), BTreeSet::from([id]), vec![id]);
    while let Some(next) = open.pop() {
        for member in members(state, next)? {
            // Groups and identities share one space of ids.
            match member.group() {
                Some(inner) if group(state, inner)?.is_some() => {
                    if seen.insert(inner) {
                        open.push(inner);
                    }
                }
                _ => found.extend(member.identity()),
            }
        }
    }
    Ok(found)
}

/// How an identity is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// It is a member.
    Direct,
    /// A group that it is in is a member.
    Indirect,
}

impl Membership {
    /// The word for it (RFC 7643 §4.1.2).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Indirect => "indirect",
        }
    }
}

/// The groups an identity is in, direct ones first.
///
/// # Errors
/// When the state can't be read.
pub fn groups_of(state: &(impl Read + ?Sized), id: IdentityId) -> Result<Vec<(Group, Membership)>, KvError> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut open = vec![(MemberId::from(id), Membership::Direct)];
    while let Some((member, membership)) = open.pop() {
        for group_id in suffixes(state, &format!("member-of/{}/", escape(member.as_str())))? {
            let Some(group_id) = group_id.parse::<GroupId>().ok().filter(|id| seen.insert(*id)) else { continue };
            if let Some(group) = group(state, group_id)? {
                found.push((group, membership));
                open.push((MemberId::from(group_id), Membership::Indirect));
            }
        }
    }
    Ok(found)
}

/// The resource of this type with this id; deleted ones are gone.
///
/// # Errors
/// When the state can't be read.
pub fn resource(
    state: &(impl Read + ?Sized),
    resource_type: &str,
    id: ResourceId,
) -> Result<Option<Resource>, KvError> {
    load(state, &format!("{}{id}", resource_prefix(resource_type)))
}

/// The key prefix of all resources of a type.
#[must_use]
pub fn resource_prefix(resource_type: &str) -> String {
    format!("resource/{resource_type}/")
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
    values(state, APPS)
}

/// The `groups` attribute of a User.
#[must_use]
pub fn groups_attribute(groups: &[(Group, Membership)]) -> Value {
    let one = |(group, membership): &(Group, Membership)| json!({ "value": group.id, "display": group.display_name(), "type": membership.name() });
    Value::Array(groups.iter().map(one).collect())
}

/// What whoever an event is about was before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Somebody who was erased: nothing is said of them any more.
    Erased,
    /// Somebody else, or nobody.
    Other,
}

/// Brings the directory up to date with one event.
///
/// # Errors
/// When the state can't be read.
pub fn evolve(state: &mut (impl Write + ?Sized), event: &Recorded) -> Result<Before, KvError> {
    match &event.event {
        Event::Identity(changed) => return identity_changed(state, changed, event),
        Event::Group(changed) => group_changed(state, changed, event)?,
        Event::Resource(changed) => resource_changed(state, changed, event)?,
        Event::IdentityErased(erased) => {
            identity_erased(state, erased.id, event)?;
            credentials::erased(state, erased.id)?;
        }
        Event::AppConfigured(spec) => put_app(state, (**spec).clone(), Connection::Configured, event),
        Event::AppRemoved(id) => {
            if let Some(app) = app(state, id)? {
                put_app(state, app.spec, Connection::Removed, event);
            }
        }
        _ => {
            access_rules::evolve(state, event)?;
            credentials::evolve(state, event)?;
        }
    }
    Ok(Before::Other)
}

fn put_app(state: &mut (impl Write + ?Sized), spec: AppSpec, connection: Connection, event: &Recorded) {
    store(state, app_key(&spec.id), &App { connection, version: event.sequence, spec });
}

fn identity_changed(
    state: &mut (impl Write + ?Sized),
    changed: &IdentityChanged,
    event: &Recorded,
) -> Result<Before, KvError> {
    let before = identity(state, changed.id)?;
    // Nobody comes back from it: a gateway may not have known yet.
    if before.as_ref().is_some_and(|b| b.content == Content::Erased) {
        return Ok(Before::Erased);
    }
    let old = before.as_ref().filter(|b| !b.deleted).map(|b| (b.kind, &b.resource));
    let new = Some((changed.kind, &changed.resource)).filter(|_| !changed.deleted);
    let called = |(kind, resource): (IdentityKind, _)| (kind, user_name(resource), external_id(resource));
    // What stays as it is, as it mostly does, is not written again.
    if old.map(called) != new.map(called) {
        if let Some((kind, resource)) = old {
            let key = unname(state, changed.id, kind, resource, event.sequence)?;
            if new.map(|(kind, resource)| name_of(kind, user_name(resource))).is_none_or(|new| new != key) {
                store(state, former_key(changed.id, &key), &());
            }
        }
        if let Some((kind, resource)) = new.filter(|_| !event.seal.is_closed()) {
            store(state, name_of(kind, user_name(resource)), &changed.id);
            if let Some(value) = external_id(resource) {
                store(state, external_id_key(value, &changed.id), &());
            }
        }
    }
    if changed.deleted {
        leave_groups(state, &changed.id.into())?;
    }
    let live = format!("{}{}", live_prefix(changed.kind), changed.id);
    match (before.as_ref().is_some_and(|b| !b.deleted), changed.deleted) {
        (false, false) => {
            store(state, live, &());
            recount(state, changed.kind.name(), |n| n + 1)?;
        }
        (true, true) => {
            state.delete(&live);
            recount(state, changed.kind.name(), |n| n.saturating_sub(1))?;
        }
        _ => {}
    }
    let identity = Identity {
        id: changed.id,
        kind: changed.kind,
        lifecycle: changed.after,
        deleted: changed.deleted,
        resource: changed.resource.clone(),
        source: event.meta.source.clone().or_else(|| before.as_ref().and_then(|b| b.source.clone())),
        created_by: before.as_ref().map_or_else(|| event.meta.source.clone(), |b| b.created_by.clone()),
        // Of who was added before anything was sealed not everything is.
        key: before.as_ref().map_or(event.seal.key(), |b| b.key),
        created_at: before.map_or(event.recorded_at, |b| b.created_at),
        changed_at: event.recorded_at,
        version: event.sequence,
        content: if event.seal.is_closed() { Content::Sealed } else { Content::Open },
    };
    store(state, identity_key(changed.id), &identity);
    Ok(Before::Other)
}

/// Nobody is found any more by the names of a resource; gives the key of its user name.
fn unname(
    state: &mut (impl Write + ?Sized),
    id: IdentityId,
    kind: IdentityKind,
    resource: &Map<String, Value>,
    by: Sequence,
) -> Result<String, KvError> {
    let key = name_of(kind, user_name(resource));
    // A name that was released may already have a new owner.
    if load::<IdentityId>(state, &key)? == Some(id) {
        state.delete(&key);
        lose(state, &key, id, by);
    }
    if let Some(value) = external_id(resource) {
        let key = external_id_key(value, &id);
        if state.get(&key)?.is_some() {
            state.delete(&key);
            lose(state, &external_ids_of(value), id, by);
        }
    }
    Ok(key)
}

/// Nothing is known any more of who it was; that it was there is.
fn identity_erased(state: &mut (impl Write + ?Sized), id: IdentityId, event: &Recorded) -> Result<(), KvError> {
    let Some(before) = identity(state, id)?.filter(|i| i.content != Content::Erased) else { return Ok(()) };
    let key = unname(state, id, before.kind, &before.resource, event.sequence)?;
    let former = format!("{FORMER}{id}/");
    let names = suffixes(state, &former)?;
    for name in names.iter().map(String::as_str).chain([key.as_str()]) {
        state.forget_value(name, &encode(&id));
        state.delete(&format!("{former}{name}"));
    }
    let lost = lost_prefix(id);
    for place in suffixes(state, &lost)? {
        state.delete(&format!("{}{id}", last_prefix(&place)));
        state.delete(&format!("{lost}{place}"));
    }
    if !before.deleted {
        leave_groups(state, &id.into())?;
        state.delete(&format!("{}{id}", live_prefix(before.kind)));
        recount(state, before.kind.name(), |n| n.saturating_sub(1))?;
    }
    let erased = Identity {
        resource: Map::new(),
        deleted: true,
        lifecycle: if before.lifecycle.has_access() { Lifecycle::Left } else { before.lifecycle },
        content: Content::Erased,
        key: None,
        changed_at: event.recorded_at,
        version: event.sequence,
        ..before
    };
    state.forget(&identity_key(id));
    store(state, identity_key(id), &erased);
    Ok(())
}

fn external_ids_of(value: &str) -> String {
    format!("external-id/{}/", hash(value))
}

fn external_id_key(value: &str, id: &IdentityId) -> String {
    format!("{}{id}", external_ids_of(value))
}

fn leave_groups(state: &mut (impl Write + ?Sized), member: &MemberId) -> Result<(), KvError> {
    for group in suffixes(state, &format!("member-of/{}/", escape(member.as_str())))? {
        let Ok(id) = group.parse() else { continue };
        state.delete(&member_key(id, member));
        state.delete(&member_of_key(member, id));
        if let Some(mut group) = self::group(state, id)? {
            group.members = group.members.saturating_sub(1);
            store(state, group_key(id), &group);
        }
    }
    Ok(())
}

fn group_name_key(group: &Group) -> String {
    format!("group-name/{}/{}", escape(&name_key(group.display_name())), group.id)
}

fn group_changed(state: &mut (impl Write + ?Sized), changed: &GroupChanged, event: &Recorded) -> Result<(), KvError> {
    let before = group(state, changed.id)?;
    if let Some(before) = &before {
        state.delete(&group_name_key(before));
    }
    if changed.change == GroupChange::Deleted {
        for member in members(state, changed.id)? {
            state.delete(&member_key(changed.id, &member));
            state.delete(&member_of_key(&member, changed.id));
        }
        leave_groups(state, &changed.id.into())?;
        state.delete(&group_key(changed.id));
        if before.is_some() {
            recount(state, "Group", |n| n.saturating_sub(1))?;
        }
        return Ok(());
    }
    let mut count = before.as_ref().map_or(0, |b| b.members);
    for member in &changed.removed {
        count = count.saturating_sub(u64::from(is_member(state, changed.id, member)?));
        state.delete(&member_key(changed.id, member));
        state.delete(&member_of_key(member, changed.id));
    }
    for member in &changed.added {
        // Whoever was deleted while the group was being changed does not come back through it.
        let gone = match member.identity() {
            Some(id) => identity(state, id)?.is_some_and(|i| i.deleted),
            None => false,
        };
        if !gone {
            count += u64::from(!is_member(state, changed.id, member)?);
            let kind = kind_of(state, member)?;
            store(state, member_key(changed.id, member), &kind);
            store(state, member_of_key(member, changed.id), &());
        }
    }
    if before.is_none() {
        recount(state, "Group", |n| n + 1)?;
    }
    let group = Group {
        id: changed.id,
        resource: changed.resource.clone(),
        members: count,
        created_by: before.as_ref().map_or_else(|| event.meta.source.clone(), |b| b.created_by.clone()),
        created_at: before.map_or(event.recorded_at, |b| b.created_at),
        changed_at: event.recorded_at,
        version: event.sequence,
    };
    store(state, group_name_key(&group), &());
    store(state, group_key(changed.id), &group);
    Ok(())
}

fn resource_changed(
    state: &mut (impl Write + ?Sized),
    changed: &ResourceChanged,
    event: &Recorded,
) -> Result<(), KvError> {
    let before = resource(state, &changed.resource_type, changed.id)?;
    let key = format!("{}{}", resource_prefix(&changed.resource_type), changed.id);
    if changed.change == ResourceChange::Deleted {
        state.delete(&key);
        if before.is_some() {
            recount(state, &changed.resource_type, |n| n.saturating_sub(1))?;
        }
        return Ok(());
    }
    if before.is_none() {
        recount(state, &changed.resource_type, |n| n + 1)?;
    }
    let resource = Resource {
        id: changed.id,
        resource_type: changed.resource_type.clone(),
        resource: changed.resource.clone(),
        created_by: before.as_ref().map_or_else(|| event.meta.source.clone(), |b| b.created_by.clone()),
        created_at: before.map_or(event.recorded_at, |b| b.created_at),
        changed_at: event.recorded_at,
        version: event.sequence,
    };
    store(state, key, &resource);
    Ok(())
}

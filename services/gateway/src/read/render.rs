//! Resources as they are answered: with id, meta and what belongs to them.

use jiff::Timestamp;
use rollcall_domain::directory::{self, MemberKind};
use rollcall_domain::identity::Identity;
use rollcall_domain::identity::group::{Group, MemberId};
use rollcall_domain::identity::resource::Resource;
use rollcall_domain::ids::{Sequence, SourceName};
use rollcall_domain::kv::{KvError, Read};
use rollcall_scim::{ResourceType, Selection};
use serde_json::{Map, Value, json};

use crate::change::version::etag;

const CHUNK: usize = 1000;

fn meta(kind: &str, location: String, created: Timestamp, changed: Timestamp, version: Sequence) -> Value {
    json!({
        "resourceType": kind,
        "created": created,
        "lastModified": changed,
        "location": location,
        "version": etag(version),
    })
}

/// A User or an Agent, with those of its groups that the source sees, by who has created them.
pub fn identity(
    state: &impl Read,
    identity: &Identity,
    base: &str,
    sees: impl Fn(Option<&SourceName>) -> bool,
) -> Result<Map<String, Value>, KvError> {
    let mut resource = identity.resource.clone();
    let id = identity.id.to_string();
    let groups: Vec<Value> = directory::groups_of(state, identity.id)?
        .iter()
        .filter(|(group, _)| sees(group.created_by.as_ref()))
        .map(|(group, membership)| {
            json!({
                "value": group.id,
                "$ref": format!("{base}/Groups/{}", group.id),
                "display": group.display_name(),
                "type": membership.name(),
            })
        })
        .collect();
    if !groups.is_empty() {
        resource.insert("groups".into(), Value::Array(groups));
    }
    let kind = identity.kind.name();
    let location = format!("{base}/{kind}s/{id}");
    resource.insert("meta".into(), meta(kind, location, identity.created_at, identity.changed_at, identity.version));
    resource.insert("id".into(), id.into());
    Ok(resource)
}

/// A Group, with its members where they are asked for.
pub fn group(
    state: &impl Read,
    group: &Group,
    selection: &Selection,
    base: &str,
) -> Result<Map<String, Value>, KvError> {
    let mut resource = group.resource.clone();
    let id = group.id.to_string();
    if group.members > 0 && selection.wants("members") {
        let mut members: Vec<Value> = Vec::new();
        let mut after: Option<MemberId> = None;
        loop {
            let chunk = directory::members_after(state, group.id, after.as_ref(), CHUNK)?;
            let Some((last, _)) = chunk.last() else { break };
            after = Some(last.clone());
            members.extend(chunk.into_iter().map(|(id, kind)| member(&id, kind, base)));
        }
        resource.insert("members".into(), members.into());
    }
    let location = format!("{base}/Groups/{id}");
    resource.insert("meta".into(), meta("Group", location, group.created_at, group.changed_at, group.version));
    resource.insert("id".into(), id.into());
    Ok(resource)
}

fn member(id: &MemberId, kind: MemberKind, base: &str) -> Value {
    let known = |kind: &str| json!({ "value": id, "$ref": format!("{base}/{kind}s/{}", id.as_str()), "type": kind });
    match kind {
        MemberKind::User => known("User"),
        MemberKind::Agent => known("Agent"),
        MemberKind::ServiceAccount => known("ServiceAccount"),
        MemberKind::Group => known("Group"),
        MemberKind::Unknown => json!({ "value": id }),
    }
}

/// Any other resource.
pub fn resource(found: &Resource, kind: &ResourceType, base: &str) -> Map<String, Value> {
    let mut resource = found.resource.clone();
    let id = found.id.to_string();
    let location = format!("{base}{}/{id}", kind.endpoint);
    resource.insert("meta".into(), meta(kind.name, location, found.created_at, found.changed_at, found.version));
    resource.insert("id".into(), id.into());
    resource
}

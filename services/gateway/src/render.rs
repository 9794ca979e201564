//! Resources as they are answered: with id, meta and what belongs to them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rollcall_domain::directory;
use rollcall_domain::group::Group;
use rollcall_domain::identity::Identity;
use rollcall_domain::ids::{IdentityId, Sequence};
use rollcall_domain::kv::{KvError, Read};
use serde_json::{Map, Value, json};

fn meta(kind: &str, location: String, created: Timestamp, changed: Timestamp, version: Sequence) -> Value {
    json!({
        "resourceType": kind,
        "created": created,
        "lastModified": changed,
        "location": location,
        "version": format!("W/\"{version}\""),
    })
}

/// A User.
pub fn user(state: &impl Read, identity: &Identity, base: &str) -> Result<Map<String, Value>, KvError> {
    let mut resource = identity.resource.clone();
    let id = identity.id.to_string();
    let groups: Vec<Value> = directory::groups_of(state, identity.id)?
        .iter()
        .map(|g| {
            json!({
                "value": g.id,
                "$ref": format!("{base}/Groups/{}", g.id),
                "display": g.display_name(),
                "type": "direct",
            })
        })
        .collect();
    if !groups.is_empty() {
        resource.insert("groups".into(), Value::Array(groups));
    }
    let location = format!("{base}/Users/{id}");
    resource.insert("meta".into(), meta("User", location, identity.created_at, identity.changed_at, identity.version));
    resource.insert("id".into(), id.into());
    Ok(resource)
}

/// A Group with these members.
pub fn group(group: &Group, members: &BTreeSet<IdentityId>, base: &str) -> Map<String, Value> {
    let mut resource = group.resource.clone();
    let id = group.id.to_string();
    if !members.is_empty() {
        resource.insert("members".into(), members_attribute(members, base));
    }
    let location = format!("{base}/Groups/{id}");
    resource.insert("meta".into(), meta("Group", location, group.created_at, group.changed_at, group.version));
    resource.insert("id".into(), id.into());
    resource
}

/// The `members` of a Group.
pub fn members_attribute(members: &BTreeSet<IdentityId>, base: &str) -> Value {
    members.iter().map(|id| json!({ "value": id, "$ref": format!("{base}/Users/{id}"), "type": "User" })).collect()
}

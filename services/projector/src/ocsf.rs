//! Entries as events of the Open Cybersecurity Schema Framework, version 1.8.0 (schema.ocsf.io): Account Change,
//! Entity Management, User Access Management and Detection Finding. What has no class there is left out.

use serde_json::{Map, Value, json};

use crate::entry::Entry;

const SCHEMA: &str = "1.8.0";

/// A class of events: its id, name and category.
#[derive(Debug, Clone, Copy)]
struct Class {
    uid: u32,
    name: &'static str,
    category_uid: u32,
    category: &'static str,
}

const IAM: (u32, &str) = (3, "Identity & Access Management");
const ACCOUNT_CHANGE: Class = Class { uid: 3001, name: "Account Change", category_uid: IAM.0, category: IAM.1 };
const ENTITY_MANAGEMENT: Class = Class { uid: 3004, name: "Entity Management", category_uid: IAM.0, category: IAM.1 };
const USER_ACCESS: Class = Class { uid: 3005, name: "User Access Management", category_uid: IAM.0, category: IAM.1 };
const DETECTION: Class = Class { uid: 2004, name: "Detection Finding", category_uid: 2, category: "Findings" };

/// How bad it is (the schema's `severity_id`).
#[derive(Debug, Clone, Copy)]
enum Severity {
    Informational = 1,
    Medium = 3,
    High = 4,
}

/// The class of an entry and its activity, number and name.
fn class(entry: &Entry) -> Option<(Class, u32, &'static str, Severity)> {
    let operation = entry.details.get("operation").and_then(Value::as_str).unwrap_or_default();
    let calm = Severity::Informational;
    Some(match entry.type_name.as_str() {
        "identity.joined" | "identity.staged" => (ENTITY_MANAGEMENT, 1, "Create", calm),
        "identity.moved"
        | "identity.updated"
        | "identity.left"
        | "identity.rehired"
        | "identity.leave_scheduled"
        | "identity.leave_cancelled" => (ENTITY_MANAGEMENT, 3, "Update", calm),
        "identity.deleted" => (ENTITY_MANAGEMENT, 4, "Delete", calm),
        "account.applied" => match operation {
            "OPERATION_CREATE" => (ACCOUNT_CHANGE, 1, "Create", calm),
            "OPERATION_DEACTIVATE" => (ACCOUNT_CHANGE, 5, "Disable", calm),
            "OPERATION_DELETE" => (ACCOUNT_CHANGE, 6, "Delete", calm),
            "OPERATION_ENTER" => (USER_ACCESS, 1, "Assign Privileges", calm),
            "OPERATION_LEAVE" => (USER_ACCESS, 2, "Revoke Privileges", calm),
            _ => (ACCOUNT_CHANGE, 99, "Update", calm),
        },
        "obligation.overdue" => (DETECTION, 1, "Create", Severity::High),
        "drift.detected" => (DETECTION, 1, "Create", Severity::Medium),
        "drift.cleared" | "leaver.completed" => (DETECTION, 3, "Close", calm),
        _ => return None,
    })
}

/// The event of an entry; `None`: the schema has no class for it.
pub fn event(entry: &Entry) -> Option<Value> {
    let (class, activity_id, activity_name, severity) = class(entry)?;
    let mut event = Map::new();
    let mut put = |name: &str, value: Value| event.insert(name.to_owned(), value);
    put("class_uid", class.uid.into());
    put("class_name", class.name.into());
    put("category_uid", class.category_uid.into());
    put("category_name", class.category.into());
    put("activity_id", activity_id.into());
    put("activity_name", activity_name.into());
    put("type_uid", (class.uid * 100 + activity_id).into());
    put("type_name", format!("{}: {activity_name}", class.name).into());
    put("severity_id", (severity as u32).into());
    put("severity", format!("{severity:?}").into());
    put("time", entry.recorded_at.as_millisecond().into());
    put("message", entry.summary.clone().into());
    put("metadata", metadata(entry));
    put("unmapped", json!({ "rollcall_type": entry.type_name, "reason": entry.reason, "changes": entry.changes }));
    if class.uid == DETECTION.uid {
        put("finding_info", finding(entry));
        put("status_id", json!(if activity_id == 3 { 4 } else { 1 }));
        return Some(Value::Object(event));
    }
    put("status_id", json!(1));
    put("status", "Success".into());
    put("actor", json!({ "app_name": "rollcall", "user": { "name": entry.actor } }));
    match class.uid {
        3004 => {
            let id = entry.identity.map(|id| id.to_string());
            put("entity", without_nulls(json!({ "uid": id, "type": "Identity", "name": name(entry) })));
        }
        3005 => {
            put("user", user(entry));
            put("privileges", json!([entry.details.get("group").and_then(Value::as_str).unwrap_or("group")]));
            put("resources", json!([{ "name": entry.app, "type": "Application" }]));
        }
        _ => {
            put("user", user(entry));
            put("service", json!({ "name": entry.app }));
        }
    }
    Some(Value::Object(event))
}

fn metadata(entry: &Entry) -> Value {
    json!({
        "version": SCHEMA,
        "uid": entry.event_id,
        "sequence": entry.sequence,
        "original_time": entry.occurred_at,
        "logged_time": entry.recorded_at.as_millisecond(),
        "correlation_uid": entry.correlation_id,
        "product": { "name": "Rollcall", "vendor_name": "Rollcall", "version": env!("CARGO_PKG_VERSION") },
    })
}

fn without_nulls(mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    object
}

/// The user name that the event has of an identity.
fn name(entry: &Entry) -> Option<String> {
    let text = entry.details.get("resource_json")?.as_str()?;
    let resource: Value = serde_json::from_str(text).ok()?;
    resource.get("userName").and_then(Value::as_str).map(str::to_owned)
}

fn user(entry: &Entry) -> Value {
    let mut user = json!({ "uid": entry.identity.map(|id| id.to_string()) });
    let remote = entry.details.get("remote_id").and_then(Value::as_str).filter(|id| !id.is_empty());
    if let (Some(object), Some(remote)) = (user.as_object_mut(), remote) {
        object.insert("uid_alt".into(), remote.into());
    }
    user
}

fn finding(entry: &Entry) -> Value {
    // The same for what opens and what closes it.
    let subject = entry.details.get("obligation_id").or_else(|| entry.details.get("drift_id")).and_then(Value::as_str);
    let uid = subject.map_or_else(|| entry.correlation_id.clone(), str::to_owned);
    json!({
        "uid": if uid.is_empty() { entry.event_id.to_string() } else { uid },
        "title": entry.summary,
        "desc": entry.reason,
        "created_time": entry.recorded_at.as_millisecond(),
        "types": [entry.type_name],
    })
}

//! Entries as events of the Open Cybersecurity Schema Framework, version 1.8.0 (schema.ocsf.io): Account Change,
//! Entity Management, User Access Management and Detection Finding. What has no class there is left out.

use std::borrow::Cow;

use jiff::Timestamp;
use rollcall_domain::ids::{AppId, IdentityId, Sequence};
use rollcall_scim::Changed;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::timeline::entry::Entry;

const SCHEMA: &str = "1.8.0";
const PRODUCT: &str = "Rollcall";

/// The activity of a finding that is over.
const CLOSE: u32 = 3;

/// A class of events: its id, name and category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl Severity {
    const fn name(self) -> &'static str {
        match self {
            Self::Informational => "Informational",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }
}

/// The class of an entry and its activity, number and name.
fn class(entry: &Entry) -> Option<(Class, u32, &'static str, Severity)> {
    let operation = text(entry, "operation").unwrap_or_default();
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
        // What was overdue is over once it is read back, and what was found there, too.
        "drift.cleared" | "account.verified" | "leaver.completed" => (DETECTION, CLOSE, "Close", calm),
        _ => return None,
    })
}

/// An event, as the schema has it.
#[derive(Debug, Serialize)]
pub struct OcsfEvent<'a> {
    class_uid: u32,
    class_name: &'static str,
    category_uid: u32,
    category_name: &'static str,
    activity_id: u32,
    activity_name: &'static str,
    type_uid: u32,
    type_name: String,
    severity_id: u32,
    severity: &'static str,
    time: i64,
    message: &'a str,
    metadata: Metadata<'a>,
    status_id: u32,
    #[serde(flatten)]
    about: About<'a>,
    unmapped: Unmapped<'a>,
}

/// What each class has of its own.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum About<'a> {
    Finding {
        finding_info: Finding<'a>,
    },
    Entity {
        status: &'static str,
        actor: Actor<'a>,
        entity: Entity,
    },
    Access {
        status: &'static str,
        actor: Actor<'a>,
        user: User<'a>,
        privileges: [&'a str; 1],
        resources: [Resource<'a>; 1],
    },
    Account {
        status: &'static str,
        actor: Actor<'a>,
        user: User<'a>,
        service: Named<Option<&'a AppId>>,
    },
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    version: &'static str,
    uid: Uuid,
    sequence: Sequence,
    original_time: Timestamp,
    logged_time: i64,
    correlation_uid: &'a str,
    product: Product,
}

#[derive(Debug, Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct Unmapped<'a> {
    rollcall_type: &'a str,
    reason: &'a str,
    changes: &'a [Changed],
}

#[derive(Debug, Serialize)]
struct Named<T> {
    name: T,
}

#[derive(Debug, Serialize)]
struct Actor<'a> {
    app_name: &'static str,
    user: Named<&'a str>,
}

#[derive(Debug, Serialize)]
struct Entity {
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<IdentityId>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Debug, Serialize)]
struct User<'a> {
    uid: Option<IdentityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid_alt: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Resource<'a> {
    name: Option<&'a AppId>,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct Finding<'a> {
    uid: Cow<'a, str>,
    title: &'a str,
    desc: &'a str,
    created_time: i64,
    types: [&'a str; 1],
}

/// The event of an entry; `None`: the schema has no class for it.
pub fn event(entry: &Entry) -> Option<OcsfEvent<'_>> {
    let (class, activity_id, activity_name, severity) = class(entry)?;
    let time = entry.recorded_at.as_millisecond();
    Some(OcsfEvent {
        class_uid: class.uid,
        class_name: class.name,
        category_uid: class.category_uid,
        category_name: class.category,
        activity_id,
        activity_name,
        type_uid: class.uid * 100 + activity_id,
        type_name: format!("{}: {activity_name}", class.name),
        severity_id: severity as u32,
        severity: severity.name(),
        time,
        message: &entry.summary,
        metadata: Metadata {
            version: SCHEMA,
            uid: entry.event_id,
            sequence: entry.sequence,
            original_time: entry.occurred_at,
            logged_time: time,
            correlation_uid: &entry.correlation_id,
            product: Product { name: PRODUCT, vendor_name: PRODUCT, version: env!("CARGO_PKG_VERSION") },
        },
        // A finding is new or resolved; all else has succeeded.
        status_id: if class == DETECTION && activity_id == CLOSE { 4 } else { 1 },
        about: about(entry, class),
        unmapped: Unmapped { rollcall_type: &entry.type_name, reason: &entry.reason, changes: &entry.changes },
    })
}

fn about(entry: &Entry, class: Class) -> About<'_> {
    let status = "Success";
    let actor = Actor { app_name: "rollcall", user: Named { name: entry.actor.as_str() } };
    match class {
        DETECTION => About::Finding { finding_info: finding(entry) },
        ENTITY_MANAGEMENT => {
            let entity = Entity { uid: entry.identity, kind: "Identity", name: name(entry) };
            About::Entity { status, actor, entity }
        }
        USER_ACCESS => {
            let resource = Resource { name: entry.app.as_ref(), kind: "Application" };
            let group = text(entry, "group").unwrap_or("group");
            About::Access { status, actor, user: user(entry), privileges: [group], resources: [resource] }
        }
        _ => About::Account { status, actor, user: user(entry), service: Named { name: entry.app.as_ref() } },
    }
}

/// A text of what was recorded.
fn text<'a>(entry: &'a Entry, name: &str) -> Option<&'a str> {
    entry.details.get(name).and_then(Value::as_str)
}

/// The user name that the event has of an identity.
fn name(entry: &Entry) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Resource {
        user_name: Option<String>,
    }
    serde_json::from_str::<Resource>(text(entry, "resource_json")?).ok()?.user_name
}

fn user(entry: &Entry) -> User<'_> {
    User { uid: entry.identity, uid_alt: text(entry, "remote_id").filter(|id| !id.is_empty()) }
}

/// What a finding is about: the same for what opens it and for what closes it.
fn subject(entry: &Entry) -> Cow<'_, str> {
    let of_account = entry.app.as_ref().zip(entry.identity);
    match (entry.type_name.as_str(), of_account) {
        ("obligation.overdue" | "account.verified", Some((app, identity))) => {
            format!("overdue.{app}.{identity}").into()
        }
        ("drift.detected", Some((app, identity))) => {
            let kind = text(entry, "kind").unwrap_or_default().trim_start_matches("DRIFT_KIND_").to_lowercase();
            format!("{kind}.{app}.{identity}").into()
        }
        _ => match text(entry, "drift_id").or_else(|| text(entry, "obligation_id")).unwrap_or(&entry.correlation_id) {
            "" => entry.event_id.to_string().into(),
            subject => subject.into(),
        },
    }
}

fn finding(entry: &Entry) -> Finding<'_> {
    Finding {
        uid: subject(entry),
        title: &entry.summary,
        desc: &entry.reason,
        created_time: entry.recorded_at.as_millisecond(),
        types: [&entry.type_name],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    const WHO: &str = "01a22c50-ec83-70e1-9e5f-031a445fa1ea";

    fn entry(type_name: &str, details: &Value) -> Entry {
        let at = "2026-01-01T00:00:00Z";
        serde_json::from_value(json!({
            "sequence": 7, "event_id": WHO, "type": type_name, "schema_version": 1, "recorded_at": at, "occurred_at": at,
            "actor": "", "source": null, "reason": "", "summary": "", "changes": [], "identity": WHO, "app": "crm",
            "change": null, "deadline": null, "correlation_id": "c", "causation_id": null, "caused_by": null,
            "trace_id": null, "details": details,
        }))
        .unwrap()
    }

    #[test]
    fn what_closes_a_finding_has_the_name_of_what_has_opened_it() {
        let pairs = [
            (("obligation.overdue", json!({ "obligation_id": "o7.crm.x" })), ("account.verified", json!({}))),
            (
                ("drift.detected", json!({ "kind": "DRIFT_KIND_ZOMBIE" })),
                ("drift.cleared", json!({ "drift_id": format!("zombie.crm.{WHO}") })),
            ),
        ];
        for ((opens, with), (closes, by)) in pairs {
            let (opened, closed) = (entry(opens, &with), entry(closes, &by));
            assert_eq!(subject(&opened), subject(&closed), "{opens} {closes}");
            assert_eq!(event(&closed).unwrap().activity_id, CLOSE);
        }
    }
}

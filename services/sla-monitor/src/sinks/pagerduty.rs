//! PagerDuty's Events API v2.

use serde_json::json;

use super::Message;
use crate::told::{Status, Told};

/// The longest key that PagerDuty takes.
const MAX_KEY: usize = 255;

/// The longest summary that it takes.
const MAX_SUMMARY: usize = 1024;

pub fn message(told: &Told, routing_key: &str) -> Message {
    let action = match told.status {
        Status::Firing => "trigger",
        Status::Resolved => "resolve",
    };
    let key: String = told.key.chars().take(MAX_KEY).collect();
    let summary: String = told.summary.chars().take(MAX_SUMMARY).collect();
    let mut body = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": key,
        "payload": {
            "summary": summary,
            "source": "rollcall",
            "severity": told.severity,
            "timestamp": told.started_at,
            "component": told.apps.iter().map(|a| a.name.as_str()).collect::<Vec<_>>().join(", "),
            "class": told.alert,
            "custom_details": told,
        },
    });
    // A link has to be one: without a public address there is only a path.
    if told.link.starts_with("http")
        && let Some(fields) = body.as_object_mut()
    {
        fields.insert("links".into(), json!([{ "href": told.link, "text": "Timeline" }]));
        fields.insert("client".into(), "Rollcall".into());
        fields.insert("client_url".into(), told.link.clone().into());
    }
    Message { content_type: "application/json", headers: Vec::new(), body: body.to_string() }
}

//! PagerDuty's Events API v2.

use serde_json::json;

use crate::alerts::message::{AlertMessage, Status};
use crate::alerts::sinks::Message;

/// The longest key that PagerDuty takes.
const MAX_KEY: usize = 255;

/// The longest summary that it takes.
const MAX_SUMMARY: usize = 1024;

pub fn message(message: &AlertMessage, routing_key: &str) -> Message {
    let action = match message.status {
        Status::Firing => "trigger",
        Status::Resolved => "resolve",
    };
    let key: String = message.key.chars().take(MAX_KEY).collect();
    let summary: String = message.summary.chars().take(MAX_SUMMARY).collect();
    let mut body = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": key,
        "payload": {
            "summary": summary,
            "source": "rollcall",
            "severity": message.severity,
            "timestamp": message.started_at,
            "component": message.apps.iter().map(|a| a.name.as_str()).collect::<Vec<_>>().join(", "),
            "class": message.alert,
            "custom_details": message,
        },
    });
    // A link has to be one: without a public address there is only a path.
    if message.link.starts_with("http")
        && let Some(fields) = body.as_object_mut()
    {
        fields.insert("links".into(), json!([{ "href": message.link, "text": "Timeline" }]));
        fields.insert("client".into(), "Rollcall".into());
        fields.insert("client_url".into(), message.link.clone().into());
    }
    Message { content_type: "application/json", headers: Vec::new(), body: body.to_string() }
}

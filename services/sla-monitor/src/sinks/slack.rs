//! Slack's incoming webhooks.

use serde_json::json;

use super::Message;
use crate::told::{Status, Told};

/// Slack's mark-up has three characters of its own.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub fn message(told: &Told) -> Message {
    let head = match told.status {
        Status::Firing if told.escalation > 0 => format!("{} (still, {})", told.alert, told.escalation),
        Status::Firing => told.alert.to_owned(),
        Status::Resolved => format!("Resolved: {}", told.alert),
    };
    let link = if told.link.starts_with("http") { format!("<{}|timeline>", told.link) } else { escape(&told.link) };
    let details = escape(&told.description());
    let text = format!("*{head}*: {}\n{details}\n{link}", escape(&told.summary));
    let body = json!({
        "text": text,
        "blocks": [{ "type": "section", "text": { "type": "mrkdwn", "text": text.chars().take(3000).collect::<String>() } }],
    });
    Message { content_type: "application/json", headers: Vec::new(), body: body.to_string() }
}

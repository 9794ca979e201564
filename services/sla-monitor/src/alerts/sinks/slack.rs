//! Slack's incoming webhooks.

use serde_json::json;

use crate::alerts::message::AlertMessage;
use crate::alerts::sinks::Message;

/// Slack's mark-up has three characters of its own.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub fn message(message: &AlertMessage) -> Message {
    let head = message.headline();
    let link =
        if message.link.starts_with("http") { format!("<{}|timeline>", message.link) } else { escape(&message.link) };
    let details = escape(&message.description());
    let text = format!("*{head}*: {}\n{details}\n{link}", escape(&message.summary));
    let body = json!({
        "text": text,
        "blocks": [{ "type": "section", "text": { "type": "mrkdwn", "text": text.chars().take(3000).collect::<String>() } }],
    });
    Message { content_type: "application/json", headers: Vec::new(), body: body.to_string() }
}

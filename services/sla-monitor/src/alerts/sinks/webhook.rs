//! CloudEvents 1.0 in structured JSON, signed so that the receiver knows from whom and when.

use aws_lc_rs::hmac;
use jiff::Timestamp;
use reqwest::header::HeaderName;
use rollcall_domain::alert::About;
use serde_json::json;

use crate::alerts::message::{AlertMessage, Status};
use crate::alerts::sinks::Message;

/// `t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>" in hex>`.
const SIGNATURE: HeaderName = HeaderName::from_static("rollcall-signature");

pub fn message(message: &AlertMessage, now: Timestamp, secret: Option<&str>) -> Message {
    let kind = match message.status {
        Status::Firing => "rollcall.alert.firing",
        Status::Resolved => "rollcall.alert.resolved",
    };
    let body = json!({
        "specversion": "1.0",
        // The same for the same news: at-least-once delivery can be folded.
        "id": id(message, kind),
        "source": "/rollcall/sla-monitor",
        "type": kind,
        "subject": message.key,
        "time": now,
        "datacontenttype": "application/json",
        "data": message,
    })
    .to_string();
    let headers = secret.map(|secret| (SIGNATURE, signature(secret, now, &body))).into_iter().collect();
    Message { content_type: "application/cloudevents+json", headers, body }
}

fn id(message: &AlertMessage, kind: &str) -> String {
    let (key, level) = (&message.key, message.level.0);
    match (&message.about, message.status) {
        // One that was said to be done, and is not, is another piece of news; and so is its end.
        (About::Task { .. }, Status::Firing) => format!("{key}/{kind}/{level}/{}", message.word),
        (About::Task { .. }, Status::Resolved) => {
            format!("{key}/{kind}/{level}/{}", message.started_at.as_microsecond())
        }
        // The next silence of a source is another one.
        (About::Silence { .. }, _) => format!("{key}/{kind}/{level}/{}", message.started_at.as_microsecond()),
        // So is what is so again after it was over.
        _ => format!("{key}/{kind}/{level}/{}", message.news_since.as_microsecond()),
    }
}

fn signature(secret: &str, now: Timestamp, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{}.{body}", now.as_second()).as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={},v1={hex}", now.as_second())
}

//! Alertmanager's API v2. It forgets what it is not told again, and folds by labels: these stay the same for one alert.

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::alert::{About, Level};
use serde_json::{Map, Value, json};

use crate::alerts::message::{AlertMessage, Status};
use crate::alerts::sinks::{Message, REPEAT};

/// How long an alert is so without being told again. Long: a monitor that is down resolves nothing; the heartbeat says
/// that it is down.
const LASTS: SignedDuration = SignedDuration::from_hours(24);

pub fn message(all: &[AlertMessage], now: Timestamp) -> Message {
    let alerts: Vec<Value> = all.iter().flat_map(|message| alerts(message, now)).collect();
    Message { content_type: "application/json", headers: Vec::new(), body: Value::Array(alerts).to_string() }
}

/// Everything that is so, and that we live.
pub fn heartbeat(all: &[AlertMessage], now: Timestamp) -> Message {
    let mut alerts: Vec<Value> = all.iter().flat_map(|message| alerts(message, now)).collect();
    let missed = SignedDuration::try_from(REPEAT * 5).unwrap_or(LASTS);
    alerts.push(json!({
        "labels": { "alertname": "Watchdog", "severity": "none", "team": "iam" },
        "annotations": {
            "summary": "Rollcall's SLA monitor lives; when this stops, nobody watches the leavers",
            "runbook_url": "docs/alerts.md#watchdog",
        },
        "endsAt": now.checked_add(missed).unwrap_or(now),
    }));
    Message { content_type: "application/json", headers: Vec::new(), body: Value::Array(alerts).to_string() }
}

/// A leaver who was at risk and is overdue is another alert by its labels: the first one ends.
fn alerts(message: &AlertMessage, now: Timestamp) -> Vec<Value> {
    let ends = match message.status {
        Status::Firing => now.checked_add(LASTS).unwrap_or(now),
        Status::Resolved => now,
    };
    let mut out = vec![alert(message, message.alert, message.severity, ends)];
    if matches!(message.about, About::Leaver { .. }) && message.level >= Level::WRONG {
        out.push(alert(message, message.about.name(Level::AT_RISK), "warning", now));
    }
    out
}

fn alert(message: &AlertMessage, name: &str, severity: &str, ends: Timestamp) -> Value {
    let mut labels = Map::new();
    let mut label = |name: &str, value: String| drop(labels.insert(name.to_owned(), value.into()));
    label("alertname", name.to_owned());
    label("severity", severity.to_owned());
    label("team", "iam".to_owned());
    label("key", message.key.clone());
    if let Some(person) = &message.identity {
        label("identity", person.id.to_string());
    }
    if let Some(app) = message.about.app() {
        label("app", app.to_string());
    }
    if let Some(source) = &message.source {
        label("source", source.name.to_string());
    }
    json!({
        "labels": labels,
        "annotations": {
            "summary": message.summary,
            "description": message.description(),
            "runbook_url": message.runbook,
        },
        "startsAt": message.started_at,
        "endsAt": ends,
        "generatorURL": message.link,
    })
}

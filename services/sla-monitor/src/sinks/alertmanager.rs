//! Alertmanager's API v2. It forgets what it is not told again, and folds by labels: these stay the same for one alert.

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::alert::{About, Level};
use serde_json::{Map, Value, json};

use super::{Message, REPEAT};
use crate::told::{Status, Told};

/// How long an alert is so without being told again. Long: a monitor that is down resolves nothing; the heartbeat says
/// that it is down.
const LASTS: SignedDuration = SignedDuration::from_hours(24);

pub fn message(all: &[Told], now: Timestamp) -> Message {
    let alerts: Vec<Value> = all.iter().flat_map(|told| alerts(told, now)).collect();
    Message { content_type: "application/json", headers: Vec::new(), body: Value::Array(alerts).to_string() }
}

/// Everything that is so, and that we live.
pub fn heartbeat(all: &[Told], now: Timestamp) -> Message {
    let mut alerts: Vec<Value> = all.iter().flat_map(|told| alerts(told, now)).collect();
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
fn alerts(told: &Told, now: Timestamp) -> Vec<Value> {
    let ends = match told.status {
        Status::Firing => now.checked_add(LASTS).unwrap_or(now),
        Status::Resolved => now,
    };
    let mut out = vec![alert(told, told.alert, told.severity, ends)];
    if matches!(told.about, About::Leaver { .. }) && told.level >= Level::WRONG {
        out.push(alert(told, told.about.name(Level::AT_RISK), "warning", now));
    }
    out
}

fn alert(told: &Told, name: &str, severity: &str, ends: Timestamp) -> Value {
    let mut labels = Map::new();
    let mut label = |name: &str, value: String| drop(labels.insert(name.to_owned(), value.into()));
    label("alertname", name.to_owned());
    label("severity", severity.to_owned());
    label("team", "iam".to_owned());
    label("key", told.key.clone());
    if let Some(person) = &told.identity {
        label("identity", person.id.to_string());
    }
    if let Some(app) = told.about.app() {
        label("app", app.to_string());
    }
    if let Some(source) = &told.source {
        label("source", source.name.to_string());
    }
    json!({
        "labels": labels,
        "annotations": {
            "summary": told.summary,
            "description": told.description(),
            "runbook_url": told.runbook,
        },
        "startsAt": told.started_at,
        "endsAt": ends,
        "generatorURL": told.link,
    })
}

//! `[tiers]`, `[alerting]` and `[[alerts]]`: how long is too long, and who is told.

use std::collections::BTreeMap;
use std::time::Duration;

use rollcall_domain::app::service_level::ServiceLevel;

use crate::app::{service_level, usual_level};
use crate::model::{AlertSink, AlertingConfig, SinkKind, SinkUrl};
use crate::section::{SIGNING, Section, TOKEN, URL, duration, http_url, some_text};

/// Where PagerDuty takes events (Events API v2).
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

pub(crate) fn tiers(s: Section<'_>) -> BTreeMap<String, ServiceLevel> {
    let mut out = BTreeMap::new();
    for entry in s.entries() {
        if entry.text.is_some() {
            entry.section.mistake(format!("a tier is a table: write [tiers.{}]", entry.key));
            continue;
        }
        let base = ServiceLevel { tier: entry.key.clone(), ..usual_level() };
        out.insert(entry.key, service_level(entry.section, &base));
    }
    out
}

pub(crate) fn alerting(mut s: Section<'_>) -> AlertingConfig {
    let hour = Duration::from_secs(3600);
    let usual = vec![hour, 4 * hour, 24 * hour];
    let steps = s.list("escalate_after", duration).unwrap_or(usual);
    if !steps.is_sorted() {
        s.mistake("escalate_after must grow");
    }
    let config = AlertingConfig {
        escalate_after: steps,
        patience: s.duration("patience", Duration::from_secs(60)),
        remind_before: s.duration("remind_before", Duration::from_secs(86_400)),
        far_ahead: s.duration("far_ahead", Duration::from_secs(366 * 86_400)),
        max_lag_events: s.integer("max_lag_events", 1..=100_000_000, 10_000),
    };
    s.finish();
    config
}

pub(crate) fn alert((index, mut s): (usize, Section<'_>)) -> Option<(usize, AlertSink)> {
    let kind = s.required("kind", |text| match text {
        "webhook" => Ok(SinkKind::Webhook),
        "alertmanager" => Ok(SinkKind::Alertmanager),
        "pagerduty" => Ok(SinkKind::PagerDuty),
        "slack" => Ok(SinkKind::Slack),
        _ => Err(format!("'{text}' must be webhook, alertmanager, pagerduty or slack")),
    });
    let name = s.parsed("name", some_text);
    let plain = s.parsed("url", http_url);
    let hidden = s.secret(URL);
    let token = s.secret(TOKEN);
    let signing = s.secret(SIGNING);
    let line = s.line();
    let url = match (plain, hidden, kind) {
        (Some(_), Some(_), _) => {
            s.mistake("give one of url, url_env and url_file");
            None
        }
        (Some(url), None, _) => Some(SinkUrl::Plain(url)),
        (None, Some(secret), _) => Some(SinkUrl::Secret(secret)),
        (None, None, Some(SinkKind::PagerDuty)) if !s.has("url") => url::Url::parse(PAGERDUTY).ok().map(SinkUrl::Plain),
        (None, None, _) => {
            if !s.has("url") {
                s.mistake("url is missing: give url, url_env or url_file");
            }
            None
        }
    };
    if kind == Some(SinkKind::PagerDuty) && token.is_none() {
        s.mistake("pagerduty needs the routing key of the integration: give token_env or token_file");
    }
    if signing.is_some() && kind != Some(SinkKind::Webhook) {
        s.mistake("signing_secret is for webhooks");
    }
    s.finish();
    let kind = kind?;
    let name = name.unwrap_or_else(|| format!("{}-{index}", kind.name()));
    Some((line, AlertSink { name, kind, url: url?, token, signing }))
}

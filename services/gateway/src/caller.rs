//! Who asks, why, and as part of what.

use std::sync::Arc;

use axum::http::HeaderMap;
use rollcall_config::SourceConfig;
use rollcall_domain::EventMeta;
use rollcall_event_log::by_request;
use rollcall_scim::Reading;
use uuid::Uuid;

/// One request's sender.
#[derive(Debug, Clone)]
pub struct Caller {
    pub source: Arc<SourceConfig>,
    /// The address that resources are under, ending in `/scim/v2`.
    pub base: String,
    reason: Option<String>,
    correlation_id: String,
}

impl Caller {
    /// Takes the correlation id from `X-Correlation-Id` or `X-Request-Id` and the reason from `Rollcall-Reason`, when
    /// the client sends them and they are short and printable.
    pub fn new(source: Arc<SourceConfig>, public_url: Option<&str>, headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?.trim();
            (!value.is_empty() && value.len() <= 200).then(|| value.to_owned())
        };
        let correlation_id = text("x-correlation-id").or_else(|| text("x-request-id"));
        Self {
            source,
            base: base(public_url, headers),
            reason: text("rollcall-reason"),
            correlation_id: correlation_id.unwrap_or_else(|| Uuid::now_v7().to_string()),
        }
    }

    /// How the request is read.
    pub fn reading(&self) -> Reading {
        Reading::new(self.source.strictness)
    }

    /// For one event of an operation such as `replace User`.
    pub fn meta(&self, operation: &str, reading: &Reading) -> EventMeta {
        let reason = self.reason.clone().unwrap_or_else(|| format!("SCIM {operation}"));
        let quirks = reading.quirks().into_iter().map(str::to_owned).collect();
        EventMeta { quirks, ..by_request(&self.source.name, &reason, &self.correlation_id) }
    }
}

fn base(public_url: Option<&str>, headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    match public_url {
        Some(url) => format!("{}/scim/v2", url.trim_end_matches('/')),
        None => {
            let scheme = text("x-forwarded-proto").filter(|s| matches!(*s, "http" | "https")).unwrap_or("http");
            format!("{scheme}://{}/scim/v2", text("host").unwrap_or("localhost"))
        }
    }
}

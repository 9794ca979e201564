//! Who asks, why, and as part of what.

use std::sync::Arc;

use axum::http::HeaderMap;
use rollcall_config::{ServerConfig, SourceConfig};
use rollcall_domain::EventMeta;
use rollcall_event_log::by_request;
use rollcall_scim::{Quirk, Reading, ScimError, ScimType};
use uuid::Uuid;

/// One request's sender.
#[derive(Debug, Clone)]
pub struct Caller {
    pub source: Arc<SourceConfig>,
    /// The address that resources are under, ending in `/scim/v2`.
    pub base: String,
    /// The deviations of the path that it was sent to.
    form: Option<Quirk>,
    reason: Option<String>,
    correlation_id: String,
}

impl Caller {
    /// Takes the correlation id from `X-Correlation-Id` or `X-Request-Id` and the reason from `Rollcall-Reason`, when
    /// the client sends them and they are short and printable.
    pub fn new(source: Arc<SourceConfig>, origin: &Origin, headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?.trim();
            (!value.is_empty() && value.len() <= 200).then(|| value.to_owned())
        };
        // Under the source's name: nobody puts their events into what another one did.
        let correlation_id = text("x-correlation-id").or_else(|| text("x-request-id"));
        let correlation_id = correlation_id.map(|sent| format!("{}:{sent}", source.name));
        Self {
            source,
            base: origin.base(headers),
            form: None,
            reason: text("rollcall-reason"),
            correlation_id: correlation_id.unwrap_or_else(|| Uuid::now_v7().to_string()),
        }
    }

    /// What everything that this request leads to has in common.
    pub fn correlation_id(&self) -> &str {
        &self.correlation_id
    }

    /// The same of a request whose path is not quite as it should be.
    ///
    /// # Errors
    /// When the source is read strictly.
    pub fn with_form(mut self, quirk: Option<Quirk>, detail: impl FnOnce() -> String) -> Result<Self, ScimError> {
        if let Some(quirk) = quirk {
            self.reading().accept(quirk, ScimType::InvalidPath, detail)?;
        }
        self.form = quirk;
        Ok(self)
    }

    /// How the request is read.
    pub fn reading(&self) -> Reading {
        Reading::new(self.source.strictness).noting(self.form)
    }

    /// For one event of an operation such as `replace User`.
    pub fn meta(&self, operation: &str, reading: &Reading) -> EventMeta {
        let reason = self.reason.clone().unwrap_or_else(|| format!("SCIM {operation}"));
        EventMeta { quirks: reading.quirks(), ..by_request(&self.source.name, &reason, &self.correlation_id) }
    }
}

/// The address that clients know.
#[derive(Debug, Clone)]
pub enum Origin {
    /// As it is configured.
    Known(String),
    /// As who asks says: they are on this machine.
    AsAsked,
    /// Nobody has said, and whoever asks may say anything: resources are named by their path alone.
    Unknown,
}

impl Origin {
    /// What a configuration says of it.
    pub fn of(server: &ServerConfig) -> Self {
        match &server.public_url {
            Some(url) => Self::Known(url.to_string()),
            None if server.is_local() => Self::AsAsked,
            None => Self::Unknown,
        }
    }

    /// The address that resources are under.
    fn base(&self, headers: &HeaderMap) -> String {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
        match self {
            Self::Known(url) => format!("{}/scim/v2", url.trim_end_matches('/')),
            Self::AsAsked => {
                let scheme = text("x-forwarded-proto").filter(|s| matches!(*s, "http" | "https")).unwrap_or("http");
                let host = text("host").filter(|host| is_authority(host)).unwrap_or("localhost");
                format!("{scheme}://{host}/scim/v2")
            }
            Self::Unknown => "/scim/v2".to_owned(),
        }
    }
}

/// Whether it is a host, with or without a port, and nothing else (RFC 3986 §3.2).
fn is_authority(text: &str) -> bool {
    text.parse::<axum::http::uri::Authority>().is_ok_and(|found| !found.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn nobody_says_for_us_where_we_are() {
        let asked = |host: &str| HeaderMap::from_iter([("host".parse().unwrap(), host.parse().unwrap())]);
        let known = Origin::Known("https://rollcall.example.com/".into());
        assert_eq!(known.base(&asked("evil.example.com")), "https://rollcall.example.com/scim/v2");
        assert_eq!(Origin::Unknown.base(&asked("evil.example.com")), "/scim/v2");
        assert_eq!(Origin::AsAsked.base(&asked("127.0.0.1:8080")), "http://127.0.0.1:8080/scim/v2");
        for host in ["evil.example.com/x?", "me@evil.example.com", ""] {
            assert_eq!(Origin::AsAsked.base(&asked(host)), "http://localhost/scim/v2", "{host}");
        }
    }
}

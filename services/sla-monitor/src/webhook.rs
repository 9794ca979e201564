//! A sink: JSON by POST to an address.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use rollcall_config::AlertSink;
use rollcall_telemetry::metrics::{label, metrics};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use crate::error::MonitorError;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Delivers alerts to one address.
#[derive(Debug)]
pub struct Webhook {
    pub name: String,
    url: Url,
    token: Option<SecretString>,
    http: reqwest::Client,
}

impl Webhook {
    pub fn new(sink: &AlertSink) -> Result<Self, MonitorError> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| MonitorError::Client { sink: sink.name.clone(), reason: e.to_string() })?;
        Ok(Self {
            name: sink.name.clone(),
            url: sink.url.clone(),
            token: sink.token.as_ref().and_then(|t| t.secret()).cloned(),
            http,
        })
    }

    /// Delivers one message; anything but 2xx is a failure.
    pub async fn deliver(&self, message: &Value) -> Result<(), MonitorError> {
        let failed = |reason: String| MonitorError::Delivery { sink: self.name.clone(), reason };
        let mut request =
            self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(message.to_string());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let outcome = match request.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(failed(format!("it answered {}", answer.status()))),
            // The address of a webhook can be a secret itself.
            Err(e) => Err(failed(e.without_url().to_string())),
        };
        let counted = if outcome.is_ok() { "delivered" } else { "failed" };
        metrics().alerts.add(1, &[label("sink", self.name.as_str()), label("outcome", counted)]);
        outcome
    }
}

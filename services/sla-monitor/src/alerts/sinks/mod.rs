//! Sinks: each receiver in its own language. What is sent is decided by pure functions; this only posts it.

mod alertmanager;
mod pagerduty;
mod slack;
mod webhook;

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderName};
use rollcall_config::{AlertSink, SinkKind, SinkUrl};
use rollcall_telemetry::metrics::{label, metrics};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::alerts::message::AlertMessage;
use crate::error::MonitorError;

const TIMEOUT: Duration = Duration::from_secs(10);

/// How often Alertmanager is told again what still is so.
pub const REPEAT: Duration = Duration::from_secs(60);

/// One request to a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Message {
    content_type: &'static str,
    /// Besides the content type.
    headers: Vec<(HeaderName, String)>,
    body: String,
}

/// Delivers alerts to one receiver.
#[derive(Debug)]
pub struct Sink {
    pub name: String,
    pub kind: SinkKind,
    url: Url,
    token: Option<SecretString>,
    signing: Option<SecretString>,
    http: reqwest::Client,
}

impl Sink {
    /// One that has delivered nothing.
    ///
    /// # Errors
    /// When its address is none.
    pub fn new(sink: &AlertSink) -> Result<Self, MonitorError> {
        let failed = |reason: String| MonitorError::Client { sink: sink.name.clone(), reason };
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| failed(e.to_string()))?;
        let url = match &sink.url {
            SinkUrl::Plain(url) => url.clone(),
            SinkUrl::Secret(secret) => {
                let text = secret.secret().map(|s| s.expose_secret().to_owned()).unwrap_or_default();
                // The address may be a secret: it is not said.
                Url::parse(&text).map_err(|_| failed("its secret address is not a URL".into()))?
            }
        };
        let secret = |token: &Option<rollcall_config::Token>| token.as_ref().and_then(|t| t.secret()).cloned();
        let (token, signing) = (secret(&sink.token), secret(&sink.signing));
        Ok(Self { name: sink.name.clone(), kind: sink.kind, url, token, signing, http })
    }

    /// Delivers one alert, or its end.
    ///
    /// # Errors
    /// With why it was not taken: anything but 2xx.
    pub async fn deliver(&self, message: &AlertMessage, now: Timestamp) -> Result<(), MonitorError> {
        let secret = |s: &Option<SecretString>| s.as_ref().map(|s| s.expose_secret().to_owned());
        let message = match self.kind {
            SinkKind::Webhook => webhook::message(message, now, secret(&self.signing).as_deref()),
            SinkKind::Alertmanager => alertmanager::message(std::slice::from_ref(message), now),
            SinkKind::PagerDuty => pagerduty::message(message, &secret(&self.token).unwrap_or_default()),
            SinkKind::Slack => slack::message(message),
        };
        self.post(message).await
    }

    /// Says again everything that is so, with the sign of life; for receivers that forget.
    ///
    /// # Errors
    /// See [`Sink::deliver`].
    pub async fn repeat(&self, firing: &[AlertMessage], now: Timestamp) -> Result<(), MonitorError> {
        self.post(alertmanager::heartbeat(firing, now)).await
    }

    /// Whether the receiver forgets what it is not told again.
    #[must_use]
    pub fn forgets(&self) -> bool {
        self.kind == SinkKind::Alertmanager
    }

    fn address(&self) -> Url {
        let mut url = self.url.clone();
        if self.kind == SinkKind::Alertmanager && !url.path().ends_with("/alerts") {
            let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        url
    }

    async fn post(&self, message: Message) -> Result<(), MonitorError> {
        let failed = |reason: String| MonitorError::Delivery { sink: self.name.clone(), reason };
        let mut request = self.http.post(self.address()).header(CONTENT_TYPE, message.content_type).body(message.body);
        for (name, value) in message.headers {
            request = request.header(name, value);
        }
        if let (Some(token), SinkKind::Webhook | SinkKind::Alertmanager) = (&self.token, self.kind) {
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

//! Sinks: each receiver in its own language. What is sent is decided by pure functions; this only posts it.

mod alertmanager;
mod mail;
mod pagerduty;
mod slack;
mod webhook;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderName};
use rollcall_config::{AlertSink, HttpSink, News, SinkKind, SinkReach, SinkUrl};
use rollcall_telemetry::metrics::{label, metrics};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::alerts::message::AlertMessage;
use crate::alerts::sinks::mail::Mailer;
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
    pub tells: BTreeSet<News>,
    reach: Reach,
}

#[derive(Debug)]
enum Reach {
    Http(Http),
    Mail(Mailer),
}

/// A receiver that is spoken to over HTTP.
#[derive(Debug)]
struct Http {
    name: String,
    kind: SinkKind,
    url: Url,
    token: Option<SecretString>,
    signing: Option<SecretString>,
    client: reqwest::Client,
}

/// Who has got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    ToAll,
    /// Whom it is addressed to, and not everybody whom the sink is for.
    ToOne,
    /// It is no news for anybody.
    NotSent,
    /// Not everybody has heard that it is over, for a reason that may pass.
    NotToAll,
    /// Not everybody whom the sink is for, and why.
    ToSome {
        reason: String,
    },
}

impl Sink {
    /// One that has delivered nothing.
    ///
    /// # Errors
    /// When its address is none.
    pub fn new(sink: &AlertSink) -> Result<Self, MonitorError> {
        let reach = match &sink.reach {
            SinkReach::Http(http) => Reach::Http(Http::new(&sink.name, http)?),
            SinkReach::Mail(mail) => Reach::Mail(Mailer::new(&sink.name, mail)?),
        };
        Ok(Self { name: sink.name.clone(), tells: sink.tells.clone(), reach })
    }

    /// Delivers one alert, or its end.
    ///
    /// # Errors
    /// With why it was not taken.
    pub async fn deliver(&self, message: &AlertMessage, now: Timestamp) -> Result<Delivered, MonitorError> {
        let outcome = match &self.reach {
            Reach::Http(http) => http.deliver(message, now).await.map(|()| Delivered::ToAll),
            Reach::Mail(mailer) => mailer.deliver(message).await,
        };
        match outcome {
            Ok(Delivered::ToSome { reason }) => {
                self.count("partly");
                Ok(Delivered::ToSome { reason })
            }
            outcome => self.counted(outcome),
        }
    }

    /// Says again everything that is so, with the sign of life; for receivers that forget.
    ///
    /// # Errors
    /// See [`Sink::deliver`].
    pub async fn repeat(&self, firing: &[AlertMessage], now: Timestamp) -> Result<(), MonitorError> {
        match &self.reach {
            Reach::Http(http) => self.counted(http.post(alertmanager::heartbeat(firing, now)).await),
            Reach::Mail(_) => Ok(()),
        }
    }

    /// Whether the receiver forgets what it is not told again.
    #[must_use]
    pub fn forgets(&self) -> bool {
        matches!(&self.reach, Reach::Http(http) if http.kind == SinkKind::Alertmanager)
    }

    fn counted<T>(&self, outcome: Result<T, MonitorError>) -> Result<T, MonitorError> {
        self.count(if outcome.is_ok() { "delivered" } else { "failed" });
        outcome
    }

    fn count(&self, outcome: &'static str) {
        metrics().alerts.add(1, &[label("sink", self.name.as_str()), label("outcome", outcome)]);
    }
}

impl Http {
    fn new(name: &str, sink: &HttpSink) -> Result<Self, MonitorError> {
        let failed = |reason: String| MonitorError::Client { sink: name.to_owned(), reason };
        let client = reqwest::Client::builder()
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
        Ok(Self { name: name.to_owned(), kind: sink.kind, url, token, signing, client })
    }

    /// Anything but 2xx is not taken.
    async fn deliver(&self, message: &AlertMessage, now: Timestamp) -> Result<(), MonitorError> {
        let secret = |s: &Option<SecretString>| s.as_ref().map(|s| s.expose_secret().to_owned());
        let message = match self.kind {
            SinkKind::Webhook => webhook::message(message, now, secret(&self.signing).as_deref()),
            SinkKind::Alertmanager => alertmanager::message(std::slice::from_ref(message), now),
            SinkKind::PagerDuty => pagerduty::message(message, &secret(&self.token).unwrap_or_default()),
            SinkKind::Slack => slack::message(message),
        };
        self.post(message).await
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
        let mut request =
            self.client.post(self.address()).header(CONTENT_TYPE, message.content_type).body(message.body);
        for (name, value) in message.headers {
            request = request.header(name, value);
        }
        if let (Some(token), SinkKind::Webhook | SinkKind::Alertmanager) = (&self.token, self.kind) {
            request = request.bearer_auth(token.expose_secret());
        }
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(failed(format!("it answered {}", answer.status()))),
            // The address of a webhook can be a secret itself.
            Err(e) => Err(failed(e.without_url().to_string())),
        }
    }
}

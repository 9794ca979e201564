//! Mail (RFC 5321, RFC 5322).

use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use rollcall_config::{Encryption, MailSink};
use rollcall_domain::alert::About;
use secrecy::ExposeSecret as _;

use crate::alerts::message::{AlertMessage, Status};
use crate::error::MonitorError;

const TIMEOUT: Duration = Duration::from_secs(20);

/// The longest line of a subject.
const MAX_SUBJECT: usize = 200;

/// What no program answers to (RFC 3834).
const AUTO_SUBMITTED: &str = "Auto-Submitted";

/// Sends mail to people.
#[derive(Debug)]
pub struct Mailer {
    name: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Mailer {
    /// One that has sent nothing.
    ///
    /// # Errors
    /// When an address is none, or TLS can't be had.
    pub fn new(name: &str, sink: &MailSink) -> Result<Self, MonitorError> {
        let failed = |reason: String| MonitorError::Client { sink: name.to_owned(), reason };
        let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|e| failed(format!("'{text}': {e}")));
        let builder = match sink.encryption {
            Encryption::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&sink.host),
            Encryption::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&sink.host),
            Encryption::None => Ok(AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&sink.host)),
        };
        let mut builder = builder.map_err(|e| failed(e.to_string()))?.port(sink.port).timeout(Some(TIMEOUT));
        if let Some((user, password)) = &sink.login {
            let password = password.secret().map(|secret| secret.expose_secret().to_owned()).unwrap_or_default();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Self {
            name: name.to_owned(),
            from: mailbox(&sink.from)?,
            to: sink.to.iter().map(mailbox).collect::<Result<_, _>>()?,
            transport: builder.build(),
        })
    }

    /// Sends it. That a task is over is no news for whoever has done it.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn deliver(&self, message: &AlertMessage) -> Result<(), MonitorError> {
        if matches!(message.about, About::Task { .. }) && message.status == Status::Resolved {
            return Ok(());
        }
        let failed = |reason: String| MonitorError::Delivery { sink: self.name.clone(), reason };
        let mail = self.mail(message).map_err(&failed)?;
        self.transport.send(mail).await.map(drop).map_err(|e| failed(e.to_string()))
    }

    fn mail(&self, message: &AlertMessage) -> Result<Message, String> {
        // Of one who has an address that is none nobody would hear.
        let addressee = message.addressee.as_ref().and_then(|text| text.parse::<Mailbox>().ok());
        let to = addressee.map_or_else(|| self.to.clone(), |one| vec![one]);
        let builder = to.into_iter().fold(Message::builder().from(self.from.clone()), MessageBuilder::to);
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str(AUTO_SUBMITTED), "auto-generated".to_owned());
        builder
            .subject(subject(message))
            .raw_header(automatic)
            .header(ContentType::TEXT_PLAIN)
            .body(text(message))
            .map_err(|e| e.to_string())
    }
}

fn subject(message: &AlertMessage) -> String {
    let head = match message.status {
        Status::Firing if message.escalation > 0 => format!("{} (still, {})", message.alert, message.escalation),
        Status::Firing => message.alert.to_owned(),
        Status::Resolved => format!("Resolved: {}", message.alert),
    };
    let line: String = message.summary.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("[Rollcall] {head}: {line}").chars().take(MAX_SUBJECT).collect()
}

fn text(message: &AlertMessage) -> String {
    let mut parts = vec![message.summary.clone()];
    let description = message.description();
    if !description.is_empty() {
        parts.push(description);
    }
    match (&message.about, message.link.contains("?link=")) {
        (About::Task { .. }, true) => parts.push(format!(
            "When it is done, say so here, once and without signing in:\n{}\nWhoever has this link can say it in your name: do not pass \
             it on.",
            message.link
        )),
        (About::Task { .. }, false) => parts.push(format!("When it is done, say so here:\n{}", message.link)),
        _ => parts.push(format!("{}\nWhat to do: {}", message.link, message.runbook)),
    }
    parts.join("\n\n") + "\n"
}

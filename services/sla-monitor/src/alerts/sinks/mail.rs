//! Mail (RFC 5321, RFC 5322).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use rollcall_config::{Encryption, MailAddress, MailSink};
use rollcall_domain::alert::About;
use secrecy::ExposeSecret as _;

use crate::alerts::message::{AlertMessage, Status};
use crate::alerts::sinks::Delivered;
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
    /// Which of `to` have got what others have not: news is tried again for these alone.
    got: Mutex<BTreeMap<News, Got>>,
}

/// What somebody is told: about what, how urgent, whether it is so, and since when that is news: the same may be so once more.
type News = (String, u32, Status, Timestamp);

/// Which of `to` have got some news, and how often it was tried.
#[derive(Debug, Default)]
struct Got {
    by: BTreeSet<usize>,
    tries: u32,
}

/// How often news is tried that some have got: whoever has it is to hear of its end, too, and that it was told is not on the log before.
const TRIES: u32 = 5;

/// Of so much news it is known at most who has got it.
const MOST_NEWS: usize = 1000;

impl Mailer {
    /// One that has sent nothing.
    ///
    /// # Errors
    /// When an address is none, or TLS can't be had.
    pub fn new(name: &str, sink: &MailSink) -> Result<Self, MonitorError> {
        let failed = |reason: String| MonitorError::Client { sink: name.to_owned(), reason };
        let mailbox = |of: &MailAddress| {
            let address = of.address.parse().map_err(|e| failed(format!("'{}': {e}", of.address)))?;
            Ok::<_, MonitorError>(Mailbox::new(of.name.clone(), address))
        };
        let builder = match sink.encryption {
            Encryption::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&sink.host),
            Encryption::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&sink.host),
            Encryption::None => Ok(AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&sink.host)),
        };
        let from = mailbox(&sink.from)?;
        // Some servers take nothing from whoever greets them without a name.
        let greeting = ClientId::Domain(from.email.domain().to_owned());
        let mut builder = builder.map_err(|e| failed(e.to_string()))?.port(sink.port).timeout(Some(TIMEOUT));
        builder = builder.hello_name(greeting);
        if let Some((user, password)) = &sink.login {
            let password = password.secret().map(|secret| secret.expose_secret().to_owned()).unwrap_or_default();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Self {
            name: name.to_owned(),
            from,
            to: sink.to.iter().map(mailbox).collect::<Result<_, _>>()?,
            transport: builder.build(),
            got: Mutex::default(),
        })
    }

    /// Sends it, to whom it is addressed, or to everybody. That a task is over is no news for whoever has done it.
    ///
    /// # Errors
    /// When the server takes it for nobody, or may take it later for somebody.
    pub async fn deliver(&self, message: &AlertMessage) -> Result<Delivered, MonitorError> {
        if matches!(message.about, About::Task { .. }) && message.status == Status::Resolved {
            return Ok(Delivered::NotSent);
        }
        let addressee = message.addressee.as_ref();
        let theirs = addressee.and_then(|them| Some((them.address.parse::<Mailbox>().ok()?, them.link.as_deref())));
        if let Some((address, link)) = theirs {
            match self.send(vec![address], message, link).await {
                // Nobody would hear of it: the others do, who say nothing in somebody else's name.
                Err(Unsent::Refused) => {}
                Err(Unsent::Failed(reason)) => return Err(self.failed(reason)),
                Ok(()) => return Ok(Delivered::ToOne),
            }
        }
        self.deliver_to_all(message).await
    }

    /// Sends it to each of `to` by itself: an address that nobody has any more keeps the others from nothing.
    async fn deliver_to_all(&self, message: &AlertMessage) -> Result<Delivered, MonitorError> {
        let news = (message.key.clone(), message.level.0, message.status, message.news_since);
        let mut got = self.got().remove(&news).unwrap_or_default();
        let (mut refused, mut failed) = (0, None);
        for (index, address) in self.to.iter().enumerate() {
            if got.by.contains(&index) {
                continue;
            }
            match self.send(vec![address.clone()], message, None).await {
                Ok(()) => drop(got.by.insert(index)),
                Err(Unsent::Refused) => refused += 1,
                Err(Unsent::Failed(reason)) => failed = Some(reason),
            }
        }
        got.tries += 1;
        let (all, some) = (self.to.len(), !got.by.is_empty());
        match failed {
            // Whoever has heard that it is over must hear of it when it is so again: it is over for all.
            Some(_) if some && message.status == Status::Resolved => return Ok(Delivered::NotToAll),
            Some(reason) if some && got.tries >= TRIES => {
                let left = all - got.by.len();
                return Ok(Delivered::ToSome {
                    reason: format!("{left} of the {all} addresses of to get no mail: {reason}"),
                });
            }
            Some(reason) => {
                let mut known = self.got();
                if known.len() >= MOST_NEWS {
                    known.clear();
                }
                known.insert(news, got);
                return Err(self.failed(reason));
            }
            None => {}
        }
        match (refused, some) {
            (0, _) => Ok(Delivered::ToAll),
            (_, false) => Err(self.failed("it is refused for good, or an address of to can't be written".into())),
            (refused, true) => Ok(Delivered::ToSome {
                reason: format!("mail for {refused} of the {all} addresses of to is refused for good"),
            }),
        }
    }

    fn got(&self) -> MutexGuard<'_, BTreeMap<News, Got>> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, reason: String) -> MonitorError {
        MonitorError::Delivery { sink: self.name.clone(), reason }
    }

    async fn send(&self, to: Vec<Mailbox>, message: &AlertMessage, link: Option<&str>) -> Result<(), Unsent> {
        let mail = self.mail(to, message, link).map_err(|_| Unsent::Refused)?;
        // What the server says names addresses: it is not for the log.
        self.transport.send(mail).await.map(drop).map_err(|error| match error.status() {
            Some(code) if error.is_permanent() && REFUSES_SOMEBODY.contains(&u16::from(code)) => Unsent::Refused,
            // Such as an address that this server has no way to write.
            None if error.is_client() => Unsent::Refused,
            Some(code) => Unsent::Failed(format!("the server answers {code}")),
            None if error.is_timeout() => Unsent::Failed("the server does not answer in time".into()),
            None => Unsent::Failed("the server can't be reached, or does not speak as it is configured".into()),
        })
    }

    fn mail(&self, to: Vec<Mailbox>, message: &AlertMessage, link: Option<&str>) -> Result<Message, String> {
        let builder = to.into_iter().fold(Message::builder().from(self.from.clone()), MessageBuilder::to);
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str(AUTO_SUBMITTED), "auto-generated".to_owned());
        builder
            // A second copy is better than news that is taken for one.
            .message_id(None)
            .subject(subject(message))
            .raw_header(automatic)
            .header(ContentType::TEXT_PLAIN)
            .body(text(message, link))
            .map_err(|e| e.to_string())
    }
}

/// Why mail was not taken.
enum Unsent {
    /// The server does not want it for whom it is, and never will.
    Refused,
    /// Something that may pass; why.
    Failed(String),
}

/// The answers to an address, or to mail for it, that stay the same (RFC 5321 §4.2.3, RFC 7504).
const REFUSES_SOMEBODY: [u16; 8] = [501, 521, 550, 551, 552, 553, 554, 556];

fn subject(message: &AlertMessage) -> String {
    let head = message.headline();
    let line: String = message.summary.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("[Rollcall] {head}: {line}").chars().take(MAX_SUBJECT).collect()
}

fn text(message: &AlertMessage, link: Option<&str>) -> String {
    let mut parts = vec![message.summary.clone()];
    let description = message.description();
    if !description.is_empty() {
        parts.push(description);
    }
    parts.push(match (&message.about, link) {
        (About::Task { .. }, Some(link)) => format!(
            "When it is done, say so here, once and without signing in:\n{link}\nWhoever has this link can say it in your name: do not \
             pass it on."
        ),
        (About::Task { .. }, None) => format!("When it is done, say so here:\n{}", message.link),
        _ => format!("{}\nWhat to do: {}", message.link, message.runbook),
    });
    parts.join("\n\n") + "\n"
}

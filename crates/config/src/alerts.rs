//! `[tiers]`, `[alerting]`, `[[alerts]]` and `[tasks]`: how long is too long, and who is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use email_address::{EmailAddress, Options};
use rollcall_domain::app::service_level::ServiceLevel;
use secrecy::ExposeSecret as _;

use crate::app::{service_level, usual_level};
use crate::model::{
    AlertSink, AlertingConfig, Encryption, HttpSink, MailAddress, MailSink, News, SinkKind, SinkReach, SinkUrl,
    TasksConfig,
};
use crate::secret::Token;
use crate::section::{LINK_KEY, PASSWORD, SIGNING, Section, TOKEN, URL, duration, http_url, some_text};

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
        "webhook" => Ok(Kind::Http(SinkKind::Webhook)),
        "alertmanager" => Ok(Kind::Http(SinkKind::Alertmanager)),
        "pagerduty" => Ok(Kind::Http(SinkKind::PagerDuty)),
        "slack" => Ok(Kind::Http(SinkKind::Slack)),
        "mail" => Ok(Kind::Mail),
        _ => Err(format!("'{text}' must be webhook, alertmanager, pagerduty, slack or mail")),
    });
    let name = s.parsed("name", some_text);
    let tells = s.list("tells", |text| {
        let found = News::ALL.into_iter().find(|news| news.name() == text);
        found.ok_or_else(|| format!("'{text}' must be alerts or tasks"))
    });
    let tells = tells.map_or_else(|| BTreeSet::from([News::Alerts]), BTreeSet::from_iter);
    if tells.is_empty() {
        s.mistake("tells is empty: write alerts, tasks, or both");
    }
    // Each key is read for each kind, so that all of them are described.
    let http = http_sink(&mut s, kind);
    let mail = mail_sink(&mut s, kind);
    if kind.is_none() {
        s.parsed("url", http_url);
    }
    let line = s.line();
    let (word, reach) = match kind {
        Some(Kind::Http(kind)) => (kind.name(), http.map(SinkReach::Http)),
        Some(Kind::Mail) => ("mail", mail.map(SinkReach::Mail)),
        None => ("", None),
    };
    s.finish();
    let name = name.unwrap_or_else(|| format!("{word}-{index}"));
    Some((line, AlertSink { name, reach: reach?, tells }))
}

/// How a sink is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http(SinkKind),
    Mail,
}

fn http_sink(s: &mut Section<'_>, kind: Option<Kind>) -> Option<HttpSink> {
    let hidden = s.secret(URL);
    let token = s.secret(TOKEN);
    let signing = s.secret(SIGNING);
    let kind = match kind? {
        Kind::Http(kind) => kind,
        Kind::Mail => {
            if hidden.is_some() || token.is_some() || signing.is_some() {
                s.mistake("mail has url, user and password_env, and no url_env, token or signing_secret");
            }
            return None;
        }
    };
    let plain = s.parsed("url", http_url);
    let url = match (plain, hidden, kind) {
        (Some(_), Some(_), _) => {
            s.mistake("give one of url, url_env and url_file");
            None
        }
        (Some(url), None, _) => Some(SinkUrl::Plain(url)),
        (None, Some(secret), _) => Some(SinkUrl::Secret(secret)),
        (None, None, SinkKind::PagerDuty) if !s.has("url") => url::Url::parse(PAGERDUTY).ok().map(SinkUrl::Plain),
        (None, None, _) => {
            if !s.has("url") {
                s.mistake("url is missing: give url, url_env or url_file");
            }
            None
        }
    };
    if kind == SinkKind::PagerDuty && token.is_none() {
        s.mistake("pagerduty needs the routing key of the integration: give token_env or token_file");
    }
    if signing.is_some() && kind != SinkKind::Webhook {
        s.mistake("signing_secret is for webhooks");
    }
    Some(HttpSink { kind, url: url?, token, signing })
}

fn mail_sink(s: &mut Section<'_>, kind: Option<Kind>) -> Option<MailSink> {
    let encryption = s.parsed("encryption", |text| match text {
        "tls" => Ok(Encryption::Tls),
        "starttls" => Ok(Encryption::StartTls),
        "none" => Ok(Encryption::None),
        _ => Err(format!("'{text}' must be tls, starttls or none")),
    });
    let user = s.parsed("user", some_text);
    let password = s.secret(PASSWORD);
    let from = s.parsed("from", address);
    let to = s.list("to", address);
    if kind? != Kind::Mail {
        if encryption.is_some() || user.is_some() || password.is_some() || from.is_some() || to.is_some() {
            s.mistake("encryption, user, password_env, from and to are for mail");
        }
        return None;
    }
    let Some(url) = s.parsed("url", smtp_url) else {
        if !s.has("url") {
            s.mistake("url is missing: give that of the mail server, such as smtps://mail.example.com");
        }
        return None;
    };
    let usual = if url.scheme() == "smtps" { Encryption::Tls } else { Encryption::StartTls };
    let encryption = encryption.unwrap_or(usual);
    let usual = match encryption {
        Encryption::Tls => 465,
        Encryption::StartTls => 587,
        Encryption::None => 25,
    };
    if (url.scheme() == "smtps") != (encryption == Encryption::Tls) {
        s.mistake("encryption is tls with smtps://, and starttls or none with smtp://");
    }
    if encryption == Encryption::None {
        s.warn("mail goes without encryption: what it says of people, and links, can be read on the way");
    }
    let login = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        _ => {
            s.mistake("give both of user and password_env, or none");
            None
        }
    };
    if from.is_none() && !s.has("from") {
        s.mistake("from is missing: the address that mail comes from");
    }
    let to = to.unwrap_or_default();
    if to.is_empty() {
        s.mistake("to is missing: who gets mail of what is wrong, and of tasks of whose owner no address is known");
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    Some(MailSink { host, port: url.port().unwrap_or(usual), encryption, login, from: from?, to })
}

/// The address of a mail server.
fn smtp_url(text: &str) -> Result<url::Url, String> {
    let url = url::Url::parse(text).map_err(|e| format!("'{text}' is not a URL: {e}"))?;
    if !matches!(url.scheme(), "smtp" | "smtps") || url.host_str().is_none_or(str::is_empty) {
        return Err(format!("'{text}' must be as smtps://mail.example.com or smtp://mail.example.com"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user or password: use user and password_env".into());
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("'{text}' must not have a path, query or fragment"));
    }
    Ok(url)
}

/// An address of mail, with a name or without: `Rollcall <rollcall@example.com>`.
fn address(text: &str) -> Result<MailAddress, String> {
    let wrong = || format!("'{text}' is no address of mail, such as iam@example.com");
    let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => (Some(name.trim().trim_matches('"').to_owned()), address),
        None => (None, text),
    };
    let is_plain = !text.contains(char::is_control);
    if is_plain && EmailAddress::parse_with_options(address, Options::default().without_display_text()).is_ok() {
        Ok(MailAddress { name: name.filter(|name| !name.is_empty()), address: address.to_owned() })
    } else {
        Err(wrong())
    }
}

/// The shortest key of links.
const LINK_KEY_BYTES: usize = 32;

pub(crate) fn tasks(mut s: Section<'_>) -> TasksConfig {
    let link_key = s.secret(LINK_KEY);
    if link_key.as_ref().and_then(Token::secret).is_some_and(|key| key.expose_secret().len() < LINK_KEY_BYTES) {
        s.mistake(format!("link_key has fewer than {LINK_KEY_BYTES} characters, and can be guessed: make one by `openssl rand -hex 32`"));
    }
    let links_last = s.duration("links_last", Duration::from_secs(14 * 86_400));
    s.finish();
    TasksConfig { link_key, links_last }
}

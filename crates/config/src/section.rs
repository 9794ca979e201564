//! Reading one table: each key once, each mistake with its line.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::rc::Rc;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use secrecy::SecretString;
use toml::de::{DeTable, DeValue};
use url::Url;

use crate::secret::Token;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Its line, from 1; `None`: it is in the environment.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// The configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{file}: {reason}")]
    File {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// It has mistakes.
    #[error("{file} has {}:\n{}", count(.mistakes.len()), lines(.mistakes))]
    Mistakes {
        /// The file.
        file: String,
        /// All of them, by line.
        mistakes: Vec<Mistake>,
    },
}

fn count(mistakes: usize) -> String {
    if mistakes == 1 { "1 mistake".into() } else { format!("{mistakes} mistakes") }
}

fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|m| format!("  {m}")).collect::<Vec<_>>().join("\n")
}

/// What is shared while a file is read.
pub(crate) struct Reading<'a> {
    pub text: &'a str,
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    pub mistakes: RefCell<Vec<Mistake>>,
    pub warnings: RefCell<Vec<String>>,
    /// What the environment says in place of the file, by place.
    pub overrides: RefCell<BTreeMap<String, String>>,
    /// Every key that was looked for, whether it is there or not; none: nobody wants to know, as when a service starts.
    pub keys: Option<RefCell<Vec<Key>>>,
}

/// A key that the configuration can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// Its table and its name, joined by dots.
    pub name: String,
    /// What is written there.
    pub kind: &'static str,
    /// What holds where it is not there; none: that is no single value.
    pub default: Option<String>,
    /// What is allowed, where that is a range.
    pub allowed: Option<String>,
}

impl<'a> Reading<'a> {
    pub fn new(text: &'a str, environment: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            text,
            environment,
            mistakes: RefCell::default(),
            warnings: RefCell::default(),
            overrides: RefCell::default(),
            keys: None,
        }
    }
}

impl Reading<'_> {
    pub fn line(&self, at: usize) -> usize {
        self.text.get(..at).unwrap_or(self.text).matches('\n').count() + 1
    }

    pub fn mistake(&self, line: Option<usize>, message: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake { line, message: message.into() });
    }
}

/// One table of the file.
pub(crate) struct Section<'a> {
    reading: Rc<Reading<'a>>,
    /// Where it is, for messages.
    name: String,
    /// The same without numbers, and with `*` for a key that may be any.
    path: String,
    table: Option<&'a DeTable<'a>>,
    /// What holds where the table says nothing.
    preset: Option<&'static DeTable<'static>>,
    line: usize,
    known: BTreeSet<&'static str>,
    /// `ROLLCALL_<PREFIX>_<KEY>` overrides; only for tables that there is one of.
    prefix: Option<&'static str>,
}

/// A value and where it came from.
struct Found<T> {
    value: T,
    line: Option<usize>,
    place: String,
}

impl<'a> Section<'a> {
    pub fn new(reading: Rc<Reading<'a>>, name: &str, table: Option<&'a DeTable<'a>>, span: Range<usize>) -> Self {
        let line = reading.line(span.start);
        let path = name.split('.').filter(|part| part.parse::<usize>().is_err()).collect::<Vec<_>>().join(".");
        Self { reading, name: name.to_owned(), path, table, preset: None, line, known: BTreeSet::new(), prefix: None }
    }

    pub fn with_environment(mut self, prefix: &'static str) -> Self {
        self.prefix = Some(prefix);
        self
    }

    pub const fn line(&self) -> usize {
        self.line
    }

    pub fn mistake(&self, message: impl Into<String>) {
        self.reading.mistake(Some(self.line), format!("[{}]: {}", self.name, message.into()));
    }

    pub fn warn(&self, message: impl Into<String>) {
        self.reading.warnings.borrow_mut().push(format!("line {}: {}", self.line, message.into()));
    }

    /// What holds where the table says nothing.
    pub const fn under(mut self, preset: Option<&'static DeTable<'static>>) -> Self {
        self.preset = preset;
        self
    }

    fn raw(&mut self, key: &'static str) -> Option<(&'a DeValue<'a>, usize)> {
        self.known.insert(key);
        if let Some(value) = self.table.and_then(|table| table.get(key)) {
            return Some((value.get_ref(), self.reading.line(value.span().start)));
        }
        // Its place in the file is that of the table.
        Some((self.preset?.get(key)?.get_ref(), self.line))
    }

    /// Notes a key that is looked for, with its kind, default and range; who notes it first knows most of it.
    fn note(&self, key: &str, known: impl FnOnce() -> (&'static str, Option<String>, Option<String>)) {
        let Some(keys) = &self.reading.keys else { return };
        let name = format!("{}.{key}", self.path);
        let mut keys = keys.borrow_mut();
        if !keys.iter().any(|noted| noted.name == name) {
            let (kind, default, allowed) = known();
            keys.push(Key { name, kind, default, allowed });
        }
    }

    fn text(&mut self, key: &'static str) -> Option<Found<String>> {
        self.note(key, || ("text", None, None));
        let raw = self.raw(key);
        if let Some(prefix) = self.prefix {
            let variable = format!("ROLLCALL_{prefix}_{}", key.to_ascii_uppercase());
            // An empty one is not set: compose files have no other way to leave one out.
            if let Some(value) = (self.reading.environment)(&variable).filter(|value| !value.is_empty()) {
                return Some(Found { value, line: None, place: format!("environment variable {variable}") });
            }
        }
        let (value, line) = raw?;
        let place = format!("{}.{key}", self.name);
        let value = match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            other => {
                self.reading.mistake(Some(line), format!("{place} must be a string, not a {}", other.type_str()));
                return None;
            }
        };
        Some(Found { value, line: Some(line), place })
    }

    /// The value at a key, read by `read`, which says what it should have been.
    pub fn parsed<T>(&mut self, key: &'static str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let found = self.text(key)?;
        if found.line.is_none() {
            self.reading.overrides.borrow_mut().insert(format!("{}.{key}", self.name), found.value.trim().to_owned());
        }
        match read(found.value.trim()) {
            Ok(value) => Some(value),
            Err(why) => {
                self.reading.mistake(found.line, format!("{}: {why}", found.place));
                None
            }
        }
    }

    /// The values of a list at a key.
    pub fn list<T>(&mut self, key: &'static str, read: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        self.note(key, || ("list of texts", None, None));
        let (value, line) = self.raw(key)?;
        let place = format!("{}.{key}", self.name);
        let DeValue::Array(items) = value else {
            self.reading.mistake(Some(line), format!("{place} must be a list, not a {}", value.type_str()));
            return None;
        };
        let mut out = Vec::new();
        for item in items {
            let line = self.reading.line(item.span().start);
            let read = match item.get_ref() {
                DeValue::String(text) => read(text.trim()),
                other => Err(format!("a string is needed, not a {}", other.type_str())),
            };
            match read {
                Ok(value) => out.push(value),
                Err(why) => self.reading.mistake(Some(line), format!("{place}: {why}")),
            }
        }
        Some(out)
    }

    /// The same, for a key that must be there.
    pub fn required<T>(&mut self, key: &'static str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.note(key, || ("text", Some("required".into()), None));
        let mistakes = self.reading.mistakes.borrow().len();
        let value = self.parsed(key, read);
        if value.is_none() && self.reading.mistakes.borrow().len() == mistakes {
            self.mistake(format!("{key} is missing"));
        }
        value
    }

    pub fn integer(&mut self, key: &'static str, allowed: RangeInclusive<u64>, default: u64) -> u64 {
        let range = || format!("{} to {}", allowed.start(), allowed.end());
        self.note(key, || ("whole number", Some(default.to_string()), Some(range())));
        let read = |text: &str| match text.parse::<u64>() {
            Ok(number) if allowed.contains(&number) => Ok(number),
            _ => Err(format!("'{text}' must be a whole number from {} to {}", allowed.start(), allowed.end())),
        };
        self.parsed(key, read).unwrap_or(default)
    }

    pub fn duration(&mut self, key: &'static str, default: Duration) -> Duration {
        let usual = || SignedDuration::try_from(default).map(|default| format!("{default:#}")).ok();
        self.note(key, || ("time span", usual(), None));
        self.parsed(key, duration).unwrap_or(default)
    }

    /// A time span that nothing takes the place of.
    pub fn span(&mut self, key: &'static str) -> Option<Duration> {
        self.note(key, || ("time span", None, None));
        self.parsed(key, duration)
    }

    /// A time span of years, months and days that nothing takes the place of.
    pub fn long_span(&mut self, key: &'static str) -> Option<Duration> {
        self.note(key, || ("time span", None, None));
        self.parsed(key, long_duration)
    }

    /// Whether nothing is said here.
    pub const fn is_absent(&self) -> bool {
        self.table.is_none()
    }

    /// Whether there is anything at a key, good or not.
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// The table under a key.
    pub fn table(&mut self, key: &'static str) -> Section<'a> {
        let name = format!("{}.{key}", self.name);
        let path = format!("{}.{key}", self.path);
        let reading = Rc::clone(&self.reading);
        let preset = match self.preset.and_then(|preset| preset.get(key)).map(toml::Spanned::get_ref) {
            Some(DeValue::Table(table)) => Some(table),
            _ => None,
        };
        self.known.insert(key);
        let said = self.table.and_then(|table| table.get(key));
        let line = said.map_or(self.line, |value| self.reading.line(value.span().start));
        let table = match said.map(toml::Spanned::get_ref) {
            Some(DeValue::Table(table)) => Some(table),
            Some(other) => {
                self.reading.mistake(Some(line), format!("{name} must be a table, not a {}", other.type_str()));
                None
            }
            None => None,
        };
        Section { reading, name, path, table, preset, line, known: BTreeSet::new(), prefix: None }
    }

    fn within(&self, name: String, path: String, table: &'a DeTable<'a>, line: usize) -> Section<'a> {
        let reading = Rc::clone(&self.reading);
        Section { reading, name, path, table: Some(table), preset: None, line, known: BTreeSet::new(), prefix: None }
    }

    /// The tables of a list under a key.
    pub fn tables(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let Some((value, line)) = self.raw(key) else { return Vec::new() };
        let name = format!("{}.{key}", self.name);
        let DeValue::Array(items) = value else {
            self.reading.mistake(Some(line), format!("{name} is a list of tables: write [[{key}]] with two brackets"));
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in items {
            let line = self.reading.line(item.span().start);
            match item.get_ref() {
                DeValue::Table(table) => {
                    out.push(self.within(name.clone(), format!("{}.{key}", self.path), table, line))
                }
                _ => self.reading.mistake(Some(line), format!("each of {name} must be a table")),
            }
        }
        out
    }

    /// What stands under each key of a table whose keys are not known beforehand.
    pub fn entries(self) -> Vec<Entry<'a>> {
        let mut out = Vec::new();
        self.note("*", || ("text, or a table", None, None));
        let said = |key: &str| self.table.is_some_and(|table| table.contains_key(key));
        let preset = self.preset.into_iter().flatten().filter(|(key, _)| !said(key.get_ref()));
        let preset = preset.map(|(key, value)| (key.get_ref(), value.get_ref(), self.line));
        let own = self.table.into_iter().flatten();
        let own = own.map(|(key, value)| (key.get_ref(), value.get_ref(), self.reading.line(key.span().start)));
        for (key, value, line) in own.chain(preset) {
            let name = format!("{}.{}", self.name, key);
            let (text, table) = match value {
                DeValue::String(text) => (Some(text.to_string()), None),
                DeValue::Table(table) => (None, Some(table)),
                other => {
                    let message = format!("{name} must be a string or a table, not a {}", other.type_str());
                    self.reading.mistake(Some(line), message);
                    continue;
                }
            };
            let reading = Rc::clone(&self.reading);
            let path = format!("{}.*", self.path);
            let section =
                Section { reading, name, path, table, preset: None, line, known: BTreeSet::new(), prefix: None };
            out.push(Entry { key: key.to_string(), text, section });
        }
        out
    }

    /// The value at a key as JSON, when it is a text, a number or a truth value.
    pub fn constant(&mut self, key: &'static str) -> Option<serde_json::Value> {
        self.note(key, || ("text, whole number, true or false", None, None));
        let (value, line) = self.raw(key)?;
        match value {
            DeValue::String(text) => Some(text.to_string().into()),
            DeValue::Boolean(flag) => Some((*flag).into()),
            DeValue::Integer(number) => number.to_string().parse::<i64>().ok().map(Into::into),
            other => {
                let message = format!(
                    "{}.{key} must be a text, a whole number or a truth value, not a {}",
                    self.name,
                    other.type_str()
                );
                self.reading.mistake(Some(line), message);
                None
            }
        }
    }

    /// A secret: `token_env`, `token_file` or `token` for the key `token`.
    pub fn secret(&mut self, names: SecretKeys) -> Option<Token> {
        // A key without a name is not offered.
        let literal = if names.literal.is_empty() { None } else { self.text(names.literal) };
        let variable = self.text(names.env);
        let file = self.text(names.file);
        let missing = |found: &Found<String>, why: String| {
            Some(Token::missing(Mistake { line: found.line, message: format!("{}: {why}", found.place) }))
        };
        match (literal, variable, file) {
            (None, None, None) => None,
            (Some(found), None, None) => {
                if found.value.is_empty() {
                    return missing(&found, "it is empty".into());
                }
                self.warn(format!(
                    "{} holds the secret itself: use {} or {} outside a test",
                    found.place, names.env, names.file
                ));
                Some(Token::found(SecretString::from(found.value)))
            }
            (None, Some(found), None) => match (self.reading.environment)(&found.value) {
                Some(value) if !value.is_empty() => Some(Token::found(SecretString::from(value))),
                _ => missing(&found, format!("environment variable {} is not set, or is empty", found.value)),
            },
            (None, None, Some(found)) => match std::fs::read_to_string(&found.value) {
                Ok(text) => Token::in_file(found.value.clone().into(), &text)
                    .or_else(|| missing(&found, format!("file {} is empty", found.value))),
                Err(e) => missing(&found, format!("file {} can't be read: {e}", found.value)),
            },
            _ => {
                let message = format!("give one of {}, {} and {}", names.env, names.file, names.literal);
                self.mistake(message.clone());
                Some(Token::missing(Mistake { line: Some(self.line), message }))
            }
        }
    }

    /// Says what is in the table and means nothing.
    pub fn finish(self) {
        for (key, value) in self.table.into_iter().flatten() {
            let name = key.get_ref();
            if !self.known.contains(name.as_ref()) {
                let known = self.known.iter().copied().collect::<Vec<_>>().join(", ");
                let line = self.reading.line(key.span().start);
                let at = Some(line.min(self.reading.line(value.span().start).max(line)));
                self.reading.mistake(at, format!("[{}] has no key '{name}': it knows {known}", self.name));
            }
        }
    }
}

/// One key of a table whose keys are not known beforehand.
pub(crate) struct Entry<'a> {
    pub key: String,
    /// The text under it, when it is one.
    pub text: Option<String>,
    /// The table under it, when it is one; in any case the place for mistakes.
    pub section: Section<'a>,
}

/// The three keys a secret can be under.
#[derive(Clone, Copy)]
pub(crate) struct SecretKeys {
    literal: &'static str,
    env: &'static str,
    file: &'static str,
}

pub(crate) const TOKEN: SecretKeys = SecretKeys { literal: "token", env: "token_env", file: "token_file" };
pub(crate) const CLIENT_SECRET: SecretKeys =
    SecretKeys { literal: "", env: "client_secret_env", file: "client_secret_file" };
pub(crate) const KEY: SecretKeys = SecretKeys { literal: "", env: "key_env", file: "key_file" };
pub(crate) const LINK_KEY: SecretKeys = SecretKeys { literal: "link_key", env: "link_key_env", file: "link_key_file" };
pub(crate) const URL: SecretKeys = SecretKeys { literal: "", env: "url_env", file: "url_file" };
pub(crate) const SIGNING: SecretKeys =
    SecretKeys { literal: "signing_secret", env: "signing_secret_env", file: "signing_secret_file" };
pub(crate) const PASSWORD: SecretKeys = SecretKeys { literal: "password", env: "password_env", file: "password_file" };

/// Any text but none.
pub(crate) fn some_text(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("it is empty".into()) } else { Ok(text.to_owned()) }
}

/// An `http` or `https` address without anything after its path.
pub(crate) fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| format!("'{text}' is not a URL: {e}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("'{text}' must start with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user or password: use a token".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("'{text}' must not have a query or fragment"));
    }
    Ok(url)
}

/// Several, separated by commas.
pub(crate) fn http_urls(text: &str) -> Result<Vec<Url>, String> {
    text.split(',').map(str::trim).map(http_url).collect()
}

/// A time span such as `15m`, `4h` or `1d 12h`.
/// A time span above zero, such as `15m` or `7d`.
///
/// # Errors
/// What it must be.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' must be a time span above zero, such as 500ms, 15m, 4h or 7d");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(signed).ok().filter(|d| !d.is_zero()).ok_or_else(wrong)
}

/// A time span in which a year has 365 days and a month 30.
fn long_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' must be a time span above zero, such as 2y, 18mo or 90d");
    let span: Span = text.parse().map_err(|_| wrong())?;
    let days = i64::from(span.get_years()) * 365 + i64::from(span.get_months()) * 30;
    let rest = span.years(0).months(0).to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let signed = rest.checked_add(SignedDuration::from_hours(24 * days)).ok_or_else(wrong)?;
    Duration::try_from(signed).ok().filter(|d| !d.is_zero()).ok_or_else(wrong)
}

/// A number of things in memory.
pub(crate) fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// True or false.
pub(crate) fn truth(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("'{text}' must be true or false"))
}

//! Secrets: named in the configuration, kept elsewhere, never shown.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::section::Mistake;

/// How long a file may be gone or empty until what it held opens nothing any more: it may just be replaced.
const REPLACED_WITHIN: Duration = Duration::from_secs(10);

/// A random token of so many letters and digits has some 95 bits: nobody guesses it.
pub(crate) const SHORT: usize = 16;

/// An app's token is longer, and has more different characters in it, than any word.
const SHORTEST_TOKEN: usize = 12;
const FEWEST_CHARACTERS: usize = 6;

/// How long what was read of a file is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// A token, or why it can't be had. In a file there may be several, one a line, and they may change while it is used: so a
/// token is replaced without anyone being refused.
#[derive(Debug, Clone)]
pub struct Token(Result<Kept, Mistake>);

#[derive(Debug, Clone)]
struct Kept {
    /// What it was at start.
    first: SecretString,
    file: Option<Arc<File>>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    read: Mutex<Read>,
}

#[derive(Debug)]
struct Read {
    lines: Vec<SecretString>,
    at: Instant,
    /// Since when it is gone, or empty.
    gone_since: Option<Instant>,
}

/// What becomes of secrets whose file is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// They open nothing any more.
    Revoked,
    /// They are sent on: whoever is asked decides.
    Kept,
}

fn lines(text: &str) -> Vec<SecretString> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(SecretString::from).collect()
}

impl File {
    /// Looks at what is in it now, or was when it could be read last.
    fn with<T>(&self, gone: Gone, look: impl FnOnce(&[SecretString]) -> T) -> T {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.at.elapsed() >= BELIEVED {
            read.at = Instant::now();
            let found = std::fs::read_to_string(&self.path).map(|text| lines(&text)).unwrap_or_default();
            if found.is_empty() {
                read.gone_since.get_or_insert_with(Instant::now);
            } else {
                read.gone_since = None;
                read.lines = found;
            }
        }
        let is_gone = read.gone_since.is_some_and(|since| since.elapsed() >= REPLACED_WITHIN);
        if is_gone && gone == Gone::Revoked { look(&[]) } else { look(&read.lines) }
    }
}

/// Whose secrets a service can't do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Needs {
    Everything,
    Sources,
    ApiTokens,
    Apps,
    Alerts,
}

impl Token {
    pub(crate) const fn found(secret: SecretString) -> Self {
        Self(Ok(Kept { first: secret, file: None }))
    }

    /// One that is kept in a file, whose text was read just now; `None`: there is none in it.
    pub(crate) fn in_file(path: PathBuf, text: &str) -> Option<Self> {
        let lines = lines(text);
        let first = lines.first()?.clone();
        let read = Mutex::new(Read { lines, at: Instant::now(), gone_since: None });
        Some(Self(Ok(Kept { first, file: Some(Arc::new(File { path, read })) })))
    }

    pub(crate) const fn missing(mistake: Mistake) -> Self {
        Self(Err(mistake))
    }

    pub(crate) fn mistake(&self) -> Option<&Mistake> {
        self.0.as_ref().err()
    }

    /// The secret as it was at start, the first of several; `None` when this service was started without it.
    #[must_use]
    pub fn secret(&self) -> Option<&SecretString> {
        self.0.as_ref().ok().map(|kept| &kept.first)
    }

    /// What opens a door now; a file is looked at again after a second, and one that stays gone or empty opens none.
    #[must_use]
    pub fn current(&self) -> Vec<SecretString> {
        self.with(Gone::Revoked, <[SecretString]>::to_vec)
    }

    /// What to send now, the first one first.
    #[must_use]
    pub fn to_send(&self) -> Vec<SecretString> {
        self.with(Gone::Kept, <[SecretString]>::to_vec)
    }

    fn with<T>(&self, gone: Gone, look: impl FnOnce(&[SecretString]) -> T) -> T {
        match &self.0 {
            Ok(Kept { file: Some(file), .. }) => file.with(gone, look),
            Ok(Kept { first, file: None }) => look(std::slice::from_ref(first)),
            Err(_) => look(&[]),
        }
    }

    /// Whether this is the token that a client sent, or one of those in its file; takes as long for a wrong one as for the
    /// right one.
    #[must_use]
    pub fn matches(&self, sent: &str) -> bool {
        let same = |secret: &SecretString| secret.expose_secret().as_bytes().ct_eq(sent.as_bytes());
        self.with(Gone::Revoked, |all| all.iter().fold(subtle::Choice::from(0), |found, secret| found | same(secret)))
            .into()
    }

    /// Whether one of them is so short, or has so little in it, that it may be part of ordinary words: it could not be taken out
    /// of a text without spoiling that.
    #[must_use]
    pub fn is_ordinary(&self) -> bool {
        let ordinary = |secret: &SecretString| {
            let text = secret.expose_secret();
            text.len() < SHORTEST_TOKEN || text.chars().collect::<BTreeSet<char>>().len() < FEWEST_CHARACTERS
        };
        self.with(Gone::Kept, |all| all.iter().any(ordinary))
    }

    /// Whether one of them is so short that it can be guessed.
    pub(crate) fn is_short(&self) -> bool {
        self.current().iter().any(|secret| secret.expose_secret().len() < SHORT)
    }

    pub(crate) fn same_as(&self, other: &Self) -> bool {
        other.current().iter().any(|other| self.matches(other.expose_secret()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// As if so much time had passed.
    fn age(token: &Token, by: Duration) {
        let Ok(Kept { file: Some(file), .. }) = &token.0 else { return };
        let mut read = file.read.lock().unwrap();
        read.at -= by;
        read.gone_since = read.gone_since.map(|since| since - by);
    }

    #[test]
    fn a_token_whose_file_stays_gone_or_empty_opens_nothing_and_is_sent_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "one\ntwo\n").unwrap();
        let token = Token::in_file(path.clone(), "one\ntwo\n").unwrap();
        assert!(token.matches("one") && token.matches("two") && !token.matches("three"));
        for gone in [true, false] {
            if gone {
                std::fs::remove_file(&path).unwrap()
            } else {
                std::fs::write(&path, "\n").unwrap()
            }
            age(&token, BELIEVED);
            assert!(token.matches("one"), "it may just be replaced");
            age(&token, REPLACED_WITHIN);
            assert!(!token.matches("one") && token.current().is_empty());
            assert_eq!(token.to_send().len(), 2);
            std::fs::write(&path, "one\ntwo\n").unwrap();
            age(&token, BELIEVED);
            assert!(token.matches("two"), "it is back");
        }
    }
}

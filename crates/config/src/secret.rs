//! Secrets: named in the configuration, kept elsewhere, never shown.

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::section::Mistake;

/// A token, or why it can't be had.
#[derive(Debug, Clone)]
pub struct Token(Result<SecretString, Mistake>);

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
        Self(Ok(secret))
    }

    pub(crate) const fn missing(mistake: Mistake) -> Self {
        Self(Err(mistake))
    }

    pub(crate) fn mistake(&self) -> Option<&Mistake> {
        self.0.as_ref().err()
    }

    /// The secret; `None` when this service was started without it.
    #[must_use]
    pub fn secret(&self) -> Option<&SecretString> {
        self.0.as_ref().ok()
    }

    /// Whether this is the token that a client sent; takes as long for a wrong one as for the right one.
    #[must_use]
    pub fn matches(&self, sent: &str) -> bool {
        self.secret().is_some_and(|secret| secret.expose_secret().as_bytes().ct_eq(sent.as_bytes()).into())
    }

    pub(crate) fn same_as(&self, other: &Self) -> bool {
        other.secret().is_some_and(|other| self.matches(other.expose_secret()))
    }
}

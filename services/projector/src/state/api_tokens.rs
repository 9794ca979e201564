//! The API tokens that the log knows: their digests, holders and ends.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rollcall_config::Role;
use rollcall_domain::governance::api_token::{ApiTokenChanged, ApiTokenStep, IssuedToken};
use rollcall_domain::kv::{KvError, Read, Write, load, load_all, store};
use rollcall_domain::{Event, Recorded};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;

use crate::api::person::{Person, Vouched};

pub(crate) const PREFIX: &str = "api-token/";

/// What every token begins with, so that who looks for lost secrets finds it.
pub(crate) const MARK: &str = "rollcall_";

/// The random part of a token, in bytes.
pub(crate) const RANDOM: usize = 32;

/// How often it is said that one is used.
const SAID_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// A token in the projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct KnownToken {
    pub id: String,
    pub issued: IssuedToken,
    pub issued_by: String,
    pub issued_at: Timestamp,
    pub used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl KnownToken {
    /// Whether it opens anything.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.issued.expires_at
    }

    /// Whether that it is used has not been said for a while.
    #[must_use]
    pub fn is_silent(&self, now: Timestamp) -> bool {
        self.used_at.is_none_or(|at| now.duration_since(at) > SAID_EVERY)
    }

    /// Whose it is.
    #[must_use]
    pub fn person(&self) -> Option<Person> {
        let apps = Some(self.issued.apps.clone()).filter(|apps| !apps.is_empty());
        Some(Person {
            name: self.issued.name.clone(),
            role: Role::from_name(&self.issued.role)?,
            apps,
            vouched: Vouched::ByMaker,
            known_by: None,
        })
    }
}

/// Keeps the tokens.
///
/// # Errors
/// When the state can't be read.
pub fn add(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    let Event::ApiToken(ApiTokenChanged { id, step }) = &event.event else { return Ok(()) };
    let key = format!("{PREFIX}{id}");
    let now = event.recorded_at;
    let changed = match (step, load::<KnownToken>(state, &key)?) {
        (ApiTokenStep::Issued(issued), None) => KnownToken {
            id: id.clone(),
            issued: issued.clone(),
            issued_by: event.meta.actor.clone(),
            issued_at: now,
            used_at: None,
            revoked_at: None,
        },
        (ApiTokenStep::Used, Some(token)) => KnownToken { used_at: Some(now), ..token },
        (ApiTokenStep::Revoked, Some(token)) => {
            KnownToken { revoked_at: Some(token.revoked_at.unwrap_or(now)), ..token }
        }
        _ => return Ok(()),
    };
    store(state, key, &changed);
    Ok(())
}

/// Every token that was ever made.
///
/// # Errors
/// When the state can't be read.
pub fn all(state: &impl Read) -> Result<Vec<KnownToken>, KvError> {
    Ok(load_all(state, PREFIX, None, usize::MAX)?.into_iter().map(|(_, token)| token).collect())
}

/// Every token that was ever made, read once.
#[derive(Debug)]
pub struct Tokens(Vec<KnownToken>);

impl Tokens {
    /// All of them.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn read(state: &impl Read) -> Result<Self, KvError> {
        all(state).map(Self)
    }

    /// Who is behind a name: itself, and of a token that was made here whoever made it, and so on. What a person does with tokens that
    /// they have made themselves is what they do.
    #[must_use]
    pub fn behind(&self, name: &str) -> BTreeSet<String> {
        makers(name, |_| true, &self.0)
    }

    /// The same of the tokens that open something now: who made one that was revoked is not behind what has its name since.
    #[must_use]
    pub fn behind_now(&self, name: &str, now: Timestamp) -> BTreeSet<String> {
        makers(name, |token| token.is_live(now), &self.0)
    }

    /// Whether one with this name was ever made here.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|token| token.issued.name == name)
    }
}

fn makers(name: &str, counts: impl Fn(&KnownToken) -> bool, all: &[KnownToken]) -> BTreeSet<String> {
    let (mut found, mut next) = (BTreeSet::new(), vec![name.to_owned()]);
    // Every token of that name: one may have been revoked, and another made by somebody else.
    while let Some(name) = next.pop() {
        let named = all.iter().filter(|token| token.issued.name == name && counts(token));
        let makers: Vec<String> = named.map(|token| token.issued_by.clone()).collect();
        if found.insert(name) {
            next.extend(makers);
        }
    }
    found
}

/// What is kept of a token.
#[must_use]
pub fn digest(token: &str) -> Vec<u8> {
    Sha512::digest(token.as_bytes()).to_vec()
}

/// The token with this name that opens something.
///
/// # Errors
/// When the state can't be read.
pub fn live_by_name(state: &impl Read, name: &str, now: Timestamp) -> Result<Option<KnownToken>, KvError> {
    Ok(all(state)?.into_iter().find(|token| token.issued.name == name && token.is_live(now)))
}

/// The token that someone has sent, when it is one that was made here and opens something.
///
/// # Errors
/// When the state can't be read.
pub fn find(state: &impl Read, sent: &str, now: Timestamp) -> Result<Option<KnownToken>, KvError> {
    let Some(id) = id_of(sent) else { return Ok(None) };
    let found = load::<KnownToken>(state, &format!("{PREFIX}{id}"))?;
    let is_it = |token: &KnownToken| bool::from(token.issued.digest.as_slice().ct_eq(&digest(sent)));
    Ok(found.filter(|token| is_it(token) && token.is_live(now)))
}

/// The part of a token that says which it is.
#[must_use]
pub fn id_of(sent: &str) -> Option<&str> {
    let id = sent.strip_prefix(MARK)?.split('_').next()?;
    (id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_which_it_is() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(id_of(&format!("rollcall_{id}_secret_with_bars")), Some(id));
        for other in ["rollcall_", "rollcall_short_x", "secret", &format!("other_{id}_x")] {
            assert_eq!(id_of(other), None, "{other}");
        }
    }
}

//! The key of one person, and that of one of their events.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use crate::error::PrivacyError;
use crate::random;

/// What a key of an event is derived for.
const EVENT: &[u8] = b"rollcall event 1";

/// The key of one person. Whoever has it can open all that is on the log about them.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey(pub(crate) [u8; 32]);

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey")
    }
}

/// The key of one event, which opens nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct EventKey([u8; 32]);

impl fmt::Debug for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventKey")
    }
}

/// What a sealed part belongs to: it opens nowhere else.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct SealedPart<'a> {
    pub event: Uuid,
    pub subject: &'a str,
    pub type_name: &'a str,
}

impl DataKey {
    /// A new one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self, PrivacyError> {
        Ok(Self(random()?))
    }

    /// The key of an event of theirs.
    #[must_use]
    pub fn of_event(&self, event: Uuid) -> EventKey {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(EVENT);
        context.update(event.as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        EventKey(key)
    }
}

impl EventKey {
    /// Seals the personal part of the event.
    ///
    /// # Errors
    /// When it is too large for the cipher, which no event is.
    pub fn seal(&self, about: &SealedPart<'_>, personal: &[u8]) -> Result<Vec<u8>, PrivacyError> {
        let mut sealed = personal.to_vec();
        let cipher = self.cipher(about)?;
        let done = cipher.seal_in_place_append_tag(nonce(), Aad::from(associated(about)), &mut sealed);
        done.map(|()| sealed).map_err(|_| PrivacyError::Tampered { event: about.event })
    }

    /// Opens the personal part of the event.
    ///
    /// # Errors
    /// When it was changed, or belongs to another event.
    pub fn open(&self, about: &SealedPart<'_>, sealed: &[u8]) -> Result<Vec<u8>, PrivacyError> {
        let mut opened = sealed.to_vec();
        let cipher = self.cipher(about)?;
        let length = cipher
            .open_in_place(nonce(), Aad::from(associated(about)), &mut opened)
            .map_err(|_| PrivacyError::Tampered { event: about.event })?
            .len();
        opened.truncate(length);
        Ok(opened)
    }

    fn cipher(&self, about: &SealedPart<'_>) -> Result<LessSafeKey, PrivacyError> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, &self.0);
        key.map(LessSafeKey::new).map_err(|_| PrivacyError::Tampered { event: about.event })
    }

    /// As text, for whoever has to prove what an event says.
    #[must_use]
    pub fn text(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// From that text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(STANDARD.decode(text).ok()?.try_into().ok()?))
    }
}

/// Each event has a key of its own, so the nonce can be the same. Of two services that append an event of the same id with another
/// content only one is stored, and the cipher bears that both are sent.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn associated(about: &SealedPart<'_>) -> Vec<u8> {
    let mut bytes = about.event.as_bytes().to_vec();
    for text in [about.subject, about.type_name] {
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_own_key_at_its_own_place_alone() {
        let key = DataKey::generate().unwrap();
        let about =
            SealedPart { event: Uuid::from_u128(1), subject: "rollcall.identity.1", type_name: "identity.joined" };
        let sealed = key.of_event(about.event).seal(&about, b"Anna").unwrap();
        assert!(!sealed.windows(4).any(|bytes| bytes == b"Anna"));
        let event_key = EventKey::parse(&key.of_event(about.event).text()).unwrap();
        assert_eq!(event_key.open(&about, &sealed).unwrap(), b"Anna");
        let elsewhere = [
            SealedPart { event: Uuid::from_u128(2), ..about },
            SealedPart { subject: "rollcall.identity.2", ..about },
            SealedPart { type_name: "identity.moved", ..about },
        ];
        for other in elsewhere {
            assert!(event_key.open(&other, &sealed).is_err(), "{other:?}");
        }
        assert!(key.of_event(Uuid::from_u128(2)).open(&about, &sealed).is_err());
        assert!(DataKey::generate().unwrap().of_event(about.event).open(&about, &sealed).is_err());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(event_key.open(&about, &changed).is_err(), "byte {index} was changed");
        }
        assert!(event_key.open(&about, b"short").is_err());
    }
}

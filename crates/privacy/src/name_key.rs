//! Names in subjects: nobody who reads the log without this key can guess whose they are.

use std::fmt;

use aws_lc_rs::hmac;

use crate::error::PrivacyError;
use crate::random;

/// The key that names are hashed with; the same for ever, since a subject can't be renamed.
#[derive(Clone)]
pub struct NameKey {
    bytes: [u8; 32],
    key: hmac::Key,
    since: u64,
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameKey")
    }
}

impl NameKey {
    fn of(bytes: [u8; 32], since: u64) -> Self {
        Self { bytes, key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), since }
    }

    /// A new one, for the names in events after a place in the log.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate(since: u64) -> Result<Self, PrivacyError> {
        Ok(Self::of(random()?, since))
    }

    /// As it is wrapped.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        [&self.bytes[..], &self.since.to_be_bytes()].concat()
    }

    /// What was wrapped.
    ///
    /// # Errors
    /// When it is not as long as a key is.
    pub fn read(place: &str, bytes: &[u8]) -> Result<Self, PrivacyError> {
        let odd = || PrivacyError::NotWrapped { place: place.to_owned(), reason: "it is not as long as a key" };
        let (key, since) = bytes.split_first_chunk::<32>().ok_or_else(odd)?;
        Ok(Self::of(*key, u64::from_be_bytes(since.try_into().map_err(|_| odd())?)))
    }

    /// The place in the log after which names are hashed with it; before, there was none.
    #[must_use]
    pub const fn since(&self) -> u64 {
        self.since
    }

    /// What stands for a name: the first 16 bytes of its HMAC-SHA256, as 32 hexadecimal digits.
    #[must_use]
    pub fn hash(&self, name: &str) -> String {
        let tag = hmac::sign(&self.key, name.as_bytes());
        tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_name_is_the_same_for_one_key_and_another_for_another() {
        let key = NameKey::generate(7).unwrap();
        let again = NameKey::read("names", &key.bytes()).unwrap();
        assert_eq!(key.hash("anna"), again.hash("anna"));
        assert_eq!((key.hash("anna").len(), again.since()), (32, 7));
        assert_ne!(key.hash("anna"), key.hash("anne"));
        assert_ne!(key.hash("anna"), NameKey::generate(7).unwrap().hash("anna"));
    }
}

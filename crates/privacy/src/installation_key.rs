//! The key that the installation has, which wraps all others. It never leaves the installation.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::PrivacyError;
use crate::random;

/// The form of what is wrapped: this, the id of the key, a nonce, and what AES-256-GCM gives.
const FORM: u8 = 1;
const ID: usize = 4;

/// One key of an installation.
#[derive(Clone, PartialEq, Eq)]
pub struct InstallationKey([u8; 32]);

impl fmt::Debug for InstallationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstallationKey {}", self.id())
    }
}

impl InstallationKey {
    /// A new one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self, PrivacyError> {
        Ok(Self(random()?))
    }

    /// As it is kept in a file.
    #[must_use]
    pub fn text(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// From that text.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, PrivacyError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| PrivacyError::NotAKey)?;
        Ok(Self(bytes.try_into().map_err(|_| PrivacyError::NotAKey)?))
    }

    /// What it is known by: the beginning of its digest.
    #[must_use]
    pub fn id(&self) -> String {
        self.id_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn id_bytes(&self) -> [u8; ID] {
        let mut id = [0; ID];
        for (to, from) in id.iter_mut().zip(digest::digest(&digest::SHA256, &self.0).as_ref()) {
            *to = *from;
        }
        id
    }

    fn cipher(&self, place: &str) -> Result<LessSafeKey, PrivacyError> {
        let key = UnboundKey::new(&AES_256_GCM, &self.0);
        key.map(LessSafeKey::new).map_err(|_| self.changed(place))
    }

    fn changed(&self, place: &str) -> PrivacyError {
        PrivacyError::Changed { place: place.to_owned(), wrapped_by: self.id() }
    }
}

/// The keys of an installation: the first wraps, and each opens what it has wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallationKeys {
    /// The one that wraps.
    pub first: InstallationKey,
    /// Those before it, until all is wrapped anew.
    pub former: Vec<InstallationKey>,
}

impl From<InstallationKey> for InstallationKeys {
    fn from(first: InstallationKey) -> Self {
        Self { first, former: Vec::new() }
    }
}

impl InstallationKeys {
    /// Wraps what is kept at a place; it opens at no other.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn wrap(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, PrivacyError> {
        let nonce = random::<NONCE_LEN>()?;
        let mut sealed = plain.to_vec();
        let done = self.first.cipher(place)?.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place.as_bytes()),
            &mut sealed,
        );
        done.map_err(|_| self.first.changed(place))?;
        Ok([&[FORM][..], &self.first.id_bytes(), &nonce, &sealed].concat())
    }

    /// What was wrapped at a place.
    ///
    /// # Errors
    /// When it was wrapped by another key, was changed or moved, or is nothing of the kind.
    pub fn open(&self, place: &str, wrapped: &[u8]) -> Result<Vec<u8>, PrivacyError> {
        let odd = |reason| PrivacyError::NotWrapped { place: place.to_owned(), reason };
        let (form, rest) = wrapped.split_first().ok_or_else(|| odd("it is empty"))?;
        if *form != FORM {
            return Err(odd("its form is that of a newer version"));
        }
        let (id, rest) = rest.split_first_chunk::<ID>().ok_or_else(|| odd("it is cut off"))?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(|| odd("it is cut off"))?;
        let mut all = std::iter::once(&self.first).chain(&self.former);
        let Some(key) = all.find(|key| key.id_bytes() == *id) else {
            return Err(PrivacyError::OtherKey {
                place: place.to_owned(),
                wrapped_by: id.iter().map(|byte| format!("{byte:02x}")).collect(),
                known: std::iter::once(&self.first)
                    .chain(&self.former)
                    .map(InstallationKey::id)
                    .collect::<Vec<_>>()
                    .join(", "),
            });
        };
        let mut opened = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key
            .cipher(place)?
            .open_in_place(nonce, Aad::from(place.as_bytes()), &mut opened)
            .map_err(|_| key.changed(place))?
            .len();
        opened.truncate(length);
        Ok(opened)
    }

    /// Whether something is wrapped by the first key: it needs no other any more.
    #[must_use]
    pub fn is_newest(&self, wrapped: &[u8]) -> bool {
        wrapped.get(1..=ID) == Some(&self.first.id_bytes()[..])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_is_wrapped_opens_at_its_place_with_any_key_that_is_known() {
        let (old, new) = (InstallationKey::generate().unwrap(), InstallationKey::generate().unwrap());
        let before = InstallationKeys::from(old.clone());
        let wrapped = before.wrap("page/1", b"keys").unwrap();
        let both = InstallationKeys { first: new.clone(), former: vec![old] };
        assert_eq!(both.open("page/1", &wrapped).unwrap(), b"keys");
        assert!(!both.is_newest(&wrapped));
        let again = both.wrap("page/1", b"keys").unwrap();
        let after = InstallationKeys::from(InstallationKey::parse(&new.text()).unwrap());
        assert!(after.is_newest(&again));
        assert_eq!(after.open("page/1", &again).unwrap(), b"keys");
        assert!(matches!(after.open("page/1", &wrapped), Err(PrivacyError::OtherKey { .. })));
        assert!(matches!(after.open("page/2", &again), Err(PrivacyError::Changed { .. })));
        for cut in 0..again.len() {
            assert!(after.open("page/1", &again[..cut]).is_err(), "cut at {cut}");
        }
        assert!(InstallationKey::parse("nonsense").is_err());
    }
}

//! Data keys, many on a page: a million people are four thousand pages, and a page is fetched once.

use crate::data_key::DataKey;
use crate::error::PrivacyError;

/// How many keys are on a page.
const SLOTS: usize = 256;

/// What stands where a key was destroyed.
const DESTROYED: [u8; 32] = [0; 32];

/// A page of data keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    keys: Vec<Option<DataKey>>,
}

impl Page {
    /// One of new keys, none of which is used yet.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self, PrivacyError> {
        let keys = (0..SLOTS).map(|_| DataKey::generate().map(Some)).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// The key at a place; `None` where it was destroyed.
    #[must_use]
    pub fn key(&self, slot: u8) -> Option<&DataKey> {
        self.keys.get(usize::from(slot))?.as_ref()
    }

    /// The page without some keys.
    #[must_use]
    pub fn without(mut self, slots: &[u8]) -> Self {
        for slot in slots {
            if let Some(key) = self.keys.get_mut(usize::from(*slot)) {
                *key = None;
            }
        }
        self
    }

    /// As it is wrapped.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.keys.iter().flat_map(|key| key.as_ref().map_or(DESTROYED, |key| key.0)).collect()
    }

    /// What was wrapped.
    ///
    /// # Errors
    /// When it is not as long as a page is.
    pub fn read(place: &str, bytes: &[u8]) -> Result<Self, PrivacyError> {
        let (keys, rest) = bytes.as_chunks::<32>();
        if keys.len() != SLOTS || !rest.is_empty() {
            return Err(PrivacyError::NotWrapped { place: place.to_owned(), reason: "it is not as long as a page" });
        }
        Ok(Self { keys: keys.iter().map(|key| (*key != DESTROYED).then_some(DataKey(*key))).collect() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_key_that_is_destroyed_is_gone_and_the_others_stay() {
        let page = Page::generate().unwrap();
        let less = page.clone().without(&[7, 255]);
        assert_eq!(Page::read("page", &less.bytes()).unwrap(), less);
        for slot in 0..=255 {
            let wanted = if matches!(slot, 7 | 255) { None } else { page.key(slot) };
            assert_eq!(less.key(slot), wanted, "{slot}");
        }
        assert!(Page::read("page", &page.bytes()[1..]).is_err());
    }
}

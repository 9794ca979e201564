//! Keyed state that `evolve` reads and writes; a projection gives it durability, tests a map in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// State could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// The storage failed.
    #[error("state can't be read: {0}")]
    Storage(String),
    /// A value is not what its key promises.
    #[error("state at '{key}' is damaged: {reason}; delete the projection's folder to rebuild it from the log")]
    Damaged {
        /// The key.
        key: String,
        /// What the decoder said.
        reason: String,
    },
}

/// A key and its value.
pub type Pair = (String, Vec<u8>);

/// Some keys with their values, and where the next ones start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPage<T = Vec<u8>> {
    /// The keys and values.
    pub pairs: Vec<(String, T)>,
    /// Go on after this key; `None`: there are no more.
    pub next: Option<String>,
}

impl<T> Default for KeyPage<T> {
    fn default() -> Self {
        Self { pairs: Vec::new(), next: None }
    }
}

/// State that can be read.
pub trait Read {
    /// The value at a key.
    ///
    /// # Errors
    /// When the storage fails.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError>;

    /// Up to `limit` pairs whose key starts with `prefix`, in key order, after the key `after` when it is given.
    ///
    /// # Errors
    /// When the storage fails.
    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError>;

    /// The pairs among the next `look` keys, which may be fewer; and the key to go on after when there may be more.
    ///
    /// # Errors
    /// When the storage fails.
    fn scan_some(&self, prefix: &str, after: Option<&str>, look: usize) -> Result<KeyPage, KvError> {
        let pairs = self.scan(prefix, after, look)?;
        let next = pairs.last().filter(|_| pairs.len() == look).map(|(key, _)| key.clone());
        Ok(KeyPage { pairs, next })
    }

    /// The same from the last key backwards, before the key `before` when it is given.
    ///
    /// # Errors
    /// When the storage fails.
    fn scan_back(&self, prefix: &str, before: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError>;
}

/// A text that sorts after every key that starts with `prefix`: keys are ASCII, or UTF-8 that ends below this.
#[must_use]
pub fn end_of(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

/// State that can be changed.
pub trait Write: Read {
    /// Sets a value.
    fn put(&mut self, key: String, value: Vec<u8>);
    /// Removes a value.
    fn delete(&mut self, key: &str);

    /// Adds to the end of a value.
    ///
    /// # Errors
    /// When the storage fails.
    fn append(&mut self, key: &str, more: &[u8]) -> Result<(), KvError> {
        let mut value = self.get(key)?.unwrap_or_default();
        value.extend_from_slice(more);
        self.put(key.to_owned(), value);
        Ok(())
    }

    /// Forgets what a key has held until now, where its history is kept; what it holds stays.
    fn forget(&mut self, _key: &str) {}

    /// Forgets that a key has ever held this value, where its history is kept; what it holds stays.
    fn forget_value(&mut self, _key: &str, _value: &[u8]) {}
}

/// What a value can be: mostly what its bytes say, whatever the key; what is stored without what its key says takes that
/// from there.
pub trait Typed: Sized {
    /// The value of a pair.
    ///
    /// # Errors
    /// When it is damaged.
    fn decode(key: &str, bytes: &[u8]) -> Result<Self, KvError>;
}

impl<T: DeserializeOwned> Typed for T {
    fn decode(key: &str, bytes: &[u8]) -> Result<Self, KvError> {
        rmp_serde::from_slice(bytes).map_err(|e| KvError::Damaged { key: key.into(), reason: e.to_string() })
    }
}

/// The typed value of a pair.
///
/// # Errors
/// When it is damaged.
pub fn decode<T: Typed>(key: &str, bytes: &[u8]) -> Result<T, KvError> {
    T::decode(key, bytes)
}

/// The typed value at a key.
///
/// # Errors
/// When the storage fails or the value is damaged.
pub fn load<T: Typed>(state: &(impl Read + ?Sized), key: &str) -> Result<Option<T>, KvError> {
    state.get(key)?.map(|bytes| decode(key, &bytes)).transpose()
}

/// Typed values whose key starts with `prefix`; see [`Read::scan`].
///
/// # Errors
/// When the storage fails or a value is damaged.
pub fn load_all<T: Typed>(
    state: &(impl Read + ?Sized),
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, T)>, KvError> {
    let pairs = state.scan(prefix, after, limit)?;
    pairs.into_iter().map(|(key, bytes)| decode(&key, &bytes).map(|value| (key, value))).collect()
}

/// Typed values among the next `look` keys that start with `prefix`, after a place when it is given; see [`Read::scan_some`].
/// Places are keys without the prefix.
///
/// # Errors
/// When the storage fails or a value is damaged.
pub fn load_some<T: Typed>(
    state: &(impl Read + ?Sized),
    prefix: &str,
    after: Option<&str>,
    look: usize,
) -> Result<KeyPage<T>, KvError> {
    let after = after.map(|after| format!("{prefix}{after}"));
    let KeyPage { pairs, next } = state.scan_some(prefix, after.as_deref(), look)?;
    let place = |key: &str| key.strip_prefix(prefix).unwrap_or(key).to_owned();
    let typed = |(key, bytes): Pair| Ok((place(&key), decode(&key, &bytes)?));
    let pairs = pairs.into_iter().map(typed).collect::<Result<_, KvError>>()?;
    Ok(KeyPage { pairs, next: next.as_deref().map(place) })
}

/// The keys that start with `prefix`, without it.
///
/// # Errors
/// When the storage fails.
pub fn suffixes(state: &(impl Read + ?Sized), prefix: &str) -> Result<Vec<String>, KvError> {
    let pairs = state.scan(prefix, None, usize::MAX)?;
    Ok(pairs.into_iter().filter_map(|(key, _)| key.strip_prefix(prefix).map(str::to_owned)).collect())
}

/// Every typed value whose key starts with `prefix`, without its key.
///
/// # Errors
/// When the storage fails or a value is damaged.
pub fn values<T: Typed>(state: &(impl Read + ?Sized), prefix: &str) -> Result<Vec<T>, KvError> {
    Ok(load_all(state, prefix, None, usize::MAX)?.into_iter().map(|(_, value)| value).collect())
}

/// Sets a typed value, as MessagePack in which fields are told by their places: a type that changes, even by a field,
/// makes what was stored unreadable or another, and its projection must be built again.
pub fn store<T: Serialize>(state: &mut (impl Write + ?Sized), key: String, value: &T) {
    state.put(key, encode(value));
}

/// A value as it is stored.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Our own types always serialize.
    rmp_serde::to_vec(value).unwrap_or_default()
}

/// State in memory, for tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory(pub BTreeMap<String, Vec<u8>>);

impl Read for Memory {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after.to_owned()),
            _ => Bound::Included(prefix.to_owned()),
        };
        let range = self.0.range((start, Bound::Unbounded));
        let inside = range.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(inside.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn scan_back(&self, prefix: &str, before: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        let end = before.map_or_else(|| end_of(prefix), str::to_owned);
        let inside = self.0.range(prefix.to_owned()..end).rev().take(limit);
        Ok(inside.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

impl Write for Memory {
    fn put(&mut self, key: String, value: Vec<u8>) {
        self.0.insert(key, value);
    }

    fn delete(&mut self, key: &str) {
        self.0.remove(key);
    }

    fn append(&mut self, key: &str, more: &[u8]) -> Result<(), KvError> {
        match self.0.get_mut(key) {
            Some(value) => value.extend_from_slice(more),
            None => self.put(key.to_owned(), more.to_vec()),
        }
        Ok(())
    }
}

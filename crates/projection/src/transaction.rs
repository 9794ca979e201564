//! Changes that are not committed yet, seen by those who make them.

use std::collections::BTreeSet;
use std::sync::Arc;

use rollcall_domain::kv::{KvError, Pair, Read, Write};
use rollcall_domain::{Recorded, Sequence};
use uuid::Uuid;

use crate::history::{History, Versions};
use crate::overlay::{Changes, Overlay};
use crate::view::View;

/// Changes on top of a state.
#[derive(Debug)]
pub struct Transaction {
    base: View,
    /// What is being committed.
    under: Arc<Changes>,
    changes: Changes,
    history: History,
    versions: Versions,
    forgotten: BTreeSet<String>,
    forgotten_values: BTreeSet<(String, Vec<u8>)>,
    at: Sequence,
    last: Option<Uuid>,
}

/// All that a transaction changed.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) changes: Arc<Changes>,
    pub(crate) versions: Versions,
    /// The keys whose earlier versions are dropped.
    pub(crate) forgotten: BTreeSet<String>,
    /// The values that keys have never held.
    pub(crate) forgotten_values: BTreeSet<(String, Vec<u8>)>,
    /// The last event that changed anything.
    pub(crate) last: Option<Uuid>,
}

impl Transaction {
    pub(crate) fn new(base: View, under: Arc<Changes>, history: History) -> Self {
        let (changes, versions) = (Changes::new(), Versions::new());
        let (forgotten, forgotten_values) = (BTreeSet::new(), BTreeSet::new());
        Self { base, under, changes, history, versions, forgotten, forgotten_values, at: Sequence(0), last: None }
    }

    /// What follows is changed at this position.
    pub fn at(&mut self, event: Sequence) {
        self.at = event;
    }

    /// What follows is changed by this event.
    pub(crate) fn by(&mut self, event: &Recorded) {
        self.at(event.sequence);
        self.last = Some(event.meta.event_id);
    }

    fn change(&mut self, key: String, value: Option<Vec<u8>>) {
        if self.history.keeps(&key) {
            self.versions.insert((key.clone(), self.at), value.clone());
        }
        self.changes.insert(key, value);
    }

    /// How many keys it changes.
    pub(crate) fn changes(&self) -> usize {
        self.changes.len() + self.versions.len()
    }

    pub(crate) fn into_changed(self) -> Changed {
        Changed {
            changes: Arc::new(self.changes),
            versions: self.versions,
            forgotten: self.forgotten,
            forgotten_values: self.forgotten_values,
            last: self.last,
        }
    }

    fn under(&self) -> Overlay<'_, View> {
        Overlay { base: &self.base, changes: &self.under }
    }
}

impl Read for Transaction {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        Overlay { base: &self.under(), changes: &self.changes }.get(key)
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        Overlay { base: &self.under(), changes: &self.changes }.scan(prefix, after, limit)
    }

    fn scan_back(&self, prefix: &str, before: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        Overlay { base: &self.under(), changes: &self.changes }.scan_back(prefix, before, limit)
    }
}

impl Write for Transaction {
    fn put(&mut self, key: String, value: Vec<u8>) {
        self.change(key, Some(value));
    }

    fn delete(&mut self, key: &str) {
        self.change(key.to_owned(), None);
    }

    fn forget(&mut self, key: &str) {
        if self.history.keeps(key) {
            self.versions.retain(|(changed, _), _| changed != key);
            self.forgotten.insert(key.to_owned());
        }
    }

    fn forget_value(&mut self, key: &str, value: &[u8]) {
        if self.history.keeps(key) {
            self.versions.retain(|(changed, _), held| changed != key || held.as_deref() != Some(value));
            self.forgotten_values.insert((key.to_owned(), value.to_vec()));
        }
    }

    fn append(&mut self, key: &str, more: &[u8]) -> Result<(), KvError> {
        match self.changes.get_mut(key) {
            Some(Some(value)) if !self.history.keeps(key) => value.extend_from_slice(more),
            _ => {
                let mut value = self.get(key)?.unwrap_or_default();
                value.extend_from_slice(more);
                self.change(key.to_owned(), Some(value));
            }
        }
        Ok(())
    }
}

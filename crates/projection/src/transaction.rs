//! Changes that are not committed yet, seen by those who make them.

use std::collections::BTreeMap;
use std::ops::Bound;

use rollcall_domain::kv::{KvError, Pair, Read, Write, end_of};
use rollcall_domain::{Recorded, Sequence};
use uuid::Uuid;

use crate::history::History;
use crate::store::View;

/// What each changed key held after each event; `None`: it was removed.
pub(crate) type Versions = BTreeMap<(String, Sequence), Option<Vec<u8>>>;

/// Changes on top of a state.
#[derive(Debug)]
pub struct Transaction {
    base: View,
    changes: BTreeMap<String, Option<Vec<u8>>>,
    history: History,
    versions: Versions,
    at: Sequence,
    last: Option<Uuid>,
}

impl Transaction {
    pub(crate) fn new(base: View, history: History) -> Self {
        Self { base, changes: BTreeMap::new(), history, versions: Versions::new(), at: Sequence(0), last: None }
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

    /// The last event that changed anything.
    pub(crate) const fn last(&self) -> Option<Uuid> {
        self.last
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

    pub(crate) fn into_parts(self) -> (BTreeMap<String, Option<Vec<u8>>>, Versions) {
        (self.changes, self.versions)
    }
}

impl Read for Transaction {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        match self.changes.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.base.get(key),
        }
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let changed: Vec<_> = self
            .changes
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .collect();
        if changed.is_empty() {
            return self.base.scan(prefix, after, limit);
        }
        // Each change can hide at most one pair of the base.
        let base = self.base.scan(prefix, after, limit.saturating_add(changed.len()))?;
        let mut merged: BTreeMap<String, Vec<u8>> = base.into_iter().collect();
        for (key, value) in changed {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().take(limit).collect())
    }

    fn scan_back(&self, prefix: &str, before: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        let end = before.map_or_else(|| end_of(prefix), str::to_owned);
        if end.as_str() <= prefix {
            return Ok(Vec::new());
        }
        let changed: Vec<_> =
            self.changes.range::<str, _>((Bound::Included(prefix), Bound::Excluded(end.as_str()))).collect();
        if changed.is_empty() {
            return self.base.scan_back(prefix, before, limit);
        }
        let base = self.base.scan_back(prefix, before, limit.saturating_add(changed.len()))?;
        let mut merged: BTreeMap<String, Vec<u8>> = base.into_iter().collect();
        for (key, value) in changed {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().rev().take(limit).collect())
    }
}

impl Write for Transaction {
    fn put(&mut self, key: String, value: Vec<u8>) {
        self.change(key, Some(value));
    }

    fn delete(&mut self, key: &str) {
        self.change(key.to_owned(), None);
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

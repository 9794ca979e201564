//! Changes over a state, read as if they had been made.

use std::collections::BTreeMap;
use std::ops::Bound;

use rollcall_domain::kv::{KvError, Pair, Read, end_of};

/// What each changed key holds; `None`: it is removed.
pub(crate) type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// A state with changes over it. They may be made in it meanwhile: what is read stays the same.
#[derive(Debug)]
pub(crate) struct Overlay<'a, R> {
    pub(crate) base: &'a R,
    pub(crate) changes: &'a Changes,
}

impl<R: Read> Overlay<'_, R> {
    fn changed(&self, range: (Bound<&str>, Bound<&str>), prefix: &str) -> Vec<(&String, &Option<Vec<u8>>)> {
        self.changes.range::<str, _>(range).take_while(|(key, _)| key.starts_with(prefix)).collect()
    }
}

fn merged(base: Vec<Pair>, changed: Vec<(&String, &Option<Vec<u8>>)>) -> BTreeMap<String, Vec<u8>> {
    let mut merged: BTreeMap<String, Vec<u8>> = base.into_iter().collect();
    for (key, value) in changed {
        match value {
            Some(value) => merged.insert(key.clone(), value.clone()),
            None => merged.remove(key),
        };
    }
    merged
}

impl<R: Read> Read for Overlay<'_, R> {
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
        let changed = self.changed((start, Bound::Unbounded), prefix);
        if changed.is_empty() {
            return self.base.scan(prefix, after, limit);
        }
        // Each change can hide at most one pair of the base.
        let base = self.base.scan(prefix, after, limit.saturating_add(changed.len()))?;
        Ok(merged(base, changed).into_iter().take(limit).collect())
    }

    fn scan_back(&self, prefix: &str, before: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        let end = before.map_or_else(|| end_of(prefix), str::to_owned);
        if end.as_str() <= prefix {
            return Ok(Vec::new());
        }
        let changed = self.changed((Bound::Included(prefix), Bound::Excluded(end.as_str())), prefix);
        if changed.is_empty() {
            return self.base.scan_back(prefix, before, limit);
        }
        let base = self.base.scan_back(prefix, before, limit.saturating_add(changed.len()))?;
        Ok(merged(base, changed).into_iter().rev().take(limit).collect())
    }
}

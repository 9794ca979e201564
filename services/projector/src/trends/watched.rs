//! State that notes how many drift items, and accounts that are not as desired, of each app there are more or fewer since it was changed:
//! exactly what the state says, whichever rule changed it.

use std::collections::BTreeMap;

use rollcall_domain::kv::{KeyPage, KvError, Pair, Read, Write};

const DRIFT: &str = "drift/";
const PENDING: &str = "pending/";

/// State that is watched. Keys: `drift/<app>/…` and `pending/<app>/<queue>/<identity>`.
#[derive(Debug)]
pub struct Watched<'a, W> {
    state: &'a mut W,
    /// Whether there was something at a key that was changed.
    before: BTreeMap<String, bool>,
    failed: Option<KvError>,
}

/// How many began and ended in an app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    pub opened: u64,
    pub closed: u64,
}

/// What one event has moved, by app.
#[derive(Debug, Default)]
pub struct Moves {
    pub drift: BTreeMap<String, Moved>,
    /// Accounts that are not as desired: each is a task where people change the app.
    pub pending: BTreeMap<String, Moved>,
}

impl<'a, W: Write> Watched<'a, W> {
    pub const fn new(state: &'a mut W) -> Self {
        Self { state, before: BTreeMap::new(), failed: None }
    }

    /// What has moved since.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn moves(self) -> Result<Moves, KvError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let mut moves = Moves::default();
        for (key, was) in self.before {
            let is = self.state.get(&key)?.is_some();
            let Some((prefix, (app, _))) = key.split_once('/').and_then(|(p, rest)| Some((p, rest.split_once('/')?)))
            else {
                continue;
            };
            let of = if DRIFT.starts_with(prefix) { &mut moves.drift } else { &mut moves.pending };
            let moved = of.entry(app.to_owned()).or_default();
            moved.opened += u64::from(is && !was);
            moved.closed += u64::from(was && !is);
        }
        Ok(moves)
    }

    fn note(&mut self, key: &str) {
        if !(key.starts_with(DRIFT) || key.starts_with(PENDING)) || self.before.contains_key(key) {
            return;
        }
        match self.state.get(key) {
            Ok(before) => drop(self.before.insert(key.to_owned(), before.is_some())),
            Err(e) => self.failed = Some(e),
        }
    }
}

impl<W: Read> Read for Watched<'_, W> {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        self.state.get(key)
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        self.state.scan(prefix, after, limit)
    }

    fn scan_some(&self, prefix: &str, after: Option<&str>, look: usize) -> Result<KeyPage, KvError> {
        self.state.scan_some(prefix, after, look)
    }

    fn scan_back(&self, prefix: &str, before: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        self.state.scan_back(prefix, before, limit)
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn put(&mut self, key: String, value: Vec<u8>) {
        self.note(&key);
        self.state.put(key, value);
    }

    fn delete(&mut self, key: &str) {
        self.note(key);
        self.state.delete(key);
    }

    fn append(&mut self, key: &str, more: &[u8]) -> Result<(), KvError> {
        self.state.append(key, more)
    }

    fn forget(&mut self, key: &str) {
        self.state.forget(key);
    }

    fn forget_value(&mut self, key: &str, value: &[u8]) {
        self.state.forget_value(key, value);
    }
}

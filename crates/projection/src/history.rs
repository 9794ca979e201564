//! What a key held after any event: every version of the keys whose history is kept, beside the current state.
//!
//! Versions are stored under `\0h<key>\0<sequence>`, so that the state as of an event is a seek per key, however long
//! the log is; those of one commit as frames of one value, under the sequence of the first.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rollcall_domain::Sequence;
use rollcall_domain::kv::{KeyPage, KvError, Pair, Read, end_of};

use crate::frames::{frame, frames};
use crate::packed::unpack;
use crate::table::Pair as Stored;
use crate::tree::Tree;

const PREFIX: &[u8] = b"\0h";

const SEQUENCE: usize = 8;

/// The prefixes of the keys whose every version is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History(&'static [&'static str]);

impl History {
    /// Only the current state is kept.
    pub const NONE: Self = Self(&[]);

    /// Keeps every version of the keys that start with one of these.
    #[must_use]
    pub const fn of(prefixes: &'static [&'static str]) -> Self {
        Self(prefixes)
    }

    /// Those prefixes.
    #[must_use]
    pub const fn prefixes(self) -> &'static [&'static str] {
        self.0
    }

    pub(crate) fn keeps(self, key: &str) -> bool {
        self.0.iter().any(|prefix| key.starts_with(prefix))
    }
}

/// Where a version is stored: nothing sorts between two versions of one key.
pub(crate) fn version_key(key: &str, at: Sequence) -> Vec<u8> {
    let mut out = Vec::with_capacity(PREFIX.len() + key.len() + 1 + SEQUENCE);
    out.extend_from_slice(PREFIX);
    out.extend_from_slice(key.as_bytes());
    out.push(0);
    out.extend_from_slice(&at.0.to_be_bytes());
    out
}

/// How many bytes of versions are kept in one value; a single version may be longer.
const BLOCK: usize = 4096;

/// What is stored for the versions of one commit, by key and then by age.
pub(crate) fn blocks(versions: Versions) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let mut versions = versions.into_iter().peekable();
    std::iter::from_fn(move || {
        let ((key, at), value) = versions.next()?;
        let mut block = frame(at, value.as_deref());
        while let Some(((_, at), value)) = versions.next_if(|((next, _), _)| *next == key && block.len() < BLOCK) {
            block.extend(frame(at, value.as_deref()));
        }
        Some((version_key(&key, at), block))
    })
}

/// The last of these versions that there was at an event.
fn version_at(block: &[u8], at: Sequence) -> Option<Vec<u8>> {
    let last = frames(block).take_while(|(version, _)| *version <= at).last();
    last.and_then(|(_, value)| value).map(<[u8]>::to_vec)
}

fn key_of(stored: &[u8]) -> Option<&str> {
    let end = stored.len().checked_sub(SEQUENCE + 1)?;
    std::str::from_utf8(stored.get(PREFIX.len()..end)?).ok()
}

/// The state of a projection as it was after one event: what a replay up to it would give.
#[derive(Debug, Clone)]
pub struct PastView {
    pub(crate) tree: Tree,
    pub(crate) history: History,
    pub(crate) at: Sequence,
}

impl PastView {
    fn check(&self, key: &str) -> Result<(), KvError> {
        if self.history.keeps(key) {
            return Ok(());
        }
        Err(KvError::Storage(format!("no history is kept of '{key}'")))
    }

    fn value(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let (from, to) = (version_key(key, Sequence(0)), version_key(key, Sequence(self.at.0.saturating_add(1))));
        let last = self.last_before(&to)?.filter(|(place, _)| *place >= from);
        let block = last.map(|(_, stored)| unpack(&stored)).transpose()?;
        Ok(block.and_then(|block| version_at(&block, self.at)))
    }

    /// The last that is stored before a place.
    fn last_before(&self, end: &[u8]) -> Result<Option<Stored>, KvError> {
        let mut found = None;
        let visit = |pair| {
            found = Some(pair);
            ControlFlow::Break(())
        };
        self.tree.down(&[], end, visit).map_err(failed)?;
        Ok(found)
    }

    /// The first key at or after a place, whatever it held at that time.
    fn key_from(&self, start: &[u8]) -> Result<Option<String>, KvError> {
        let mut found = None;
        let visit = |pair| {
            found = Some(pair);
            ControlFlow::Break(())
        };
        self.tree.up(&[], start, visit).map_err(failed)?;
        let Some((stored, _)) = found else { return Ok(None) };
        Ok(Some(&stored[..]).filter(|stored| stored.starts_with(PREFIX)).and_then(key_of).map(str::to_owned))
    }

    /// The pairs of at most `limit` keys that were there, among the next `look` that ever were.
    fn walk(&self, prefix: &str, after: Option<&str>, limit: usize, look: usize) -> Result<KeyPage, KvError> {
        self.check(prefix)?;
        let past = |key: &str| version_key(key, Sequence(u64::MAX));
        let mut start = after.filter(|after| *after >= prefix).map_or_else(|| place(prefix), past);
        let (mut out, mut looked) = (KeyPage::default(), 0);
        loop {
            let Some(key) = self.key_from(&start)?.filter(|key| key.starts_with(prefix)) else {
                out.next = None;
                return Ok(out);
            };
            if out.pairs.len() >= limit || looked >= look {
                return Ok(out);
            }
            // The last version of all sorts at or before this; an event of that number will not be.
            start = past(&key);
            out.next = Some(key.clone());
            looked += 1;
            if after != Some(key.as_str())
                && let Some(value) = self.value(&key)?
            {
                out.pairs.push((key, value));
            }
        }
    }

    fn key_before(&self, end: &[u8]) -> Result<Option<String>, KvError> {
        let Some((stored, _)) = self.last_before(end)? else { return Ok(None) };
        Ok(Some(&stored[..]).filter(|stored| stored.starts_with(PREFIX)).and_then(key_of).map(str::to_owned))
    }
}

fn failed(e: std::io::Error) -> KvError {
    KvError::Storage(e.to_string())
}

fn place(text: &str) -> Vec<u8> {
    [PREFIX, text.as_bytes()].concat()
}

impl Read for PastView {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        self.check(key)?;
        self.value(key)
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        Ok(self.walk(prefix, after, limit, usize::MAX)?.pairs)
    }

    fn scan_some(&self, prefix: &str, after: Option<&str>, look: usize) -> Result<KeyPage, KvError> {
        self.walk(prefix, after, usize::MAX, look)
    }

    fn scan_back(&self, prefix: &str, before: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        self.check(prefix)?;
        let mut end = before.map_or_else(|| place(&end_of(prefix)), place);
        let mut out = Vec::new();
        while out.len() < limit {
            let Some(key) = self.key_before(&end)?.filter(|key| key.starts_with(prefix)) else { break };
            end = place(&key);
            if let Some(value) = self.value(&key)? {
                out.push((key, value));
            }
        }
        Ok(out)
    }
}

/// What each changed key held after each event; `None`: it was removed.
pub(crate) type Versions = BTreeMap<(String, Sequence), Option<Vec<u8>>>;

//! The lists beside accounts and obligations. Each answers one question at once, and each costs a write whenever an
//! obligation moves: a service keeps those that it asks.

use crate::access::obligation::Obligation;
use crate::identity::lifecycle::ChangeKind;
use crate::kv::{KeyPage, KvError, Pair, Read, Write};

/// A list that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// The accounts that are not verified, by app: [`pending`](super::pending).
    Pending,
    /// When obligations ring next: [`ringing`](super::ringing).
    Clock,
    /// The obligations that were verified, by when: [`verified_between`](super::verified_between).
    Ended,
    /// How far each app does what it says: [`conformance`](super::conformance).
    Conformance,
    /// What the changes that opened obligations belong to, by event: [`causation_of`](super::causation_of).
    Stories,
    /// Who has, or had, an account, by app: [`identities_at`](super::identities_at).
    Holders,
    /// Whose account an app's id is: [`linked`](super::linked).
    Links,
}

impl List {
    /// Every list.
    pub const ALL: &'static [Self] =
        &[Self::Pending, Self::Clock, Self::Ended, Self::Conformance, Self::Stories, Self::Holders, Self::Links];

    /// What its keys begin with.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Pending => "pending/",
            Self::Clock => "clock/",
            Self::Ended => "ended/",
            Self::Conformance => "conformance/",
            Self::Stories => "story/",
            Self::Holders => "at/",
            Self::Links => "link/",
        }
    }
}

/// Which obligations are remembered when they have ended. What is open is always known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Remembered {
    All,
    /// For the records of departures.
    Leavers,
    None,
}

/// State in which only some lists are kept: the others are empty, and stay so. So are the obligations that are not remembered.
#[derive(Debug)]
pub(super) struct Kept<'a, W> {
    state: &'a mut W,
    lists: &'static [List],
    remembered: Remembered,
}

impl<'a, W> Kept<'a, W> {
    pub(super) const fn new(state: &'a mut W, lists: &'static [List], remembered: Remembered) -> Self {
        Self { state, lists, remembered }
    }

    /// Whether an obligation that has ended is remembered.
    pub(super) fn remembers(&self, ended: &Obligation) -> bool {
        match self.remembered {
            Remembered::All => true,
            Remembered::Leavers => ended.change == ChangeKind::Leaver,
            Remembered::None => false,
        }
    }

    /// Whether a list is kept.
    pub(super) fn keeps(&self, list: List) -> bool {
        self.lists.contains(&list)
    }

    fn holds(&self, key: &str) -> bool {
        let of = List::ALL.iter().find(|list| key.starts_with(list.prefix()));
        of.is_none_or(|list| self.keeps(*list))
    }
}

impl<W: Read> Read for Kept<'_, W> {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        if self.holds(key) { self.state.get(key) } else { Ok(None) }
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

impl<W: Write> Write for Kept<'_, W> {
    fn put(&mut self, key: String, value: Vec<u8>) {
        if self.holds(&key) {
            self.state.put(key, value);
        }
    }

    fn delete(&mut self, key: &str) {
        if self.holds(key) {
            self.state.delete(key);
        }
    }

    fn append(&mut self, key: &str, more: &[u8]) -> Result<(), KvError> {
        if self.holds(key) { self.state.append(key, more) } else { Ok(()) }
    }

    fn forget(&mut self, key: &str) {
        self.state.forget(key);
    }

    fn forget_value(&mut self, key: &str, value: &[u8]) {
        self.state.forget_value(key, value);
    }
}

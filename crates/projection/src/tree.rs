//! The store's tree: readers see all of a commit or nothing of it.

use std::ops::RangeBounds;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sled::IVec;

/// A tree that is read while it is written.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) raw: sled::Tree,
    changing: Arc<RwLock<()>>,
}

impl Tree {
    pub(crate) fn new(raw: sled::Tree) -> Self {
        Self { raw, changing: Arc::default() }
    }

    /// Keeps readers out.
    pub(crate) fn change(&self) -> RwLockWriteGuard<'_, ()> {
        self.changing.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, ()> {
        self.changing.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, key: impl AsRef<[u8]>) -> sled::Result<Option<IVec>> {
        let _reading = self.read();
        self.raw.get(key)
    }

    /// The pairs of a range, from either end; a commit may come between any two.
    pub(crate) fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Range<'_> {
        Range { tree: self, pairs: self.raw.range(range) }
    }
}

/// See [`Tree::range`].
pub(crate) struct Range<'a> {
    tree: &'a Tree,
    pairs: sled::Iter,
}

impl Iterator for Range<'_> {
    type Item = sled::Result<(IVec, IVec)>;

    fn next(&mut self) -> Option<Self::Item> {
        let _reading = self.tree.read();
        self.pairs.next()
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let _reading = self.tree.read();
        self.pairs.next_back()
    }
}

//! What lies under a store's tree: the file that the state was built as, and, while it is built, what is in memory and in the files that
//! become it. What is above hides what is below; what is removed above is marked.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use crate::bloom::Bloom;
use crate::table::{Pair, Table};

/// What stands for a key that is removed, and is there below. No value is stored so: the last byte of each says how it is stored.
pub(crate) const REMOVED: &[u8] = &[2];

/// Keys and values in memory, in order.
pub(crate) type Memory = BTreeMap<Vec<u8>, Vec<u8>>;

/// The layers, from the top.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// What is changed while a state is built, and what it may have; none: it is not being built.
    pub(crate) memory: Option<(Memory, Bloom)>,
    /// What was in memory, and becomes a file.
    pub(crate) frozen: Option<(Arc<Memory>, Arc<Bloom>)>,
    /// Files, the oldest first.
    pub(crate) tables: Vec<Layer>,
}

/// A file, and what it may have, where that is known.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) table: Arc<Table>,
    pub(crate) may_have: Option<Arc<Bloom>>,
}

impl Layer {
    fn may_have(&self, key: &[u8]) -> bool {
        self.may_have.as_ref().is_none_or(|bloom| bloom.may_have(key))
    }
}

/// What one layer has, one after the other.
pub(crate) type Walk<'a> = Box<dyn Iterator<Item = io::Result<Pair>> + 'a>;

impl Layers {
    /// What the topmost layer that has a key has there: it may be [`REMOVED`].
    ///
    /// # Errors
    /// When a file can't be read, or is damaged.
    pub(crate) fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        if let Some((memory, bloom)) = &self.memory
            && bloom.may_have(key)
            && let Some(value) = memory.get(key)
        {
            return Ok(Some(value.clone()));
        }
        match self.in_frozen(key) {
            Some(value) => Ok(Some(value.clone())),
            None => self.in_tables(key),
        }
    }

    /// Whether a key is there.
    pub(crate) fn has(&self, key: &[u8]) -> io::Result<bool> {
        Ok(self.get(key)?.is_some_and(|value| value != REMOVED))
    }

    /// Whether a key is there below what is in memory.
    pub(crate) fn is_below(&self, key: &[u8]) -> io::Result<bool> {
        if let Some(value) = self.in_frozen(key) {
            return Ok(value != REMOVED);
        }
        self.in_tables(key).map(|value| value.is_some_and(|value| value != REMOVED))
    }

    fn in_frozen(&self, key: &[u8]) -> Option<&Vec<u8>> {
        let (frozen, bloom) = self.frozen.as_ref()?;
        if bloom.may_have(key) { frozen.get(key) } else { None }
    }

    /// What is in memory, and may have anything which begins so.
    fn memories<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a Memory> {
        let known = prefix.ends_with(b"/");
        let memory = self.memory.iter().map(|(memory, bloom)| (memory, bloom));
        let frozen = self.frozen.iter().map(|(frozen, bloom)| (&**frozen, &**bloom));
        memory.chain(frozen).filter(move |(_, bloom)| !known || bloom.may_have(prefix)).map(|(memory, _)| memory)
    }

    fn in_tables(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        for layer in self.tables.iter().rev().filter(|layer| layer.may_have(key)) {
            if let Some(value) = layer.table.get(key)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// The layers that may have anything which begins so.
    fn tables_with<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a Layer> {
        let known = prefix.ends_with(b"/");
        self.tables.iter().rev().filter(move |layer| !known || layer.may_have(prefix))
    }

    /// What each layer has from a key on, the topmost first; only what begins with `prefix` is sure to be there.
    pub(crate) fn up<'a>(&'a self, prefix: &'a [u8], from: &'a [u8]) -> Vec<Walk<'a>> {
        fn walk<'a>(memory: &'a Memory, from: &[u8]) -> Walk<'a> {
            let range = memory.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
            Box::new(range.map(|(key, value)| Ok((key.clone(), value.clone()))))
        }
        let memory = self.memories(prefix).map(|memory| walk(memory, from));
        memory.chain(self.tables_with(prefix).map(|layer| Box::new(layer.table.up(from)) as Walk<'a>)).collect()
    }

    /// What each layer has before a key, the last first.
    pub(crate) fn down<'a>(&'a self, prefix: &'a [u8], before: &'a [u8]) -> Vec<Walk<'a>> {
        fn walk<'a>(memory: &'a Memory, before: &[u8]) -> Walk<'a> {
            let range = memory.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(before)));
            Box::new(range.rev().map(|(key, value)| Ok((key.clone(), value.clone()))))
        }
        let memory = self.memories(prefix).map(|memory| walk(memory, before));
        memory.chain(self.tables_with(prefix).map(|layer| Box::new(layer.table.down(before)) as Walk<'a>)).collect()
    }
}

/// In which direction keys follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// Several walks as one, in which what is above hides what is below, and what is removed is left out.
pub(crate) struct Merged<'a> {
    walks: Vec<(Walk<'a>, Option<Pair>)>,
    direction: Direction,
    begun: bool,
}

impl<'a> Merged<'a> {
    /// The walks, the topmost first.
    pub(crate) fn of(walks: Vec<Walk<'a>>, direction: Direction) -> Self {
        Self { walks: walks.into_iter().map(|walk| (walk, None)).collect(), direction, begun: false }
    }

    fn first(&self) -> Option<usize> {
        let mut best: Option<(usize, &Vec<u8>)> = None;
        for (number, (_, head)) in self.walks.iter().enumerate() {
            let Some((key, _)) = head else { continue };
            let is_before = best.is_none_or(|(_, best)| match self.direction {
                Direction::Up => key < best,
                Direction::Down => key > best,
            });
            if is_before {
                best = Some((number, key));
            }
        }
        best.map(|(number, _)| number)
    }
}

impl Iterator for Merged<'_> {
    type Item = io::Result<Pair>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.begun {
            self.begun = true;
            for (walk, head) in &mut self.walks {
                match walk.next().transpose() {
                    Ok(next) => *head = next,
                    Err(e) => return Some(Err(e)),
                }
            }
        }
        loop {
            let first = self.first()?;
            let (key, value) = self.walks.get_mut(first).and_then(|(_, head)| head.take())?;
            for (number, (walk, head)) in self.walks.iter_mut().enumerate() {
                if number != first && head.as_ref().is_none_or(|(other, _)| *other != key) {
                    continue;
                }
                match walk.next().transpose() {
                    Ok(next) => *head = next,
                    Err(e) => return Some(Err(e)),
                }
            }
            if value != REMOVED {
                return Some(Ok((key, value)));
            }
        }
    }
}

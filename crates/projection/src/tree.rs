//! The store's tree: readers see all of a commit or nothing of it. What has changed since a state was built is in sled; below it is the
//! file that the state was built as.

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::layers::{Direction, Layers, Merged, REMOVED, Walk};
use crate::table::Pair;

/// A tree that is read while it is written.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) raw: sled::Tree,
    /// Always taken before `changing`.
    layers: Arc<RwLock<Layers>>,
    changing: Arc<RwLock<()>>,
}

/// As the layers say it.
fn of_sled(error: sled::Error) -> io::Error {
    io::Error::other(error)
}

impl Tree {
    pub(crate) fn new(raw: sled::Tree, layers: Layers) -> Self {
        Self { raw, layers: Arc::new(RwLock::new(layers)), changing: Arc::default() }
    }

    /// The same, which a commit does not keep from reading.
    pub(crate) fn beside(&self) -> Self {
        Self { changing: Arc::default(), ..self.clone() }
    }

    /// Keeps readers out.
    pub(crate) fn change(&self) -> RwLockWriteGuard<'_, ()> {
        self.changing.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, ()> {
        self.changing.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn layers(&self) -> RwLockReadGuard<'_, Layers> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn layers_mut(&self) -> RwLockWriteGuard<'_, Layers> {
        self.layers.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let layers = self.layers();
        // While a state is built nothing is above it.
        if layers.memory.is_none() {
            let _reading = self.read();
            if let Some(value) = self.raw.get(key).map_err(of_sled)? {
                return Ok(Some(value.to_vec()).filter(|value| value != REMOVED));
            }
        }
        Ok(layers.get(key)?.filter(|value| value != REMOVED))
    }

    /// Visits the pairs from a key on, until `visit` has enough; what does not begin with `prefix` may be left out. A commit may come
    /// between any two.
    pub(crate) fn up(&self, prefix: &[u8], from: &[u8], visit: impl FnMut(Pair) -> ControlFlow<()>) -> io::Result<()> {
        let layers = self.layers();
        let mut above = layers.memory.is_none().then(|| self.raw.range(from..));
        let above = std::iter::from_fn(|| {
            let above = above.as_mut()?;
            let _reading = self.read();
            above.next()
        });
        visited(above, layers.up(prefix, from), Direction::Up, visit)
    }

    /// The same before a key, the last first.
    pub(crate) fn down(
        &self,
        prefix: &[u8],
        before: &[u8],
        visit: impl FnMut(Pair) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let layers = self.layers();
        let mut above = layers.memory.is_none().then(|| self.raw.range(..before));
        let above = std::iter::from_fn(|| {
            let above = above.as_mut()?;
            let _reading = self.read();
            above.next_back()
        });
        visited(above, layers.down(prefix, before), Direction::Down, visit)
    }
}

fn visited<'a>(
    above: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>> + 'a,
    below: Vec<Walk<'a>>,
    direction: Direction,
    mut visit: impl FnMut(Pair) -> ControlFlow<()>,
) -> io::Result<()> {
    let above = above.map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(of_sled));
    let walks = std::iter::once(Box::new(above) as Walk<'a>).chain(below).collect();
    for pair in Merged::of(walks, direction) {
        if visit(pair?).is_break() {
            break;
        }
    }
    Ok(())
}

//! Building a state from nothing: what is derived is sorted in memory, goes to files when that is full, and becomes one file in the end.
//! Nothing of it is believed before it is whole: whoever is killed in the middle begins again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::bloom::Bloom;
use crate::layers::{Direction, Layer, Layers, Memory, Merged, REMOVED};
use crate::redo::Change;
use crate::table::{KEPT, KEPT_OF_PART, Table, Writer};
use crate::tree::Tree;

/// How many bytes are sorted in memory; while they are written the next are gathered.
pub(crate) const IN_MEMORY: usize = 24 << 20;

/// What a key costs in memory besides its bytes and those of its value.
const PER_KEY: usize = 64;

/// For about so many bytes in memory there is a key, or a beginning of one.
const PER_BEGINNING: usize = 48;

/// What is being built.
#[derive(Debug)]
pub(crate) struct Building {
    folder: PathBuf,
    /// See [`IN_MEMORY`].
    most: usize,
    bytes: usize,
    files: usize,
    writing: Option<JoinHandle<io::Result<Layer>>>,
}

impl Building {
    /// In a folder, which is emptied, with at most so many bytes in memory, twice.
    ///
    /// # Errors
    /// When that can't be done.
    pub(crate) fn begin(folder: &Path, most: usize) -> io::Result<Self> {
        empty(folder)?;
        Ok(Self { folder: folder.to_owned(), most, bytes: 0, files: 0, writing: None })
    }

    fn empty_memory(&self) -> (Memory, Bloom) {
        (Memory::new(), Bloom::for_about((self.most / PER_BEGINNING).clamp(1024, IN_MEMORY / PER_BEGINNING)))
    }

    /// Makes changes, in any order.
    ///
    /// # Errors
    /// When a file can't be written.
    pub(crate) fn make(&mut self, tree: &Tree, changes: Vec<Change>) -> io::Result<()> {
        let mut layers = tree.layers_mut();
        let (mut memory, mut may_have) = layers.memory.take().unwrap_or_else(|| self.empty_memory());
        for (key, value) in changes {
            let value = match value {
                Some(value) => value,
                // Much is removed that was never there.
                None if !layers.is_below(&key)? => {
                    if let Some(before) = memory.remove(&key) {
                        self.bytes = self.bytes.saturating_sub(key.len() + before.len() + PER_KEY);
                    }
                    continue;
                }
                None => REMOVED.to_vec(),
            };
            let (new, length) = (key.len() + value.len() + PER_KEY, value.len());
            may_have.insert(&key);
            match memory.insert(key, value) {
                Some(before) => self.bytes = (self.bytes + length).saturating_sub(before.len()),
                None => self.bytes += new,
            }
        }
        layers.memory = Some((memory, may_have));
        drop(layers);
        if self.bytes >= self.most { self.freeze(tree) } else { Ok(()) }
    }

    /// Lets what is in memory become a file.
    fn freeze(&mut self, tree: &Tree) -> io::Result<()> {
        self.settle(tree)?;
        let mut layers = tree.layers_mut();
        let (memory, may_have) = layers.memory.replace(self.empty_memory()).unwrap_or_else(|| self.empty_memory());
        let (frozen, may_have) = (Arc::new(memory), Arc::new(may_have));
        layers.frozen = Some((Arc::clone(&frozen), Arc::clone(&may_have)));
        drop(layers);
        self.bytes = 0;
        self.files += 1;
        let path = self.folder.join(format!("part-{}", self.files));
        self.writing =
            Some(thread::Builder::new().name("build".to_owned()).spawn(move || write(&path, &frozen, may_have))?);
        Ok(())
    }

    /// Waits until what becomes a file is one.
    fn settle(&mut self, tree: &Tree) -> io::Result<()> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let layer = writing.join().unwrap_or_else(|_| Err(io::Error::other("writing a part of the state failed")))?;
        let mut layers = tree.layers_mut();
        layers.tables.push(layer);
        layers.frozen = None;
        Ok(())
    }

    /// Makes one file of everything.
    ///
    /// # Errors
    /// When it can't be written.
    pub(crate) fn finish(mut self, tree: &Tree, name: &str) -> io::Result<Layers> {
        self.settle(tree)?;
        let path = self.folder.join(name);
        let mut writer = Writer::create(&path)?;
        {
            let layers = tree.layers();
            for pair in Merged::of(layers.up(b"", b""), Direction::Up) {
                let (key, value) = pair?;
                writer.add(&key, &value)?;
            }
        }
        writer.finish()?;
        fs::File::open(&self.folder)?.sync_all()?;
        whole(&self.folder, name)
    }

    /// Removes the parts, which are in the whole now.
    pub(crate) fn tidy(folder: &Path, name: &str) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten().filter(|entry| entry.file_name() != name) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn write(path: &Path, memory: &Memory, may_have: Arc<Bloom>) -> io::Result<Layer> {
    let mut writer = Writer::create(path)?;
    memory.iter().try_for_each(|(key, value)| writer.add(key, value))?;
    writer.finish()?;
    Ok(Layer { table: Arc::new(Table::open(path, KEPT_OF_PART)?), may_have: Some(may_have) })
}

/// The layers of a state that was built.
///
/// # Errors
/// When its file can't be read, or is damaged.
pub(crate) fn whole(folder: &Path, name: &str) -> io::Result<Layers> {
    let table = Arc::new(Table::open(&folder.join(name), KEPT)?);
    Ok(Layers { tables: vec![Layer { table, may_have: None }], ..Layers::default() })
}

/// Removes whatever is in a folder, and makes it.
fn empty(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    fs::create_dir_all(folder)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeMap;
    use std::ops::ControlFlow;

    use super::*;
    use crate::redo;
    use crate::table::Pair;

    /// Numbers that are the same in each run, and in no order.
    fn numbers(seed: u64) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(seed), |n| Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1)))
            .map(|n| usize::try_from(n >> 33).unwrap())
    }

    fn key(n: usize) -> Vec<u8> {
        format!("{}/{:03}/{}", ["account", "entry", "live"][n % 3], n / 7 % 120, n % 5).into_bytes()
    }

    /// Some changes, as a commit has them.
    fn changes(numbers: &mut impl Iterator<Item = usize>) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        let count = numbers.next().unwrap() % 40;
        let one = |n: usize| (key(n), (!n.is_multiple_of(4)).then(|| [vec![b'v'; n % 90], vec![0]].concat()));
        numbers.take(count).map(one).collect()
    }

    fn compare(tree: &Tree, plain: &BTreeMap<Vec<u8>, Vec<u8>>, numbers: &mut impl Iterator<Item = usize>) {
        for n in numbers.take(60) {
            let (place, limit) = (key(n), n % 20 + 1);
            assert_eq!(tree.get(&place).unwrap().as_ref(), plain.get(&place));
            for prefix in [&b""[..], b"account/", b"entry/", &place[..place.len() - 1]] {
                let from = if place.as_slice() > prefix { place.clone() } else { prefix.to_vec() };
                let mut found: Vec<Pair> = Vec::new();
                let mut visit = |pair: Pair| {
                    if pair.0.starts_with(prefix) {
                        found.push(pair);
                    }
                    if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                };
                tree.up(prefix, &from, &mut visit).unwrap();
                let inside = |(key, _): &(&Vec<u8>, &Vec<u8>)| key.starts_with(prefix);
                let pair = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
                let wanted: Vec<Pair> = plain.range(from..).filter(inside).map(pair).take(limit).collect();
                assert_eq!(found, wanted, "up from {place:?} with {prefix:?}");
                found.clear();
                let mut visit = |pair: Pair| {
                    if pair.0.starts_with(prefix) {
                        found.push(pair);
                    }
                    if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                };
                tree.down(prefix, &place, &mut visit).unwrap();
                let wanted: Vec<Pair> =
                    plain.range(..place.clone()).rev().filter(inside).map(pair).take(limit).collect();
                assert_eq!(found, wanted, "down from {place:?} with {prefix:?}");
            }
        }
    }

    /// With any number of files, while it is built, when it is whole, and with changes over it.
    #[test]
    fn a_state_that_is_built_is_at_any_time_what_a_plain_map_is() {
        for (seed, most) in [(1, 500), (2, 3000), (3, 20_000), (4, usize::MAX), (5, 1)] {
            let folder = tempfile::tempdir().unwrap();
            let db = sled::Config::new().temporary(true).open().unwrap();
            let tree = Tree::new((*db).clone(), Layers::default());
            let mut plain: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            let mut numbers = numbers(seed);
            let mut building = Building::begin(&folder.path().join("b"), most).unwrap();
            let mut change = |plain: &mut BTreeMap<Vec<u8>, Vec<u8>>| {
                let changes = changes(&mut numbers);
                for (key, value) in &changes {
                    match value {
                        Some(value) => drop(plain.insert(key.clone(), value.clone())),
                        None => drop(plain.remove(key)),
                    }
                }
                changes.into_iter().collect::<Vec<Change>>()
            };
            for round in 0..120 {
                building.make(&tree, change(&mut plain)).unwrap();
                if round % 10 == 0 {
                    compare(&tree, &plain, &mut self::numbers(round));
                }
            }
            let layers = building.finish(&tree, "whole").unwrap();
            *tree.layers_mut() = layers;
            Building::tidy(&folder.path().join("b"), "whole");
            compare(&tree, &plain, &mut self::numbers(seed + 100));
            for round in 0..60 {
                let mut changes = change(&mut plain);
                for (key, value) in changes.iter_mut().filter(|(_, value)| value.is_none()) {
                    if tree.layers().has(key).unwrap() {
                        *value = Some(REMOVED.to_vec());
                    }
                }
                redo::make(&tree.raw, changes, Vec::new()).unwrap();
                if round % 10 == 0 {
                    compare(&tree, &plain, &mut self::numbers(round + 7));
                }
            }
            let again = Tree::new((*db).clone(), whole(&folder.path().join("b"), "whole").unwrap());
            compare(&again, &plain, &mut self::numbers(seed + 200));
        }
    }
}

//! A sorted file of keys and values that is written once: in blocks, compressed and checked, with the first key of each kept in memory.
//!
//! In the file: the blocks, the index, and a tail of fixed length. In a block, for each key: how much of it is as in the key before, the
//! lengths of the rest and of the value, the rest, the value.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lz4_flex::block::{compress, decompress};

/// How long a block is at least before it is compressed; one value may be longer.
const BLOCK: usize = 8 * 1024;

/// The most bytes of a block that are read: what says more is damaged.
const LONGEST_BLOCK: usize = 64 << 20;

/// How many blocks are kept as they were read last: of a whole state, and of a part of one that is being built.
pub(crate) const KEPT: usize = 1024;
pub(crate) const KEPT_OF_PART: usize = 32;

const MAGIC: &[u8; 8] = b"RCTABLE1";

/// Where the index is, how long it is, its checksum, how many keys there are, and [`MAGIC`].
const TAIL: usize = 8 + 8 + 4 + 8 + 8;

/// A key and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// One block of a file.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// Where its first key ends among all of these.
    key_end: usize,
    offset: u64,
    stored: u32,
    length: u32,
    checksum: u32,
}

/// A block that was read, and its number.
type Kept = Option<(usize, Arc<Vec<u8>>)>;

/// A file of this kind, to be read.
#[derive(Debug)]
pub(crate) struct Table {
    file: File,
    blocks: Vec<Block>,
    /// The first keys of the blocks, one after the other.
    keys: Vec<u8>,
    path: PathBuf,
    kept: Vec<Mutex<Kept>>,
}

/// The file that says of another one that it is damaged.
fn mark(path: &Path) -> PathBuf {
    path.with_extension("damaged")
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a file of the state is damaged: {what}"))
}

/// Reads numbers and texts one after the other.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(length).ok_or_else(|| damaged("it is too short"))?;
        self.0 = rest;
        Ok(part)
    }

    fn u16(&mut self) -> io::Result<usize> {
        Ok(self.take(2)?.try_into().map(u16::from_le_bytes).unwrap_or_default().into())
    }

    fn u32(&mut self) -> io::Result<u32> {
        Ok(self.take(4)?.try_into().map(u32::from_le_bytes).unwrap_or_default())
    }

    fn u64(&mut self) -> io::Result<u64> {
        Ok(self.take(8)?.try_into().map(u64::from_le_bytes).unwrap_or_default())
    }
}

fn size(number: impl TryInto<usize>) -> usize {
    number.try_into().unwrap_or(usize::MAX)
}

impl Table {
    /// Opens a file.
    ///
    /// # Errors
    /// When it can't be read, or is damaged.
    pub(crate) fn open(path: &Path, kept: usize) -> io::Result<Self> {
        if mark(path).exists() {
            return Err(damaged("a block, when it was read"));
        }
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut tail = [0; TAIL];
        file.read_exact_at(&mut tail, length.checked_sub(TAIL as u64).ok_or_else(|| damaged("it has no end"))?)?;
        let mut parts = Parts(&tail);
        let (offset, stored, checksum, _) = (parts.u64()?, size(parts.u64()?), parts.u32()?, parts.u64()?);
        if parts.0 != MAGIC || offset.checked_add(stored as u64).is_none_or(|end| end > length) {
            return Err(damaged("it has no end"));
        }
        let mut index = vec![0; stored];
        file.read_exact_at(&mut index, offset)?;
        if crc32fast::hash(&index) != checksum {
            return Err(damaged("its index"));
        }
        let (mut blocks, mut keys) = (Vec::new(), Vec::new());
        let mut parts = Parts(&index);
        while !parts.0.is_empty() {
            let key = parts.u16()?;
            keys.extend_from_slice(parts.take(key)?);
            let (offset, stored, length, checksum) = (parts.u64()?, parts.u32()?, parts.u32()?, parts.u32()?);
            blocks.push(Block { key_end: keys.len(), offset, stored, length, checksum });
        }
        keys.shrink_to_fit();
        blocks.shrink_to_fit();
        let kept = (0..kept.min(blocks.len())).map(|_| Mutex::default()).collect();
        Ok(Self { file, blocks, keys, path: path.to_owned(), kept })
    }

    fn first_key(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).and_then(|before| self.blocks.get(before)).map_or(0, |block| block.key_end);
        let end = self.blocks.get(number).map_or(start, |block| block.key_end);
        self.keys.get(start..end).unwrap_or_default()
    }

    /// The block in which a key is, if it is there.
    fn block_of(&self, key: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.blocks.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.first_key(middle) <= key { low = middle + 1 } else { high = middle }
        }
        low.checked_sub(1)
    }

    fn read(&self, number: usize) -> io::Result<Arc<Vec<u8>>> {
        let block = *self.blocks.get(number).ok_or_else(|| damaged("a block is missing"))?;
        let slot = self.kept.get(number % self.kept.len().max(1)).ok_or_else(|| damaged("it has no blocks"))?;
        let lock = || slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = lock().as_ref().filter(|(kept, _)| *kept == number) {
            return Ok(Arc::clone(bytes));
        }
        if size(block.length) > LONGEST_BLOCK {
            return Err(damaged("a block is too long"));
        }
        let mut stored = vec![0; size(block.stored)];
        self.file.read_exact_at(&mut stored, block.offset)?;
        if crc32fast::hash(&stored) != block.checksum {
            // Whoever opens it next builds it anew.
            let _ = File::create(mark(&self.path));
            return Err(damaged("a block: it is built anew at the next start"));
        }
        let bytes = decompress(&stored, size(block.length)).map_err(|e| damaged(&e.to_string()))?;
        let bytes = Arc::new(bytes);
        *lock() = Some((number, Arc::clone(&bytes)));
        Ok(bytes)
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the file can't be read, or is damaged.
    pub(crate) fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let Some(number) = self.block_of(key) else { return Ok(None) };
        let bytes = self.read(number)?;
        let (mut parts, mut current) = (Parts(&bytes), Vec::new());
        while !parts.0.is_empty() {
            let value = next_in(&mut parts, &mut current)?;
            match current.as_slice().cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(Some(value.to_vec())),
                std::cmp::Ordering::Greater => return Ok(None),
            }
        }
        Ok(None)
    }

    fn pairs(&self, number: usize) -> io::Result<Vec<Pair>> {
        let bytes = self.read(number)?;
        let (mut parts, mut current, mut all) = (Parts(&bytes), Vec::new(), Vec::new());
        while !parts.0.is_empty() {
            let value = next_in(&mut parts, &mut current)?.to_vec();
            all.push((current.clone(), value));
        }
        Ok(all)
    }

    /// The pairs from a key on.
    pub(crate) fn up(self: &Arc<Self>, from: &[u8]) -> Up {
        Up {
            table: Arc::clone(self),
            from: from.to_vec(),
            next: self.block_of(from).unwrap_or(0),
            pairs: Vec::new().into_iter(),
        }
    }

    /// The pairs before a key, the last first.
    pub(crate) fn down(self: &Arc<Self>, before: &[u8]) -> Down {
        let next = self.block_of(before).map_or(0, |number| number + 1);
        Down { table: Arc::clone(self), before: before.to_vec(), next, pairs: Vec::new() }
    }
}

/// The next value of a block; `current` becomes its key.
fn next_in<'a>(parts: &mut Parts<'a>, current: &mut Vec<u8>) -> io::Result<&'a [u8]> {
    let (shared, rest, value) = (parts.u16()?, parts.u16()?, size(parts.u32()?));
    if shared > current.len() {
        return Err(damaged("a key"));
    }
    current.truncate(shared);
    current.extend_from_slice(parts.take(rest)?);
    parts.take(value)
}

/// See [`Table::up`].
pub(crate) struct Up {
    table: Arc<Table>,
    from: Vec<u8>,
    next: usize,
    pairs: std::vec::IntoIter<Pair>,
}

impl Iterator for Up {
    type Item = io::Result<Pair>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let from = &self.from;
            if let Some(pair) = self.pairs.find(|(key, _)| key >= from) {
                return Some(Ok(pair));
            }
            if self.next >= self.table.blocks.len() {
                return None;
            }
            let pairs = self.table.pairs(self.next);
            self.next += 1;
            match pairs {
                Ok(pairs) => self.pairs = pairs.into_iter(),
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

/// See [`Table::down`].
pub(crate) struct Down {
    table: Arc<Table>,
    before: Vec<u8>,
    /// The blocks before this are to come.
    next: usize,
    pairs: Vec<Pair>,
}

impl Iterator for Down {
    type Item = io::Result<Pair>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let Some(pair) = self.pairs.pop() {
                if pair.0 < self.before {
                    return Some(Ok(pair));
                }
            }
            self.next = self.next.checked_sub(1)?;
            match self.table.pairs(self.next) {
                Ok(pairs) => self.pairs = pairs,
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

/// Writes a file.
pub(crate) struct Writer {
    out: BufWriter<File>,
    at: u64,
    block: Vec<u8>,
    /// The first key of the block, and the last so far.
    first: Vec<u8>,
    last: Vec<u8>,
    index: Vec<u8>,
    keys: u64,
}

impl Writer {
    /// A new file; one that is there is replaced.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let out = BufWriter::with_capacity(256 << 10, File::create(path)?);
        Ok(Self { out, at: 0, block: Vec::new(), first: Vec::new(), last: Vec::new(), index: Vec::new(), keys: 0 })
    }

    /// Adds a key, which is after all that were added.
    ///
    /// # Errors
    /// When it can't be written, or the key is too long.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "a key or a value of the state is too long");
        if self.block.is_empty() {
            key.clone_into(&mut self.first);
            self.last.clear();
        }
        let shared = self.last.iter().zip(key).take_while(|(a, b)| a == b).count().min(usize::from(u16::MAX));
        let rest = key.get(shared..).unwrap_or_default();
        self.block.extend(u16::try_from(shared).map_err(too_long)?.to_le_bytes());
        self.block.extend(u16::try_from(rest.len()).map_err(too_long)?.to_le_bytes());
        self.block.extend(u32::try_from(value.len()).map_err(too_long)?.to_le_bytes());
        self.block.extend(rest);
        self.block.extend(value);
        key.clone_into(&mut self.last);
        self.keys += 1;
        if self.block.len() >= BLOCK { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "a value of the state is too long");
        let stored = compress(&self.block);
        self.index.extend(u16::try_from(self.first.len()).map_err(too_long)?.to_le_bytes());
        self.index.extend(&self.first);
        self.index.extend(self.at.to_le_bytes());
        self.index.extend(u32::try_from(stored.len()).map_err(too_long)?.to_le_bytes());
        self.index.extend(u32::try_from(self.block.len()).map_err(too_long)?.to_le_bytes());
        self.index.extend(crc32fast::hash(&stored).to_le_bytes());
        self.out.write_all(&stored)?;
        self.at += stored.len() as u64;
        self.block.clear();
        Ok(())
    }

    /// Ends the file, and has it on disk.
    ///
    /// # Errors
    /// When it can't be written.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.end_block()?;
        self.out.write_all(&self.index)?;
        self.out.write_all(&self.at.to_le_bytes())?;
        self.out.write_all(&(self.index.len() as u64).to_le_bytes())?;
        self.out.write_all(&crc32fast::hash(&self.index).to_le_bytes())?;
        self.out.write_all(&self.keys.to_le_bytes())?;
        self.out.write_all(MAGIC)?;
        self.out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn pairs(count: usize) -> Vec<Pair> {
        let value = |n: usize| vec![b'v'; n * 37 % 300];
        (0..count).map(|n| (format!("key/{:06}/{}", n * 2, n % 7).into_bytes(), value(n))).collect()
    }

    fn written(path: &Path, pairs: &[Pair]) -> Arc<Table> {
        let mut writer = Writer::create(path).unwrap();
        pairs.iter().for_each(|(key, value)| writer.add(key, value).unwrap());
        writer.finish().unwrap();
        Arc::new(Table::open(path, 16).unwrap())
    }

    #[test]
    fn what_was_written_is_found_and_walked_from_any_place_in_both_directions() {
        let folder = tempfile::tempdir().unwrap();
        for count in [0, 1, 5, 5000] {
            let all = pairs(count);
            let table = written(&folder.path().join("t"), &all);
            for (key, value) in &all {
                assert_eq!(table.get(key).unwrap().as_ref(), Some(value));
            }
            for n in [0, 1, 2, 3, 77, 4999, 5000, 9998, 9999, 10_000, 20_000] {
                let place = format!("key/{n:06}/3").into_bytes();
                let cut = all.partition_point(|(key, _)| *key < place);
                let up: Vec<Pair> = table.up(&place).map(Result::unwrap).collect();
                assert_eq!(up, all[cut..], "{count} up from {n}");
                let down: Vec<Pair> = table.down(&place).map(Result::unwrap).collect();
                assert_eq!(down, all[..cut].iter().rev().cloned().collect::<Vec<_>>(), "{count} down from {n}");
                let there = all.get(cut).filter(|(key, _)| *key == place).map(|(_, value)| value.clone());
                assert_eq!(table.get(&place).unwrap(), there);
            }
        }
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let all = pairs(2000);
        written(&path, &all);
        let whole = std::fs::read(&path).unwrap();
        for at in [10, whole.len() / 2, whole.len() - 500, whole.len() - 20, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let read = Table::open(&path, 16).and_then(|table| Arc::new(table).up(b"").collect::<io::Result<Vec<_>>>());
            assert!(read.is_err() || read.unwrap() == all, "byte {at}");
            let _ = std::fs::remove_file(mark(&path));
        }
        let mut bytes = whole.clone();
        bytes[10] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let table = Arc::new(Table::open(&path, 16).unwrap());
        assert!(table.up(b"").any(|pair| pair.is_err()));
        assert!(Table::open(&path, 16).is_err(), "what was found damaged is not opened again");
        std::fs::remove_file(mark(&path)).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(Table::open(&path, 16).is_err());
    }
}

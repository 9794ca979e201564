//! The Merkle tree over the log (RFC 9162 §2.1), kept in a projection's state. Leaf n is event n + 1.
//!
//! Keys: `hashes/<chunk>`, of up to 64 stored hashes in the order in which they become known; `hashes-size`, how many
//! events the tree holds.

use rollcall_domain::kv::{KvError, Read, Write, load, store};
use rollcall_domain::{Recorded, Sequence};
use tlog_tiles::Error as TlogError;
use tlog_tiles::tlog::{
    HashReader, node_hash, prove_record, prove_tree, stored_hash_count, stored_hash_index,
    stored_hashes_for_record_hash, tree_hash,
};

use crate::error::ProofError;
use crate::leaf::{Hash, leaf_of};

const CHUNK: u64 = 64;
const WIDTH: usize = 32;
const SIZE: &str = "hashes-size";

fn chunk_key(chunk: u64) -> String {
    format!("hashes/{chunk:015}")
}

/// The tree, as a state holds it.
#[derive(Debug)]
pub struct Tree<'a, S>(pub &'a S);

impl<S: Read> Tree<'_, S> {
    /// How many events it holds.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn size(&self) -> Result<Sequence, KvError> {
        Ok(load(self.0, SIZE)?.unwrap_or_default())
    }

    fn within(&self, wanted: Sequence) -> Result<(), ProofError> {
        let size = self.size()?;
        if wanted <= size { Ok(()) } else { Err(ProofError::Range { wanted, size }) }
    }

    /// The root hash of the first `size` events.
    ///
    /// # Errors
    /// When the tree is smaller, or can't be read.
    pub fn root(&self, size: Sequence) -> Result<Hash, ProofError> {
        self.within(size)?;
        tree_hash(size.0, self).map_err(|e| ProofError::Tree(e.to_string()))
    }

    /// That an event is among the first `size` (RFC 9162 §2.1.3).
    ///
    /// # Errors
    /// When it is not, or the tree is smaller, or can't be read.
    pub fn inclusion(&self, event: Sequence, size: Sequence) -> Result<Vec<Hash>, ProofError> {
        self.within(size)?;
        if event.0 == 0 || event > size {
            return Err(ProofError::Range { wanted: event, size });
        }
        prove_record(size.0, event.0 - 1, self).map_err(|e| ProofError::Tree(e.to_string()))
    }

    /// That the first `old` of the first `new` events are what they were (RFC 9162 §2.1.4).
    ///
    /// # Errors
    /// When the tree is smaller, or can't be read.
    pub fn consistency(&self, old: Sequence, new: Sequence) -> Result<Vec<Hash>, ProofError> {
        self.within(new)?;
        if old.0 == 0 || old > new {
            return Err(ProofError::Range { wanted: old, size: new });
        }
        prove_tree(new.0, old.0, self).map_err(|e| ProofError::Tree(e.to_string()))
    }

    /// The leaf hashes of the events after `from`, up to `to`.
    ///
    /// # Errors
    /// When the tree is smaller, or can't be read.
    pub fn leaves(&self, from: Sequence, to: Sequence) -> Result<Vec<Hash>, ProofError> {
        self.within(to)?;
        let indexes: Vec<u64> = (from.0..to.0).map(|n| stored_hash_index(0, n)).collect();
        self.read_hashes(&indexes).map_err(|e| ProofError::Tree(e.to_string()))
    }
}

impl<S: Write> Tree<'_, S> {
    /// Adds the event that comes next.
    ///
    /// # Errors
    /// When it is not the next one, or the state can't be read.
    pub fn add(state: &mut S, event: &Recorded) -> Result<(), ProofError> {
        let size = Tree(&*state).size()?;
        if event.sequence.0 != size.0 + 1 {
            let reason = format!("event {} does not follow {size}", event.sequence);
            return Err(ProofError::Tree(reason));
        }
        let known = stored_hashes_for_record_hash(size.0, leaf_of(event), &Tree(&*state));
        let known = known.map_err(|e| ProofError::Tree(e.to_string()))?;
        for (at, hash) in (stored_hash_count(size.0)..).zip(known) {
            let key = chunk_key(at / CHUNK);
            // One that begins anew is not looked for.
            if at.is_multiple_of(CHUNK) {
                state.put(key, hash.0.to_vec());
            } else {
                state.append(&key, &hash.0)?;
            }
        }
        store(state, SIZE.to_owned(), &event.sequence);
        Ok(())
    }
}

impl<S: Read> HashReader for Tree<'_, S> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, TlogError> {
        let missing = |index: u64| TlogError::InvalidInput(format!("hash {index} is not stored"));
        let mut last: Option<(u64, Vec<u8>)> = None;
        let mut out = Vec::with_capacity(indexes.len());
        for &index in indexes {
            let number = index / CHUNK;
            if last.as_ref().is_none_or(|(held, _)| *held != number) {
                let chunk = self.0.get(&chunk_key(number)).map_err(|e| TlogError::InvalidInput(e.to_string()))?;
                last = Some((number, chunk.unwrap_or_default()));
            }
            let start = usize::try_from(index % CHUNK).unwrap_or_default() * WIDTH;
            let bytes = last.as_ref().and_then(|(_, chunk)| chunk.get(start..start + WIDTH));
            let bytes = bytes.and_then(|bytes| <[u8; WIDTH]>::try_from(bytes).ok());
            out.push(Hash { 0: bytes.ok_or_else(|| missing(index))? });
        }
        Ok(out)
    }
}

/// The right edge of a tree: what is needed to add leaves and to know the root, and no more.
#[derive(Debug, Clone, Default)]
pub struct Frontier {
    size: u64,
    /// The roots of the perfect subtrees, from the largest to the smallest.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> Sequence {
        Sequence(self.size)
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(left, hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root hash.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev().copied();
        let Some(last) = peaks.next() else { return tlog_tiles::tlog::EMPTY_HASH };
        peaks.fold(last, |right, left| node_hash(left, right))
    }
}

//! Many changes, made in the order of their keys, all or nothing.
//!
//! sled takes a batch in no order, so that each of its keys is far from the one before: in order the same changes take two
//! thirds of the time and of the memory. So they are first noted, in one batch, and then made one by one; the note
//! goes with the batch that ends the commit. What was written is recovered up to one point and not beyond: whoever finds a
//! change finds the note, and makes the others from it.

use rollcall_domain::Sequence;
use serde::{Deserialize, Serialize};
use sled::Batch;

use crate::frames::{frame, frames};
use crate::packed::{pack, unpack};

/// Fewer than this are made faster in one batch.
pub(crate) const MANY: usize = 128;

/// The note's beginning, and its chunks, which stay until another note takes their places.
const NOTE: &[u8] = b"\0redo";
const CHUNK: &[u8] = b"\0redo/";

/// How long a chunk is at least, before it is compressed: what the store keeps on one page must be far from too long for it.
const CHUNK_BYTES: usize = 16 * 1024;

/// A key as it is stored, and its new value; none: it is removed.
pub(crate) type Change = (Vec<u8>, Option<Vec<u8>>);

/// A chunk is two frames for each change: its key and its value. Their sequences say nothing.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    chunks: u64,
    changes: usize,
    ending: Vec<Change>,
}

/// Makes changes, which are in the order of their keys, and then those of `ending`.
pub(crate) fn make(tree: &sled::Tree, changes: Vec<Change>, ending: Vec<Change>) -> Result<(), sled::Error> {
    if changes.len() < MANY {
        return tree.apply_batch(batch(changes.into_iter().chain(ending)));
    }
    tree.apply_batch(note(&changes, &ending)?)?;
    finish(tree, changes, ending)
}

fn batch(changes: impl IntoIterator<Item = Change>) -> Batch {
    let mut batch = Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => batch.insert(key, value),
            None => batch.remove(key),
        }
    }
    batch
}

fn note(changes: &[Change], ending: &[Change]) -> Result<Batch, sled::Error> {
    let mut batch = Batch::default();
    let mut chunks = 0;
    let mut chunk = Vec::with_capacity(2 * CHUNK_BYTES);
    for (index, (key, value)) in changes.iter().enumerate() {
        chunk.extend(frame(Sequence(0), Some(key)));
        chunk.extend(frame(Sequence(0), value.as_deref()));
        if chunk.len() >= CHUNK_BYTES || index + 1 == changes.len() {
            batch.insert(chunk_key(chunks), pack(&chunk));
            chunk.clear();
            chunks += 1;
        }
    }
    let note = Note { chunks, changes: changes.len(), ending: ending.to_vec() };
    batch.insert(NOTE, serde_json::to_vec(&note).map_err(|e| damaged(&e.to_string()))?);
    Ok(batch)
}

fn finish(tree: &sled::Tree, changes: Vec<Change>, ending: Vec<Change>) -> Result<(), sled::Error> {
    for (key, value) in changes {
        match value {
            Some(value) => tree.insert(key, value)?,
            None => tree.remove(key)?,
        };
    }
    tree.apply_batch(batch(ending.into_iter().chain([(NOTE.to_vec(), None)])))
}

/// Makes the changes that were noted and not ended; whether there were any.
pub(crate) fn recover(tree: &sled::Tree) -> Result<bool, sled::Error> {
    let Some(note) = tree.get(NOTE)? else { return Ok(false) };
    let note: Note = serde_json::from_slice(&note).map_err(|e| damaged(&e.to_string()))?;
    let mut changes: Vec<Change> = Vec::new();
    for number in 0..note.chunks {
        let chunk = tree.get(chunk_key(number))?.ok_or_else(|| damaged("a part is missing"))?;
        let chunk = unpack(&chunk).map_err(|e| damaged(&e.to_string()))?;
        let mut parts = frames(&chunk).map(|(_, part)| part.map(<[u8]>::to_vec));
        while let (Some(Some(key)), Some(value)) = (parts.next(), parts.next()) {
            changes.push((key, value));
        }
    }
    if changes.len() != note.changes {
        return Err(damaged("changes are missing"));
    }
    finish(tree, changes, note.ending)?;
    Ok(true)
}

fn chunk_key(number: u64) -> Vec<u8> {
    [CHUNK, &number.to_be_bytes()].concat()
}

/// As sled calls what it can't read: the state is built again from the log then.
fn damaged(what: &str) -> sled::Error {
    tracing::warn!(what, "the note of an interrupted commit can't be read");
    sled::Error::Corruption { at: None, bt: () }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn changes(count: usize) -> Vec<Change> {
        let value = |n: usize| (!n.is_multiple_of(7)).then(|| pack(&vec![b'v'; n % 3000]));
        (0..count).map(|n| (format!("key/{n:08}").into_bytes(), value(n))).collect()
    }

    fn contents(tree: &sled::Tree) -> Vec<(sled::IVec, sled::IVec)> {
        tree.iter().map(Result::unwrap).filter(|(key, _)| !key.starts_with(NOTE)).collect()
    }

    /// A crash leaves a beginning of what is written: the note and so many changes, in order.
    #[test]
    fn a_commit_that_was_interrupted_anywhere_is_whole_after_recovery() {
        let ending = vec![(b"\0cursor".to_vec(), Some(vec![9]))];
        let before = |tree: &sled::Tree| {
            for n in 0..MANY {
                tree.insert(format!("key/{n:08}"), pack(b"old")).unwrap();
            }
        };
        for count in [MANY, 3 * MANY] {
            let whole = sled::Config::new().temporary(true).open().unwrap();
            before(&whole);
            make(&whole, changes(count), ending.clone()).unwrap();
            assert!(!recover(&whole).unwrap(), "what has ended is not done again");
            for made in [0, 1, count / 2, count - 1, count] {
                let cut = sled::Config::new().temporary(true).open().unwrap();
                before(&cut);
                cut.apply_batch(note(&changes(count), &ending).unwrap()).unwrap();
                for (key, value) in changes(count).into_iter().take(made) {
                    match value {
                        Some(value) => cut.insert(key, value).unwrap(),
                        None => cut.remove(key).unwrap(),
                    };
                }
                assert!(recover(&cut).unwrap());
                assert_eq!(contents(&cut), contents(&whole), "{made} of {count} had been made");
                assert!(!recover(&cut).unwrap());
            }
        }
    }

    #[test]
    fn few_and_many_changes_leave_the_same() {
        let (few, many) = (MANY - 1, 2 * MANY);
        for count in [0, 1, few, many] {
            let tree = sled::Config::new().temporary(true).open().unwrap();
            make(&tree, changes(count), vec![(b"\0cursor".to_vec(), Some(vec![1]))]).unwrap();
            let held = changes(count).into_iter().filter_map(|(key, value)| Some((key.into(), value?.into())));
            let wanted: Vec<(sled::IVec, sled::IVec)> =
                [(b"\0cursor".into(), vec![1].into())].into_iter().chain(held).collect();
            assert_eq!(contents(&tree), wanted);
        }
    }

    #[test]
    fn a_note_that_is_damaged_is_an_error() {
        let tree = sled::Config::new().temporary(true).open().unwrap();
        tree.apply_batch(note(&changes(MANY), &[]).unwrap()).unwrap();
        for chunk in [&[][..], &[1, 2, 3], &[frame(Sequence(0), Some(b"key")), frame(Sequence(0), None)].concat()] {
            tree.insert(chunk_key(0), pack(chunk)).unwrap();
            assert!(recover(&tree).is_err(), "{chunk:?}");
        }
        tree.remove(chunk_key(0)).unwrap();
        assert!(recover(&tree).is_err());
        tree.insert(NOTE, b"{}").unwrap();
        assert!(recover(&tree).is_err());
    }
}

//! Checking a log, or one event of it, against signed checkpoints.

use std::collections::BTreeMap;
use std::fmt;

use rollcall_domain::governance::checkpoint::Checkpoint;
use rollcall_domain::{Event, Recorded, Sequence};
use tlog_tiles::tlog::{check_record, check_tree};

use crate::checkpoint::{Keys, Signed, unsigned};
use crate::error::ProofError;
use crate::leaf::{Hash, leaf_of};
use crate::tree::Frontier;

/// The first thing that is not as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is not what was recorded.
    Changed(Sequence),
    /// It was recorded, and is not there.
    Dropped(Sequence),
    /// It is there a second time, or where it was not recorded.
    Added(Sequence),
    /// It stands before or after its place.
    Moved(Sequence),
    /// Its checkpoint is not by any of the keys, or not about these events.
    BadCheckpoint {
        /// The event that holds it; `None`: it was given apart from the events.
        event: Option<Sequence>,
        /// What is wrong with it.
        reason: String,
    },
    /// One of these was changed, and what would say which, too.
    ChangedWithin(Sequence, Sequence),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(at) => write!(f, "event {at} was changed: it is not what was recorded there"),
            Self::Dropped(at) => write!(f, "event {at} was dropped: it is not there"),
            Self::Added(at) => write!(f, "event {at} was added: it is there a second time"),
            Self::Moved(at) => write!(f, "event {at} was moved: it does not stand where it was recorded"),
            Self::BadCheckpoint { event: Some(at), reason } => {
                write!(f, "event {at}, a checkpoint, was changed: {reason}")
            }
            Self::BadCheckpoint { event: None, reason } => write!(f, "a checkpoint does not hold: {reason}"),
            Self::ChangedWithin(first, last) => write!(f, "one of the events {first} to {last} was changed"),
        }
    }
}

/// What was checked, when all of it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// How many events were read.
    pub events: u64,
    /// Events up to here are as they were signed.
    pub proved: Sequence,
    /// How many checkpoints by the given keys were met.
    pub checkpoints: u64,
}

/// Reads every event of a log from the first, and compares it with the checkpoints in it and with those it was given.
#[derive(Debug)]
pub struct Auditor {
    keys: Keys,
    /// Up to the last checkpoint that holds.
    base: Frontier,
    /// The leaves after it, as they are here.
    since: Vec<Hash>,
    /// The leaves after it, as the checkpoints since then say they were.
    said: Vec<Hash>,
    /// All of them.
    here: Frontier,
    /// Checkpoints that were given apart from the events, by size.
    given: BTreeMap<Sequence, Hash>,
    /// An event came before one that should come first: whether that one follows tells what was done.
    early: Option<(Sequence, Sequence)>,
    /// What a checkpoint that was given does not hold.
    unsettled: Option<Finding>,
    proved: Sequence,
    checkpoints: u64,
}

impl Auditor {
    /// One that trusts these keys.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self {
            keys,
            base: Frontier::default(),
            since: Vec::new(),
            said: Vec::new(),
            here: Frontier::default(),
            given: BTreeMap::new(),
            early: None,
            unsettled: None,
            proved: Sequence(0),
            checkpoints: 0,
        }
    }

    /// A checkpoint that was kept apart from the log. Give it before the events.
    ///
    /// # Errors
    /// When it is by none of the keys, or contradicts another.
    pub fn given(&mut self, note: &str) -> Result<Signed, Finding> {
        let bad = |reason: String| Finding::BadCheckpoint { event: None, reason };
        let signed = self.keys.open(note).map_err(|e| bad(e.to_string()))?;
        match self.given.insert(signed.size, signed.root) {
            Some(other) if other != signed.root => {
                Err(bad(format!("two checkpoints of {} events have different roots: the log was split", signed.size)))
            }
            _ => Ok(signed),
        }
    }

    /// The next event.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn event(&mut self, event: &Recorded) -> Result<(), Finding> {
        let (at, next) = (event.sequence, Sequence(self.here.size().0 + 1));
        if let Some((early, wanted)) = self.early {
            return Err(if at == wanted { Finding::Moved(early) } else { Finding::Dropped(wanted) });
        }
        if at > next {
            self.early = Some((at, next));
            return Ok(());
        }
        if at < next {
            return Err(Finding::Added(at));
        }
        let leaf = leaf_of(event);
        self.here.push(leaf);
        self.since.push(leaf);
        if let Some(root) = self.given.remove(&at) {
            // The checkpoint events that follow may say which one it is.
            let settled = self.settle(Signed { size: at, root }, None);
            self.unsettled = self.unsettled.take().or(settled.err());
        }
        match &event.event {
            Event::Checkpoint(checkpoint) => self.checkpoint(at, checkpoint),
            _ => Ok(()),
        }
    }

    /// That there are no more events.
    ///
    /// # Errors
    /// When some should follow.
    pub fn finish(self) -> Result<Verdict, Finding> {
        if let Some((_, wanted)) = self.early {
            return Err(Finding::Dropped(wanted));
        }
        if let Some(finding) = self.unsettled {
            return Err(finding);
        }
        if self.given.keys().any(|size| *size > self.here.size()) {
            return Err(Finding::Dropped(Sequence(self.here.size().0 + 1)));
        }
        Ok(Verdict { events: self.here.size().0, proved: self.proved, checkpoints: self.checkpoints })
    }

    fn checkpoint(&mut self, at: Sequence, checkpoint: &Checkpoint) -> Result<(), Finding> {
        let bad = |reason: String| Finding::BadCheckpoint { event: Some(at), reason };
        let (signed, known) = match self.keys.open(&checkpoint.note) {
            Ok(signed) => (signed, true),
            // By a key from before or after: it proves nothing; a later one by a known key proves it with the rest.
            Err(e) => match unsigned(&checkpoint.note) {
                Ok(signed) if !self.keys.names(&checkpoint.note) => (signed, false),
                _ => return Err(bad(e.to_string())),
            },
        };
        if signed.size != checkpoint.size {
            return Err(bad(format!("it says {} events, and signs {}", checkpoint.size, signed.size)));
        }
        self.hear(checkpoint);
        if !known {
            return Ok(());
        }
        self.settle(signed, Some(at))?;
        if let Some(finding) = self.unsettled.take() {
            return Err(finding);
        }
        if signed.size >= at {
            return Err(bad(format!("it signs {} events, and stands at {at}", signed.size)));
        }
        self.checkpoints += 1;
        Ok(())
    }

    /// Keeps the leaves that a checkpoint carries and that none has carried before. Where the checkpoint before it was
    /// dropped, what stands here is taken instead: whether that is right, the signed root decides.
    fn hear(&mut self, checkpoint: &Checkpoint) {
        let base = self.base.size().0;
        let gap = usize::try_from(checkpoint.from.0.saturating_sub(base)).unwrap_or(usize::MAX);
        while self.said.len() < gap
            && let Some(leaf) = self.since.get(self.said.len())
        {
            self.said.push(*leaf);
        }
        let heard = base + self.said.len() as u64;
        let Some(skip) = heard.checked_sub(checkpoint.from.0).and_then(|skip| usize::try_from(skip).ok()) else {
            return;
        };
        let carried = checkpoint.leaves.chunks_exact(32).skip(skip);
        self.said.extend(carried.filter_map(|leaf| leaf.try_into().ok().map(hash)));
    }

    /// Compares what is here with what was signed.
    fn settle(&mut self, signed: Signed, by: Option<Sequence>) -> Result<(), Finding> {
        let Some(count) = signed.size.0.checked_sub(self.base.size().0) else { return Ok(()) };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut reached = self.base.clone();
        self.since.iter().take(count).for_each(|leaf| reached.push(*leaf));
        if reached.root() == signed.root {
            self.base = reached;
            self.since.drain(..count.min(self.since.len()));
            self.said.drain(..count.min(self.said.len()));
            self.proved = self.proved.max(signed.size);
            return Ok(());
        }
        let first = Sequence(self.base.size().0 + 1);
        let within = Finding::ChangedWithin(first, signed.size);
        // The leaves that checkpoints carry are those that were signed, when they have the signed root.
        let said = self.said.iter().take(count);
        let mut signed_for = self.base.clone();
        said.clone().for_each(|leaf| signed_for.push(*leaf));
        if signed_for.root() != signed.root {
            let reason = "its leaf hashes do not have the root that it signs".to_owned();
            let same = said.len() == count && said.zip(&self.since).all(|(said, here)| said == here);
            return Err(match by {
                Some(at) if same => Finding::BadCheckpoint { event: Some(at), reason },
                _ => within,
            });
        }
        let differs = said.zip(&self.since).position(|(said, here)| said != here);
        Err(differs.map_or(within, |place| Finding::Changed(Sequence(first.0 + place as u64))))
    }
}

const fn hash(bytes: [u8; 32]) -> Hash {
    Hash { 0: bytes }
}

/// That an event is where a checkpoint says (RFC 9162 §2.1.3.2).
///
/// # Errors
/// When the proof does not hold.
pub fn check_inclusion(event: &Recorded, proof: &[Hash], signed: Signed) -> Result<(), ProofError> {
    let index = event.sequence.0.checked_sub(1).unwrap_or(u64::MAX);
    check_record(&proof.to_vec(), signed.size.0, signed.root, index, leaf_of(event))
        .map_err(|e| ProofError::Tree(format!("event {}: {e}", event.sequence)))
}

/// That one checkpoint is a beginning of another (RFC 9162 §2.1.4.2).
///
/// # Errors
/// When the proof does not hold: the log was rewritten.
pub fn check_consistency(old: Signed, new: Signed, proof: &[Hash]) -> Result<(), ProofError> {
    check_tree(&proof.to_vec(), new.size.0, new.root, old.size.0, old.root)
        .map_err(|e| ProofError::Tree(format!("from {} to {} events: {e}", old.size, new.size)))
}

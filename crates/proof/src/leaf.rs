//! What is proved of one event: where it is, when it was recorded, under which subject, and every byte of it.

use jiff::Timestamp;
use rollcall_domain::{Recorded, Sequence};
use tlog_tiles::tlog::record_hash;

/// A SHA-256 hash.
pub type Hash = tlog_tiles::tlog::Hash;

/// The leaf hash of an event (RFC 9162 §2.1.1) over: the sequence and the nanoseconds since 1970 at which the log
/// recorded it, as big-endian 64-bit numbers; the length of the subject as a big-endian 32-bit number, and the subject;
/// the message as it is stored.
#[must_use]
pub fn leaf_hash(sequence: Sequence, recorded_at: Timestamp, subject: &str, stored: &[u8]) -> Hash {
    let nanos = i64::try_from(recorded_at.as_nanosecond()).unwrap_or(i64::MAX);
    let length = u32::try_from(subject.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(20 + subject.len() + stored.len());
    bytes.extend_from_slice(&sequence.0.to_be_bytes());
    bytes.extend_from_slice(&nanos.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(subject.as_bytes());
    bytes.extend_from_slice(stored);
    record_hash(&bytes)
}

/// The same of an event that was read from the log.
pub(crate) fn leaf_of(event: &Recorded) -> Hash {
    leaf_hash(event.sequence, event.recorded_at, &event.subject, &event.stored)
}

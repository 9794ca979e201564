//! A line of an NDJSON export: what is signed of an event, and nothing else. Whoever has the stored message can make the same
//! line again, byte for byte: what could be changed in it unseen is not in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rollcall_domain::Recorded;
use rollcall_domain::ids::{AppId, IdentityId, Sequence, SourceName};
use rollcall_privacy::EventKey;
use rollcall_scim::Changed;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Error, Value};
use uuid::Uuid;

use crate::timeline::entry::{self, Entry};

/// The version of the lines of an export: the second left out what is made from other events.
pub const VERSION: u32 = 2;

/// The first line: what the export holds, and what it can be verified with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Head {
    /// [`VERSION`].
    pub version: u32,
    /// Every event after `after`, up to `to`; else those that were asked for.
    pub complete: bool,
    /// None when events were chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Sequence>,
    /// None when events were chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Sequence>,
    /// The newest checkpoint, which holds every event of the export; none: there was none yet.
    pub checkpoint: Option<String>,
}

/// The last line: an export without it broke off.
#[derive(Debug, Serialize, Deserialize)]
pub struct End {
    /// How many lines there are between the first and this one.
    pub entries: u64,
    /// Goes on after this: `?after=`.
    pub last: Sequence,
}

/// What the log has of an event, and the proof.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// Where it was appended.
    pub subject: String,
    /// The message, Base64.
    pub stored: String,
    /// The key of this event, Base64, where what is personal of it is sealed: it opens nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// That the checkpoint holds it (RFC 9162 §2.1.3, Base64); none: all events are here, or it is newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Vec<String>>,
}

impl Record {
    /// Of an event on the log.
    #[must_use]
    pub fn of(subject: String, stored: &[u8], key: Option<&EventKey>, proof: Option<Vec<String>>) -> Self {
        Self { subject, stored: STANDARD.encode(stored), key: key.map(EventKey::text), proof }
    }
}

/// What is shown of an event, all of which its stored message says.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    sequence: Sequence,
    event_id: Uuid,
    #[serde(rename = "type")]
    type_name: &'a str,
    schema_version: u32,
    recorded_at: Timestamp,
    occurred_at: Timestamp,
    actor: &'a str,
    source: Option<&'a SourceName>,
    reason: &'a str,
    quirks: &'a [String],
    changes: &'a [Changed],
    identity: Option<IdentityId>,
    app: Option<&'a AppId>,
    correlation_id: &'a str,
    causation_id: Option<Uuid>,
    trace_id: Option<&'a str>,
    details: &'a Value,
    record: &'a Record,
}

/// The line of an event, made from what is stored of it.
///
/// # Errors
/// When it can't be written as JSON.
pub fn of_event(event: &Recorded, record: &Record) -> Result<Vec<u8>, Error> {
    let (identities, app, changes) = entry::about(&event.event);
    let details = entry::details(event);
    let meta = &event.meta;
    ended(&Shown {
        sequence: event.sequence,
        event_id: meta.event_id,
        type_name: &event.type_name,
        schema_version: event.schema_version,
        recorded_at: event.recorded_at,
        occurred_at: meta.occurred_at,
        actor: &meta.actor,
        source: meta.source.as_ref(),
        reason: &meta.reason,
        quirks: &meta.quirks,
        changes: &changes,
        identity: identities.first().copied().filter(|_| identities.len() == 1),
        app: app.as_ref(),
        correlation_id: &meta.correlation_id,
        causation_id: meta.causation_id,
        trace_id: meta.trace.traceparent.split('-').nth(1),
        details: &details,
        record,
    })
}

/// The same from an entry of the timeline.
///
/// # Errors
/// When it can't be written as JSON.
pub fn of_entry(entry: &Entry, record: &Record) -> Result<Vec<u8>, Error> {
    ended(&Shown {
        sequence: entry.sequence,
        event_id: entry.event_id,
        type_name: &entry.type_name,
        schema_version: entry.schema_version,
        recorded_at: entry.recorded_at,
        occurred_at: entry.occurred_at,
        actor: &entry.actor,
        source: entry.source.as_ref(),
        reason: &entry.reason,
        quirks: &entry.quirks,
        changes: &entry.changes,
        identity: entry.identity,
        app: entry.app.as_ref(),
        correlation_id: &entry.correlation_id,
        causation_id: entry.causation_id,
        trace_id: entry.trace_id.as_deref(),
        details: &entry.details,
        record,
    })
}

/// An entry as it is kept, its parts passed on as they are.
#[derive(Debug, Deserialize, Serialize)]
struct Kept<'a> {
    #[serde(borrow)]
    sequence: &'a RawValue,
    #[serde(borrow)]
    event_id: &'a RawValue,
    #[serde(borrow, rename = "type")]
    type_name: &'a RawValue,
    #[serde(borrow)]
    schema_version: &'a RawValue,
    #[serde(borrow)]
    recorded_at: &'a RawValue,
    #[serde(borrow)]
    occurred_at: &'a RawValue,
    #[serde(borrow)]
    actor: &'a RawValue,
    #[serde(borrow)]
    source: &'a RawValue,
    #[serde(borrow)]
    reason: &'a RawValue,
    #[serde(borrow)]
    quirks: &'a RawValue,
    #[serde(borrow)]
    changes: &'a RawValue,
    #[serde(borrow)]
    identity: &'a RawValue,
    #[serde(borrow)]
    app: &'a RawValue,
    #[serde(borrow)]
    correlation_id: &'a RawValue,
    #[serde(borrow)]
    causation_id: &'a RawValue,
    #[serde(borrow)]
    trace_id: &'a RawValue,
    #[serde(borrow)]
    details: &'a RawValue,
}

/// The same from an entry as it is kept.
///
/// # Errors
/// When it is damaged.
pub fn of_kept(entry: &[u8], record: &Record) -> Result<Vec<u8>, Error> {
    let kept: Kept<'_> = serde_json::from_slice(entry)?;
    let mut line = serde_json::to_vec(&kept)?;
    line.pop();
    line.extend_from_slice(b",\"record\":");
    serde_json::to_writer(&mut line, record)?;
    line.extend_from_slice(b"}\n");
    Ok(line)
}

/// As a line.
///
/// # Errors
/// When it can't be written as JSON.
pub fn ended(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

//! Sending messages to the stream, and understanding its answer.

use std::collections::BTreeSet;

use async_nats::header::{
    HeaderMap, NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
    NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID,
};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use bytes::Bytes;
use jiff::Timestamp;
use rollcall_domain::{Recorded, Sequence};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::ack::{Ack, AckError};
use crate::error::LogError;
use crate::sealing::Sealing;
use crate::subject::{Subject, subject_of};
use crate::unit::{Appended, Expect, Unit};

/// The server allows 50 atomic batches per stream in flight; more are refused.
const BATCHES_IN_FLIGHT: usize = 32;

/// Of which subject the last event is expected to be known, where it is not the event's own (NATS ADR-26; nats-server 2.11).
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

const BATCH_HAS_DUPLICATE: u64 = 10201;

/// Appends to the stream.
#[derive(Debug)]
pub struct Appender {
    client: async_nats::Client,
    stream: Stream,
    batches: Semaphore,
    /// How often an append without an answer is tried again.
    pub retries: usize,
}

/// One event, ready to be sent.
#[derive(Debug)]
pub struct Message {
    pub subject: Subject,
    headers: HeaderMap,
    pub payload: Bytes,
    pub type_name: &'static str,
    event_id: Uuid,
    expect: Expect,
}

/// The last event of a subject; `None` when there is none.
pub async fn last_event(stream: &Stream, subject: &Subject, keys: &Sealing) -> Result<Option<Recorded>, LogError> {
    match stream.direct_get_last_for_subject(subject.as_str()).await {
        Ok(message) => Ok(Some(received(&message, keys).await?)),
        Err(e) if e.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(e) => Err(LogError::Stream(format!("reading the last event of '{subject}': {e}"))),
    }
}

/// The event at a position; `None` when there is none.
pub async fn event_at(stream: &Stream, at: Sequence, keys: &Sealing) -> Result<Option<Recorded>, LogError> {
    match stream.direct_get(at.0).await {
        Ok(message) => Ok(Some(received(&message, keys).await?)),
        Err(e) if e.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(e) => Err(LogError::Stream(format!("reading event {at}: {e}"))),
    }
}

async fn received(message: &StreamMessage, keys: &Sealing) -> Result<Recorded, LogError> {
    let at = Timestamp::from_nanosecond(message.time.unix_timestamp_nanos()).unwrap_or_default();
    keys.read(Sequence(message.sequence), at, &message.subject, &message.payload).await
}

/// Whose messages are appended.
#[derive(Debug, Clone, Copy)]
enum Of {
    /// Of one unit, which is there as a whole where its last message is.
    OneUnit {
        attempt: u32,
    },
    Several,
}

impl Appender {
    /// One for a stream.
    pub fn new(client: async_nats::Client, stream: Stream, retries: usize) -> Self {
        Self { client, stream, batches: Semaphore::new(BATCHES_IN_FLIGHT), retries }
    }

    /// Appends the messages of one unit, all or none; `attempt` is above 1 when they may have been appended before.
    pub async fn try_append(&self, messages: &[&Message], attempt: u32) -> Result<Appended, LogError> {
        self.send(messages, Of::OneUnit { attempt }).await
    }

    /// Appends the messages of several units, all or none. That one of them is there already says nothing of the others: they are refused.
    pub async fn try_together(&self, messages: &[&Message]) -> Result<Appended, LogError> {
        self.send(messages, Of::Several).await
    }

    async fn send(&self, messages: &[&Message], of: Of) -> Result<Appended, LogError> {
        let Some((last, earlier)) = messages.split_last() else { return Err(LogError::UnitSize(0)) };
        let _permit = if earlier.is_empty() { None } else { Some(self.batches.acquire().await) };
        let batch = Uuid::now_v7().simple().to_string();
        let in_batch = |message: &Message, position: usize| {
            let mut headers = message.headers.clone();
            if !earlier.is_empty() {
                headers.insert(NATS_BATCH_ID, batch.as_str());
                headers.insert(NATS_BATCH_SEQUENCE, position.to_string());
            }
            headers
        };
        let unanswered = |e: String| LogError::Unacknowledged(e);
        for (index, message) in earlier.iter().enumerate() {
            let headers = in_batch(message, index + 1);
            let subject = message.subject.to_string();
            let sent = self.client.publish_with_headers(subject, headers, message.payload.clone()).await;
            sent.map_err(|e| unanswered(e.to_string()))?;
        }
        let mut headers = in_batch(last, messages.len());
        if !earlier.is_empty() {
            headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
        }
        let request = self.client.request_with_headers(last.subject.to_string(), headers, last.payload.clone());
        let answer = request.await.map_err(|e| unanswered(e.to_string()))?;
        let ack: Ack = serde_json::from_slice(&answer.payload)
            .map_err(|e| unanswered(format!("the answer is not an acknowledgement: {e}")))?;
        match ack.error {
            None => Ok(Appended { last: Sequence(ack.seq) }),
            Some(error) => self.refused(messages, last, &error, of).await,
        }
    }

    async fn refused(
        &self,
        messages: &[&Message],
        last: &Message,
        error: &AckError,
        of: Of,
    ) -> Result<Appended, LogError> {
        let conflict = error.is_wrong_last_sequence();
        // An earlier attempt may have been appended without our hearing of it.
        let may_be_there = match of {
            Of::OneUnit { attempt } => error.err_code == BATCH_HAS_DUPLICATE || (conflict && attempt > 1),
            Of::Several => false,
        };
        if may_be_there {
            let found = last_event(&self.stream, &last.subject, &Sealing::default())
                .await?
                .filter(|e| e.meta.event_id == last.event_id);
            if let Some(event) = found {
                return Ok(Appended { last: event.sequence });
            }
        }
        if conflict {
            let culprit = messages.iter().copied().find(|m| m.expect != Expect::Any).unwrap_or(last);
            let expected = match culprit.expect {
                Expect::Last(sequence) => sequence,
                Expect::Any => Sequence(0),
            };
            return Err(LogError::Conflict { subject: culprit.subject.to_string(), expected });
        }
        // Too many batches at once, or one that lost a message on the way: nothing was appended.
        if (10174..=10211).contains(&error.err_code) && error.err_code != BATCH_HAS_DUPLICATE {
            return Err(LogError::Unacknowledged(format!("{} ({})", error.description, error.err_code)));
        }
        Err(LogError::Refused(format!("{} ({})", error.description, error.err_code)))
    }
}

/// The largest event: what a server takes by default (1 MiB), with room for its headers.
const MAX_EVENT: usize = MAX_PAYLOAD - (16 << 10);

/// What a server has to take, in bytes.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// The messages of a unit.
pub async fn prepare(unit: &Unit, keys: &Sealing) -> Result<Vec<Message>, LogError> {
    if unit.is_empty() || unit.len() > 1000 {
        return Err(LogError::UnitSize(unit.len()));
    }
    let mut seen = BTreeSet::new();
    let mut messages = Vec::with_capacity(unit.len());
    for (place, (event, expect)) in unit.events.iter().enumerate() {
        let subject = subject_of(keys.names(), &event.event, &event.meta);
        let Some((kind, payload)) = keys.write(event, &subject).await? else {
            return Err(LogError::Refused("an unknown event can't be appended".into()));
        };
        if payload.len() > MAX_EVENT {
            return Err(LogError::TooLarge { kind: kind.name(), bytes: payload.len(), most: MAX_EVENT });
        }
        let mut headers = HeaderMap::new();
        // They are stored with each event: what it says itself, and what its subject says, is not said again.
        headers.insert(NATS_MESSAGE_ID, event.meta.event_id.simple().to_string());
        let is_first = seen.insert(subject.clone());
        let expect = match unit.condition(place) {
            Some((other, last)) => {
                headers.insert(EXPECTED_SUBJECT, other.as_str());
                Expect::Last(*last)
            }
            None if is_first => *expect,
            None => Expect::Any,
        };
        if let Expect::Last(sequence) = expect {
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.0.to_string());
        }
        let event_id = event.meta.event_id;
        messages.push(Message { subject, headers, payload: payload.into(), type_name: kind.name(), event_id, expect });
    }
    Ok(messages)
}

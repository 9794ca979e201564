//! Appending, and reading the last event of an aggregate.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_nats::header::{
    HeaderMap, NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
    NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_STREAM, NATS_MESSAGE_ID,
};
use async_nats::jetstream::stream::{Config, DirectGetErrorKind, DiscardPolicy, StorageType, Stream};
use async_nats::jetstream::{self, Context};
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use jiff::Timestamp;
use rollcall_domain::{NewEvent, Recorded, Sequence};
use rollcall_telemetry::metrics::{label, metrics};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tracing::warn;
use uuid::Uuid;

use crate::codec;
use crate::error::LogError;
use crate::safety::{Durability, SyncKnowledge, unsafe_settings, unsafe_sync};
use crate::subject::{Subject, subject_of};
use crate::tail::Tail;

/// The name of the stream.
const STREAM: &str = "ROLLCALL";

/// The server allows 50 atomic batches per stream in flight; more are refused.
const BATCHES_IN_FLIGHT: usize = 32;

const WRONG_LAST_SEQUENCE: [u64; 2] = [10071, 10164];
const BATCH_HAS_DUPLICATE: u64 = 10201;

/// How to reach the log.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Where, such as `nats://nats:4222`.
    pub url: String,
    /// User and password, when the server asks for them.
    pub credentials: Option<(String, SecretString)>,
    /// How many servers keep each event.
    pub replicas: usize,
    /// What to do when the server could lose events.
    pub durability: Durability,
    /// How its sync setting is known.
    pub sync: SyncKnowledge,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds on what the log client does.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long to wait for a server at start.
    pub connect_timeout: Duration,
    /// How long to wait for one acknowledgement.
    pub ack_timeout: Duration,
    /// How often an append without an answer is tried again.
    pub append_retries: usize,
    /// How many appends at once.
    pub appends_in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            ack_timeout: Duration::from_secs(5),
            append_retries: 4,
            appends_in_flight: 256,
        }
    }
}

/// What the appender believes to be the last event of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// This one; 0: there is none.
    Last(Sequence),
    /// It does not matter.
    Any,
}

/// Events that are appended together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Unit {
    events: Vec<(NewEvent, Expect)>,
}

impl Unit {
    /// A unit of one event.
    #[must_use]
    pub fn one(event: NewEvent, expect: Expect) -> Self {
        Self { events: vec![(event, expect)] }
    }

    /// Adds an event. Only the first of each subject can expect anything.
    pub fn push(&mut self, event: NewEvent, expect: Expect) {
        self.events.push((event, expect));
    }

    /// How many events it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// Where a unit ended up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The position of its last event.
    pub last: Sequence,
}

/// A connection to the log; clones share it.
#[derive(Debug, Clone)]
pub struct EventLog {
    client: async_nats::Client,
    stream: Stream,
    limits: Limits,
    appends: Arc<Semaphore>,
    batches: Arc<Semaphore>,
}

struct Message {
    subject: Subject,
    headers: HeaderMap,
    payload: Bytes,
    type_name: &'static str,
    event_id: Uuid,
    expect: Expect,
}

#[derive(Deserialize)]
struct Ack {
    #[serde(default)]
    seq: u64,
    error: Option<AckError>,
}

#[derive(Deserialize)]
struct AckError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl EventLog {
    /// Connects, creates the stream when there is none, and checks that server and stream are safe.
    ///
    /// # Errors
    /// When no server answers in time, the stream can't be had, or it is unsafe and [`Durability::Refuse`] holds.
    pub async fn connect(connection: &Connection) -> Result<Self, LogError> {
        let url = connection.url.clone();
        let failed = |reason: String| LogError::Connect { url: url.clone(), reason };
        let dial = || async {
            let mut options = async_nats::ConnectOptions::new()
                .name("rollcall")
                .connection_timeout(Duration::from_secs(5))
                .request_timeout(Some(connection.limits.ack_timeout));
            if let Some((user, password)) = &connection.credentials {
                options = options.user_and_password(user.clone(), password.expose_secret().to_owned());
            }
            options.connect(&connection.url).await
        };
        let patience = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(2))
            .with_total_delay(Some(connection.limits.connect_timeout))
            .without_max_times();
        let client = dial.retry(patience).sleep(tokio::time::sleep).await.map_err(|e| failed(e.to_string()))?;
        if let Some(reason) = unsafe_sync(&connection.sync).await {
            object(connection, reason)?;
        }
        let context = jetstream::new(client.clone());
        let create = || async { open_stream(&context, connection.replicas).await };
        let stream = create.retry(patience).sleep(tokio::time::sleep).await.map_err(LogError::Stream)?;
        let unsafe_parts = unsafe_settings(&stream.cached_info().config, connection.replicas);
        if !unsafe_parts.is_empty() {
            object(connection, format!("stream {STREAM}: {}", unsafe_parts.join(", ")))?;
        }
        Ok(Self {
            client,
            stream,
            limits: connection.limits,
            appends: Arc::new(Semaphore::new(connection.limits.appends_in_flight)),
            batches: Arc::new(Semaphore::new(BATCHES_IN_FLIGHT)),
        })
    }

    /// The position of the last event in the log; 0 when it is empty.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn head(&self) -> Result<Sequence, LogError> {
        let info = self.stream.get_info().await.map_err(|e| LogError::Stream(e.to_string()))?;
        Ok(Sequence(info.state.last_sequence))
    }

    /// Whether the server answers.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// The last event of a subject; `None` when there is none.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn last(&self, subject: &Subject) -> Result<Option<Recorded>, LogError> {
        match self.stream.direct_get_last_for_subject(subject.as_str()).await {
            Ok(message) => {
                let at = Timestamp::from_nanosecond(message.time.unix_timestamp_nanos()).unwrap_or_default();
                Ok(Some(codec::decode(Sequence(message.sequence), at, &message.payload)))
            }
            Err(e) if e.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(e) => Err(LogError::Stream(format!("reading the last event of '{subject}': {e}"))),
        }
    }

    /// Follows the log from after a position, without a gap, for ever.
    #[must_use]
    pub fn tail(&self, after: Sequence) -> Tail {
        Tail::new(self.stream.clone(), after)
    }

    /// Appends a unit, all of it or nothing. One event is one message; more are an atomic batch.
    ///
    /// An append that gets no answer is tried again: the event ids make sure that it happens once.
    ///
    /// # Errors
    /// [`LogError::Conflict`] when an expectation does not hold; others when the log can't be reached or refuses.
    pub async fn append(&self, unit: &Unit) -> Result<Appended, LogError> {
        let messages = prepare(unit)?;
        let _permit = self.appends.acquire().await;
        let again = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(2))
            .with_max_times(self.limits.append_retries);
        let ambiguous = |e: &LogError| matches!(e, LogError::Unacknowledged(_));
        let mut attempts = 0_u32;
        let attempt = || {
            attempts += 1;
            self.try_append(&messages, attempts)
        };
        let appended = attempt.retry(again).when(ambiguous).sleep(tokio::time::sleep).await?;
        for message in &messages {
            metrics().events_appended.add(1, &[label("type", message.type_name)]);
        }
        Ok(appended)
    }

    async fn try_append(&self, messages: &[Message], attempt: u32) -> Result<Appended, LogError> {
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
            Some(error) => self.refused(messages, last, &error, attempt).await,
        }
    }

    async fn refused(
        &self,
        messages: &[Message],
        last: &Message,
        error: &AckError,
        attempt: u32,
    ) -> Result<Appended, LogError> {
        let conflict = WRONG_LAST_SEQUENCE.contains(&error.err_code);
        // An earlier attempt may have been appended without our hearing of it.
        if error.err_code == BATCH_HAS_DUPLICATE || (conflict && attempt > 1) {
            let found = self.last(&last.subject).await?.filter(|e| e.meta.event_id == last.event_id);
            if let Some(event) = found {
                return Ok(Appended { last: event.sequence });
            }
        }
        if conflict {
            let culprit = messages.iter().find(|m| m.expect != Expect::Any).unwrap_or(last);
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

fn prepare(unit: &Unit) -> Result<Vec<Message>, LogError> {
    if unit.is_empty() || unit.len() > 1000 {
        return Err(LogError::UnitSize(unit.len()));
    }
    let mut seen = BTreeSet::new();
    let mut messages = Vec::with_capacity(unit.len());
    for (event, expect) in &unit.events {
        let Some((kind, payload)) = codec::encode(event) else {
            return Err(LogError::Refused("an unknown event can't be appended".into()));
        };
        let subject = subject_of(&event.event, &event.meta);
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, event.meta.event_id.to_string());
        headers.insert(NATS_EXPECTED_STREAM, STREAM);
        if !event.meta.trace.traceparent.is_empty() {
            headers.insert("traceparent", event.meta.trace.traceparent.as_str());
        }
        let expect = if seen.insert(subject.clone()) { *expect } else { Expect::Any };
        if let Expect::Last(sequence) = expect {
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.0.to_string());
        }
        let event_id = event.meta.event_id;
        messages.push(Message { subject, headers, payload: payload.into(), type_name: kind.name(), event_id, expect });
    }
    Ok(messages)
}

fn object(connection: &Connection, reason: String) -> Result<(), LogError> {
    match connection.durability {
        Durability::Refuse => Err(LogError::Unsafe { url: connection.url.clone(), reason }),
        Durability::Warn => {
            warn!(url = connection.url, reason, "the log may lose acknowledged events");
            Ok(())
        }
    }
}

async fn open_stream(context: &Context, replicas: usize) -> Result<Stream, String> {
    let config = Config {
        name: STREAM.into(),
        description: Some("Rollcall's event log: the only truth".into()),
        subjects: vec!["rollcall.>".into()],
        storage: StorageType::File,
        num_replicas: replicas,
        discard: DiscardPolicy::New,
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        allow_atomic_publish: true,
        duplicate_window: Duration::from_secs(120),
        ..Config::default()
    };
    context.get_or_create_stream(config).await.map_err(|e| e.to_string())
}

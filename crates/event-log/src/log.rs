//! Appending, and reading the last event of an aggregate.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, LastRawMessageErrorKind, StorageType, Stream};
use async_nats::jetstream::{self, Context};
use backon::Retryable as _;
use rollcall_domain::{Recorded, Sequence};
use rollcall_privacy::EventKey;
use rollcall_telemetry::metrics::{label, metrics};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::warn;

use crate::append::{Appender, MAX_PAYLOAD, event_at, last_event, prepare};
use crate::commit::{self, Pending};
use crate::connection::{Connection, STREAM};
use crate::dial::{dial, patience};
use crate::error::LogError;
use crate::head::{self, HeadAnswer};
use crate::key_bucket::KeyBucket;
use crate::key_ring::{KeyOf, KeyRing};
use crate::leases::Leases;
use crate::safety::{Durability, unsafe_settings, unsafe_sync};
use crate::sealing::Sealing;
use crate::subject::{NameHash, Subject};
use crate::tail::Tail;
use crate::together::{Batch, Together};
use crate::unit::{Appended, Unit};

/// A connection to the log; clones share it.
#[derive(Debug, Clone)]
pub struct EventLog {
    client: async_nats::Client,
    replicas: usize,
    stream: Stream,
    appends: Arc<Semaphore>,
    sealing: Sealing,
    units: mpsc::Sender<Pending>,
    heads: mpsc::Sender<HeadAnswer>,
    together: Together,
}

impl EventLog {
    /// Connects, creates the stream when there is none, and checks that server and stream are safe.
    ///
    /// # Errors
    /// When no server answers in time, the stream can't be had, or it is unsafe and [`Durability::Refuse`] holds.
    pub async fn connect(connection: &Connection) -> Result<Self, LogError> {
        let client = dial(connection).await?;
        if let Some(reason) = unsafe_sync(&connection.sync).await {
            object(connection, reason)?;
        }
        let most = client.server_info().max_payload;
        if most < MAX_PAYLOAD {
            let reason = format!(
                "its max_payload is {most} bytes, and an event may have {MAX_PAYLOAD}: what does not fit could never be said"
            );
            object(connection, reason)?;
        }
        let context = jetstream::new(client.clone());
        let create = || async { open_stream(&context, connection.replicas).await };
        let stream = create.retry(patience(connection)).sleep(tokio::time::sleep).await.map_err(LogError::Stream)?;
        let unsafe_parts = unsafe_settings(&stream.cached_info().config, connection.replicas);
        if !unsafe_parts.is_empty() {
            object(connection, format!("stream {STREAM}: {}", unsafe_parts.join(", ")))?;
        }
        let sealing = match &connection.keys {
            Some(keys) => {
                let bucket = KeyBucket::open(client.clone(), connection.replicas).await?;
                let head = stream.get_info().await.map_err(|e| LogError::Stream(e.to_string()))?.state.last_sequence;
                Sealing::with(Arc::new(KeyRing::open(keys.clone(), Arc::new(bucket), Sequence(head)).await?))
            }
            None => {
                let look = || KeyBucket::is_there(&client);
                if look.retry(patience(connection)).sleep(tokio::time::sleep).await? {
                    return Err(LogError::NoKey { url: connection.url.clone() });
                }
                Sealing::default()
            }
        };
        let limits = connection.limits;
        let appender = Appender::new(client.clone(), stream.clone(), limits.append_retries);
        let (units, waiting) = mpsc::channel(limits.appends_in_flight);
        tokio::spawn(commit::run(Arc::new(appender), waiting));
        let (heads, asking) = mpsc::channel(limits.appends_in_flight);
        tokio::spawn(head::run(stream.clone(), asking));
        let replicas = connection.replicas;
        let appends = Arc::new(Semaphore::new(limits.appends_in_flight));
        let together = Together::default();
        Ok(Self { client, replicas, stream, appends, sealing, units, heads, together })
    }

    /// The same log, with someone who knows which key each person has.
    #[must_use]
    pub fn knowing(mut self, known: Weak<dyn KeyOf>) -> Self {
        self.sealing = self.sealing.knowing(known);
        self
    }

    /// The keys of the installation; `None`: nothing is sealed.
    #[must_use]
    pub const fn keys(&self) -> Option<&Arc<KeyRing>> {
        self.sealing.ring()
    }

    /// The key of a stored event, which opens nothing else; `None`: nothing of it is sealed, or its key is not there.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn event_key(&self, stored: &[u8]) -> Result<Option<EventKey>, LogError> {
        self.sealing.event_key(stored).await
    }

    /// How names are hashed in subjects.
    #[must_use]
    pub fn names(&self) -> &NameHash {
        self.sealing.names()
    }

    /// The position of the last event in the log; 0 when it is empty.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn head(&self) -> Result<Sequence, LogError> {
        let (answer, told) = oneshot::channel();
        self.heads.send(answer).await.map_err(|_| LogError::closed())?;
        told.await.map_err(|_| LogError::closed())?
    }

    /// The leases of one holder, whose name nobody else has.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn leases(&self, holder: &str) -> Result<Leases, LogError> {
        Leases::open(self.client.clone(), self.replicas, holder).await
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
        last_event(&self.stream, subject, &self.sealing).await
    }

    /// The event at a position; `None` when there is none.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn event(&self, at: Sequence) -> Result<Option<Recorded>, LogError> {
        event_at(&self.stream, at, &self.sealing).await
    }

    /// The sequence of the last event of a subject, 0 when there is none, from the stream's leader: a replica may be a moment behind, and "nothing has changed" must not be said
    /// of an old state.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn last_sequence(&self, subject: &Subject) -> Result<Sequence, LogError> {
        match self.stream.get_last_raw_message_by_subject(subject.as_str()).await {
            Ok(message) => Ok(Sequence(message.sequence)),
            Err(e) if e.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(Sequence(0)),
            Err(e) => Err(LogError::Stream(format!("reading the last event of '{subject}': {e}"))),
        }
    }

    /// Follows the log from after a position, without a gap, for ever.
    #[must_use]
    pub fn tail(&self, after: Sequence) -> Tail {
        Tail::new(self.client.clone(), self.stream.clone(), self.sealing.clone(), after)
    }

    /// The events of the log from its start, at most so many at a time, read once for all who ask for them here at about the same time:
    /// whoever is slowest is waited for.
    #[must_use]
    pub fn read_together(&self, limit: usize) -> mpsc::Receiver<Batch> {
        self.together.read(|| self.tail(Sequence(0)), limit)
    }

    /// Appends a unit, all of it or nothing. One event is one message; more are an atomic batch.
    ///
    /// An append that gets no answer is tried again: the event ids make sure that it happens once.
    ///
    /// # Errors
    /// [`LogError::Conflict`] when an expectation does not hold; others when the log can't be reached or refuses.
    pub async fn append(&self, unit: &Unit) -> Result<Appended, LogError> {
        let messages = prepare(unit, &self.sealing).await?;
        let types: Vec<_> = messages.iter().map(|m| m.type_name).collect();
        let _permit = self.appends.acquire().await;
        let (answer, told) = oneshot::channel();
        self.units.send(Pending { messages, answer }).await.map_err(|_| LogError::closed())?;
        let appended = told.await.map_err(|_| LogError::closed())??;
        for name in types {
            metrics().events_appended.add(1, &[label("type", name)]);
        }
        Ok(appended)
    }
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

//! Following the log: every event once, in order, without a gap, whatever happens to the connection.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::stream::Stream;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use rollcall_domain::{Recorded, Sequence};
use tracing::{debug, warn};

use crate::erasures::Erasures;
use crate::error::LogError;
use crate::sealing::Sealing;

const PAUSE: Duration = Duration::from_millis(250);

/// How often it is looked whether the connection is a new one.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A position in the log that moves forward.
pub struct Tail {
    client: Client,
    stream: Stream,
    after: Sequence,
    messages: Option<Subscription>,
    sealing: Sealing,
    /// What was received and is not opened yet.
    pending: VecDeque<(Sequence, Timestamp, String, Bytes)>,
    /// Of whose events some are closed: whether they were erased later.
    erasures: Erasures,
    /// What is opened and was not given yet.
    opened: Vec<Recorded>,
}

/// An event as the log has it, not decoded.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its position.
    pub sequence: Sequence,
    /// The subject it was appended under.
    pub subject: String,
    /// The message.
    pub bytes: Bytes,
}

struct Subscription {
    messages: Pin<Box<Ordered>>,
    /// Of how many connections it belongs to the last.
    connects: u64,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("after", &self.after).finish_non_exhaustive()
    }
}

impl Tail {
    pub(crate) fn new(client: Client, stream: Stream, sealing: Sealing, after: Sequence) -> Self {
        Self {
            client,
            stream,
            after,
            messages: None,
            sealing,
            pending: VecDeque::new(),
            erasures: Erasures::default(),
            opened: Vec::new(),
        }
    }

    /// The next events: at least one, at most `limit`. Waits for as long as there is none, and for a server that is
    /// away. Dropping the future loses nothing.
    pub async fn next(&mut self, limit: usize) -> Vec<Recorded> {
        if self.pending.is_empty() {
            let stored =
                |sequence, at, message: &Message| (sequence, at, message.subject.to_string(), message.payload.clone());
            self.pending = self.next_as(limit, stored).await.into();
        }
        while let Some((sequence, at, subject, bytes)) = self.pending.front() {
            let read = async {
                let mut event = self.sealing.read(*sequence, *at, subject, bytes).await?;
                if event.seal.is_closed()
                    && let Some(person) = event.event.person()
                {
                    event.erased = self.erasures.of(&self.stream, &self.sealing, person).await?;
                }
                Ok::<_, LogError>(event)
            };
            match read.await {
                Ok(event) => {
                    self.opened.push(event);
                    self.pending.pop_front();
                }
                Err(_) if !self.opened.is_empty() => break,
                Err(e) => {
                    warn!(error = %e, at = sequence.0, "the key of an event can't be had, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        std::mem::take(&mut self.opened)
    }

    /// The same as they are stored, for those who only pass them on.
    pub async fn next_stored(&mut self, limit: usize) -> Vec<Stored> {
        let stored = |sequence, _, message: &Message| Stored {
            sequence,
            subject: message.subject.to_string(),
            bytes: message.payload.clone(),
        };
        self.next_as(limit, stored).await
    }

    async fn next_as<T>(&mut self, limit: usize, read: impl Fn(Sequence, Timestamp, &Message) -> T) -> Vec<T> {
        let mut batch = Vec::new();
        loop {
            let Subscription { messages, connects } = match &mut self.messages {
                Some(subscription) => subscription,
                None => match subscribe(&self.client, &self.stream, self.after).await {
                    Ok(subscription) => self.messages.insert(subscription),
                    Err(reason) => {
                        warn!(reason, after = self.after.0, "the log can't be followed, trying again");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            let next = match batch.as_slice() {
                [] => tokio::select! {
                    next = messages.next() => next,
                    () = reconnected(&self.client, *connects) => {
                        debug!(after = self.after.0, "the connection is a new one, following the log again");
                        self.messages = None;
                        continue;
                    }
                },
                // What is here is taken, without a turn for others after each hundred.
                _ => tokio::task::unconstrained(messages.next()).now_or_never().flatten(),
            };
            let problem = match next {
                None if !batch.is_empty() => return batch,
                None => "the subscription ended".to_owned(),
                Some(Err(e)) => e.to_string(),
                Some(Ok(message)) => match self.accept(&message, &read) {
                    Ok(event) => {
                        batch.extend(event);
                        if batch.len() >= limit {
                            return batch;
                        }
                        continue;
                    }
                    Err(problem) => problem,
                },
            };
            self.messages = None;
            if !batch.is_empty() {
                return batch;
            }
            warn!(reason = problem, after = self.after.0, "following the log again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The event of a message; `None` for one that was seen already.
    fn accept<T>(
        &mut self,
        message: &Message,
        read: impl Fn(Sequence, Timestamp, &Message) -> T,
    ) -> Result<Option<T>, String> {
        let info = message.info().map_err(|e| e.to_string())?;
        let sequence = Sequence(info.stream_sequence);
        if sequence <= self.after {
            return Ok(None);
        }
        // Nothing can be deleted from the stream, so its sequences have no holes.
        if sequence.0 != self.after.0 + 1 {
            return Err(format!("event {} came after event {}", sequence.0, self.after.0));
        }
        let at = Timestamp::from_nanosecond(info.published.unix_timestamp_nanos()).map_err(|e| e.to_string())?;
        self.after = sequence;
        Ok(Some(read(sequence, at, message)))
    }
}

fn connects(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}

/// Returns when there have been more connections. The server may have forgotten what an earlier one had asked for, and says
/// nothing then; the silence would be noticed much later.
async fn reconnected(client: &Client, held: u64) {
    while connects(client) == held {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn subscribe(client: &Client, stream: &Stream, after: Sequence) -> Result<Subscription, String> {
    let connects = connects(client);
    let config = OrderedConfig {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after.0 + 1 },
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.map_err(|e| e.to_string())?;
    let messages = consumer.messages().await.map_err(|e| e.to_string())?;
    Ok(Subscription { messages: Box::pin(messages), connects })
}

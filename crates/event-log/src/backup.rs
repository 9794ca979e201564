//! The log as one file, and back: a snapshot of the stream as the server gives it, with every sequence and time as they are.
//! In the file: one line of JSON, the stream's settings and state, and then what the server sent.
//! (JetStream API: STREAM.SNAPSHOT and STREAM.RESTORE.)

use std::io::{BufRead, Write};
use std::time::Duration;

use async_nats::{Client, Message, RequestErrorKind};
use backon::Retryable as _;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::connection::{Connection, STREAM};
use crate::dial::{dial, patience};
use crate::error::LogError;
use crate::key_bucket;

/// How much is sent at once, in bytes.
const CHUNK: usize = 128 << 10;

/// How long the server may be silent; it reads through what it has before it begins.
const SILENCE: Duration = Duration::from_secs(60);

/// The longest first line.
const MAX_HEADER: u64 = 1 << 20;

/// What stands before the snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Header {
    rollcall_backup: u32,
    config: Value,
    state: Value,
}

/// What is saved by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The log.
    Log,
    /// The keys of people, wrapped.
    Keys,
}

impl Part {
    const fn stream(self) -> &'static str {
        match self {
            Self::Log => STREAM,
            Self::Keys => key_bucket::STREAM,
        }
    }
}

/// How much was saved or restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Events, or pages of keys.
    pub events: u64,
    /// Bytes of the snapshot.
    pub bytes: u64,
}

fn failed(what: impl ToString) -> LogError {
    LogError::Backup(what.to_string())
}

/// What servers say that have not found together yet (JetStream error codes): no leader, no peers, too few resources.
const NOT_TOGETHER: [u64; 3] = [10_008, 10_005, 10_023];

/// Why the server did not do what it was asked.
enum Refusal {
    /// It can't yet: a cluster that has just started has no leader.
    NotYet(String),
    /// It says nothing: perhaps nobody leads, perhaps it has much to read.
    Silence,
    /// It does not.
    Never(String),
}

impl From<Refusal> for LogError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotYet(why) | Refusal::Never(why) => failed(why),
            Refusal::Silence => failed("the server does not answer"),
        }
    }
}

async fn send(client: &Client, subject: String, body: Bytes, wait: Duration) -> Result<Bytes, Refusal> {
    let request = async_nats::Request::new().payload(body).timeout(Some(wait));
    let answer = client.send_request(subject, request).await.map_err(|e| match e.kind() {
        RequestErrorKind::NoResponders => Refusal::NotYet(e.to_string()),
        RequestErrorKind::TimedOut => Refusal::Silence,
        _ => Refusal::Never(e.to_string()),
    })?;
    Ok(answer.payload)
}

/// What the server says to a request of its API.
async fn ask(client: &Client, subject: String, body: Bytes, wait: Duration) -> Result<Value, Refusal> {
    let answer = send(client, subject, body, wait).await?;
    let answer: Value = serde_json::from_slice(&answer).map_err(|e| Refusal::Never(e.to_string()))?;
    match (answer["error"]["description"].as_str(), answer["error"]["err_code"].as_u64()) {
        (Some(error), Some(code)) if NOT_TOGETHER.contains(&code) => Err(Refusal::NotYet(error.to_owned())),
        (Some(error), _) => Err(Refusal::Never(error.to_owned())),
        (None, _) => Ok(answer),
    }
}

/// Asks a server that has perhaps just started. What begins something is asked only when somebody leads, which the
/// `probe` shows: asked twice it would begin twice.
async fn ask_leader(
    connection: &Connection,
    client: &Client,
    probe: &str,
    ask_for: &str,
    body: &Value,
) -> Result<Value, LogError> {
    let look = || ask(client, probe.to_owned(), Bytes::new(), connection.limits.ack_timeout);
    patiently(connection, |e| !matches!(e, Refusal::Never(_)), look).await?;
    let body = Bytes::from(body.to_string());
    patiently(connection, not_yet, || ask(client, ask_for.to_owned(), body.clone(), SILENCE)).await
}

const fn not_yet(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::NotYet(_))
}

/// Asks again as long as a server is waited for, while the refusals are those that `pass`.
async fn patiently<T, F: Future<Output = Result<T, Refusal>>>(
    connection: &Connection,
    pass: fn(&Refusal) -> bool,
    once: impl FnMut() -> F,
) -> Result<T, LogError> {
    Ok(once.retry(patience(connection)).sleep(tokio::time::sleep).when(pass).await?)
}

fn events(state: &Value) -> u64 {
    state["messages"].as_u64().unwrap_or_default()
}

/// Whether a server has keys to save.
///
/// # Errors
/// When the server does not answer.
pub async fn has_keys(connection: &Connection) -> Result<bool, LogError> {
    key_bucket::KeyBucket::is_there(&dial(connection).await?).await
}

/// Writes the log, or the keys, to a file, while they are used; what is appended meanwhile may not be in it.
///
/// # Errors
/// When the server does not give it, or it can't be written.
pub async fn backup(connection: &Connection, part: Part, to: &mut (impl Write + Send)) -> Result<Volume, LogError> {
    let (client, stream) = (dial(connection).await?, part.stream());
    let inbox = client.new_inbox();
    let mut chunks = client.subscribe(inbox.clone()).await.map_err(failed)?;
    let request = json!({ "deliver_subject": inbox, "no_consumers": true, "chunk_size": CHUNK });
    let answer = ask_leader(
        connection,
        &client,
        &format!("$JS.API.STREAM.INFO.{stream}"),
        &format!("$JS.API.STREAM.SNAPSHOT.{stream}"),
        &request,
    )
    .await?;
    let header = Header { rollcall_backup: 1, config: answer["config"].clone(), state: answer["state"].clone() };
    serde_json::to_writer(&mut *to, &header).map_err(failed)?;
    to.write_all(b"\n").map_err(failed)?;
    let mut bytes = 0;
    loop {
        let next = tokio::time::timeout(SILENCE, chunks.next()).await;
        let chunk: Message = next.map_err(failed)?.ok_or_else(|| failed("the connection was lost"))?;
        if chunk.payload.is_empty() {
            // The end, unless it says that it is not.
            return match chunk.status {
                Some(status) if status.as_u16() >= 300 => {
                    Err(failed(chunk.description.unwrap_or_else(|| status.to_string())))
                }
                _ => Ok(Volume { events: events(&header.state), bytes }),
            };
        }
        to.write_all(&chunk.payload).map_err(failed)?;
        bytes += chunk.payload.len() as u64;
        if let Some(reply) = chunk.reply {
            client.publish(reply, Bytes::new()).await.map_err(failed)?;
        }
    }
}

/// Puts a log that was backed up, or its keys, on a server that has none.
///
/// # Errors
/// When the file is no backup, or the server does not take it: one that has a log refuses.
pub async fn restore(
    connection: &Connection,
    part: Part,
    from: &mut (impl BufRead + Send),
) -> Result<Volume, LogError> {
    let stream = part.stream();
    let mut line = Vec::new();
    std::io::Read::take(&mut *from, MAX_HEADER).read_until(b'\n', &mut line).map_err(failed)?;
    let header: Header = serde_json::from_slice(&line).map_err(|e| failed(format!("it is no backup: {e}")))?;
    if header.rollcall_backup != 1 || header.config["name"] != stream {
        return Err(failed("it is no backup that this version knows"));
    }
    let client = dial(connection).await?;
    let mut config = header.config;
    config["num_replicas"] = connection.replicas.into();
    let request = json!({ "config": config, "state": header.state });
    let answer =
        ask_leader(connection, &client, "$JS.API.INFO", &format!("$JS.API.STREAM.RESTORE.{stream}"), &request).await?;
    let place =
        answer["deliver_subject"].as_str().ok_or_else(|| failed("the server does not say where to"))?.to_owned();
    let (mut bytes, mut chunk) = (0, vec![0; CHUNK]);
    loop {
        let size = from.read(&mut chunk).map_err(failed)?;
        let part = chunk.get(..size).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        bytes += size as u64;
        // In a cluster the server that takes it may not be known yet to the one that we are connected to.
        let part = Bytes::copy_from_slice(part);
        let refused = patiently(connection, not_yet, || send(&client, place.clone(), part.clone(), SILENCE)).await?;
        if !refused.is_empty() {
            return Err(failed(String::from_utf8_lossy(&refused)));
        }
    }
    ask(&client, place, Bytes::new(), SILENCE).await?;
    Ok(Volume { events: events(&header.state), bytes })
}

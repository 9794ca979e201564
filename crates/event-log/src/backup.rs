//! The log as one file, and back: a snapshot of the stream as the server gives it, with every sequence and time as they are.
//! In the file: one line of JSON, the stream's settings and state, and then what the server sent.
//! (JetStream API: STREAM.SNAPSHOT and STREAM.RESTORE.)

use std::io::{BufRead, Write};
use std::time::Duration;

use async_nats::{Client, Message};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::dial::dial;
use crate::error::LogError;
use crate::log::{Connection, STREAM};

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

/// How much was saved or restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Events.
    pub events: u64,
    /// Bytes of the snapshot.
    pub bytes: u64,
}

fn failed(what: impl ToString) -> LogError {
    LogError::Backup(what.to_string())
}

/// What the server says to a request of its API.
async fn ask(client: &Client, subject: String, body: Vec<u8>) -> Result<Value, LogError> {
    let request = async_nats::Request::new().payload(body.into()).timeout(Some(SILENCE));
    let answer = client.send_request(subject, request).await.map_err(failed)?;
    let answer: Value = serde_json::from_slice(&answer.payload).map_err(failed)?;
    match answer["error"]["description"].as_str() {
        Some(error) => Err(failed(error)),
        None => Ok(answer),
    }
}

fn events(state: &Value) -> u64 {
    state["messages"].as_u64().unwrap_or_default()
}

/// Writes the log to a file, while it is used; what is appended meanwhile may not be in it.
///
/// # Errors
/// When the server does not give it, or it can't be written.
pub async fn backup(connection: &Connection, to: &mut (impl Write + Send)) -> Result<Volume, LogError> {
    let client = dial(connection).await?;
    let inbox = client.new_inbox();
    let mut chunks = client.subscribe(inbox.clone()).await.map_err(failed)?;
    let request = json!({ "deliver_subject": inbox, "no_consumers": true, "chunk_size": CHUNK });
    let answer = ask(&client, format!("$JS.API.STREAM.SNAPSHOT.{STREAM}"), request.to_string().into_bytes()).await?;
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

/// Puts a log that was backed up on a server that has none.
///
/// # Errors
/// When the file is no backup, or the server does not take it: one that has a log refuses.
pub async fn restore(connection: &Connection, from: &mut (impl BufRead + Send)) -> Result<Volume, LogError> {
    let mut line = Vec::new();
    std::io::Read::take(&mut *from, MAX_HEADER).read_until(b'\n', &mut line).map_err(failed)?;
    let header: Header = serde_json::from_slice(&line).map_err(|e| failed(format!("it is no backup: {e}")))?;
    if header.rollcall_backup != 1 || header.config["name"] != STREAM {
        return Err(failed("it is no backup that this version knows"));
    }
    let client = dial(connection).await?;
    let mut config = header.config;
    config["num_replicas"] = connection.replicas.into();
    let request = json!({ "config": config, "state": header.state });
    let answer = ask(&client, format!("$JS.API.STREAM.RESTORE.{STREAM}"), request.to_string().into_bytes()).await?;
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
        let request = async_nats::Request::new().payload(Bytes::copy_from_slice(part)).timeout(Some(SILENCE));
        let answer = client.send_request(place.clone(), request).await.map_err(failed)?;
        if !answer.payload.is_empty() {
            return Err(failed(String::from_utf8_lossy(&answer.payload)));
        }
    }
    ask(&client, place, Vec::new()).await?;
    Ok(Volume { events: events(&header.state), bytes })
}

//! The timeline as a stream, for other systems and for auditors: NDJSON that can be verified, CSV, and OCSF.

use std::pin::pin;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _, unfold};
use rollcall_config::Role;
use rollcall_domain::Recorded;
use rollcall_domain::ids::Sequence;
use rollcall_domain::kv::KvError;
use rollcall_event_log::{Stored, Tail};
use rollcall_projection::View;
use rollcall_proof::Tree;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::error;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Api, Pairs, Person, Shared};
use crate::entry::Entry;
use crate::error::{ApiError, Problem};
use crate::timeline::{self, Choice, Order, Page};
use crate::{checkpoints, csv, entries, ocsf, params, proofs, trail};

/// How many entries are read at once.
const CHUNK: usize = 500;

/// How many events are fetched at once, where they do not follow one another.
const FETCHES: usize = 32;

/// How many pieces are written at once.
const WRITERS: usize = 3;

/// How many pieces wait for a reader that is slower than we are.
const WAITING: usize = 4;

/// The version of the lines of an NDJSON export.
const VERSION: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Ndjson,
    Csv,
    Ocsf,
}

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(export))
}

/// The first line of an NDJSON export: what it holds, and what it can be verified with.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    version: u32,
    /// Every event after `after`, up to `to`; else those that were asked for.
    complete: bool,
    after: Sequence,
    to: Sequence,
    /// The newest checkpoint; none: there is none yet.
    checkpoint: Option<String>,
    public_keys: Vec<String>,
}

/// The last line: an export without it broke off.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    entries: u64,
    /// Goes on after this: `?after=`.
    last: Sequence,
}

/// A line: an entry, with the event as the log has it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    record: Record,
}

/// What is proved of an event.
#[derive(Debug, Serialize)]
struct Record {
    subject: String,
    /// The message, Base64.
    stored: String,
    /// That the checkpoint holds it (RFC 9162 §2.1.3, Base64); none: all events are here, or it is newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Vec<String>>,
}

/// What one export needs while it runs.
struct Export {
    api: Arc<Api>,
    format: Format,
    choice: Choice,
    after: Sequence,
    to: Sequence,
    /// The size of the checkpoint that the lines are proved against, when they are proved one by one.
    proved: Option<Sequence>,
    _permit: OwnedSemaphorePermit,
}

/// The timeline, oldest first, streamed: all of it, a window, one identity, or whatever the timeline can be asked for.
/// An export that broke off goes on with `?after=`.
#[utoipa::path(get, path = "/v1/export", tag = "timeline", params(params::Export), responses(
    (status = 200, description = "NDJSON, CSV or OCSF as NDJSON.", content_type = "application/x-ndjson", body = String), Problem
))]
async fn export(State(api): Shared, Extension(person): Extension<Person>, pairs: Pairs) -> Result<Response, ApiError> {
    let query = api.query::<params::Export>(pairs)?;
    person.needs(Role::Auditor)?;
    let format = query.word::<Format>("format")?.unwrap_or(Format::Ndjson);
    let choice = trail::choice(&query)?;
    let after = Sequence(query.parsed::<u64>("after", "a sequence")?.unwrap_or_default());
    let view = api.fresh().await?;
    let permit = api.stream()?;
    let to = api.store.cursor();
    let complete = choice.is_everything();
    let checkpoint = checkpoints::latest(&view)?;
    let proved = checkpoint.as_ref().map(|c| c.size).filter(|_| !complete);
    let head = Head {
        version: VERSION,
        complete,
        after,
        to,
        checkpoint: checkpoint.map(|c| c.note),
        public_keys: api.keys.iter().map(|key| key.public().to_owned()).collect(),
    };
    let (kind, ending, first) = match format {
        Format::Ndjson => ("application/x-ndjson", "ndjson", line(&serde_json::json!({ "export": head }))?),
        Format::Csv => ("text/csv; charset=utf-8", "csv", csv::head().into()),
        Format::Ocsf => ("application/x-ndjson", "ocsf.ndjson", Bytes::new()),
    };
    let (sender, pieces) = mpsc::channel::<Result<Bytes, ApiError>>(WAITING);
    let tail = (complete && format == Format::Ndjson).then(|| api.log.tail(after));
    let export = Export { api, format, choice, after, to, proved, _permit: permit };
    tokio::spawn(async move {
        let _ = sender.send(Ok(first)).await;
        let done = match tail {
            Some(tail) => export.everything(tail, &sender).await,
            None => export.run(&sender).await,
        };
        if let Err(e) = done {
            error!(error = %e, "an export broke off");
            let _ = sender.send(Err(e)).await;
        }
    });
    let pieces = unfold(pieces, |mut pieces| async move { pieces.recv().await.map(|piece| (piece, pieces)) });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let name = format!("attachment; filename=\"rollcall-{}-{to}.{ending}\"", after.0 + 1);
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

fn line(value: &impl Serialize) -> Result<Bytes, ApiError> {
    let mut bytes = serde_json::to_vec(value).map_err(|e| ApiError::Unwritable(e.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

impl Export {
    /// Sends every piece; ends early when nobody reads any more.
    async fn run(self, sender: &mpsc::Sender<Result<Bytes, ApiError>>) -> Result<(), ApiError> {
        let (mut entries, mut last) = (0, self.after);
        let mut next = Some(self.read(self.after));
        while let Some(reading) = next.take() {
            let page = reading.await.map_err(|_| ApiError::Stopped)??;
            // The next one is read while this one is written.
            next = page.next.filter(|next| *next < self.to).map(|after| self.read(after));
            // What was appended since is the next export's.
            let found: Vec<Entry> = page.entries.into_iter().filter(|entry| entry.sequence <= self.to).collect();
            if found.is_empty() {
                continue;
            }
            entries += found.len() as u64;
            last = found.last().map_or(last, |entry| entry.sequence);
            let piece = self.piece(&found).await?;
            if sender.send(Ok(piece)).await.is_err() {
                return Ok(());
            }
        }
        if self.format == Format::Ndjson {
            let end = line(&serde_json::json!({ "end": End { entries, last } }))?;
            let _ = sender.send(Ok(end)).await;
        }
        Ok(())
    }

    /// The same for a log without gaps: its entries are passed on as they are stored.
    async fn everything(self, tail: Tail, sender: &mpsc::Sender<Result<Bytes, ApiError>>) -> Result<(), ApiError> {
        let begin = self.after.min(self.to);
        let events = unfold((tail, begin), |(mut tail, at)| async move {
            let wanted = CHUNK.min(usize::try_from(self.to.0 - at.0).unwrap_or(CHUNK));
            let mut events = Vec::with_capacity(wanted);
            while events.len() < wanted {
                events.extend(tail.next_stored(wanted - events.len()).await);
            }
            let last = events.last().map(|event| event.sequence)?;
            Some((events, (tail, last)))
        });
        let written = events.map(|events| {
            let view = self.api.store.view();
            tokio::task::spawn_blocking(move || passed_on(&view, events))
        });
        let mut pieces = pin!(written.buffered(WRITERS));
        while let Some(piece) = pieces.next().await {
            if sender.send(Ok(piece.map_err(|_| ApiError::Stopped)??)).await.is_err() {
                return Ok(());
            }
        }
        let end = End { entries: self.to.0 - begin.0, last: self.to };
        let _ = sender.send(line(&serde_json::json!({ "end": end }))).await;
        Ok(())
    }

    fn read(&self, after: Sequence) -> JoinHandle<Result<Page, KvError>> {
        let (view, choice) = (self.api.store.view(), self.choice.clone());
        tokio::task::spawn_blocking(move || timeline::page(&view, &choice, Order::Oldest, Some(after), CHUNK))
    }

    async fn piece(&self, entries: &[Entry]) -> Result<Bytes, ApiError> {
        match self.format {
            Format::Ndjson => self.lines(entries).await,
            Format::Csv => csv::rows(entries).map(Bytes::from),
            Format::Ocsf => {
                let mut out = Vec::new();
                for event in entries.iter().filter_map(ocsf::event) {
                    out.extend_from_slice(&line(&event)?);
                }
                Ok(out.into())
            }
        }
    }

    async fn lines(&self, entries: &[Entry]) -> Result<Bytes, ApiError> {
        let records = self.records(entries).await?;
        let view = self.api.store.view();
        let mut out = Vec::new();
        for (entry, event) in entries.iter().zip(records) {
            let proof = match self.proved.filter(|size| event.sequence <= *size) {
                Some(size) => Some(proofs::shown(&Tree(&view).inclusion(event.sequence, size)?)),
                None => None,
            };
            let record = Record { subject: event.subject, stored: STANDARD.encode(event.stored), proof };
            out.extend_from_slice(&line(&Line { entry, record })?);
        }
        Ok(out.into())
    }

    /// The events of entries, from the log.
    async fn records(&self, entries: &[Entry]) -> Result<Vec<Recorded>, ApiError> {
        let api = Arc::clone(&self.api);
        let wanted: Vec<Sequence> = entries.iter().map(|entry| entry.sequence).collect();
        let fetches = stream::iter(wanted).map(move |sequence| fetch(Arc::clone(&api), sequence));
        fetches.buffered(FETCHES).try_collect().await
    }
}

/// The lines of events that follow one another.
fn passed_on(view: &View, events: Vec<Stored>) -> Result<Bytes, ApiError> {
    let before = events.first().map(|event| Sequence(event.sequence.0.saturating_sub(1))).unwrap_or_default();
    let found = entries::stored(view, before, events.len())?;
    let mut out = Vec::with_capacity(found.iter().map(|(_, entry)| 2 * entry.len()).sum());
    let mut found = found.iter();
    for event in events {
        let entry = found.next().filter(|(at, _)| *at == event.sequence).map(|(_, entry)| entry.as_slice());
        let missing = || ApiError::Unwritable(format!("event {} has no entry", event.sequence));
        // An entry is an object: the record becomes its last member.
        out.extend_from_slice(entry.and_then(|entry| entry.strip_suffix(b"}")).ok_or_else(missing)?);
        out.extend_from_slice(b",\"record\":");
        let record = Record { subject: event.subject, stored: STANDARD.encode(&event.bytes), proof: None };
        serde_json::to_writer(&mut out, &record).map_err(|e| ApiError::Unwritable(e.to_string()))?;
        out.extend_from_slice(b"}\n");
    }
    Ok(out.into())
}

async fn fetch(api: Arc<Api>, sequence: Sequence) -> Result<Recorded, ApiError> {
    let found = api.log.event(sequence).await?;
    found.ok_or_else(|| ApiError::NotFound(format!("event {sequence} on the log")))
}

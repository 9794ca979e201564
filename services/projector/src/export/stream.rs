//! The timeline as a stream, for other systems and for auditors: NDJSON that can be verified, CSV, and OCSF.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _, unfold};
use rollcall_config::Role;
use rollcall_domain::Recorded;
use rollcall_domain::ids::Sequence;
use rollcall_domain::kv::KvError;
use rollcall_event_log::{Stored, Tail};
use rollcall_privacy::EventKey;
use rollcall_projection::View;
use rollcall_proof::Tree;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tracing::error;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::context::{Api, Pairs, Shared};
use crate::api::person::Person;
use crate::api::streams::{StreamKind, StreamPlace};
use crate::api::{params, proofs, timeline as api_timeline};
use crate::error::{ApiError, Problem};
use crate::export::line::{self, End, Head, Record, VERSION};
use crate::export::{csv, ocsf};
use crate::proof::checkpoints::{self, CheckpointView};
use crate::timeline::entries;
use crate::timeline::entry::{self, Entry};
use crate::timeline::selection::{self, Choice, Order, Page};

/// How many entries are read at once.
const CHUNK: usize = 500;

/// How many events are fetched at once, where they do not follow one another.
const FETCHES: usize = 32;

/// How many pieces are written at once.
const WRITERS: usize = 3;

/// How many pieces wait for a reader that is slower than we are.
const WAITING: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Ndjson,
    Csv,
    Ocsf,
}

/// How long an export waits until what it holds is signed.
const SIGNED_WITHIN: Duration = Duration::from_secs(3);

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(export))
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
    _permit: StreamPlace,
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
    let choice = api_timeline::choice(&query)?;
    let after = Sequence(query.parsed::<u64>("after", "a sequence")?.unwrap_or_default());
    let mut view = api.fresh().await?;
    if format == Format::Ndjson {
        view = signed(&api, view).await?;
    }
    let permit = api.stream(StreamKind::Export, &person)?;
    let complete = choice.is_everything();
    let checkpoint = checkpoints::latest(&view)?;
    // What can be verified ends where it was signed last: the next export goes on there.
    let signed = checkpoint.as_ref().map(|c| c.size).filter(|_| format == Format::Ndjson);
    let to = signed.unwrap_or_else(|| api.store.cursor());
    let proved = checkpoint.as_ref().map(|c| c.size).filter(|_| !complete);
    let whole = |at: Sequence| Some(at).filter(|_| complete);
    let head =
        Head { version: VERSION, complete, after: whole(after), to: whole(to), checkpoint: checkpoint.map(|c| c.note) };
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

/// The state once all that it held is signed, or once that was waited for long enough.
async fn signed(api: &Api, view: View) -> Result<View, ApiError> {
    let wanted = api.store.cursor();
    // A checkpoint does not hold its own event.
    let holds = |c: &CheckpointView| c.size >= wanted || (c.sequence == wanted && c.size.0 + 1 == wanted.0);
    if checkpoints::latest(&view)?.as_ref().is_some_and(holds) {
        return Ok(view);
    }
    api.sealing.notify_one();
    let mut news = api.store.watch();
    let until = Instant::now() + SIGNED_WITHIN;
    loop {
        let view = api.store.view();
        let is_signed = checkpoints::latest(&view)?.as_ref().is_some_and(holds);
        if is_signed || !matches!(timeout_at(until, news.changed()).await, Ok(Ok(()))) {
            return Ok(view);
        }
    }
}

fn line(value: &impl Serialize) -> Result<Bytes, ApiError> {
    line::ended(value).map(Bytes::from).map_err(unwritable)
}

fn unwritable(error: serde_json::Error) -> ApiError {
    ApiError::Unwritable(error.to_string())
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
            let (view, log) = (self.api.store.view(), self.api.log.clone());
            async move {
                let mut keys = Vec::with_capacity(events.len());
                for event in &events {
                    keys.push(log.event_key(&event.bytes).await?);
                }
                let writing = tokio::task::spawn_blocking(move || passed_on(&view, events, &keys));
                writing.await.map_err(|_| ApiError::Stopped)?
            }
        });
        let mut pieces = pin!(written.buffered(WRITERS));
        while let Some(piece) = pieces.next().await {
            if sender.send(Ok(piece?)).await.is_err() {
                return Ok(());
            }
        }
        let end = End { entries: self.to.0 - begin.0, last: self.to };
        let _ = sender.send(line(&serde_json::json!({ "end": end }))).await;
        Ok(())
    }

    fn read(&self, after: Sequence) -> JoinHandle<Result<Page, KvError>> {
        let (view, choice) = (self.api.store.view(), self.choice.clone());
        tokio::task::spawn_blocking(move || selection::page(&view, &choice, Order::Oldest, Some(after), CHUNK))
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
            let key = self.api.log.event_key(&event.stored).await?.filter(|_| !entry.is_erased());
            let record = Record::of(event.subject, &event.stored, key.as_ref(), proof);
            out.extend_from_slice(&line::of_entry(entry, &record).map_err(unwritable)?);
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
fn passed_on(view: &View, events: Vec<Stored>, keys: &[Option<EventKey>]) -> Result<Bytes, ApiError> {
    let before = events.first().map(|event| Sequence(event.sequence.0.saturating_sub(1))).unwrap_or_default();
    let found = entries::stored(view, before, events.len())?;
    let mut out = Vec::with_capacity(found.iter().map(|(_, entry)| 2 * entry.len()).sum());
    let mut found = found.iter();
    for (event, key) in events.into_iter().zip(keys) {
        let entry = found.next().filter(|(at, _)| *at == event.sequence).map(|(_, entry)| entry.as_slice());
        let missing = || ApiError::Unwritable(format!("event {} has no entry", event.sequence));
        let entry = entry.ok_or_else(missing)?;
        // A key that has yet to be destroyed would show what the entry says no more.
        let erased = key.is_some() && entry::is_erased(entry).map_err(unwritable)?;
        let record = Record::of(event.subject.clone(), &event.bytes, key.as_ref().filter(|_| !erased), None);
        out.extend_from_slice(&line::of_kept(entry, &record).map_err(unwritable)?);
    }
    Ok(out.into())
}

async fn fetch(api: Arc<Api>, sequence: Sequence) -> Result<Recorded, ApiError> {
    let found = api.log.event(sequence).await?;
    found.ok_or_else(|| ApiError::NotFound(format!("event {sequence} on the log")))
}

//! The timeline over HTTP: pages, and live.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::{Extension, Json};
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt as _};
use rollcall_config::Role;
use rollcall_domain::ids::{AppId, IdentityId, Sequence};
use serde_json::value::RawValue;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::context::{Api, Pairs, Shared};
use crate::api::identities::known_identity;
use crate::api::paging::List;
use crate::api::params;
use crate::api::person::{Credential, Person};
use crate::api::query::{Path, Query};
use crate::api::relations::still_opens;
use crate::api::streams::{StreamKind, StreamPlace};
use crate::error::{ApiError, Problem};
use crate::timeline::entry::Entry;
use crate::timeline::selection::{self, Choice, Order};

type Who = Extension<Person>;

/// How many entries are read at once for a stream.
const CHUNK: usize = 200;

/// How long it is believed that a token still opens what it has opened.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(whole_timeline)).routes(routes!(identity_timeline)).routes(routes!(stream))
}

/// What a request chooses of the timeline.
///
/// # Errors
/// 400, naming the parameter.
pub fn choice(query: &Query) -> Result<Choice, ApiError> {
    let (from, to) = query.window()?;
    Ok(Choice {
        identity: query.parsed::<IdentityId>("identity", "an identity id")?,
        from,
        to,
        type_name: query.text("type").map(str::to_owned),
        app: query.parsed::<AppId>("app", "an app id")?,
        actor: query.text("actor").map(str::to_owned),
        source: query.text("source").map(str::to_owned),
        change: query.word("change")?,
        correlation_id: query.text("correlation_id").map(str::to_owned),
        caused_by: query.parsed::<Uuid>("caused_by", "the id of an event")?,
        text: query.text("text").map(str::to_owned),
    })
}

async fn answer(api: &Api, query: &Query, choice: Choice) -> Result<Json<List<Box<RawValue>>>, ApiError> {
    let order = query.word::<Order>("order")?.unwrap_or_default();
    let after = query.parsed::<u64>("cursor", "a cursor of this list")?.map(Sequence);
    let limit = query.limit()?;
    let view = api.store.view();
    let read = move || selection::page(&view, &choice, order, after, limit);
    let page = tokio::task::spawn_blocking(read).await.map_err(|_| ApiError::Stopped)??;
    let next_cursor = page.next.map(|s| s.to_string());
    Ok(Json(List { items: page.entries, next_cursor, as_of: None }))
}

/// Everything that happened, newest first.
#[utoipa::path(get, path = "/v1/timeline", tag = "timeline", params(params::Trail), responses(
    (status = 200, body = List<Entry>), Problem
))]
async fn whole_timeline(
    State(api): Shared,
    Extension(person): Who,
    pairs: Pairs,
) -> Result<Json<List<Box<RawValue>>>, ApiError> {
    let query = api.query::<params::Trail>(pairs)?;
    person.needs(Role::Auditor)?;
    let choice = choice(&query)?;
    api.fresh().await?;
    answer(&api, &query, choice).await
}

/// Everything that happened to one identity, newest first.
#[utoipa::path(get, path = "/v1/identities/{id}/timeline", tag = "timeline",
    params(("id" = Uuid, Path, description = "The identity."), params::Trail), responses(
    (status = 200, body = List<Entry>), Problem
))]
async fn identity_timeline(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Result<Json<List<Box<RawValue>>>, ApiError> {
    let query = api.query::<params::Trail>(pairs)?;
    person.needs(Role::Auditor)?;
    let choice = choice(&query)?;
    let identity = known_identity(&api.fresh().await?, &id)?.id;
    answer(&api, &query, Choice { identity: Some(identity), ..choice }).await
}

/// Where a live timeline is.
struct Live {
    api: Arc<Api>,
    choice: Choice,
    after: Sequence,
    ready: std::vec::IntoIter<Entry>,
    _permit: StreamPlace,
}

impl Live {
    /// The next entry, waiting for it as long as it takes; `None`: the state can't be read any more.
    async fn next(&mut self) -> Option<Entry> {
        let mut seen = self.api.store.watch();
        loop {
            if let Some(entry) = self.ready.next() {
                self.after = entry.sequence;
                return Some(entry);
            }
            let at = *seen.borrow_and_update();
            if at > self.after {
                let (view, choice, after) = (self.api.store.view(), self.choice.clone(), self.after);
                let read = move || selection::page(&view, &choice, Order::Oldest, Some(after), CHUNK);
                let page = tokio::task::spawn_blocking(read).await.ok()?.ok()?;
                // With no next page, everything up to here was looked at; what came later is looked at again.
                self.after = page.next.unwrap_or(at);
                self.ready = page.entries.into_iter();
                continue;
            }
            seen.changed().await.ok()?;
        }
    }
}

/// The timeline, live: Server-Sent Events whose id is the sequence. A client that comes back with Last-Event-ID misses
/// nothing.
#[utoipa::path(get, path = "/v1/timeline/stream", tag = "timeline",
    params(params::Live, ("Last-Event-ID" = Option<u64>, Header, description = "Resumes after this event.")), responses(
    (status = 200, content_type = "text/event-stream", body = String), Problem
))]
async fn stream(
    State(api): Shared,
    Extension(person): Who,
    Extension(credential): Extension<Credential>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, ApiError> {
    let query = api.query::<params::Live>(pairs)?;
    person.needs(Role::Auditor)?;
    let choice = choice(&query)?;
    let wrong = |text: &str| ApiError::BadRequest(format!("Last-Event-ID: '{text}' is not a sequence"));
    let last = headers.get("last-event-id").map(|v| v.to_str().unwrap_or_default());
    let last = last.map(|text| text.parse::<u64>().map_err(|_| wrong(text))).transpose()?;
    let after = last.or(query.parsed::<u64>("after", "a sequence")?).map(Sequence);
    api.fresh().await?;
    let after = after.unwrap_or_else(|| api.store.cursor());
    let permit = api.stream(StreamKind::Timeline, &person)?;
    let closing = api.closing.clone().cancelled_owned();
    let live = Live { api, choice, after, ready: Vec::new().into_iter(), _permit: permit };
    let looked = (Instant::now(), credential);
    let messages = unfold((live, looked), |(mut live, (mut looked_at, credential))| async move {
        let entry = live.next().await?;
        // A token that is revoked opens nothing any more.
        if looked_at.elapsed() > LOOKED_AT_EVERY {
            if !still_opens(&live.api, &credential, Role::Auditor).await {
                return None;
            }
            looked_at = Instant::now();
        }
        let message = Message::default().id(entry.sequence.to_string()).event("entry");
        // An entry came from JSON.
        let message = message.json_data(&entry).unwrap_or_default();
        Some((Ok(message), (live, (looked_at, credential))))
    });
    Ok(Sse::new(messages.take_until(closing)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

//! Tells a page that the log has moved on.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt as _};

use crate::api::context::Shared;
use crate::api::person::Person;
use crate::api::streams::StreamKind;
use crate::console::sign_in;
use crate::error::ApiError;

/// A page is not made anew more often than this.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// The same where each page is an event itself, which would make it anew again.
const WHERE_IT_IS_RECORDED: Duration = Duration::from_secs(30);

/// One message each time that there is something new.
pub async fn live(
    State(api): Shared,
    Extension(person): Extension<Person>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, ApiError> {
    let permit = api.stream(StreamKind::Page, &person)?;
    let mut seen = api.store.watch();
    seen.mark_unchanged();
    let pause = if api.record.notes_reads() { WHERE_IT_IS_RECORDED } else { AT_MOST_EVERY };
    let closing = api.closing.clone().cancelled_owned();
    let messages = unfold((seen, permit, api, headers), move |(mut seen, permit, api, headers)| async move {
        seen.changed().await.ok()?;
        tokio::time::sleep(pause).await;
        // Whoever is signed out is told nothing any more.
        sign_in::person(&api, &headers).await.ok().flatten()?;
        let at = *seen.borrow_and_update();
        Some((Ok(Message::default().event("changed").data(at.to_string())), (seen, permit, api, headers)))
    });
    Ok(Sse::new(messages.take_until(closing)).keep_alive(KeepAlive::default()))
}

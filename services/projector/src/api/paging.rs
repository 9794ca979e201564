//! Pages of lists.

use axum::{Extension, Json};
use rollcall_domain::kv::{KeyPage, KvError, Read, load_some};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::api::person::Person;
use crate::api::query::Query;
use crate::as_of::AsOf;
use crate::error::ApiError;

/// What a question is answered with.
pub type Answer<T> = Result<Json<T>, ApiError>;

/// Who asks it.
pub type Who = Extension<Person>;

/// A page of a list, and the state it was taken from.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Absent: this is the last page.
    pub next_cursor: Option<String>,
    pub as_of: Option<AsOf>,
}

/// One thing, and the state it was taken from.
#[derive(Debug, Serialize, ToSchema)]
pub struct One<T> {
    #[serde(flatten)]
    pub item: T,
    pub as_of: AsOf,
}

/// How many keys are read at once for a page.
pub(crate) const CHUNK: usize = 256;

/// The most keys that are looked at for one page.
pub const LOOK: usize = 20_000;

/// The same in the past, where each is sought by itself.
pub(crate) const LOOK_BACK: usize = 2048;

/// One page of the values under a prefix that `wanted` chooses; the cursor is the last key without the prefix.
pub fn page<T: DeserializeOwned>(
    state: &impl Read,
    prefix: &str,
    query: &Query,
    wanted: impl Fn(&T) -> bool,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    page_after(under(state, prefix), query.cursor(), Extent::of(query)?, wanted)
}

/// The values under a prefix, as [`page_after`] reads them.
pub fn under<T: DeserializeOwned>(
    state: &impl Read,
    prefix: &str,
) -> impl Fn(Option<&str>, usize) -> Result<KeyPage<T>, KvError> {
    move |after, look| load_some(state, prefix, after, look)
}

/// How much of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// So many at most.
    pub limit: usize,
    /// After so many keys were looked at, what was found is enough.
    pub look: usize,
}

impl Extent {
    pub fn of(query: &Query) -> Result<Self, ApiError> {
        let look = if query.text("as_of").is_some() { LOOK_BACK } else { LOOK };
        Ok(Self { limit: query.limit()?, look })
    }
}

/// One page of what `read` gives after a place, so many at a time; the cursor is the last place.
pub fn page_after<T>(
    read: impl Fn(Option<&str>, usize) -> Result<KeyPage<T>, KvError>,
    cursor: Option<&str>,
    extent: Extent,
    wanted: impl Fn(&T) -> bool,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    page_where(read, cursor, extent, |value| Ok(wanted(value)))
}

/// The same where the state says what is wanted: what it can't say is not left out, but said.
pub fn page_where<T>(
    read: impl Fn(Option<&str>, usize) -> Result<KeyPage<T>, KvError>,
    cursor: Option<&str>,
    extent: Extent,
    wanted: impl Fn(&T) -> Result<bool, KvError>,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    page_shown(read, cursor, extent, |value| Ok(wanted(&value)?.then_some(value)))
}

/// The same as it is shown; `show` gives nothing for what is not wanted.
pub fn page_shown<T, U>(
    read: impl Fn(Option<&str>, usize) -> Result<KeyPage<T>, KvError>,
    cursor: Option<&str>,
    extent: Extent,
    show: impl Fn(T) -> Result<Option<U>, KvError>,
) -> Result<(Vec<U>, Option<String>), ApiError> {
    let mut after = cursor.map(str::to_owned);
    let Extent { limit, look } = extent;
    let (mut out, mut looked) = (Vec::new(), 0);
    loop {
        let KeyPage { pairs, next } = read(after.as_deref(), CHUNK)?;
        for (place, value) in pairs {
            if let Some(shown) = show(value)? {
                if out.len() == limit {
                    return Ok((out, after));
                }
                out.push(shown);
            }
            after = Some(place);
        }
        looked += CHUNK;
        match next {
            // What fits little is answered in steps: a page can be short, or empty, and still have a next one.
            Some(next) if looked >= look => return Ok((out, Some(next))),
            Some(next) => after = Some(next),
            None => return Ok((out, None)),
        }
    }
}

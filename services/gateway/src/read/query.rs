//! What a search asks for (RFC 7644 §3.4.2, RFC 9865): from a query string, or from the body of `.search`.

use rollcall_config::Sight;
use rollcall_domain::SourceName;
use rollcall_scim::{Filter, ResourceType, Selection, Sort};

use crate::auth::caller::Caller;
use crate::read::cursor::Cursor;

/// The bounds of a search.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub max_page: usize,
    pub max_filter_bytes: usize,
    /// The most members of groups that one answer shows, but for the last group.
    pub max_members: usize,
}

/// Where a page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At this resource, counted from 1.
    Index(usize),
    /// Where the last page ended; `None`: at the first resource.
    Cursor(Option<Cursor>),
}

/// A search that was checked against a resource type.
#[derive(Debug, Clone)]
pub struct Query {
    pub kind: &'static ResourceType,
    pub filter: Option<Filter>,
    pub sort: Option<Sort>,
    pub selection: Selection,
    /// The source that sees nothing but what it has created; `None`: one that sees everything.
    pub only_of: Option<SourceName>,
}

impl Query {
    /// The same for what one source sees.
    pub fn seen_by(mut self, caller: &Caller) -> Self {
        self.only_of = (caller.source.sight == Sight::Own).then(|| caller.source.name.clone());
        self
    }

    /// Whether a resource that this source has created is looked at.
    pub fn sees(&self, created_by: Option<&SourceName>) -> bool {
        self.only_of.is_none() || self.only_of.as_ref() == created_by
    }
}

impl Page {
    /// How many resources come before it, where that is known of it; and where it starts, counted from 1, when that was asked for.
    pub const fn skipped(&self) -> (usize, Option<usize>) {
        match &self.start {
            Start::Index(index) => (*index - 1, Some(*index)),
            Start::Cursor(Some(Cursor::Skip(count))) => (*count, None),
            Start::Cursor(_) => (0, None),
        }
    }
}

/// The part of the result that is answered.
#[derive(Debug, Clone)]
pub struct Page {
    pub start: Start,
    pub count: usize,
    /// See [`Bounds`].
    pub max_members: usize,
    /// The same for the same search: a cursor is good for the search that it came from.
    pub fingerprint: String,
}

//! Searching: the resources that match, in the order that was asked for, and the page of them that is answered.

use rollcall_domain::identity::IdentityKind;
use rollcall_domain::kv::{KvError, Read as _};
use rollcall_domain::{Sequence, directory};
use rollcall_projection::View;
use rollcall_scim::{Filter, Selection, list_response};
use serde_json::{Map, Value};

use crate::change::operation::Family;
use crate::error::Refusal;
use crate::read::cursor::Cursor;
use crate::read::query::{Page, Query, Start};
use crate::read::render;

const CHUNK: usize = 500;

/// One resource, with its id.
type Found = (String, Map<String, Value>);

/// How much is read for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// A few resources, found by an index.
    Few,
    /// Perhaps every one.
    Many,
}

/// How much a search reads.
pub fn amount(query: &Query) -> Amount {
    if index(query).is_some() { amount_of_one(query) } else { Amount::Many }
}

/// How much the reading of one resource reads.
pub fn amount_of_one(query: &Query) -> Amount {
    // The members of a group can be very many.
    if Family::of(query.kind) == Family::Group { Amount::Many } else { Amount::Few }
}

/// The answer to a search over some resource types.
pub fn answer(view: &View, queries: &[Query], page: &Page, base: &str) -> Result<Value, Refusal> {
    let mut collector = Collector::new(page);
    if queries.iter().any(|q| q.sort.is_some()) {
        return sorted(view, queries, page, base);
    }
    for query in queries {
        // Nothing to compare: the rest is counted without a look at it.
        if query.filter.is_none() && query.only_of.is_none() && queries.len() == 1 {
            return plain(view, query, page, base);
        }
        for found in matching(view, query, base)? {
            let (id, resource) = found?;
            collector.offer(&id, query, resource);
        }
    }
    Ok(collector.finish())
}

/// Every resource of a type, in the order of their ids.
fn plain(view: &View, query: &Query, page: &Page, base: &str) -> Result<Value, Refusal> {
    let total = usize::try_from(directory::count(view, query.kind.name)?).unwrap_or(usize::MAX);
    let prefix = prefix(query);
    let (mut after, mut skip, start) = match &page.start {
        Start::Index(index) => (None, index - 1, Some(*index)),
        Start::Cursor(Some(Cursor::After(id))) => (Some(format!("{prefix}{id}")), 0, None),
        Start::Cursor(Some(Cursor::Skip(count))) => (None, *count, None),
        Start::Cursor(None) => (None, 0, None),
    };
    let mut resources = Vec::new();
    let mut members = 0;
    let mut last = None;
    let mut more = false;
    'pages: while page.count > 0 && skip < total {
        let keys = view.scan(&prefix, after.as_deref(), CHUNK.max(skip.min(10 * CHUNK)))?;
        let Some((end, _)) = keys.last() else { break };
        after = Some(end.clone());
        if skip >= keys.len() {
            skip -= keys.len();
            continue;
        }
        for (key, _) in keys.iter().skip(std::mem::take(&mut skip)) {
            let Some(id) = key.strip_prefix(&prefix) else { continue };
            // A page of groups ends early where its members are as many as one answer shows.
            if resources.len() == page.count || members >= page.max_members {
                more = true;
                break 'pages;
            }
            if let Some(resource) = one(view, query, id, base)? {
                members += members_in(&resource);
                resources.push(Value::Object(query.selection.apply(resource)));
                last = Some(id.to_owned());
            }
        }
    }
    let next = last.filter(|_| more).map(Cursor::After);
    Ok(response(page, total, start, resources, next))
}

/// Everything that matches, put in order.
fn sorted(view: &View, queries: &[Query], page: &Page, base: &str) -> Result<Value, Refusal> {
    let mut all = Vec::new();
    for (index, query) in queries.iter().enumerate() {
        let Some(sort) = &query.sort else { continue };
        for found in matching(view, query, base)? {
            let (id, resource) = found?;
            all.push((sort.key(&Value::Object(resource)), index, id));
        }
    }
    let Some(sort) = queries.iter().find_map(|q| q.sort.as_ref()) else { return Ok(Value::Null) };
    // Stable: equal ones stay in the order of their ids.
    all.sort_by(|(a, _, _), (b, _, _)| sort.compare(a, b));
    let (skip, start) = match &page.start {
        Start::Index(index) => (index - 1, Some(*index)),
        Start::Cursor(Some(Cursor::Skip(count))) => (*count, None),
        Start::Cursor(_) => (0, None),
    };
    let total = all.len();
    let mut resources = Vec::new();
    let (mut members, mut shown) = (0, 0);
    for (_, index, id) in all.iter().skip(skip).take(page.count) {
        if members >= page.max_members {
            break;
        }
        shown += 1;
        let Some(query) = queries.get(*index) else { continue };
        if let Some(resource) = one(view, query, id, base)? {
            members += members_in(&resource);
            resources.push(Value::Object(query.selection.apply(resource)));
        }
    }
    let end = skip.saturating_add(shown);
    let next = (end < total && page.count > 0).then_some(Cursor::Skip(end));
    Ok(response(page, total, start, resources, next))
}

fn response(page: &Page, total: usize, start: Option<usize>, resources: Vec<Value>, next: Option<Cursor>) -> Value {
    let mut body = list_response(total, start.unwrap_or(1), resources);
    if let (None, Some(object)) = (start, body.as_object_mut()) {
        object.remove("startIndex");
        object.extend(next.map(|c| ("nextCursor".to_owned(), c.write(&page.fingerprint).into())));
    }
    body
}

/// Collects a page out of everything that matches.
struct Collector<'a> {
    page: &'a Page,
    skip: usize,
    start: Option<usize>,
    total: usize,
    members: usize,
    resources: Vec<Value>,
}

impl<'a> Collector<'a> {
    fn new(page: &'a Page) -> Self {
        let (skip, start) = match &page.start {
            Start::Index(index) => (index - 1, Some(*index)),
            Start::Cursor(Some(Cursor::Skip(count))) => (*count, None),
            Start::Cursor(_) => (0, None),
        };
        Self { page, skip, start, total: 0, members: 0, resources: Vec::new() }
    }

    fn offer(&mut self, _id: &str, query: &Query, resource: Map<String, Value>) {
        self.total += 1;
        let has_room = self.resources.len() < self.page.count && self.members < self.page.max_members;
        if self.total > self.skip && has_room {
            self.members += members_in(&resource);
            self.resources.push(Value::Object(query.selection.apply(resource)));
        }
    }

    fn finish(self) -> Value {
        let end = self.skip + self.resources.len();
        let next = (end < self.total && !self.resources.is_empty()).then_some(Cursor::Skip(end));
        response(self.page, self.total, self.start, self.resources, next)
    }
}

fn prefix(query: &Query) -> String {
    match Family::of(query.kind) {
        Family::Identity(of) => directory::live_prefix(of),
        Family::Group => directory::GROUPS.to_owned(),
        Family::Plain => directory::resource_prefix(query.kind.name),
    }
}

/// A resource as it is answered, and its version.
type Versioned = (Sequence, Map<String, Value>);

/// The resource with this id.
pub fn by_id(view: &View, query: &Query, id: &str, base: &str) -> Result<Option<Versioned>, Refusal> {
    let Some(body) = one(view, query, id, base)? else { return Ok(None) };
    let version = body.get("meta").and_then(|m| m.get("version")).and_then(Value::as_str);
    let digits = version.map(|v| v.trim_start_matches("W/").trim_matches('"'));
    Ok(Some((Sequence(digits.and_then(|v| v.parse().ok()).unwrap_or_default()), body)))
}

/// What a filter may look at, besides what is shown.
fn examined(query: &Query, filter: &Filter) -> Selection {
    let names_members = filter.text().to_ascii_lowercase().contains("members");
    if names_members { Selection::whole(query.kind) } else { query.selection.clone() }
}

fn members_in(resource: &Map<String, Value>) -> usize {
    resource.get("members").and_then(Value::as_array).map_or(0, Vec::len)
}

/// The resource with this id, as it is answered.
fn one(view: &View, query: &Query, id: &str, base: &str) -> Result<Option<Map<String, Value>>, KvError> {
    rendered(view, query, id, base, &query.selection)
}

fn rendered(
    view: &View,
    query: &Query,
    id: &str,
    base: &str,
    selection: &Selection,
) -> Result<Option<Map<String, Value>>, KvError> {
    match Family::of(query.kind) {
        Family::Identity(of) => {
            let Ok(id) = id.parse() else { return Ok(None) };
            let found = directory::identity(view, id)?;
            let found = found.filter(|i| !i.deleted && i.kind == of && query.sees(i.created_by.as_ref()));
            found.map(|found| render::identity(view, &found, base)).transpose()
        }
        Family::Group => {
            let Ok(id) = id.parse() else { return Ok(None) };
            let found = directory::group(view, id)?.filter(|g| query.sees(g.created_by.as_ref()));
            found.map(|found| render::group(view, &found, selection, base)).transpose()
        }
        Family::Plain => {
            let Ok(id) = id.parse() else { return Ok(None) };
            let found = directory::resource(view, query.kind.name, id)?;
            let found = found.filter(|r| query.sees(r.created_by.as_ref()));
            Ok(found.map(|found| render::resource(&found, query.kind, base)))
        }
    }
}

/// The resources that match, in the order of their ids: a few by an index where the filter allows it, else all.
fn matching<'a>(
    view: &'a View,
    query: &'a Query,
    base: &'a str,
) -> Result<impl Iterator<Item = Result<Found, Refusal>> + 'a, Refusal> {
    let ids: Box<dyn Iterator<Item = Result<String, Refusal>> + 'a> = match few(view, query)? {
        Some(ids) => Box::new(ids.into_iter().map(Ok)),
        None => Box::new(all(view, prefix(query))),
    };
    let selection = match &query.filter {
        // A filter over members needs them even where they are not shown.
        Some(filter) => examined(query, filter),
        None => query.selection.clone(),
    };
    Ok(ids.filter_map(move |id| {
        let found = id.and_then(|id| Ok(rendered(view, query, &id, base, &selection)?.map(|r| (id, r))));
        match found {
            Ok(Some((id, resource))) => {
                let value = Value::Object(resource);
                let matches = query.filter.as_ref().is_none_or(|filter| filter.matches(&value));
                match value {
                    Value::Object(resource) if matches => Some(Ok((id, resource))),
                    _ => None,
                }
            }
            Ok(None) => None,
            Err(e) => Some(Err(e)),
        }
    }))
}

/// What finds the only resources that can match.
enum Index<'a> {
    Id(&'a str),
    Name(IdentityKind, &'a str),
    ExternalId(&'a str),
    GroupName(&'a str),
}

/// Whether an index finds the only resources that can match.
pub fn is_indexed(query: &Query) -> bool {
    index(query).is_some()
}

fn index(query: &Query) -> Option<Index<'_>> {
    let family = Family::of(query.kind);
    query.filter.as_ref()?.equalities().into_iter().find_map(|(attribute, value)| match (family, attribute) {
        (_, "id") => Some(Index::Id(value)),
        (Family::Identity(of @ IdentityKind::User), "userName")
        | (Family::Identity(of @ IdentityKind::Agent), "name") => Some(Index::Name(of, value)),
        (Family::Identity(_), "externalId") => Some(Index::ExternalId(value)),
        (Family::Group, "displayName") => Some(Index::GroupName(value)),
        _ => None,
    })
}

/// The ids of the only resources that can match, where an index knows.
fn few(view: &View, query: &Query) -> Result<Option<Vec<String>>, Refusal> {
    let Some(index) = index(query) else { return Ok(None) };
    Ok(Some(match index {
        Index::Id(id) => vec![id.to_owned()],
        Index::Name(of, name) => directory::id_by_name(view, of, name)?.iter().map(ToString::to_string).collect(),
        Index::ExternalId(value) => {
            directory::ids_by_external_id(view, value)?.iter().map(ToString::to_string).collect()
        }
        Index::GroupName(name) => {
            directory::groups_by_name(view, name)?.into_iter().map(|g| g.id.to_string()).collect()
        }
    }))
}

fn all(view: &View, prefix: String) -> impl Iterator<Item = Result<String, Refusal>> + '_ {
    let mut after: Option<String> = None;
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let keys = match view.scan(&prefix, after.as_deref(), CHUNK) {
            Ok(keys) => keys,
            Err(e) => {
                done = true;
                return Some(vec![Err(e.into())]);
            }
        };
        after = keys.last().map(|(key, _)| key.clone());
        done = keys.len() < CHUNK;
        let id = |key: String| key.strip_prefix(&prefix).map(|id| Ok(id.to_owned()));
        Some(keys.into_iter().filter_map(|(key, _)| id(key)).collect())
    })
    .flatten()
}

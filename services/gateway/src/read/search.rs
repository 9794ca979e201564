//! Searching: the resources that match, in the order that was asked for, and the page of them that is answered.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rollcall_domain::identity::IdentityKind;
use rollcall_domain::identity::group::MemberId;
use rollcall_domain::kv::{KvError, Read as _};
use rollcall_domain::{Sequence, directory};
use rollcall_projection::View;
use rollcall_scim::{Filter, ScimError, ScimType, Selection, list_response};
use serde_json::{Map, Value};

use crate::change::operation::Family;
use crate::error::Refusal;
use crate::index::names::Indexes;
use crate::index::reader::{self, Direction};
use crate::read::cursor::Cursor;
use crate::read::query::{Page, Query, Start};
use crate::read::render;

const CHUNK: usize = 500;

/// How large a page may become before it ends, in bytes: another one goes on where it ends.
const PAGE_BYTES: usize = 4 << 20;

/// So many are read at once, without a thread for them.
const FEW: usize = 100;

/// So many that an index finds are put in order at once.
const SORTED_AT_ONCE: usize = 20_000;

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
pub fn amount(view: &View, indexes: &Indexes, query: &Query) -> Result<Amount, Refusal> {
    if index(query).is_some() {
        return Ok(amount_of_one(query));
    }
    let Some(filter) = &query.filter else { return Ok(Amount::Many) };
    let way = reader::way(view, indexes, query.kind, filter)?;
    Ok(if way.is_some_and(|way| way.places <= FEW) { amount_of_one(query) } else { Amount::Many })
}

/// How much the reading of one resource reads.
pub fn amount_of_one(query: &Query) -> Amount {
    // The members of a group can be very many.
    if Family::of(query.kind) == Family::Group { Amount::Many } else { Amount::Few }
}

/// What a search reads from.
#[derive(Debug)]
pub struct Source<'a> {
    pub view: &'a View,
    pub indexes: &'a Indexes,
    /// What the addresses of resources begin with.
    pub base: &'a str,
    /// How long everybody may be looked at.
    pub max_scan: Duration,
}

/// The answer to a search over some resource types.
pub fn answer(source: &Source<'_>, queries: &[Query], page: &Page) -> Result<Value, Refusal> {
    let budget = Budget { until: Instant::now() + source.max_scan, allowed: source.max_scan };
    if let [query] = queries
        && let Some(answer) = by_index(source, query, page)?
    {
        return Ok(answer);
    }
    if queries.iter().any(|q| q.sort.is_some()) {
        return sorted(source, queries, page, &budget);
    }
    let mut collector = Collector::new(page);
    for query in queries {
        // Nothing to compare: the rest is counted without a look at it.
        if query.filter.is_none() && query.only_of.is_none() && queries.len() == 1 {
            return plain(source, query, page);
        }
        for found in matching(source, query, &budget)? {
            let (id, resource) = found?;
            collector.offer(&id, query, resource);
        }
    }
    Ok(collector.finish())
}

/// How long an answer may take that looks at everybody.
struct Budget {
    until: Instant,
    allowed: Duration,
}

impl Budget {
    /// Whether there is time left to look at more.
    fn check(&self, query: &Query) -> Result<(), Refusal> {
        if Instant::now() < self.until {
            return Ok(());
        }
        let what = query.filter.as_ref().map_or("the order", |_| "the filter");
        let detail = format!(
            "{what} needs a look at every {}, which has taken {:?}: ask for something that is indexed, or name the attribute \
             in [scim] indexed of the server's configuration",
            query.kind.name, self.allowed
        );
        Err(ScimError::bad_request(ScimType::TooMany, detail).into())
    }
}

/// The page of an answer of which an index knows how many there are, and which of them it shows.
fn by_index(source: &Source<'_>, query: &Query, page: &Page) -> Result<Option<Value>, Refusal> {
    if query.only_of.is_some() {
        return Ok(None);
    }
    let (skip, start) = page.skipped();
    let view = source.view;
    match (&query.filter, &query.sort) {
        (None, Some(sort)) => {
            let Some((list, counts)) = reader::sorted(view, source.indexes, query.kind, sort)? else { return Ok(None) };
            let total: usize = counts.values().sum();
            let ids: Box<dyn Iterator<Item = Result<String, KvError>>> = if sort.is_descending() {
                // The first that is shown is that many from the end; what is read is before the place.
                let place = list.skip(view, &counts, total.saturating_sub(skip).saturating_add(1))?;
                let before = place.map(|place| format!("{}{place}", list.entries));
                Box::new(reader::ids(view, &list.entries, before, None, Direction::Down))
            } else {
                let after = list.skip(view, &counts, skip)?.map(|place| format!("{}{place}", list.entries));
                Box::new(reader::ids(view, &list.entries, after, None, Direction::Up))
            };
            let ids = ids.take(if skip < total { page.count } else { 0 });
            shown(source, query, page, (total, skip, start), ids).map(Some)
        }
        (Some(filter), None) if index(query).is_none() => {
            let Some(way) = reader::way(view, source.indexes, query.kind, filter)?.filter(|way| way.is_exact) else {
                return Ok(None);
            };
            let ids = way.ids(view, skip)?.take(page.count);
            shown(source, query, page, (way.places, skip, start), ids).map(Some)
        }
        _ => Ok(None),
    }
}

/// Those of a page, which are known.
fn shown(
    source: &Source<'_>,
    query: &Query,
    page: &Page,
    (total, skip, start): (usize, usize, Option<usize>),
    ids: impl Iterator<Item = Result<String, KvError>>,
) -> Result<Value, Refusal> {
    let mut room = Room::of(page);
    let mut resources = Vec::new();
    let mut passed = skip;
    for id in ids {
        if room.is_full() {
            break;
        }
        passed += 1;
        if let Some(resource) = one(source.view, query, &id?, source.base)? {
            resources.push(room.take(query.selection.apply(resource)));
        }
    }
    let next = (passed < total && passed > skip).then_some(Cursor::Skip(passed));
    Ok(response(page, total, start, resources, next))
}

/// Every resource of a type, in the order of their ids.
fn plain(source: &Source<'_>, query: &Query, page: &Page) -> Result<Value, Refusal> {
    let Source { view, base, .. } = *source;
    let total = usize::try_from(directory::count(view, query.kind.name)?).unwrap_or(usize::MAX);
    let prefix = prefix(query);
    let (mut after, mut skip, start) = match &page.start {
        Start::Index(index) => (None, index - 1, Some(*index)),
        Start::Cursor(Some(Cursor::After(id))) => (Some(format!("{prefix}{id}")), 0, None),
        Start::Cursor(Some(Cursor::Skip(count))) => (None, *count, None),
        Start::Cursor(None) => (None, 0, None),
    };
    if skip >= CHUNK
        && let Some((list, counts)) = reader::by_id(view, source.indexes, query.kind)?
        && let Some(place) = list.skip(view, &counts, skip.min(total))?
    {
        after = Some(format!("{prefix}{place}"));
        skip = skip.saturating_sub(total);
    }
    let mut room = Room::of(page);
    let mut resources = Vec::new();
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
            if room.is_full() {
                more = true;
                break 'pages;
            }
            if let Some(resource) = one(view, query, id, base)? {
                resources.push(room.take(query.selection.apply(resource)));
                last = Some(id.to_owned());
            }
        }
    }
    let next = last.filter(|_| more).map(Cursor::After);
    Ok(response(page, total, start, resources, next))
}

/// Everything that matches, put in order.
fn sorted(source: &Source<'_>, queries: &[Query], page: &Page, budget: &Budget) -> Result<Value, Refusal> {
    let Source { view, base, .. } = *source;
    let mut all = Vec::new();
    for (index, query) in queries.iter().enumerate() {
        let Some(sort) = &query.sort else { continue };
        for found in matching(source, query, budget)? {
            let (id, resource) = found?;
            all.push((sort.key(&Value::Object(resource)), index, id));
        }
    }
    let Some(sort) = queries.iter().find_map(|q| q.sort.as_ref()) else { return Ok(Value::Null) };
    // Stable: equal ones stay in the order of their ids.
    all.sort_by(|(a, _, _), (b, _, _)| sort.compare(a, b));
    let (skip, start) = page.skipped();
    let total = all.len();
    let mut resources = Vec::new();
    let (mut room, mut shown) = (Room::of(page), 0);
    for (_, index, id) in all.iter().skip(skip).take(page.count) {
        if room.is_full() {
            break;
        }
        shown += 1;
        let Some(query) = queries.get(*index) else { continue };
        if let Some(resource) = one(view, query, id, base)? {
            resources.push(room.take(query.selection.apply(resource)));
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
    room: Room,
    resources: Vec<Value>,
}

impl<'a> Collector<'a> {
    fn new(page: &'a Page) -> Self {
        let (skip, start) = page.skipped();
        Self { page, skip, start, total: 0, room: Room::of(page), resources: Vec::new() }
    }

    fn offer(&mut self, _id: &str, query: &Query, resource: Map<String, Value>) {
        self.total += 1;
        if self.total > self.skip && !self.room.is_full() {
            self.resources.push(self.room.take(query.selection.apply(resource)));
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

/// What there is still room for on a page. It ends early, with the resource that fills it: where its members are as many as one
/// answer shows, and where it is as large as an answer may be.
#[derive(Debug)]
struct Room {
    resources: usize,
    members: usize,
    bytes: usize,
}

impl Room {
    fn of(page: &Page) -> Self {
        Self { resources: page.count, members: page.max_members, bytes: PAGE_BYTES }
    }

    const fn is_full(&self) -> bool {
        self.resources == 0 || self.members == 0 || self.bytes == 0
    }

    fn take(&mut self, resource: Map<String, Value>) -> Value {
        let members = resource.get("members").and_then(Value::as_array).map_or(0, Vec::len);
        let resource = Value::Object(resource);
        self.resources = self.resources.saturating_sub(1);
        self.members = self.members.saturating_sub(members);
        self.bytes = self.bytes.saturating_sub(bytes_of(&resource));
        resource
    }
}

/// About how many bytes a value has as JSON, without writing it.
fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 5,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| bytes_of(item) + 1).sum::<usize>() + 2,
        Value::Object(fields) => fields.iter().map(|(name, field)| name.len() + bytes_of(field) + 4).sum::<usize>() + 2,
    }
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
            found.map(|found| render::identity(view, &found, base, |by| query.sees(by))).transpose()
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
    source: &'a Source<'a>,
    query: &'a Query,
    budget: &'a Budget,
) -> Result<impl Iterator<Item = Result<Found, Refusal>> + 'a, Refusal> {
    let Source { view, base, .. } = *source;
    let known = candidates(source, query)?;
    let is_known = known.is_some();
    let ids: Box<dyn Iterator<Item = Result<String, Refusal>> + 'a> = match known {
        Some(ids) => Box::new(ids.into_iter().map(Ok)),
        None => Box::new(all(view, prefix(query))),
    };
    let selection = match &query.filter {
        // A filter over members needs them even where they are not shown.
        Some(filter) => examined(query, filter),
        None => query.selection.clone(),
    };
    let mut looked = 0_usize;
    Ok(ids.filter_map(move |id| {
        looked += 1;
        if !is_known
            && looked.is_multiple_of(CHECKED_EVERY)
            && let Err(refusal) = budget.check(query)
        {
            return Some(Err(refusal));
        }
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

/// The ids of all that can match, where an index knows and they are not very many.
fn candidates(source: &Source<'_>, query: &Query) -> Result<Option<Vec<String>>, Refusal> {
    if let Some(ids) = few(source.view, query)? {
        return Ok(Some(ids));
    }
    let Some(filter) = &query.filter else { return Ok(None) };
    let way = reader::way(source.view, source.indexes, query.kind, filter)?;
    let Some(way) = way.filter(|way| way.places <= SORTED_AT_ONCE) else { return Ok(None) };
    // In the order of their ids, each once.
    let ids: BTreeSet<String> = way.ids(source.view, 0)?.collect::<Result<_, _>>()?;
    Ok(Some(ids.into_iter().collect()))
}

/// How often it is looked whether there is time left.
const CHECKED_EVERY: usize = 256;

/// What finds the only resources that can match.
enum Index<'a> {
    Id(&'a str),
    Name(IdentityKind, &'a str),
    ExternalId(&'a str),
    GroupName(&'a str),
    Member(&'a str),
}

/// Whether an index finds the only resources that can match.
pub fn is_indexed(query: &Query) -> bool {
    index(query).is_some()
}

fn index(query: &Query) -> Option<Index<'_>> {
    let family = Family::of(query.kind);
    query.filter.as_ref()?.equalities().into_iter().find_map(|(attribute, value)| match (family, attribute.as_str()) {
        (_, "id") => Some(Index::Id(value)),
        (Family::Identity(of @ (IdentityKind::User | IdentityKind::ServiceAccount)), "userName")
        | (Family::Identity(of @ IdentityKind::Agent), "name") => Some(Index::Name(of, value)),
        (Family::Identity(_), "externalId") => Some(Index::ExternalId(value)),
        (Family::Group, "displayName") => Some(Index::GroupName(value)),
        (Family::Group, "members.value") => Some(Index::Member(value)),
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
        Index::Member(member) => directory::groups_with(view, &MemberId::from(member))?,
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

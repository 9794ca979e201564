//! Reading the indexes: how many match, and who.

use std::ops::Bound;

use rollcall_domain::kv::{KvError, Read, load};
use rollcall_projection::View;
use rollcall_scim::{Filter, Range, ResourceType, Sort};

use crate::index::counted::{Counted, Counts};
use crate::index::names::{COMPLETE, Index, Indexes, SEPARATOR, id_at};

/// How many places are read at once.
const CHUNK: usize = 500;

/// Stretches of indexes that hold everybody who can match a filter.
#[derive(Debug)]
pub struct Way {
    stretches: Vec<Stretch>,
    /// How many places they have.
    pub places: usize,
    /// Whether nobody else stands there, nor anybody twice.
    pub is_exact: bool,
}

/// A stretch of an index.
#[derive(Debug)]
struct Stretch {
    list: Counted,
    /// Where it begins, and where it has ended.
    from: String,
    to: String,
    /// How many places it has.
    length: usize,
    /// How the whole list is counted, where the stretch is so long that it was not counted by itself.
    counts: Option<Counts>,
}

/// A stretch that is shorter is counted by itself.
const SHORT: usize = 500;

fn is_complete(view: &View, index: &Index) -> Result<bool, KvError> {
    Ok(load::<String>(view, &index.built_key())?.as_deref() == Some(COMPLETE))
}

/// The index by ids, and its counts, when it is whole.
pub fn by_id(view: &View, indexes: &Indexes, kind: &ResourceType) -> Result<Option<(Counted, Counts)>, KvError> {
    let Some(index) = indexes.by_id(kind) else { return Ok(None) };
    whole(view, index)
}

fn whole(view: &View, index: &Index) -> Result<Option<(Counted, Counts)>, KvError> {
    if !is_complete(view, index)? {
        return Ok(None);
    }
    let list = index.counted();
    let counts = list.counts(view)?;
    Ok(Some((list, counts)))
}

/// The index of what is sorted by, when it is whole and each has one place in it.
pub fn sorted(
    view: &View,
    indexes: &Indexes,
    kind: &ResourceType,
    sort: &Sort,
) -> Result<Option<(Counted, Counts)>, KvError> {
    let index = indexes.find(kind, &sort.path());
    let single = index.filter(|index| index.attribute.as_ref().is_some_and(|attribute| !attribute.is_multi()));
    single.map_or(Ok(None), |index| whole(view, index))
}

/// The shortest way to all that can match a filter; `None`: everybody has to be looked at.
pub fn way(view: &View, indexes: &Indexes, kind: &ResourceType, filter: &Filter) -> Result<Option<Way>, KvError> {
    let mut best: Option<Way> = None;
    for ranges in filter.ranges(&|path| indexes.find(kind, path).is_some_and(|index| index.attribute.is_some())) {
        let Some(way) = way_of(view, indexes, kind, &ranges)? else { continue };
        if best.as_ref().is_none_or(|best| way.places < best.places) {
            best = Some(way);
        }
    }
    Ok(best)
}

fn way_of(view: &View, indexes: &Indexes, kind: &ResourceType, ranges: &[Range]) -> Result<Option<Way>, KvError> {
    let is_exact = ranges.len() == 1 && ranges.iter().all(|range| range.is_exact);
    let mut way = Way { stretches: Vec::new(), places: 0, is_exact };
    for range in ranges {
        let Some(index) = indexes.find(kind, &range.path) else { return Ok(None) };
        if !is_complete(view, index)? {
            return Ok(None);
        }
        let from = match &range.from {
            Bound::Included(text) => format!("={text}{SEPARATOR}"),
            Bound::Excluded(text) => format!("={text}{SEPARATOR}\u{10ffff}"),
            Bound::Unbounded => "=".to_owned(),
        };
        let to = match &range.to {
            Bound::Included(text) => format!("={text}{SEPARATOR}\u{10ffff}"),
            Bound::Excluded(text) => format!("={text}"),
            // Those without a value come after all others.
            Bound::Unbounded => "=\u{10ffff}".to_owned(),
        };
        let stretch = Stretch::of(view, index.counted(), from, to)?;
        way.places += stretch.length;
        way.stretches.push(stretch);
    }
    Ok(Some(way))
}

impl Stretch {
    fn of(view: &View, list: Counted, from: String, to: String) -> Result<Self, KvError> {
        let (first, last) = (format!("{}{from}", list.entries), format!("{}{to}", list.entries));
        let some = view.scan(&list.entries, Some(&first), SHORT)?;
        let length = some.iter().take_while(|(key, _)| *key < last).count();
        if length < SHORT {
            return Ok(Self { list, from, to, length, counts: None });
        }
        let counts = list.counts(view)?;
        let length = list.before(view, &counts, &to)?.saturating_sub(list.before(view, &counts, &from)?);
        Ok(Self { list, from, to, length, counts: Some(counts) })
    }

    /// The ids in it, after so many places.
    fn ids<'a>(
        &'a self,
        view: &'a View,
        skip: usize,
    ) -> Result<impl Iterator<Item = Result<String, KvError>> + 'a, KvError> {
        let key = |place: &String| format!("{}{place}", self.list.entries);
        let (begin, skip) = match &self.counts {
            Some(counts) if skip > 0 => {
                let before = self.list.before(view, counts, &self.from)?;
                (self.list.skip(view, counts, before + skip)?.unwrap_or_else(|| self.to.clone()), 0)
            }
            _ => (self.from.clone(), skip),
        };
        let all = ids(view, &self.list.entries, Some(key(&begin)), Some(key(&self.to)), Direction::Up);
        Ok(all.skip(skip))
    }
}

/// The direction in which places are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

/// The ids at the places of a list, after a place.
pub fn ids<'a>(
    view: &'a View,
    entries: &'a str,
    from: Option<String>,
    to: Option<String>,
    direction: Direction,
) -> impl Iterator<Item = Result<String, KvError>> + 'a {
    let mut at = from;
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let keys = match direction {
            Direction::Up => view.scan(entries, at.as_deref(), CHUNK),
            Direction::Down => view.scan_back(entries, at.as_deref(), CHUNK),
        };
        let keys = match keys {
            Ok(keys) => keys,
            Err(e) => {
                done = true;
                return Some(vec![Err(e)]);
            }
        };
        at = keys.last().map(|(key, _)| key.clone());
        done = keys.len() < CHUNK;
        let inside = keys.into_iter().map(|(key, _)| key).take_while(|key| match &to {
            Some(to) => key < to,
            None => true,
        });
        let found: Vec<Result<String, KvError>> =
            inside.filter_map(|key| key.strip_prefix(entries).map(|place| Ok(id_at(place).to_owned()))).collect();
        done |= found.is_empty() || (to.is_some() && at.as_ref() >= to.as_ref());
        Some(found)
    })
    .flatten()
}

impl Way {
    /// The ids along it, after so many places; somebody who stands at several places comes up several times.
    pub fn ids<'a>(
        &'a self,
        view: &'a View,
        skip: usize,
    ) -> Result<impl Iterator<Item = Result<String, KvError>> + 'a, KvError> {
        let (mut left, mut all) = (skip, Vec::new());
        for stretch in &self.stretches {
            if left >= stretch.length {
                left -= stretch.length;
                continue;
            }
            all.push(stretch.ids(view, std::mem::take(&mut left))?);
        }
        Ok(all.into_iter().flatten())
    }
}

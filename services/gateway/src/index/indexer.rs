//! Keeping the indexes: with each change, and, for one that is new, a few people at a time while there is nothing else to do.

use std::collections::HashMap;

use rollcall_domain::identity::Identity;
use rollcall_domain::kv::{KvError, Read, Write, load, load_all, store};
use rollcall_domain::{IdentityId, directory};
use rollcall_projection::Idle;
use serde_json::{Value, json};

use crate::index::counted::Counts;
use crate::index::names::{COMPLETE, DROPPED, Index, Indexes, built_prefix, counts_of, entries_of};

/// How many people are added to a new index at a time, and how many entries of one that is dropped are removed: others wait for so long.
const AT_A_TIME: usize = 1000;

/// Keeps the indexes.
#[derive(Debug)]
pub struct Indexer {
    indexes: Indexes,
    /// Of each: what it holds so far, and how its stretches are counted.
    known: HashMap<String, (String, Counts)>,
}

/// What is looked at of somebody: what is answered of them, as far as it can be indexed.
fn shown(identity: &Identity) -> Value {
    let mut resource = Value::Object(identity.resource.clone());
    resource["meta"] = json!({ "lastModified": identity.changed_at });
    resource
}

/// Whoever can't be read is there as well, with no value of anything.
fn is_shown(identity: &Identity) -> bool {
    !identity.deleted
}

impl Indexer {
    pub fn new(indexes: Indexes) -> Self {
        Self { indexes, known: HashMap::new() }
    }

    fn known<'a>(
        known: &'a mut HashMap<String, (String, Counts)>,
        state: &impl Read,
        index: &Index,
    ) -> Result<&'a mut (String, Counts), KvError> {
        let name = index.name();
        if !known.contains_key(&name) {
            let built: String = load(state, &index.built_key())?.unwrap_or_default();
            known.insert(name.clone(), (built, index.counted().counts(state)?));
        }
        // It is there now.
        Ok(known.entry(name).or_default())
    }

    /// Keeps the indexes as somebody has changed.
    pub fn changed(
        &mut self,
        state: &mut impl Write,
        before: Option<&Identity>,
        after: Option<&Identity>,
    ) -> Result<(), KvError> {
        let (before, after) = (before.filter(|i| is_shown(i)), after.filter(|i| is_shown(i)));
        let Some(whose) = after.or(before) else { return Ok(()) };
        let id = whose.id.to_string();
        let (was, is) = (before.map(shown), after.map(shown));
        for index in self.indexes.clone().iter().filter(|index| index.kind == whose.kind) {
            let (built, counts) = Self::known(&mut self.known, state, index)?;
            // Whoever is beyond is added when the index comes to them.
            if built.as_str() < id.as_str() {
                continue;
            }
            let places = |resource: &Option<Value>| resource.as_ref().map_or_else(Vec::new, |r| index.places(&id, r));
            let (old, new) = (places(&was), places(&is));
            let list = index.counted();
            for place in old.iter().filter(|place| !new.contains(place)) {
                if index.attribute.is_some() {
                    state.delete(&format!("{}{place}", list.entries));
                }
                list.removed(state, counts, place);
            }
            for place in new.iter().filter(|place| !old.contains(place)) {
                if index.attribute.is_some() {
                    store(state, format!("{}{place}", list.entries), &());
                }
                list.added(state, counts, place)?;
            }
        }
        Ok(())
    }

    /// Goes on with indexes that are new, or are not wanted any more.
    pub fn idle(&mut self, state: &mut impl Write) -> Result<Idle, KvError> {
        if self.drop_some(state)? {
            return Ok(Idle::More);
        }
        for index in self.indexes.clone().iter() {
            let (built, _) = Self::known(&mut self.known, state, index)?;
            if built != COMPLETE {
                let from = built.clone();
                self.build_some(state, index, &from)?;
                return Ok(Idle::More);
            }
        }
        Ok(Idle::Done)
    }

    /// Adds the next people to an index, and to each other that has come as far; whether there were any.
    fn build_some(&mut self, state: &mut impl Write, index: &Index, from: &str) -> Result<(), KvError> {
        let prefix = directory::live_prefix(index.kind);
        let after = format!("{prefix}{from}");
        let next = state.scan(&prefix, (!from.is_empty()).then_some(after.as_str()), AT_A_TIME)?;
        let mut together = Vec::new();
        for other in self.indexes.clone().iter().filter(|other| other.kind == index.kind) {
            if Self::known(&mut self.known, state, other)?.0 == from {
                together.push(other.clone());
            }
        }
        let mut places: Vec<Vec<String>> = vec![Vec::new(); together.len()];
        let ids = next.iter().filter_map(|(key, _)| key.strip_prefix(&prefix));
        for id in ids.clone() {
            let Ok(identity) = id.parse::<IdentityId>() else { continue };
            let Some(identity) = directory::identity(state, identity)?.filter(is_shown) else { continue };
            let resource = shown(&identity);
            for (index, places) in together.iter().zip(&mut places) {
                places.extend(index.places(id, &resource));
            }
        }
        let built = ids.clone().next_back().filter(|_| next.len() == AT_A_TIME).unwrap_or(COMPLETE).to_owned();
        for (index, mut places) in together.iter().zip(places) {
            places.sort_unstable();
            let list = index.counted();
            let (known, counts) = Self::known(&mut self.known, state, index)?;
            built.clone_into(known);
            for place in places {
                if index.attribute.is_some() {
                    store(state, format!("{}{place}", list.entries), &());
                }
                list.added(state, counts, &place)?;
            }
            store(state, index.built_key(), &built);
        }
        Ok(())
    }

    /// Removes something of an index that is not wanted any more; whether there was any.
    fn drop_some(&mut self, state: &mut impl Write) -> Result<bool, KvError> {
        let all: Vec<(String, String)> = load_all(state, built_prefix(), None, usize::MAX)?;
        for (key, built) in all {
            let Some(name) = key.strip_prefix(built_prefix()) else { continue };
            // One that is half dropped is dropped to the end, also where it is wanted again.
            if built != DROPPED && self.indexes.iter().any(|index| index.name() == name) {
                continue;
            }
            if built != DROPPED {
                self.known.remove(name);
                store(state, key.clone(), &DROPPED.to_owned());
                return Ok(true);
            }
            for prefix in [entries_of(name), counts_of(name)] {
                let some = state.scan(&prefix, None, AT_A_TIME)?;
                if !some.is_empty() {
                    some.iter().for_each(|(key, _)| state.delete(key));
                    return Ok(true);
                }
            }
            self.known.remove(name);
            state.delete(&key);
            return Ok(true);
        }
        Ok(false)
    }
}

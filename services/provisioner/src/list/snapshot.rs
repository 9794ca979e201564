//! A list as it was read: whole, and the same for as long as it is asked.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;

use super::entries::Entry;

/// A list as it was read.
#[derive(Debug)]
pub struct Snapshot {
    /// What it shows was so then.
    pub taken_at: Timestamp,
    /// The how manieth it is: pages of two are not mixed.
    pub generation: u64,
    /// How many who must be there it does not show: then it may have been cut off.
    pub missing: usize,
    /// The entries that can be used, and were linked to nobody when it was read.
    strangers: Arc<[usize]>,
    history: Arc<History>,
    content: Arc<Content>,
}

/// The entries of a list that can be used, and were linked to nobody when it was read, and since when they are known.
#[derive(Debug)]
pub struct Strangers {
    entries: Arc<[usize]>,
    history: Arc<History>,
}

impl Strangers {
    /// Those of the first list: nothing is known of an earlier one.
    pub fn of_the_first(entries: Vec<usize>) -> Self {
        Self { entries: entries.into(), history: Arc::default() }
    }
}

/// What was on the lists that this process has read, by its id.
#[derive(Debug, Default)]
struct History {
    /// From which list on those are known that are linked to nobody.
    since: HashMap<String, Timestamp>,
    /// Which list was the last that had it, of what is on none any more.
    until: HashMap<String, Timestamp>,
}

/// What a list says.
#[derive(Debug)]
pub struct Content {
    pub entries: Vec<Entry>,
    by_id: HashMap<String, usize>,
    by_name: HashMap<String, Vec<usize>>,
    by_external_id: HashMap<String, Vec<usize>>,
    /// The ids of the members of each group, by its name in lower case, with its name.
    pub groups: BTreeMap<String, (String, Vec<String>)>,
}

impl Snapshot {
    pub fn new(
        taken_at: Timestamp,
        generation: u64,
        missing: usize,
        strangers: Strangers,
        content: Arc<Content>,
    ) -> Self {
        let Strangers { entries: strangers, history } = strangers;
        Self { taken_at, generation, missing, strangers, history, content }
    }

    /// Those who were linked to nobody, by what was known of them in this list and the ones before.
    pub fn met(&self, strangers: Vec<usize>, content: &Content, taken_at: Timestamp) -> Strangers {
        let mut history = History::default();
        for Entry { id, .. } in strangers.iter().filter_map(|index| content.entries.get(*index)) {
            let was_there = self.by_id(id).map(|_| self.taken_at);
            let since = self.history.since.get(id).copied().or(was_there).unwrap_or(taken_at);
            history.since.insert(id.clone(), since);
        }
        let before = self.history.until.iter().map(|(id, until)| (id, *until));
        let now_gone = self.entries.iter().map(|entry| (&entry.id, self.taken_at));
        let gone = before.chain(now_gone).filter(|(id, _)| content.by_id(id).is_none());
        history.until.extend(gone.map(|(id, until)| (id.clone(), until)));
        Strangers { entries: strangers.into(), history: Arc::new(history) }
    }

    /// Whether an account was on a list together with one of nobody that is on this one: then the two are not the same.
    pub fn was_beside(&self, id: &str, stranger: &str) -> bool {
        let (until, since) = (self.history.until.get(id), self.history.since.get(stranger));
        until.zip(since).is_some_and(|(until, since)| since <= until)
    }

    /// The accounts that can be used, and were linked to nobody when it was read.
    pub fn strangers(&self) -> impl Iterator<Item = &Entry> {
        self.strangers.iter().filter_map(|index| self.content.entries.get(*index))
    }

    /// The same list, of which somebody says that nobody is missing who must be there.
    pub fn whole(&self) -> Self {
        Self { missing: 0, ..self.as_of(self.taken_at, self.generation) }
    }

    /// The same list, which its place says is so at another time.
    pub fn as_of(&self, taken_at: Timestamp, generation: u64) -> Self {
        let (entries, history) = (Arc::clone(&self.strangers), Arc::clone(&self.history));
        Self::new(taken_at, generation, self.missing, Strangers { entries, history }, Arc::clone(&self.content))
    }
}

impl Deref for Snapshot {
    type Target = Content;
    fn deref(&self) -> &Content {
        &self.content
    }
}

impl Content {
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut new = Self {
            by_id: HashMap::new(),
            by_name: HashMap::new(),
            by_external_id: HashMap::new(),
            groups: BTreeMap::new(),
            entries: Vec::new(),
        };
        for (index, entry) in entries.iter().enumerate() {
            let text = |key: &str| entry.resource.get(key).and_then(|value| value.as_str()).map(str::to_lowercase);
            new.by_id.insert(entry.id.clone(), index);
            for (key, index_of) in [("userName", &mut new.by_name), ("externalId", &mut new.by_external_id)] {
                if let Some(text) = text(key) {
                    index_of.entry(text).or_default().push(index);
                }
            }
            for group in &entry.groups {
                let known = new.groups.entry(group.to_lowercase());
                known.or_insert_with(|| (group.clone(), Vec::new())).1.push(entry.id.clone());
            }
        }
        new.entries = entries;
        new
    }

    pub fn by_id(&self, id: &str) -> Option<&Entry> {
        self.entries.get(*self.by_id.get(id)?)
    }

    /// Those with a value of an attribute, in any case; `None`: it is not looked for by that.
    pub fn by_attribute(&self, attribute: &str, value: &str) -> Option<Vec<&Entry>> {
        let found = match attribute {
            "id" => return Some(self.by_id(value).into_iter().collect()),
            "userName" => &self.by_name,
            "externalId" => &self.by_external_id,
            _ => return None,
        };
        let places = found.get(&value.to_lowercase()).map(Vec::as_slice).unwrap_or_default();
        Some(places.iter().filter_map(|place| self.entries.get(*place)).collect())
    }
}

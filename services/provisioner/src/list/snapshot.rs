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
    content: Arc<Content>,
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
    pub const fn new(taken_at: Timestamp, generation: u64, missing: usize, content: Arc<Content>) -> Self {
        Self { taken_at, generation, missing, content }
    }

    /// The same list, of which somebody says that nobody is missing who must be there.
    pub fn whole(&self) -> Self {
        Self::new(self.taken_at, self.generation, 0, Arc::clone(&self.content))
    }

    /// The same list, which its place says is so at another time.
    pub fn as_of(&self, taken_at: Timestamp, generation: u64) -> Self {
        Self::new(taken_at, generation, self.missing, Arc::clone(&self.content))
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

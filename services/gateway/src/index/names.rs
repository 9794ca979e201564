//! Which indexes there are, and where they are kept. Keys: `index/<type>/<attribute>/<place>`, where a place is `=<text of the value>` or `~`
//! (no value), a separator, and an id; `index-count/<type>/<attribute>/<place>`: how many stand from there to the next of these; and
//! `index-built/<type>/<attribute>`: the last id that it holds, while it is built, or `~` when it holds all.

use std::sync::Arc;

use rollcall_domain::directory;
use rollcall_domain::identity::IdentityKind;
use rollcall_scim::{Catalogue, IndexedAttribute, ResourceType};
use serde_json::Value;

use crate::change::operation::Family;
use crate::index::counted::Counted;

/// What stands between a text and an id: no text has it.
pub const SEPARATOR: char = '\u{1}';

/// That an index holds all.
pub const COMPLETE: &str = "~";

/// That an index is being dropped: before any id.
pub const DROPPED: &str = "!";

/// The place of those who have no value: after all who have one.
pub const MISSING: &str = "~";

/// The name of the index that everybody is in, by their ids.
const BY_ID: &str = "id";

/// Indexed whatever the configuration says.
const ALWAYS: [&str; 5] = ["userName", "emails.value", "displayName", "active", LAST_MODIFIED];

/// It is not part of what is stored of somebody.
const LAST_MODIFIED: &str = "meta.lastModified";

/// One index.
#[derive(Debug, Clone)]
pub struct Index {
    pub kind: IdentityKind,
    /// The path of its attribute.
    pub path: String,
    /// `None`: the one by ids.
    pub attribute: Option<IndexedAttribute>,
}

/// All of them.
#[derive(Debug, Clone)]
pub struct Indexes(Arc<[Index]>);

impl Indexes {
    /// Those of people and agents, with those that the configuration names.
    pub fn new(catalogue: Catalogue, configured: &[String]) -> Self {
        let mut all: Vec<Index> = Vec::new();
        for kind in catalogue.types() {
            let Family::Identity(of) = Family::of(kind) else { continue };
            all.push(Index { kind: of, path: BY_ID.to_owned(), attribute: None });
            for path in ALWAYS.into_iter().chain(configured.iter().map(String::as_str)) {
                // Agents have other attributes than people.
                let Ok(attribute) = IndexedAttribute::parse(path, kind) else { continue };
                let index = Index { kind: of, path: attribute.path(), attribute: Some(attribute) };
                if !all.iter().any(|known| known.kind == of && known.path == index.path) {
                    all.push(index);
                }
            }
        }
        Self(all.into())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Index> {
        self.0.iter()
    }

    /// The index of an attribute, and the one by ids.
    pub fn find(&self, kind: &ResourceType, path: &str) -> Option<&Index> {
        let Family::Identity(of) = Family::of(kind) else { return None };
        self.iter().find(|index| index.kind == of && index.path == path)
    }

    /// The index by ids.
    pub fn by_id(&self, kind: &ResourceType) -> Option<&Index> {
        self.find(kind, BY_ID)
    }
}

pub fn built_prefix() -> &'static str {
    "index-built/"
}

/// The keys of an index, by its name under [`built_prefix`].
pub fn entries_of(name: &str) -> String {
    format!("index/{name}/")
}

/// See [`entries_of`].
pub fn counts_of(name: &str) -> String {
    format!("index-count/{name}/")
}

impl Index {
    /// What it is called under `index-built/`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.kind.name(), self.path)
    }

    pub fn built_key(&self) -> String {
        format!("{}{}", built_prefix(), self.name())
    }

    /// Its entries, and how many there are of them.
    pub fn counted(&self) -> Counted {
        let entries = match self.attribute {
            Some(_) => entries_of(&self.name()),
            // That list is kept anyway.
            None => directory::live_prefix(self.kind),
        };
        Counted { entries, counts: counts_of(&self.name()) }
    }

    /// Where somebody stands in it, by what is answered of them: at several places, if they have several values.
    pub fn places(&self, id: &str, resource: &Value) -> Vec<String> {
        let Some(attribute) = &self.attribute else { return vec![id.to_owned()] };
        let mut places: Vec<String> =
            attribute.texts(resource).into_iter().map(|text| format!("={text}{SEPARATOR}{id}")).collect();
        if places.is_empty() {
            places.push(format!("{MISSING}{SEPARATOR}{id}"));
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// The id at a place.
pub fn id_at(place: &str) -> &str {
    place.rsplit(SEPARATOR).next().unwrap_or(place)
}

//! Whose word counts: the precedence of sources for single attributes of identities.

use rollcall_scim::{Changed, LIFECYCLE, MACHINE};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::identity::name::name_key;
use crate::identity::statement::{OldDate, Says, Word, undated};
use crate::identity::{IdentityChanged, Provenance};
use crate::ids::SourceName;

/// An attribute: one of the core schema, or `urn:…:User:department` of an extension.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributePath {
    /// The URN of the extension; `None`: the core schema.
    pub extension: Option<String>,
    /// The attribute's name.
    pub name: String,
}

impl AttributePath {
    /// As [`changed_paths`](rollcall_scim::changed_paths) writes it.
    #[must_use]
    pub fn text(&self) -> String {
        self.extension.as_ref().map_or_else(|| self.name.clone(), |urn| format!("{urn}:{}", self.name))
    }

    fn get<'a>(&self, resource: &'a Map<String, Value>) -> Option<&'a Value> {
        match &self.extension {
            Some(urn) => resource.get(urn)?.as_object()?.get(&self.name),
            None => resource.get(&self.name),
        }
    }

    fn set(&self, resource: &mut Map<String, Value>, value: Option<Value>) {
        let Some(urn) = &self.extension else {
            put(resource, &self.name, value);
            return;
        };
        let fields = resource.entry(urn.clone()).or_insert_with(|| Value::Object(Map::new()));
        if let Some(fields) = fields.as_object_mut() {
            put(fields, &self.name, value);
            if fields.is_empty() {
                resource.remove(urn);
            }
        }
    }
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(fields.insert(name.to_owned(), value)),
        None => drop(fields.remove(name)),
    }
}

/// Who may set an attribute: the first source that has set it wins over those behind it; others never set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precedence {
    /// Which attribute.
    pub attribute: AttributePath,
    /// From the one whose word counts most.
    pub sources: Vec<SourceName>,
}

/// The rules; an attribute without one belongs to whoever changed it last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    /// At most one for each attribute.
    pub rules: Vec<Precedence>,
    /// Who may say what about groups; the first that matches a name counts.
    pub groups: Vec<GroupAuthority>,
}

/// Who may make, rename, fill and remove the groups with certain names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupAuthority {
    /// Display names in any case, in which `*` stands for any text.
    pub names: Vec<String>,
    /// The sources that may.
    pub sources: Vec<SourceName>,
}

impl GroupAuthority {
    fn covers(&self, display_name: &str) -> bool {
        // A rule may look at the beginning or a part of a name as it is written: where either reading is covered, it is.
        let readings = [name_key(display_name), display_name.to_lowercase()];
        let mut patterns = self.names.iter().flat_map(|pattern| [name_key(pattern), pattern.to_lowercase()]);
        patterns.any(|pattern| readings.iter().any(|name| is_like(&pattern, name)))
    }
}

/// Whether a text is like a pattern in which `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    text.char_indices().map(|(at, _)| &text[at..]).chain([""]).any(|tail| is_like(rest, tail))
}

/// A part of a change that was not the source's to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Denied {
    /// What stays, and what was asked for.
    pub change: Changed,
    /// The source whose word stands; `None`: nobody's yet.
    pub held_by: Option<SourceName>,
}

/// What a source's wish comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The resource with every part that was the source's to change.
    pub resource: Map<String, Value>,
    /// Who set what, afterwards.
    pub provenance: Provenance,
    /// The parts that were not.
    pub denied: Vec<Denied>,
}

impl Precedence {
    fn is_about_active(&self) -> bool {
        self.attribute.extension.is_none() && self.attribute.name == "active"
    }

    /// Whether `source` may set what `held_by` has set.
    fn allows(&self, source: &SourceName, held_by: Option<&SourceName>) -> bool {
        let rank = |name: &SourceName| self.sources.iter().position(|s| s == name);
        match (rank(source), held_by.and_then(rank)) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(ours), Some(theirs)) => ours <= theirs,
        }
    }
}

impl Authority {
    /// Takes from `wanted` what `source` may change, and keeps the rest as it is in `last`; `None` is a new identity. Whoever may, and says
    /// `active` outright, is whose word stands on it, be it what is known already: what HR says last is not for others to undo because
    /// somebody else said it first.
    #[must_use]
    pub fn settle(
        &self,
        source: &SourceName,
        last: Option<&IdentityChanged>,
        wanted: Map<String, Value>,
        says: Says,
    ) -> Settled {
        let empty = Map::new();
        let before = last.map_or(&empty, |last| &last.resource);
        let mut provenance = last.map(|last| last.provenance.clone()).unwrap_or_default();
        let held_by = last.and_then(|last| last.provenance.get("active"));
        let may = self.about_active().is_none_or(|rule| rule.allows(source, held_by));
        let (mut resource, mut denied) = match says.date {
            OldDate::UsedUp if may => (undated(wanted), Vec::new()),
            OldDate::UsedUp | OldDate::Stands => (wanted, Vec::new()),
        };
        for rule in &self.rules {
            let path = rule.attribute.text();
            let (have, want) = (rule.attribute.get(before).cloned(), rule.attribute.get(&resource).cloned());
            let held_by = provenance.get(&path).cloned();
            let allowed = rule.allows(source, held_by.as_ref());
            if have == want && !(allowed && says.active == Word::Said && rule.is_about_active()) {
                continue;
            }
            if allowed {
                provenance.insert(path, source.clone());
            } else {
                rule.attribute.set(&mut resource, have.clone());
                denied.push(Denied { change: Changed { path, before: have, after: want }, held_by });
            }
        }
        // When someone comes or goes, and how urgently, is part of whether they are active.
        if let Some(rule) = self.about_active() {
            let held_by = provenance.get("active").cloned();
            let dates = [(LIFECYCLE.id, "effectiveAt"), (LIFECYCLE.id, "emergency"), (MACHINE.id, "expiresAt")];
            for (extension, name) in dates {
                let attribute = AttributePath { extension: Some(extension.to_owned()), name: name.to_owned() };
                let (have, want) = (attribute.get(before).cloned(), attribute.get(&resource).cloned());
                let may = rule.allows(source, last.and(held_by.as_ref()));
                if have == want {
                    continue;
                }
                if may {
                    provenance.insert("active".into(), source.clone());
                } else {
                    attribute.set(&mut resource, have.clone());
                    let change = Changed { path: attribute.text(), before: have, after: want };
                    denied.push(Denied { change, held_by: held_by.clone() });
                }
            }
        }
        keep_schemas(&mut resource, before);
        Settled { resource, provenance, denied }
    }

    /// Whether `source` may make, rename, fill or remove a group of this name. Where no rule is about it a group belongs to
    /// the source that has made it: whoever is in a group may have an account for it.
    #[must_use]
    pub fn allows_group(&self, source: &SourceName, display_name: &str, made_by: Option<&SourceName>) -> bool {
        match self.groups.iter().find(|rule| rule.covers(display_name)) {
            Some(rule) => rule.sources.contains(source),
            None => made_by.is_none_or(|made_by| made_by == source),
        }
    }

    /// Whether groups of one name may be of several sources: a rule says whose they are.
    #[must_use]
    pub fn governs_group(&self, display_name: &str) -> bool {
        self.groups.iter().any(|rule| rule.covers(display_name))
    }

    /// Why `source` may not bring in anyone: whether they are active is not its to say.
    #[must_use]
    pub fn forbids_creation(&self, source: &SourceName) -> bool {
        self.about_active().is_some_and(|rule| !rule.allows(source, None))
    }

    fn about_active(&self) -> Option<&Precedence> {
        self.rules.iter().find(|rule| rule.is_about_active())
    }

    /// Why `source` may not end what `last` says: the rule about `active` is against it.
    #[must_use]
    pub fn forbids_removal(&self, source: &SourceName, last: &IdentityChanged) -> Option<Denied> {
        let rule = self.about_active()?;
        let held_by = last.provenance.get("active").cloned();
        let change = Changed { path: "active".into(), before: last.resource.get("active").cloned(), after: None };
        (!rule.allows(source, held_by.as_ref())).then_some(Denied { change, held_by })
    }
}

/// An extension that was put back is named in `schemas` again.
fn keep_schemas(resource: &mut Map<String, Value>, before: &Map<String, Value>) {
    let urns: Vec<String> = resource.keys().filter(|key| key.starts_with("urn:")).cloned().collect();
    let known = before.get("schemas").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(schemas) = resource.get_mut("schemas").and_then(Value::as_array_mut) {
        for urn in urns.into_iter().map(Value::from) {
            if known.contains(&urn) && !schemas.contains(&urn) {
                schemas.push(urn);
            }
        }
    }
}

/// What a source wanted and may not do.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeRefused {
    /// What it was about; `None`: something new.
    pub target: Option<uuid::Uuid>,
    /// The name of its resource type.
    pub resource_type: String,
    /// Such as `replace`.
    pub operation: String,
    /// Why, for people.
    pub detail: String,
    /// The parts; none when the whole of it was refused.
    pub denied: Vec<Denied>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// A rule of an app may ask whether a name begins with a text, or has it in it: letters that a mark makes other letters are in it.
    #[test]
    fn what_a_rule_takes_for_the_beginning_of_a_name_is_covered_by_its_pattern() {
        let sources = vec!["hr".parse().unwrap()];
        let rule = |pattern: &str| GroupAuthority { names: vec![pattern.into()], sources: sources.clone() };
        for (pattern, name, is_covered) in [
            ("eng*", "Eng-A", true),
            ("eng*", "eng\u{306}x", true),
            ("*admin*", "an admin\u{303}", true),
            ("eng*", "\u{ff25}\u{ff2e}\u{ff27}-1", true),
            ("\u{11f}*", "g\u{306}", true),
            ("eng*", "en\u{303}g", false),
            ("eng*", "lab", false),
        ] {
            assert_eq!(rule(pattern).covers(name), is_covered, "{pattern} {name}");
        }
    }
}

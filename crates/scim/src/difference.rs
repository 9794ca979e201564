//! What differs between two versions of a resource.

use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use serde_json::{Map, Value};

/// One difference between two versions of a resource.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct Changed {
    /// The attribute, with a dot before a sub-attribute and the URN of an extension before its attribute.
    pub path: String,
    /// The value before; `None`: it was not set.
    #[serde(default)]
    pub before: Option<Value>,
    /// The value after; `None`: it is not set.
    #[serde(default)]
    pub after: Option<Value>,
}

impl Serialize for Changed {
    /// For people what was not set is left out; where fields are told by their places, none is.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_left_out = |value: &Option<Value>| serializer.is_human_readable() && value.is_none();
        let (no_before, no_after) = (is_left_out(&self.before), is_left_out(&self.after));
        let count = 3 - usize::from(no_before) - usize::from(no_after);
        let mut fields = serializer.serialize_struct("Changed", count)?;
        fields.serialize_field("path", &self.path)?;
        if no_before {
            fields.skip_field("before")?
        } else {
            fields.serialize_field("before", &self.before)?
        }
        if no_after {
            fields.skip_field("after")?
        } else {
            fields.serialize_field("after", &self.after)?
        }
        fields.end()
    }
}

/// What differs between two versions of a resource, in path order; `schemas` and `meta` are left out.
#[must_use]
pub fn changed_paths(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Changed> {
    let mut out = Vec::new();
    collect("", '.', before, after, &mut out);
    out.retain(|c| c.path != "schemas" && !c.path.starts_with("meta"));
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

fn collect(
    prefix: &str,
    separator: char,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    out: &mut Vec<Changed>,
) {
    let names = before.keys().chain(after.keys().filter(|k| !before.contains_key(*k)));
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        if old == new {
            continue;
        }
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}{separator}{name}") };
        let empty = Map::new();
        let object = |v: Option<&Value>| v.is_none_or(Value::is_object);
        if object(old) && object(new) {
            let fields = |v: Option<&Value>| v.and_then(Value::as_object).cloned().unwrap_or_else(|| empty.clone());
            let next = if name.starts_with("urn:") { ':' } else { '.' };
            collect(&path, next, &fields(old), &fields(new), out);
        } else {
            out.push(Changed { path, before: old.cloned(), after: new.cloned() });
        }
    }
}

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
        let people = serializer.is_human_readable();
        let is_left_out = |value: &Option<Value>| people && value.is_none();
        let values = [("before", &self.before), ("after", &self.after)];
        let left_out = values.iter().filter(|(_, value)| is_left_out(value)).count();
        let mut fields = serializer.serialize_struct("Changed", 1 + values.len() - left_out)?;
        fields.serialize_field("path", &self.path)?;
        for (name, value) in values {
            if is_left_out(value) {
                fields.skip_field(name)?;
            } else {
                fields.serialize_field(name, value)?;
            }
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

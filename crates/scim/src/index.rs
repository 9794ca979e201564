//! What an ordered index of an attribute holds, and which stretches of it can hold the resources that match a filter.

use std::ops::Bound;

use jiff::Timestamp;
use serde_json::Value;

use crate::path::{Target, resolve};
use crate::schema::{Case, Kind, ResourceType};

/// The longest text that an index holds of a value, in characters: what is longer is found by its beginning.
const LONGEST: usize = 64;

/// An attribute by whose values resources are put in order.
#[derive(Debug, Clone, Copy)]
pub struct IndexedAttribute {
    target: Target,
}

/// A stretch of an index that holds every resource that can match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The attribute's path.
    pub path: String,
    /// Where it begins.
    pub from: Bound<String>,
    /// Where it ends.
    pub to: Bound<String>,
    /// Whether it holds no other.
    pub is_exact: bool,
}

impl IndexedAttribute {
    /// The attribute that a path names; a complex one stands for its `value`.
    ///
    /// # Errors
    /// Why it can't be put in order: it is not there, or has no values of its own.
    pub fn parse(path: &str, kind: &ResourceType) -> Result<Self, String> {
        let parsed: scim_v2::filter::PatchPath =
            path.parse().map_err(|_| format!("'{path}' is not an attribute path"))?;
        let scim_v2::filter::PatchPath::Attr(path) = parsed else {
            return Err(format!("'{path}' must be an attribute, without a filter"));
        };
        let mut target = resolve(&path, kind)?;
        if target.sub.is_none() && target.attribute.kind == Kind::Complex {
            target.sub = target.attribute.sub("value");
            if target.sub.is_none() {
                return Err(format!("'{path}' is complex: name a sub-attribute"));
            }
        }
        Ok(Self { target })
    }

    /// Its path in canonical case.
    #[must_use]
    pub fn path(&self) -> String {
        self.target.name()
    }

    /// Whether a resource can have several values of it.
    #[must_use]
    pub fn is_multi(&self) -> bool {
        self.target.attribute.is_multi() || self.target.sub.is_some_and(|sub| sub.is_multi())
    }

    /// The texts of its values in a resource, as they sort; none: it has no value.
    #[must_use]
    pub fn texts(&self, resource: &Value) -> Vec<String> {
        let leaf = self.target.sub.unwrap_or(self.target.attribute);
        let values = match self.target.attribute_value(resource) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items.iter().collect(),
            Some(one) => vec![one],
        };
        let leaves = values.into_iter().filter_map(|value| match self.target.sub {
            Some(sub) => value.get(sub.name),
            None => Some(value),
        });
        leaves.filter_map(|value| text(value, leaf.kind, leaf.case)).map(|text| text.0).collect()
    }
}

/// A value as an index sorts it, and whether that is all of it.
fn text(value: &Value, kind: Kind, case: Case) -> Option<(String, bool)> {
    match value {
        Value::Bool(flag) => Some((flag.to_string(), true)),
        Value::String(text) if kind == Kind::DateTime => Some(time(text.parse().ok()?)),
        Value::String(text) => Some(match case {
            Case::Exact => shortened(text),
            Case::Insensitive => shortened(&text.to_lowercase()),
        }),
        _ => None,
    }
}

fn time(at: Timestamp) -> (String, bool) {
    // Of times before 1970 there are none that matter, and they may stand together.
    (format!("{:020}", at.as_microsecond().max(0)), false)
}

fn shortened(text: &str) -> (String, bool) {
    // What separates values from ids is in no value.
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let short: String = text.chars().take(LONGEST).map(shown).collect();
    let whole = short == text;
    (short, whole)
}

/// How a value is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparing {
    Equal,
    Begins,
    AtLeast,
    AtMost,
}

/// The stretch of an attribute's index that a comparison leaves.
pub(crate) fn range(target: &Target, comparing: Comparing, value: &Value) -> Option<Range> {
    let leaf = target.sub.unwrap_or(target.attribute);
    let (text, is_whole) = text(value, leaf.kind, leaf.case)?;
    let one = Bound::Included(text.clone());
    let is_multi = target.attribute.is_multi() || leaf.is_multi();
    let (from, to, is_exact) = match comparing {
        Comparing::Equal => (one.clone(), one, is_whole && !is_multi),
        // Nothing that is longer than what is kept has another beginning.
        Comparing::Begins if !is_whole => (one.clone(), one, false),
        Comparing::Begins => (one, Bound::Excluded(format!("{text}\u{10ffff}")), !is_multi),
        Comparing::AtLeast => (one, Bound::Unbounded, false),
        Comparing::AtMost => (Bound::Unbounded, one, false),
    };
    Some(Range { path: target.name(), from, to, is_exact })
}

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
        // What is not stored with a resource, but shown, is in no index.
        let is_shown_only = match target.attribute.name {
            "id" | "groups" => true,
            "meta" => target.sub.is_none_or(|sub| sub.name != "lastModified"),
            _ => false,
        };
        let leaf = target.sub.unwrap_or(target.attribute);
        if is_shown_only || !matches!(leaf.kind, Kind::String | Kind::Reference | Kind::DateTime | Kind::Boolean) {
            return Err(format!("'{}' can't be put in order", target.name()));
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
        leaves.filter_map(|value| text(value, leaf.kind, leaf.case)).collect()
    }
}

/// What stands for a control character: no text has it that has none.
const CONTROL: char = '\u{2}';

/// A value as an index sorts it.
fn text(value: &Value, kind: Kind, case: Case) -> Option<String> {
    match value {
        Value::Bool(flag) => Some(flag.to_string()),
        Value::String(text) if kind == Kind::DateTime => Some(time(text.parse().ok()?)),
        Value::String(text) => Some(kept(&folded(text, case))),
        _ => None,
    }
}

fn time(at: Timestamp) -> String {
    // Of times before 1970 there are none that matter, and they may stand together.
    format!("{:020}", at.as_microsecond().max(0))
}

fn folded(text: &str, case: Case) -> String {
    match case {
        Case::Exact => text.to_owned(),
        Case::Insensitive => text.to_lowercase(),
    }
}

fn kept(text: &str) -> String {
    text.chars().take(LONGEST).map(|c| if c < ' ' { CONTROL } else { c }).collect()
}

/// How a value is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparing {
    Equal,
    Begins,
    AtLeast,
    AtMost,
}

/// After everything that begins so.
fn after(text: &str) -> Bound<String> {
    Bound::Excluded(format!("{text}\u{10ffff}"))
}

/// The stretch of an attribute's index that a comparison leaves.
pub(crate) fn range(target: &Target, comparing: Comparing, value: &Value) -> Option<Range> {
    let leaf = target.sub.unwrap_or(target.attribute);
    let is_multi = target.attribute.is_multi() || leaf.is_multi();
    let path = target.name();
    let bounds = |text: String, is_whole: bool| match comparing {
        Comparing::Equal if is_whole => (Bound::Included(text.clone()), Bound::Included(text), true),
        Comparing::Equal | Comparing::Begins => {
            let to = after(&text);
            (Bound::Included(text), to, is_whole)
        }
        Comparing::AtLeast => (Bound::Included(text), Bound::Unbounded, false),
        // What is longer than what is kept of it begins with that.
        Comparing::AtMost => (Bound::Unbounded, after(&text), false),
    };
    let (from, to, is_exact) = match value {
        Value::String(text) if leaf.kind != Kind::DateTime => {
            let text = folded(text, leaf.case);
            // Only the beginning of a text is compared that is longer than what is kept, or has what stands otherwise there.
            let whole: String = text.chars().take_while(|c| *c >= ' ').take(LONGEST - 1).collect();
            let is_whole = whole == text;
            bounds(whole, is_whole)
        }
        // Times are kept to the microsecond.
        value => {
            let text = text(value, leaf.kind, leaf.case)?;
            let is_whole = leaf.kind == Kind::Boolean;
            if leaf.kind == Kind::DateTime && comparing == Comparing::Equal {
                (Bound::Included(text.clone()), Bound::Included(text), false)
            } else {
                bounds(text, is_whole)
            }
        }
    };
    Some(Range { path, from, to, is_exact: is_exact && !is_multi })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::filter::Filter;
    use crate::schemas::USER_TYPE;

    fn holds(range: &Range, text: &str) -> bool {
        let from = match &range.from {
            Bound::Included(from) => from.as_str() <= text,
            Bound::Excluded(from) => from.as_str() < text,
            Bound::Unbounded => true,
        };
        let to = match &range.to {
            Bound::Included(to) => text <= to.as_str(),
            Bound::Excluded(to) => text < to.as_str(),
            Bound::Unbounded => true,
        };
        from && to
    }

    /// Whoever matches is in the stretch, and where it is exact nobody else is.
    #[test]
    fn a_stretch_hides_nobody_who_matches() {
        let long = "x".repeat(LONGEST);
        let values = [
            "",
            "a",
            "A",
            "ab",
            "a b",
            "a\tb",
            "a\tbc",
            "a\u{1f}a",
            "a\u{1}",
            "O\u{92}Brien",
            "on",
            "straße",
            "STRASSE",
            "z",
            "~",
            "\u{10fffe}",
            &long,
            &format!("{long}y"),
            &format!("{long}\t"),
            &long[1..],
            "\u{7f}",
            "é",
            "E\u{301}",
        ];
        let attribute = IndexedAttribute::parse("title", &USER_TYPE).unwrap();
        for operator in ["eq", "sw", "gt", "ge", "lt", "le"] {
            for operand in values {
                let filter = Filter::parse(&format!("title {operator} {}", json!(operand)), &USER_TYPE).unwrap();
                let ways = filter.ranges(&|path| path == "title");
                let [way] = ways.as_slice() else { panic!("{operator} {operand:?}: {ways:?}") };
                let [range] = way.as_slice() else { panic!("{way:?}") };
                for value in values {
                    let resource = json!({ "title": value });
                    let inside = attribute.texts(&resource).iter().any(|text| holds(range, text));
                    let matches = filter.matches(&resource);
                    assert!(inside || !matches, "{value:?} {operator} {operand:?} is hidden by {range:?}");
                    assert!(
                        !range.is_exact || inside == matches,
                        "{value:?} {operator} {operand:?} is not what {range:?} says"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_not_stored_or_has_no_order_is_not_indexed() {
        for path in
            ["id", "groups", "groups.display", "meta.created", "meta.version", "name", "photos[type eq \"x\"]", "shoe"]
        {
            assert!(IndexedAttribute::parse(path, &USER_TYPE).is_err(), "{path}");
        }
        for path in ["meta.lastModified", "emails", "emails.type", "active", "name.familyName"] {
            assert!(IndexedAttribute::parse(path, &USER_TYPE).is_ok(), "{path}");
        }
    }
}

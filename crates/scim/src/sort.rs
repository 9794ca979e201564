//! Sorting (RFC 7644 §3.4.2.3).

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

use crate::error::{ScimError, ScimType};
use crate::path::{Target, resolve};
use crate::schema::{Case, Kind, ResourceType};

/// An order of resources.
#[derive(Debug, Clone)]
pub struct Sort {
    target: Target,
    direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

/// What a resource is sorted by.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub enum SortKey {
    /// A boolean, false first.
    Flag(bool),
    /// A number.
    Number(f64),
    /// A time.
    Time(Timestamp),
    /// Text, in lower case where case does not count.
    Text(String),
    /// Nothing: last in ascending order.
    Missing,
}

impl Sort {
    /// Reads the two query parameters; `None` when there is nothing to sort by.
    ///
    /// # Errors
    /// `invalidPath` for an attribute that is not there, `invalidValue` for another order.
    pub fn parse(by: Option<&str>, order: Option<&str>, kind: &ResourceType) -> Result<Option<Self>, ScimError> {
        let direction = match order.map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "ascending") => Direction::Ascending,
            Some("descending") => Direction::Descending,
            Some(other) => {
                let detail = format!("'sortOrder' must be ascending or descending, not '{other}'");
                return Err(ScimError::bad_request(ScimType::InvalidValue, detail));
            }
        };
        let Some(path) = by.map(str::trim).filter(|path| !path.is_empty()) else { return Ok(None) };
        let invalid = |why: String| ScimError::bad_request(ScimType::InvalidPath, format!("'sortBy': {why}"));
        let parsed: scim_v2::filter::PatchPath =
            path.parse().map_err(|_| invalid(format!("'{path}' is not an attribute path")))?;
        let scim_v2::filter::PatchPath::Attr(attr) = parsed else {
            return Err(invalid(format!("'{path}' must be an attribute, without a filter")));
        };
        let mut target = resolve(&attr, kind).map_err(invalid)?;
        if target.sub.is_none() && target.attribute.kind == Kind::Complex {
            let value = target.attribute.sub("value");
            target.sub = Some(value.ok_or_else(|| invalid(format!("'{path}' is complex: name a sub-attribute")))?);
        }
        Ok(Some(Self { target, direction }))
    }

    /// The path of the attribute that it is by, in canonical case.
    #[must_use]
    pub fn path(&self) -> String {
        self.target.name()
    }

    /// Whether the last comes first.
    #[must_use]
    pub fn is_descending(&self) -> bool {
        self.direction == Direction::Descending
    }

    /// What `resource` is sorted by.
    #[must_use]
    pub fn key(&self, resource: &Value) -> SortKey {
        let found = self.target.attribute_value(resource);
        // Of many values the primary one counts, else the first.
        let one = match found {
            Some(Value::Array(items)) => {
                items.iter().find(|v| v.get("primary") == Some(&Value::Bool(true))).or_else(|| items.first())
            }
            other => other,
        };
        let leaf = match self.target.sub {
            Some(sub) => one.and_then(|v| v.get(sub.name)),
            None => one,
        };
        let attribute = self.target.sub.unwrap_or(self.target.attribute);
        match leaf {
            Some(Value::Bool(flag)) => SortKey::Flag(*flag),
            Some(Value::Number(number)) => number.as_f64().map_or(SortKey::Missing, SortKey::Number),
            Some(Value::String(text)) if attribute.kind == Kind::DateTime => {
                text.parse().map_or_else(|_| SortKey::Text(text.clone()), SortKey::Time)
            }
            Some(Value::String(text)) => match attribute.case {
                Case::Exact => SortKey::Text(text.clone()),
                Case::Insensitive => SortKey::Text(text.to_lowercase()),
            },
            _ => SortKey::Missing,
        }
    }

    /// Which of two comes first.
    #[must_use]
    pub fn compare(&self, a: &SortKey, b: &SortKey) -> Ordering {
        let ascending = a.partial_cmp(b).unwrap_or(Ordering::Equal);
        match self.direction {
            Direction::Ascending => ascending,
            Direction::Descending => ascending.reverse(),
        }
    }
}

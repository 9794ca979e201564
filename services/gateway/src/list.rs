//! Searching (RFC 7644 §3.4.2): filter, then page.

use rollcall_scim::{Filter, ResourceType, ScimError, ScimType, Selection, list_response};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::Refusal;

/// The query parameters of a search. Others, such as `sortBy`, are ignored: sorting is not offered.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Search {
    filter: Option<String>,
    start_index: Option<String>,
    count: Option<String>,
    attributes: Option<String>,
    excluded_attributes: Option<String>,
}

/// A search that was checked.
#[derive(Debug)]
pub struct Checked {
    pub filter: Option<Filter>,
    pub selection: Selection,
    start: usize,
    count: usize,
}

impl Search {
    /// Checks every parameter.
    pub fn check(self, kind: &ResourceType, max_page: usize) -> Result<Checked, Refusal> {
        let number = |name: &str, text: Option<String>, default: i64| {
            let Some(text) = text else { return Ok(default) };
            text.trim().parse::<i64>().map_err(|_| {
                ScimError::bad_request(ScimType::InvalidValue, format!("'{name}' must be a whole number, not '{text}'"))
            })
        };
        // RFC 7644 table 6: below 1 is 1, a negative count is 0.
        let start = number("startIndex", self.start_index, 1)?.max(1);
        let default = i64::try_from(max_page).unwrap_or(i64::MAX);
        let count = number("count", self.count, default)?.clamp(0, default);
        Ok(Checked {
            filter: self.filter.map(|text| Filter::parse(&text, kind)).transpose()?,
            selection: Selection::parse(self.attributes.as_deref(), self.excluded_attributes.as_deref(), kind)?,
            start: usize::try_from(start).unwrap_or(usize::MAX),
            count: usize::try_from(count).unwrap_or(max_page),
        })
    }
}

impl Checked {
    /// Collects the page out of all candidates.
    pub fn page(&self) -> PageBuilder<'_> {
        PageBuilder { search: self, total: 0, resources: Vec::new() }
    }
}

/// A page in the making: counts every match, keeps those that are on it.
#[derive(Debug)]
pub struct PageBuilder<'a> {
    search: &'a Checked,
    total: usize,
    resources: Vec<Value>,
}

impl PageBuilder<'_> {
    /// Takes the next candidate.
    pub fn offer(&mut self, resource: Map<String, Value>) {
        let candidate = Value::Object(resource);
        if self.search.filter.as_ref().is_some_and(|filter| !filter.matches(&candidate)) {
            return;
        }
        self.total += 1;
        let on_page = self.total >= self.search.start && self.resources.len() < self.search.count;
        if let (true, Value::Object(resource)) = (on_page, candidate) {
            self.resources.push(Value::Object(self.search.selection.apply(resource)));
        }
    }

    /// The answer.
    pub fn finish(self) -> Value {
        list_response(self.total, self.search.start, self.resources)
    }
}

//! What a request for many resources asks for, read from its query or its body.

use rollcall_scim::{Filter, ResourceType, ScimError, ScimType, Selection, Sort, Strictness};
use serde::Deserialize;
use serde_json::Value;

use crate::change::operation::Family;
use crate::error::Refusal;
use crate::read::cursor::Cursor;
use crate::read::query::{Bounds, Page, Query, Start};
use crate::read::search;

pub(crate) const SEARCH_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// The parameters of a search, as they were sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchParameters {
    filter: Option<String>,
    start_index: Option<String>,
    count: Option<String>,
    cursor: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    attributes: Option<String>,
    excluded_attributes: Option<String>,
}

/// The value of a parameter; `None` when it is blank.
fn said(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.trim().is_empty())
}

impl SearchParameters {
    /// Leaves `members` out of a list of groups, unless the client asks for attributes or an index answers the filter.
    pub fn listed(&self, mut query: Query) -> Query {
        let is_group = Family::of(query.kind) == Family::Group;
        let asked = said(&self.attributes).or(said(&self.excluded_attributes)).is_some();
        if is_group
            && !asked
            && !search::is_indexed(&query)
            && let Ok(selection) = Selection::parse(None, Some("members"), query.kind, Strictness::Strict)
        {
            query.selection = selection;
        }
        query
    }

    /// Reads the body of a search request.
    ///
    /// # Errors
    /// `invalidSyntax` for what is not one.
    pub fn from_body(body: &Value) -> Result<Self, ScimError> {
        let syntax = |detail: String| ScimError::bad_request(ScimType::InvalidSyntax, detail);
        let object = body.as_object().ok_or_else(|| syntax("the body must be a JSON object".into()))?;
        let declared = object.get("schemas").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        if !declared.into_iter().any(|urn| urn.eq_ignore_ascii_case(SEARCH_REQUEST)) {
            return Err(syntax(format!("'schemas' must hold '{SEARCH_REQUEST}'")));
        }
        let mut out = Self::default();
        for (name, value) in object.iter().filter(|(name, _)| *name != "schemas") {
            let text = match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                Value::Array(items) if items.iter().all(Value::is_string) => {
                    Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
                }
                _ => return Err(syntax(format!("'{name}' can't be read"))),
            };
            let place = match name.as_str() {
                "filter" => &mut out.filter,
                "startIndex" => &mut out.start_index,
                "count" => &mut out.count,
                "cursor" => &mut out.cursor,
                "sortBy" => &mut out.sort_by,
                "sortOrder" => &mut out.sort_order,
                "attributes" => &mut out.attributes,
                "excludedAttributes" => &mut out.excluded_attributes,
                other => return Err(syntax(format!("a search request has no '{other}'"))),
            };
            *place = text;
        }
        Ok(out)
    }

    /// Which attributes an answer shows.
    ///
    /// # Errors
    /// `invalidValue`, read strictly, for an attribute that is not there.
    pub fn selection(&self, kind: &ResourceType, strictness: Strictness) -> Result<Selection, ScimError> {
        Selection::parse(self.attributes.as_deref(), self.excluded_attributes.as_deref(), kind, strictness)
    }

    /// Builds the query for one resource type.
    ///
    /// # Errors
    /// With the parameter that is wrong.
    pub fn query(&self, kind: &'static ResourceType, bounds: Bounds, strictness: Strictness) -> Result<Query, Refusal> {
        let filter = said(&self.filter);
        if let Some(text) = filter.filter(|text| text.len() > bounds.max_filter_bytes) {
            let detail =
                format!("the filter is {} bytes long: at most {} are read", text.len(), bounds.max_filter_bytes);
            return Err(ScimError::bad_request(ScimType::InvalidFilter, detail).into());
        }
        Ok(Query {
            kind,
            filter: filter.map(|text| Filter::parse_as(text, kind, strictness)).transpose()?,
            sort: Sort::parse(self.sort_by.as_deref(), self.sort_order.as_deref(), kind)?,
            selection: self.selection(kind, strictness)?,
            only_of: None,
        })
    }

    /// Checks which part of the result is asked for.
    ///
    /// # Errors
    /// With the parameter that is wrong.
    pub fn page(&self, scope: &str, bounds: Bounds) -> Result<Page, Refusal> {
        let number = |name: &str, text: &Option<String>, default: i64, wrong: ScimType| {
            let Some(text) = said(text) else { return Ok(default) };
            let detail = || format!("'{name}' must be a whole number, not '{text}'");
            text.trim().parse::<i64>().map_err(|_| ScimError::bad_request(wrong, detail()))
        };
        let most = i64::try_from(bounds.max_page).unwrap_or(i64::MAX);
        let parts = [Some(scope), self.filter.as_deref(), self.sort_by.as_deref(), self.sort_order.as_deref()];
        let fingerprint = Cursor::fingerprint(&parts);
        // RFC 7644 table 6: a `startIndex` below 1 counts as 1, and a negative `count` as 0.
        let (start, wrong) = match &self.cursor {
            Some(_) if self.start_index.is_some() => {
                let detail = "'cursor' and 'startIndex' can't be used together";
                return Err(ScimError::bad_request(ScimType::InvalidValue, detail).into());
            }
            Some(text) => (Start::Cursor(Cursor::read(text, &fingerprint)?), ScimType::InvalidCount),
            None => {
                let index = number("startIndex", &self.start_index, 1, ScimType::InvalidValue)?.max(1);
                (Start::Index(usize::try_from(index).unwrap_or(usize::MAX)), ScimType::InvalidValue)
            }
        };
        let count = number("count", &self.count, most, wrong)?.clamp(0, most);
        let count = usize::try_from(count).unwrap_or(bounds.max_page);
        Ok(Page { start, count, max_members: bounds.max_members, fingerprint })
    }
}

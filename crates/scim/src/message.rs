//! Messages around resources (RFC 7644 §3.4.2 and §3.5.2).

use serde_json::{Value, json};

/// The schema of a PATCH request.
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The schema of a page of resources.
pub const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// A page of resources as a client reads it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListResponse {
    /// How many there are in all.
    pub total_results: u64,
    /// Those on this page.
    pub resources: Vec<Value>,
    /// Where the next page starts (RFC 9865).
    pub next_cursor: Option<String>,
}

impl ListResponse {
    /// Reads a page that an app answered; `None` when it is not a list response.
    #[must_use]
    pub fn read(body: &Value) -> Option<Self> {
        let object = body.as_object()?;
        let declared = object.get("schemas")?.as_array()?.iter().filter_map(Value::as_str);
        if !declared.into_iter().any(|urn| urn.eq_ignore_ascii_case(LIST_RESPONSE)) {
            return None;
        }
        let total_results = object.get("totalResults")?.as_u64()?;
        let resources = match object.get("Resources") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(all)) => all.clone(),
            Some(_) => return None,
        };
        let next_cursor = object.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        Some(Self { total_results, resources, next_cursor })
    }

    /// The same of a page that was asked for by cursor: how many there are in all may be left out (RFC 9865 §2.1), and is what is shown
    /// then, or more.
    #[must_use]
    pub fn read_by_cursor(body: &Value) -> Option<Self> {
        if body.get("totalResults").is_some() {
            return Self::read(body);
        }
        let mut whole = body.clone();
        let shown = body.get("Resources")?.as_array()?.len();
        whole.as_object_mut()?.insert("totalResults".into(), shown.into());
        Self::read(&whole)
    }

    /// Whether it shows everything that there is.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let all = u64::try_from(self.resources.len()).is_ok_and(|shown| shown >= self.total_results);
        all && self.next_cursor.as_ref().is_none_or(String::is_empty)
    }
}

/// A page of resources as a server answers it; `start_index` counts from 1.
#[must_use]
pub fn list_response(total: usize, start_index: usize, resources: Vec<Value>) -> Value {
    json!({
        "schemas": [LIST_RESPONSE],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_by_cursor_need_no_total() {
        let page =
            json!({ "schemas": [LIST_RESPONSE], "itemsPerPage": 1, "nextCursor": "n", "Resources": [{ "id": "a" }] });
        assert_eq!(ListResponse::read(&page), None, "elsewhere a page that does not say how many there are is none");
        let read = ListResponse::read_by_cursor(&page).map(|page| (page.total_results, page.next_cursor));
        assert_eq!(read, Some((1, Some("n".to_owned()))));
        assert!(ListResponse::read_by_cursor(&page).is_some_and(|page| !page.is_complete()), "there is more");
        assert_eq!(ListResponse::read_by_cursor(&json!({ "schemas": [LIST_RESPONSE] })), None);
        assert_eq!(ListResponse::read_by_cursor(&json!({ "Resources": [] })), None);
    }
}

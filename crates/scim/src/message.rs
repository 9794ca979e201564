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

    /// Whether it shows everything that there is.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        u64::try_from(self.resources.len()).is_ok_and(|shown| shown >= self.total_results)
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

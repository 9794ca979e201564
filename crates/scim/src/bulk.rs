//! Bulk requests (RFC 7644 §3.7): many operations in one request, which may refer to each other by `bulkId`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{ScimError, ScimType};

const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
const REFERENCE: &str = "bulkId:";

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum BulkMethod {
    Post,
    Put,
    Patch,
    Delete,
}

impl BulkMethod {
    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkOperation {
    /// What it does.
    pub method: BulkMethod,
    /// To what, such as `/Users/2819c223`.
    pub path: String,
    /// The client's name for what a POST creates.
    pub bulk_id: Option<String>,
    /// The version that must be the current one.
    pub version: Option<String>,
    /// The body.
    pub data: Value,
}

/// A bulk request that was checked.
#[derive(Debug, Clone)]
pub struct BulkRequest {
    /// After how many failures the rest is not done; `None`: all are tried.
    pub fail_on_errors: Option<u64>,
    /// In the client's order.
    pub operations: Vec<BulkOperation>,
}

impl BulkRequest {
    /// Reads the body of a bulk request of at most `max_operations`.
    ///
    /// # Errors
    /// `invalidSyntax` for a malformed request, 413 for one with too many operations.
    pub fn parse(body: &Value, max_operations: usize) -> Result<Self, ScimError> {
        let syntax = |detail: String| ScimError::bad_request(ScimType::InvalidSyntax, detail);
        let declared = body.get("schemas").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        if !declared.into_iter().any(|urn| urn.eq_ignore_ascii_case(BULK_REQUEST)) {
            return Err(syntax(format!("'schemas' must hold '{BULK_REQUEST}'")));
        }
        let fail_on_errors = match body.get("failOnErrors") {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_u64().ok_or_else(|| syntax("'failOnErrors' must be a whole number".into()))?),
        };
        let list = body
            .get("Operations")
            .and_then(Value::as_array)
            .ok_or_else(|| syntax("'Operations' must be an array".into()))?;
        if list.len() > max_operations {
            let detail = format!("{} operations are more than {max_operations}, the most in one request", list.len());
            return Err(ScimError::status(413, detail));
        }
        let operations = list
            .iter()
            .enumerate()
            .map(|(index, item)| operation(item).map_err(|why| syntax(format!("operation {}: {why}", index + 1))))
            .collect::<Result<Vec<_>, _>>()?;
        let mut ids = BTreeSet::new();
        for id in operations.iter().filter_map(|o| o.bulk_id.as_deref()) {
            if !ids.insert(id) {
                return Err(syntax(format!("bulkId '{id}' is there twice")));
            }
        }
        Ok(Self { fail_on_errors, operations })
    }

    /// The order in which the operations can be done, as indexes: the client's, except that what is referred to comes
    /// first. Operations that refer to each other in a circle, or to nothing, come last.
    #[must_use]
    pub fn order(&self) -> Vec<usize> {
        let mut waits_for: Vec<BTreeSet<String>> = self.operations.iter().map(BulkOperation::references).collect();
        let mut waiting: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, references) in waits_for.iter().enumerate() {
            for id in references {
                waiting.entry(id.clone()).or_default().push(index);
            }
        }
        let free = waits_for.iter().enumerate().filter(|(_, references)| references.is_empty());
        let mut ready: BTreeSet<usize> = free.map(|(index, _)| index).collect();
        let mut order = Vec::with_capacity(waits_for.len());
        while let Some(index) = ready.pop_first() {
            order.push(index);
            let id = self.operations.get(index).and_then(|operation| operation.bulk_id.as_deref());
            for next in id.and_then(|id| waiting.remove(id)).unwrap_or_default() {
                let Some(references) = waits_for.get_mut(next) else { continue };
                if id.is_some_and(|id| references.remove(id)) && references.is_empty() {
                    ready.insert(next);
                }
            }
        }
        let placed: BTreeSet<usize> = order.iter().copied().collect();
        order.extend((0..waits_for.len()).filter(|index| !placed.contains(index)));
        order
    }
}

fn operation(item: &Value) -> Result<BulkOperation, String> {
    let text = |name: &str| match item.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("'{name}' must be a string")),
    };
    let method = text("method")?.ok_or("'method' is missing")?.to_ascii_uppercase();
    let method =
        BulkMethod::deserialize(Value::from(method)).map_err(|_| "'method' must be POST, PUT, PATCH or DELETE")?;
    let path = text("path")?.ok_or("'path' is missing")?;
    let bulk_id = text("bulkId")?.filter(|id| !id.is_empty());
    if method == BulkMethod::Post && bulk_id.is_none() {
        return Err("a POST needs a 'bulkId'".into());
    }
    let data = item.get("data").cloned().unwrap_or_default();
    if data.is_null() && method != BulkMethod::Delete {
        return Err("'data' is missing".into());
    }
    Ok(BulkOperation { method, path, bulk_id, version: text("version")?, data })
}

impl BulkOperation {
    /// The bulkIds that it refers to.
    fn references(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        collect(&self.data, &mut found);
        found.extend(self.path.split('/').filter_map(|part| part.strip_prefix(REFERENCE)).map(str::to_owned));
        found
    }

    /// The operation with every reference replaced by the id of what was created.
    ///
    /// # Errors
    /// 409 when something it refers to was not created.
    pub fn resolve(&self, created: &BTreeMap<String, String>) -> Result<Self, ScimError> {
        if let Some(missing) = self.references().into_iter().find(|id| !created.contains_key(id)) {
            let detail = format!("bulkId '{missing}' is not one of a resource that was created before");
            return Err(ScimError { status: 409, scim_type: Some(ScimType::InvalidValue), detail });
        }
        let id = |part: &str| part.strip_prefix(REFERENCE).and_then(|id| created.get(id)).cloned();
        let path = self.path.split('/').map(|part| id(part).unwrap_or_else(|| part.to_owned())).collect::<Vec<_>>();
        let mut data = self.data.clone();
        replace(&mut data, &id);
        Ok(Self { path: path.join("/"), data, ..self.clone() })
    }
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => found.extend(text.strip_prefix(REFERENCE).map(str::to_owned)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
        _ => {}
    }
}

fn replace(value: &mut Value, id: &impl Fn(&str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(id) = id(text) {
                *text = id;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, id)),
        Value::Object(fields) => fields.values_mut().for_each(|value| replace(value, id)),
        _ => {}
    }
}

/// The answer to a bulk request.
#[must_use]
pub fn bulk_response(operations: Vec<Value>) -> Value {
    json!({ "schemas": [BULK_RESPONSE], "Operations": operations })
}

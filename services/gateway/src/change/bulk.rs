//! `POST /Bulk`: many operations, done one after the other (RFC 7644 §3.7).

use std::collections::BTreeMap;

use rollcall_scim::{BulkMethod, BulkOperation, BulkRequest, ResourceType, ScimError, Selection, bulk_response};
use serde_json::{Map, Value, json};

use crate::auth::caller::Caller;
use crate::change::operation::{Done, Operation};
use crate::change::version::{Condition, etag};
use crate::error::Refusal;
use crate::state::GatewayState;

/// Does the operations, and says for each what became of it.
pub async fn perform(state: &GatewayState, caller: &Caller, request: &BulkRequest) -> Value {
    let mut created: BTreeMap<String, String> = BTreeMap::new();
    let mut answers: BTreeMap<usize, Value> = BTreeMap::new();
    let mut failures = 0;
    for index in request.order() {
        let Some(operation) = request.operations.get(index) else { continue };
        if request.fail_on_errors.is_some_and(|most| failures >= most.max(1)) {
            break;
        }
        // Each counts for the source's limit: the request itself was the first.
        if index > 0
            && let Some(source) = state.source(caller)
        {
            source.wait().await;
        }
        let outcome = one(state, caller, operation, &created).await;
        if let (Ok((_, Done { id: Some(id), .. })), Some(bulk_id), BulkMethod::Post) =
            (&outcome, &operation.bulk_id, operation.method)
        {
            created.insert(bulk_id.clone(), id.clone());
        }
        failures += u64::from(outcome.is_err());
        answers.insert(index, entry(caller, operation, outcome));
    }
    bulk_response(answers.into_values().collect())
}

async fn one(
    state: &GatewayState,
    caller: &Caller,
    operation: &BulkOperation,
    created: &BTreeMap<String, String>,
) -> Result<(&'static ResourceType, Done), Refusal> {
    let operation = operation.resolve(created)?;
    let unknown = || Refusal::from(ScimError::status(404, format!("there is nothing at {}", operation.path)));
    let mut parts = operation.path.trim_start_matches('/').splitn(2, '/');
    let endpoint = parts.next().unwrap_or_default();
    let kind = state.catalogue.types().iter().copied().find(|t| t.endpoint.trim_start_matches('/') == endpoint);
    let kind = kind.ok_or_else(unknown)?;
    let id = parts.next().filter(|id| !id.is_empty()).map(str::to_owned);
    let data = operation.data.clone();
    let wanted = match (operation.method, id) {
        (BulkMethod::Post, None) => Operation::Create(data),
        (BulkMethod::Put, Some(id)) => Operation::Replace(id, data),
        (BulkMethod::Patch, Some(id)) => Operation::Patch(id, data),
        (BulkMethod::Delete, Some(id)) => Operation::Delete(id),
        _ => return Err(unknown()),
    };
    let condition = Condition::of(operation.version.as_deref());
    let done = state.perform(caller, kind, &wanted, &condition, &Selection::whole(kind)).await?;
    Ok((kind, done))
}

fn entry(caller: &Caller, operation: &BulkOperation, outcome: Result<(&'static ResourceType, Done), Refusal>) -> Value {
    let mut entry = Map::new();
    entry.insert("method".into(), operation.method.name().into());
    entry.extend(operation.bulk_id.as_ref().map(|id| ("bulkId".to_owned(), id.clone().into())));
    let path = || format!("{}/{}", caller.base, operation.path.trim_start_matches('/'));
    match outcome {
        Ok((kind, done)) => {
            let location = done.id.map_or_else(path, |id| format!("{}{}/{id}", caller.base, kind.endpoint));
            entry.insert("location".into(), location.into());
            entry.extend(done.version.map(|v| ("version".to_owned(), etag(v).into())));
            entry.insert("status".into(), done.status.as_u16().to_string().into());
        }
        Err(refusal) => {
            let error = refusal.into_scim();
            // RFC 7644 §3.7: a POST that failed has no location.
            if operation.method != BulkMethod::Post {
                entry.insert("location".into(), path().into());
            }
            entry.insert("status".into(), json!(error.status.to_string()));
            entry.insert("response".into(), error.body());
        }
    }
    Value::Object(entry)
}

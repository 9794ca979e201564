//! HTTP in, HTTP out.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use rollcall_scim::{BulkRequest, ResourceType, ScimError, Selection};
use serde_json::Value;

use crate::auth::caller::Caller;
use crate::change::operation::{Done, Operation};
use crate::change::version::{Condition, etag};
use crate::change::{bulk, scope};
use crate::error::{Refusal, scim_response};
use crate::http::request::{Path, Query, read_json};
use crate::read::request::SearchParameters;
use crate::read::search::{self, Amount, Source};
use crate::state::GatewayState;

type Shared = State<Arc<GatewayState>>;
type Answer = Result<Response, Refusal>;
type Kind = Extension<&'static ResourceType>;
type Who = Extension<Caller>;

/// The paths of one resource type.
pub fn routes(kind: &'static ResourceType) -> Router<Arc<GatewayState>> {
    let endpoint = kind.endpoint;
    Router::new()
        .route(endpoint, post(create).get(list))
        .route(&format!("{endpoint}/.search"), post(search_body))
        .route(&format!("{endpoint}/{{id}}"), get(read).put(replace).patch(patch).delete(delete))
        .layer(Extension(kind))
}

fn answer(caller: &Caller, kind: &ResourceType, done: Done, selection: &Selection) -> Response {
    let Done { status, id, version, body } = done;
    let mut response = match body {
        Some(body) => scim_response(status, Value::Object(selection.apply(body))),
        None => status.into_response(),
    };
    let headers = response.headers_mut();
    let location = id.map(|id| format!("{}{}/{id}", caller.base, kind.endpoint));
    let values = [(header::LOCATION, location), (header::ETAG, version.map(etag))];
    for (name, value) in values {
        if let Some(value) = value.and_then(|v| HeaderValue::from_str(&v).ok()) {
            headers.insert(name, value);
        }
    }
    response
}

async fn perform(
    state: &GatewayState,
    caller: &Caller,
    kind: &'static ResourceType,
    operation: Operation,
    headers: &HeaderMap,
    selection: &Selection,
) -> Answer {
    let condition = Condition::read(headers, header::IF_MATCH);
    let done = state.perform(caller, kind, &operation, &condition, selection).await?;
    Ok(answer(caller, kind, done, selection))
}

async fn create(
    State(state): Shared,
    Extension(kind): Kind,
    Extension(caller): Who,
    Query(query): Query<SearchParameters>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let selection = query.selection(kind, caller.source.strictness)?;
    let body = read_json(&headers, body, state.max_body_bytes).await?;
    perform(&state, &caller, kind, Operation::Create(body), &headers, &selection).await
}

async fn replace(
    State(state): Shared,
    Extension(kind): Kind,
    Extension(caller): Who,
    Path(id): Path<String>,
    Query(query): Query<SearchParameters>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let selection = query.selection(kind, caller.source.strictness)?;
    let body = read_json(&headers, body, state.max_body_bytes).await?;
    perform(&state, &caller, kind, Operation::Replace(id, body), &headers, &selection).await
}

async fn patch(
    State(state): Shared,
    Extension(kind): Kind,
    Extension(caller): Who,
    Path(id): Path<String>,
    Query(query): Query<SearchParameters>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let selection = query.selection(kind, caller.source.strictness)?;
    let body = read_json(&headers, body, state.max_body_bytes).await?;
    perform(&state, &caller, kind, Operation::Patch(id, body), &headers, &selection).await
}

async fn delete(
    State(state): Shared,
    Extension(kind): Kind,
    Extension(caller): Who,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    perform(&state, &caller, kind, Operation::Delete(id), &headers, &Selection::whole(kind)).await
}

async fn read(
    State(state): Shared,
    Extension(kind): Kind,
    Extension(caller): Who,
    Path(id): Path<String>,
    Query(query): Query<SearchParameters>,
    headers: HeaderMap,
) -> Answer {
    scope::may_use(&caller.source, kind)?;
    let query = query.query(kind, state.bounds, caller.source.strictness)?.seen_by(&caller);
    let view = state.fresh().await?;
    let amount = search::amount_of_one(&query);
    let _place = state.place(&caller, amount).await;
    let (done, query) = answered(amount, move || {
        let found = search::by_id(&view, &query, &id, &caller.base)?;
        let (version, body) = found.ok_or_else(|| Refusal::not_found(kind.name, &id))?;
        let matches = query.filter.as_ref().is_none_or(|f| f.matches(&Value::Object(body.clone())));
        if !matches {
            return Err(Refusal::not_found(kind.name, &id));
        }
        let done = Done { status: StatusCode::OK, id: Some(id), version: Some(version), body: Some(body) };
        Ok(((done, caller), query))
    })
    .await?;
    let (done, caller) = done;
    let known = Condition::read(&headers, header::IF_NONE_MATCH);
    if done.version.is_some_and(|version| known.names(version)) {
        return Ok(answer(
            &caller,
            kind,
            Done { status: StatusCode::NOT_MODIFIED, body: None, ..done },
            &query.selection,
        ));
    }
    Ok(answer(&caller, kind, done, &query.selection))
}

async fn list(
    State(state): Shared,
    Extension(kind): Kind,
    Extension(caller): Who,
    Query(query): Query<SearchParameters>,
) -> Answer {
    find(&state, caller, &[kind], &query).await
}

async fn search_body(
    State(state): Shared,
    Extension(kind): Kind,
    Extension(caller): Who,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let query = SearchParameters::from_body(&read_json(&headers, body, state.max_body_bytes).await?)?;
    find(&state, caller, &[kind], &query).await
}

/// `POST /.search`: over all resource types.
pub async fn search_everything(State(state): Shared, Extension(caller): Who, headers: HeaderMap, body: Body) -> Answer {
    let query = SearchParameters::from_body(&read_json(&headers, body, state.max_body_bytes).await?)?;
    find(&state, caller, state.catalogue.types(), &query).await
}

/// `GET /`: the same with a query string.
pub async fn list_everything(
    State(state): Shared,
    Extension(caller): Who,
    Query(query): Query<SearchParameters>,
) -> Answer {
    find(&state, caller, state.catalogue.types(), &query).await
}

async fn find(
    state: &GatewayState,
    caller: Caller,
    kinds: &[&'static ResourceType],
    search: &SearchParameters,
) -> Answer {
    if let [kind] = kinds {
        scope::may_use(&caller.source, kind)?;
    }
    let kinds: Vec<_> = kinds.iter().copied().filter(|kind| caller.source.may_use(kind.name)).collect();
    let names = kinds.iter().map(|k| k.name).collect::<Vec<_>>().join(",");
    let page = search.page(&names, state.bounds)?;
    let mut queries = Vec::new();
    let mut refused = None;
    for kind in kinds {
        // A filter that names what a type does not have finds none of that type.
        match search.query(kind, state.bounds, caller.source.strictness) {
            Ok(query) => queries.push(search.listed(query.seen_by(&caller))),
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    if let (true, Some(refusal)) = (queries.is_empty(), refused) {
        return Err(refusal);
    }
    let view = state.fresh().await?;
    let mut amount = Amount::Few;
    for query in &queries {
        if search::amount(&view, &state.indexes, query)? == Amount::Many {
            amount = Amount::Many;
        }
    }
    let _place = state.place(&caller, amount).await;
    let (indexes, max_scan) = (state.indexes.clone(), state.max_scan);
    let body = answered(amount, move || {
        let source = Source { view: &view, indexes: &indexes, base: &caller.base, max_scan };
        search::answer(&source, &queries, &page)
    })
    .await?;
    Ok(scim_response(StatusCode::OK, body))
}

/// Reading many resources blocks, and goes to threads of its own; for a few the way there costs more than they do.
async fn answered<T: Send + 'static>(
    amount: Amount,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    if amount == Amount::Few {
        return work();
    }
    let stopped = |_| ScimError::status(500, "the search stopped unexpectedly");
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

/// `POST /Bulk`.
pub async fn bulk(State(state): Shared, Extension(caller): Who, headers: HeaderMap, body: Body) -> Answer {
    let _place = match state.source(&caller) {
        Some(source) => source.bulk.acquire().await.ok(),
        None => None,
    };
    let body = read_json(&headers, body, state.max_body_bytes).await?;
    let request = BulkRequest::parse(&body, state.max_bulk_operations)?;
    Ok(scim_response(StatusCode::OK, bulk::perform(&state, &caller, &request).await))
}

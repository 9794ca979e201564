//! What this service provider is (RFC 7644 §4), and what it is not.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use rollcall_config::Cursors;
use rollcall_scim::{Capabilities, ScimError, list_response, resource_type_json, schema_json, service_provider_config};
use serde_json::Value;

use crate::auth::caller::Caller;
use crate::error::{Refusal, scim_response};
use crate::http::request::Path;
use crate::state::GatewayState;

type Shared = State<Arc<GatewayState>>;
type Who = Extension<Caller>;
type Answer = Result<Response, Refusal>;

fn all(items: Vec<Value>) -> Response {
    scim_response(StatusCode::OK, list_response(items.len(), 1, items))
}

/// RFC 7644 §4: discovery is not searched.
fn unfiltered(uri: &Uri) -> Result<(), Refusal> {
    let filtered = uri.query().unwrap_or_default().split('&').any(|pair| pair.starts_with("filter="));
    if filtered { Err(ScimError::status(403, "discovery takes no filter").into()) } else { Ok(()) }
}

/// `GET /ServiceProviderConfig`.
pub async fn config(State(state): Shared, Extension(caller): Who, uri: Uri) -> Answer {
    unfiltered(&uri)?;
    let can = Capabilities {
        max_page: state.bounds.max_page,
        max_bulk_operations: state.max_bulk_operations,
        max_body_bytes: state.max_body_bytes,
    };
    let mut config = service_provider_config(&caller.base, &can);
    if let (Cursors::Silent, Some(fields)) = (caller.source.cursors, config.as_object_mut()) {
        fields.remove("pagination");
    }
    Ok(scim_response(StatusCode::OK, config))
}

/// `GET /Schemas`.
pub async fn schemas(State(state): Shared, Extension(caller): Who, uri: Uri) -> Answer {
    unfiltered(&uri)?;
    Ok(all(state.catalogue.schemas().iter().map(|schema| schema_json(schema, &caller.base)).collect()))
}

/// `GET /Schemas/{id}`.
pub async fn schema(State(state): Shared, Extension(caller): Who, Path(id): Path<String>) -> Answer {
    let schema = state.catalogue.schema(&id).ok_or_else(|| Refusal::not_found("Schema", &id))?;
    Ok(scim_response(StatusCode::OK, schema_json(schema, &caller.base)))
}

/// `GET /ResourceTypes`.
pub async fn resource_types(State(state): Shared, Extension(caller): Who, uri: Uri) -> Answer {
    unfiltered(&uri)?;
    Ok(all(state.catalogue.types().iter().map(|kind| resource_type_json(kind, &caller.base)).collect()))
}

/// `GET /ResourceTypes/{id}`.
pub async fn resource_type(State(state): Shared, Extension(caller): Who, Path(id): Path<String>) -> Answer {
    let kind = state.catalogue.resource_type(&id).ok_or_else(|| Refusal::not_found("ResourceType", &id))?;
    Ok(scim_response(StatusCode::OK, resource_type_json(kind, &caller.base)))
}

/// A path that is not one of ours.
pub async fn nothing_here(uri: Uri) -> Refusal {
    ScimError::status(404, format!("there is nothing at {}", uri.path())).into()
}

/// A method that a path does not have.
pub async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    ScimError::status(405, format!("{method} is not possible at {}", uri.path())).into()
}

/// `/Me`: a source is not a person (RFC 7644 §3.11 allows 501).
pub async fn me() -> Refusal {
    ScimError::status(501, "/Me is not offered: the token is that of a source, not of a person").into()
}

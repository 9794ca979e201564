//! What this service provider is (RFC 7644 §4), and what it is not.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use rollcall_scim::{
    ENTERPRISE_USER, GROUP, GROUP_TYPE, ResourceType, Schema, ScimError, USER, USER_TYPE, list_response,
    resource_type_json, schema_json, service_provider_config,
};
use serde_json::Value;

use crate::error::{Refusal, scim_response};
use crate::request::{Path, base};
use crate::service::Door;

type Shared = State<Arc<Door>>;

const SCHEMAS: [&Schema; 3] = [&USER, &ENTERPRISE_USER, &GROUP];
const TYPES: [&ResourceType; 2] = [&USER_TYPE, &GROUP_TYPE];

fn all(items: Vec<Value>) -> Response {
    scim_response(StatusCode::OK, list_response(items.len(), 1, items))
}

/// `GET /ServiceProviderConfig`.
pub async fn config(State(door): Shared, headers: HeaderMap) -> Response {
    let base = base(door.public_url.as_deref(), &headers);
    scim_response(StatusCode::OK, service_provider_config(&base, door.max_page))
}

/// `GET /Schemas`.
pub async fn schemas(State(door): Shared, headers: HeaderMap) -> Response {
    let base = base(door.public_url.as_deref(), &headers);
    all(SCHEMAS.iter().map(|schema| schema_json(schema, &base)).collect())
}

/// `GET /Schemas/{id}`.
pub async fn schema(State(door): Shared, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let base = base(door.public_url.as_deref(), &headers);
    let found = SCHEMAS.iter().find(|schema| schema.id.eq_ignore_ascii_case(&id));
    let schema = found.ok_or_else(|| Refusal::not_found("Schema", &id))?;
    Ok(scim_response(StatusCode::OK, schema_json(schema, &base)))
}

/// `GET /ResourceTypes`.
pub async fn resource_types(State(door): Shared, headers: HeaderMap) -> Response {
    let base = base(door.public_url.as_deref(), &headers);
    all(TYPES.iter().map(|kind| resource_type_json(kind, &base)).collect())
}

/// `GET /ResourceTypes/{id}`.
pub async fn resource_type(
    State(door): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let base = base(door.public_url.as_deref(), &headers);
    let found = TYPES.iter().find(|kind| kind.name.eq_ignore_ascii_case(&id));
    let kind = found.ok_or_else(|| Refusal::not_found("ResourceType", &id))?;
    Ok(scim_response(StatusCode::OK, resource_type_json(kind, &base)))
}

/// A path that is not one of ours.
pub async fn nothing_here(uri: Uri) -> Refusal {
    ScimError::status(404, format!("there is nothing at {}", uri.path())).into()
}

/// A method that a path does not have.
pub async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    ScimError::status(405, format!("{method} is not possible at {}", uri.path())).into()
}

/// A part of SCIM that is not offered.
pub async fn not_offered(uri: Uri) -> Refusal {
    ScimError::status(501, format!("{} is not offered: see ServiceProviderConfig", uri.path())).into()
}

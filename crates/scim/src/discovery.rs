//! The documents a client discovers a service provider by (RFC 7644 §4, RFC 7643 §5 to §7).

use serde_json::{Value, json};

use crate::schema::{
    Attribute, Case, Extension, Kind, Mutability, Presence, ResourceType, Returned, Schema, Uniqueness,
};

fn attribute_json(attribute: &Attribute) -> Value {
    let mut value = json!({
        "name": attribute.name,
        "type": attribute.kind.name(),
        "multiValued": attribute.is_multi(),
        "description": attribute.description,
        "required": attribute.presence == Presence::Required,
        "mutability": match attribute.mutability {
            Mutability::ReadWrite => "readWrite",
            Mutability::ReadOnly => "readOnly",
            Mutability::Immutable => "immutable",
            Mutability::WriteOnly => "writeOnly",
        },
        "returned": match attribute.returned {
            Returned::Default => "default",
            Returned::Always => "always",
            Returned::Never => "never",
            Returned::Request => "request",
        },
        "uniqueness": match attribute.uniqueness {
            Uniqueness::None => "none",
            Uniqueness::Server => "server",
            Uniqueness::Global => "global",
        },
    });
    if let Some(object) = value.as_object_mut() {
        if !attribute.canonical.is_empty() {
            object.insert("canonicalValues".into(), json!(attribute.canonical));
        }
        match attribute.kind {
            Kind::Complex => {
                let subs = attribute.sub_attributes.iter().map(attribute_json).collect::<Vec<_>>();
                object.insert("subAttributes".into(), subs.into());
            }
            Kind::Reference => {
                object.insert("referenceTypes".into(), json!(attribute.references));
                object.insert("caseExact".into(), true.into());
            }
            _ => {
                object.insert("caseExact".into(), (attribute.case == Case::Exact).into());
            }
        }
    }
    value
}

/// A schema document; `base` is the address that ends in `/scim/v2`.
#[must_use]
pub fn schema_json(schema: &Schema, base: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": schema.attributes.iter().map(attribute_json).collect::<Vec<_>>(),
        "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{}", schema.id) },
    })
}

/// A resource type document.
#[must_use]
pub fn resource_type_json(kind: &ResourceType, base: &str) -> Value {
    let extension = |e: &Extension| json!({ "schema": e.schema.id, "required": e.presence == Presence::Required });
    let extensions = kind.extensions.iter().map(extension).collect::<Vec<_>>();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": kind.name,
        "name": kind.name,
        "endpoint": kind.endpoint,
        "description": kind.description,
        "schema": kind.core.id,
        "schemaExtensions": extensions,
        "meta": { "resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{}", kind.name) },
    })
}

/// The limits that a client should know.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    /// The largest page.
    pub max_page: usize,
    /// The most operations in a bulk request.
    pub max_bulk_operations: usize,
    /// The largest body, in bytes.
    pub max_body_bytes: usize,
}

/// What this service provider can do (RFC 7643 §5, RFC 9865 §3).
#[must_use]
pub fn service_provider_config(base: &str, can: &Capabilities) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "documentationUri": "https://www.rfc-editor.org/rfc/rfc7644",
        "patch": { "supported": true },
        "bulk": {
            "supported": true,
            "maxOperations": can.max_bulk_operations,
            "maxPayloadSize": can.max_body_bytes,
        },
        "filter": { "supported": true, "maxResults": can.max_page },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": can.max_page,
            "maxPageSize": can.max_page,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "The token of a configured source, in the Authorization header",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
            "primary": true,
        }],
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig") },
    })
}

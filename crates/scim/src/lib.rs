//! SCIM 2.0 as a language (RFC 7643, RFC 7644): schemas, resources, filters, paths, PATCH and errors.
//! No I/O: the gateway speaks it as a server, the provisioner as a client.

mod discovery;
mod error;
mod filter;
mod message;
mod patch;
mod path;
mod resource;
mod schema;
mod schemas;
mod selection;

pub use discovery::{resource_type_json, schema_json, service_provider_config};
pub use error::{ScimError, ScimType};
pub use filter::Filter;
pub use message::{ListResponse, PATCH_OP, list_response};
pub use patch::PatchRequest;
pub use resource::{Changed, changed_paths, normalize};
pub use schema::{Attribute, Kind, Mutability, ResourceType, Returned, Schema, Uniqueness};
pub use schemas::{ENTERPRISE_USER, GROUP, GROUP_TYPE, USER, USER_TYPE};
pub use selection::Selection;

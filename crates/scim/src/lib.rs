//! SCIM 2.0 as a language (RFC 7643, RFC 7644): schemas, resources, filters, paths, PATCH and errors.
//! No I/O: the gateway speaks it as a server, the provisioner as a client.

mod agents;
mod bulk;
mod catalogue;
mod difference;
mod discovery;
mod error;
mod filter;
mod index;
mod json;
mod machines;
mod message;
mod patch;
mod path;
mod reading;
mod resource;
mod schema;
mod schemas;
mod selection;
mod sort;

pub use agents::{AGENT_TYPE, AGENTIC_APPLICATION_TYPE};
pub use bulk::{BulkMethod, BulkOperation, BulkRequest, bulk_response};
pub use catalogue::{Catalogue, CatalogueError};
pub use difference::{Changed, changed_paths};
pub use discovery::{Capabilities, resource_type_json, schema_json, service_provider_config};
pub use error::{ScimError, ScimType};
pub use filter::Filter;
pub use index::{IndexedAttribute, Range};
pub use json::parse_json;
pub use machines::{MACHINE, SERVICE_ACCOUNT_TYPE};
pub use message::{LIST_RESPONSE, ListResponse, PATCH_OP, list_response};
pub use patch::{MemberChange, PatchRequest};
pub use reading::{Quirk, Reading, Strictness};
pub use resource::{check_immutable, normalize};
pub use schema::{Attribute, Case, Extension, Kind, Mutability, Presence, ResourceType, Returned, Schema, Uniqueness};
pub use schemas::{ENTERPRISE_USER, GROUP, GROUP_TYPE, LIFECYCLE, USER, USER_TYPE};
pub use selection::Selection;
pub use sort::Sort;

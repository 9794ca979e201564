//! The gateway: the SCIM 2.0 door. Each change that a source asks for is decided on the log's own last event and
//! becomes one unit of events, or a precise error and nothing.

mod auth;
mod bulk;
mod caller;
mod cursor;
mod discovery;
mod error;
mod groups;
mod http;
mod identities;
mod import;
mod names;
mod operation;
mod proxy;
mod query;
mod refusals;
mod register;
mod render;
mod request;
mod resources;
mod scope;
mod search;
mod service;
mod version;

pub use error::GatewayError;
pub use import::{Added, Import, Newcomer, NotAdded, resource_of};
pub use proxy::router as projector_proxy;
pub use service::{Gateway, NAME};

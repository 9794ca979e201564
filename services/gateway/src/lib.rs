//! The gateway: the SCIM 2.0 endpoint. Each change that a source asks for is decided on the log's own last event and
//! becomes one unit of events, or a precise error and nothing.

mod auth;
mod change;
mod error;
mod http;
mod import;
mod index;
mod inventory;
mod proxy;
mod read;
mod register;
mod service;
mod state;

pub use error::GatewayError;
pub use import::{Added, Import, Newcomer, NotAdded, resource_of};
pub use proxy::{MAX_BODY, MAX_FORM, Proxy, router as projector_proxy};
pub use service::Gateway;
pub use state::NAME;

//! The gateway: the SCIM 2.0 door. Each change that a source asks for is decided on the log's own last event and
//! becomes one unit of events, or a precise error and nothing.

mod auth;
mod discovery;
mod error;
mod groups;
mod list;
mod proxy;
mod register;
mod render;
mod request;
mod service;
mod users;

pub use error::GatewayError;
pub use proxy::router as projector_proxy;
pub use service::{Gateway, NAME};

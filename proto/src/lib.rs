//! The event schema `rollcall.v1`: generated messages, the catalogue of event types, and rendering of any stored event,
//! known or not, as JSON.

mod catalogue;
pub mod personal;
mod render;

pub use catalogue::{EventType, SCHEMA_VERSION};
pub use render::{RenderError, payload_json};

/// Generated from `proto/rollcall/v1/*.proto`.
#[allow(clippy::all, missing_docs)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/rollcall.v1.rs"));
}

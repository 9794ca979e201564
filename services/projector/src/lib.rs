//! The projector: current state and the audit timeline, over HTTP.

mod actions;
mod api;
mod entry;
mod error;
mod latency;
mod plan;
mod query;
mod service;
mod summary;
mod timeline;
mod views;

pub use error::ProjectorError;
pub use service::{NAME, Projector};

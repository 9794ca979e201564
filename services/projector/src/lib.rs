//! The projector: current state and the audit timeline, over HTTP.

mod access;
mod actions;
mod api;
mod ask;
mod checkpoints;
mod console;
mod csv;
mod entries;
mod entry;
mod error;
mod export;
mod instant;
mod latency;
pub mod line;
mod moment;
mod ocsf;
mod openapi;
mod params;
mod plan;
mod postings;
mod proofs;
mod query;
mod seal;
mod search;
mod service;
mod sessions;
mod summary;
mod timeline;
mod trail;
mod views;
mod words;

pub use error::ProjectorError;
pub use moment::HISTORY;
pub use openapi::document as openapi;
pub use service::{Answers, NAME, Projector};

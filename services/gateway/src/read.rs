//! Reads: one resource, or a page of those that match a filter.

pub mod cursor;
pub mod query;
pub mod render;
pub mod request;
pub mod search;

//! State derived from the log: what questions are answered from, besides the timeline.

pub mod answers;
pub mod api_tokens;
pub mod departed;
pub mod keys;
pub mod search;
pub mod sessions;

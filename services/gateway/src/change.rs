//! Changes: each is decided on the log's own last event and becomes one unit of events, or an error and nothing.

pub mod bulk;
pub mod groups;
pub mod identities;
pub mod machines;
pub mod names;
pub mod operation;
pub mod perform;
pub mod resources;
pub mod scope;
pub mod version;

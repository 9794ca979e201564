//! Indexes: people and agents in the order of some attributes, and by their ids, so that what matches a filter, or stands at a place, is
//! found without a look at everybody.

pub mod counted;
pub mod indexer;
pub mod names;
pub mod reader;

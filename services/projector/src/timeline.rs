//! The audit timeline: one entry for each event, what it says in a sentence, and the indexes by identity, app and time.

pub mod entries;
pub mod entry;
pub mod selection;
pub mod summary;
pub mod time_index;
pub mod word_index;

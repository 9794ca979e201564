//! Exports: the timeline as lines that can be proved, as CSV, or as OCSF events.

pub mod csv;
pub mod line;
pub mod ocsf;
pub mod stream;

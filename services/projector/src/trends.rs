//! Whether it gets better: figures by day, kept as events come in, so that a year of them is read at once. Every figure is exact: what is
//! kept are the values themselves, and no buckets.

pub mod metric;
pub mod observed;
pub mod period;
pub mod point;
pub mod record;
pub mod rollup;
mod watched;

pub use observed::{Before, add};
pub use watched::Watched;

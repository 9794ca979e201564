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

use rollcall_domain::kv::{KvError, Read};

/// How many drift items, and how many tasks, are open by what was kept of their beginnings and ends.
///
/// # Errors
/// When the state can't be read.
pub fn open(state: &impl Read) -> Result<(u64, u64), KvError> {
    let of = |series| {
        let mut open: i64 = 0;
        rollup::read(state, series, &rollup::Of::All, 0..rollup::Day::MAX, |_, record| match record {
            record::Record::Opened(count) => open += i64::try_from(count).unwrap_or_default(),
            record::Record::Closed(count) => open -= i64::try_from(count).unwrap_or_default(),
            _ => {}
        })?;
        Ok::<_, KvError>(u64::try_from(open).unwrap_or_default())
    };
    Ok((of(metric::Series::Drift)?, of(metric::Series::Tasks)?))
}

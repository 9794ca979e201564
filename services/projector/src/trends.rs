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

use metric::Metric;
use period::Period;
use point::{Question, points};
use rollup::Of;

/// How many drift items, and how many tasks, are open by what was kept of their beginnings and ends.
///
/// # Errors
/// When the state can't be read.
pub fn open(state: &impl Read) -> Result<(u64, u64), KvError> {
    let ever = Period { from: 0, until: rollup::Day::MAX };
    let of = |metric| {
        let question = Question { metric, change: None, periods: vec![ever] };
        Ok::<_, KvError>(points(state, &question, &Of::All)?.first().map_or(0, |point| point.open))
    };
    Ok((of(Metric::Drift)?, of(Metric::Tasks)?))
}

//! The figures of a period, from what was kept.

use std::collections::BTreeMap;

use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::kv::{KvError, Read};
use serde::{Deserialize, Serialize};

use super::metric::{Dimension, Metric, Series};
use super::period::Period;
use super::record::Record;
use super::rollup::{self, Of};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    pub metric: Metric,
    /// Of one kind of change alone; only how long changes take is told apart by it.
    pub change: Option<ChangeKind>,
    /// One after the other, without a gap.
    pub periods: Vec<Period>,
}

/// The figures of a period. What the metric does not have is zero or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Point {
    /// How long each took, in milliseconds, in order.
    pub took: Vec<u64>,
    pub in_time: u64,
    pub late: u64,
    pub opened: u64,
    pub closed: u64,
    /// How many were open when it ended.
    pub open: u64,
    /// The numbers that were found.
    pub found: Vec<u64>,
    pub expired: u64,
}

impl Point {
    fn add(&mut self, record: Record) {
        match record {
            Record::Took(ms) => self.took.push(ms),
            Record::InTime => self.in_time += 1,
            Record::Late => self.late += 1,
            Record::Opened(count) => self.opened += count,
            Record::Closed(count) => self.closed += count,
            Record::Found(number) => self.found.push(number),
            Record::Expired => self.expired += 1,
        }
    }

    /// Within how many seconds so many of a hundred were done: the nearest rank.
    pub fn seconds(&self, percent: usize) -> Option<f64> {
        let rank = (self.took.len() * percent).div_ceil(100).max(1);
        self.took.get(rank - 1).map(|ms| *ms as f64 / 1000.0)
    }

    /// The share of what was owed that was met in time, 0 to 1.
    pub fn within_service_level(&self) -> Option<f64> {
        let all = self.in_time + self.late;
        (all > 0).then(|| self.in_time as f64 / all as f64)
    }

    /// The mean of what was found.
    pub fn mean(&self) -> Option<f64> {
        let sum: u64 = self.found.iter().sum();
        (!self.found.is_empty()).then(|| sum as f64 / self.found.len() as f64)
    }
}

/// Manual work in a period, and the drift that was open at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quadrant {
    /// No manual work, and no drift.
    Governed,
    /// No manual work, and drift remains: administration was automated, and nobody governs it.
    AutomatedWithoutGovernance,
    /// People do it, and no drift remains.
    GovernedByHand,
    /// People do it, and drift remains.
    Neither,
}

impl Quadrant {
    /// Each.
    pub const ALL: [Self; 4] = [Self::Governed, Self::AutomatedWithoutGovernance, Self::GovernedByHand, Self::Neither];

    /// Which it is, with so many tasks done and so much drift open.
    pub const fn of(work: usize, drift: u64) -> Self {
        match (work > 0, drift > 0) {
            (false, false) => Self::Governed,
            (false, true) => Self::AutomatedWithoutGovernance,
            (true, false) => Self::GovernedByHand,
            (true, true) => Self::Neither,
        }
    }
}

/// Which figures of a series count: those of manual work beside drift are of both.
fn counts(metric: Metric, series: Series, record: Record) -> bool {
    match (metric, series) {
        (Metric::WorkAndDrift, Series::Tasks) => matches!(record, Record::Took(_)),
        _ => true,
    }
}

/// The figures of each period, of everything or of a group.
///
/// # Errors
/// When the state can't be read.
pub fn points(state: &impl Read, question: &Question, of: &Of) -> Result<Vec<Point>, KvError> {
    let periods = &question.periods;
    let mut points = vec![Point::default(); periods.len()];
    let (Some(first), Some(last)) = (periods.first(), periods.last()) else { return Ok(points) };
    // What is open is what has begun since ever and has not ended.
    let mut open: i128 = 0;
    for series in question.metric.series(question.change) {
        let from = if matches!(series, Series::Drift | Series::Tasks) { 0 } else { first.from };
        rollup::read(state, series, of, from..last.until, |day, record| {
            if !counts(question.metric, series, record) {
                return;
            }
            let place = periods.partition_point(|period| period.until <= day);
            match points.get_mut(place) {
                Some(point) if day >= first.from => point.add(record),
                _ => match record {
                    Record::Opened(count) => open += i128::from(count),
                    Record::Closed(count) => open -= i128::from(count),
                    _ => {}
                },
            }
        })?;
    }
    for point in &mut points {
        point.took.sort_unstable();
        open += i128::from(point.opened) - i128::from(point.closed);
        point.open = u64::try_from(open).unwrap_or_default();
    }
    Ok(points)
}

/// The groups after one that there are figures of, at most `limit`.
///
/// # Errors
/// When the state can't be read.
pub fn groups(
    state: &impl Read,
    question: &Question,
    dimension: Dimension,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, KvError> {
    let mut all = BTreeMap::new();
    for series in question.metric.series(question.change) {
        let found = rollup::groups(state, series, dimension, after, limit)?;
        all.extend(found.into_iter().map(|group| (rollup::order(&group), group)));
    }
    Ok(all.into_values().take(limit).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;
    use rollcall_domain::ids::Sequence;
    use rollcall_domain::kv::Memory;

    use super::super::rollup::{Day, When, keep, keep_of};
    use super::*;

    #[derive(Debug, Clone)]
    struct Kept {
        day: Day,
        group: String,
        record: Record,
    }

    fn record() -> impl Strategy<Value = Record> {
        prop_oneof![
            4 => (0..5000u64).prop_map(Record::Took),
            1 => Just(Record::InTime),
            1 => Just(Record::Late),
            2 => (1..4u64).prop_map(Record::Opened),
            2 => (1..4u64).prop_map(Record::Closed),
            1 => (0..100u64).prop_map(Record::Found),
            1 => Just(Record::Expired),
        ]
    }

    fn kept() -> impl Strategy<Value = Kept> {
        let group = prop::sample::select(vec!["", "crm", "crm/eu", "R & D, Köln", "100%"]);
        (20_000..20_060, group, record()).prop_map(|(day, group, record)| Kept { day, group: group.into(), record })
    }

    /// The same, worked out from everything that was kept.
    fn from_all(all: &[Kept], period: Period, group: Option<&str>) -> Point {
        let of = |one: &&Kept| group.is_none_or(|group| one.group == group);
        let within = |one: &&Kept| (period.from..period.until).contains(&one.day);
        let mut point = Point::default();
        all.iter().filter(of).filter(within).for_each(|one| point.add(one.record));
        point.took.sort_unstable();
        let open: i64 =
            all.iter().filter(of).filter(|one| one.day < period.until).fold(0, |open, one| match one.record {
                Record::Opened(count) => open + count as i64,
                Record::Closed(count) => open - count as i64,
                _ => open,
            });
        point.open = open.max(0) as u64;
        point
    }

    proptest! {
        #[test]
        fn what_is_kept_by_day_says_the_same_as_all_of_it(
            mut all in prop::collection::vec(kept(), 0..80),
            step in 1..5000u64,
            first in 19_990..20_065,
            lengths in prop::collection::vec(1..20i32, 1..6),
        ) {
            all.sort_by_key(|one| one.day);
            let mut state = Memory::default();
            for (index, one) in all.iter().enumerate() {
                let when = When { day: one.day, sequence: Sequence(index as u64 * step) };
                keep(&mut state, Series::Drift, when, &[(Dimension::App, one.group.clone())], &[one.record]).unwrap();
            }
            // What is of something else does not count.
            let when = When { day: 20_001, sequence: Sequence(1) };
            keep_of(&mut state, Series::Tasks, when, &Of::All, &[Record::Late]).unwrap();
            let mut from = first;
            let periods = lengths.iter().map(|length| {
                let period = Period { from, until: from + length };
                from = period.until;
                period
            });
            let question = Question { metric: Metric::Drift, change: None, periods: periods.collect() };
            let groups = groups(&state, &question, Dimension::App, None, 100).unwrap();
            let mut expected: Vec<&str> = all.iter().map(|one| one.group.as_str()).collect();
            expected.sort_unstable();
            expected.dedup();
            let mut found: Vec<&str> = groups.iter().map(String::as_str).collect();
            found.sort_unstable();
            prop_assert_eq!(found, expected);
            for group in groups.iter().map(Some).chain([None]) {
                let of = group.map_or(Of::All, |group| Of::Group(Dimension::App, group.clone()));
                let expected: Vec<Point> =
                    question.periods.iter().map(|period| from_all(&all, *period, group.map(String::as_str))).collect();
                prop_assert_eq!(points(&state, &question, &of).unwrap(), expected);
            }
        }
    }
}

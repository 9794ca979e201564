//! Days, weeks and months, in UTC.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::rollup::Day;

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    Day,
    /// From Monday.
    Week,
    Month,
}

impl Every {
    /// Each.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];
}

/// From a day until before another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub from: Day,
    pub until: Day,
}

const DAY_SECONDS: i64 = 86_400;

/// The day of a time.
pub fn day_of(at: Timestamp) -> Day {
    Day::try_from(at.as_second().div_euclid(DAY_SECONDS)).unwrap_or(Day::MAX)
}

/// When a day begins.
pub fn start_of(day: Day) -> Timestamp {
    Timestamp::from_second(i64::from(day) * DAY_SECONDS).unwrap_or(Timestamp::MAX)
}

/// The periods that have a part between two times, the oldest first; `None`: more than so many.
pub fn periods(from: Timestamp, to: Timestamp, every: Every, most: usize) -> Option<Vec<Period>> {
    let utc = |at: Timestamp| at.to_zoned_datetime(TimeZone::UTC).date();
    let number = |date: Date| date.to_zoned_datetime(TimeZone::UTC).map_or(Day::MAX, |at| day_of(at.timestamp()));
    let first = utc(from);
    let begins = match every {
        Every::Day => Some(first),
        Every::Week => first.checked_sub(i64::from(first.weekday().since(Weekday::Monday)).days()).ok(),
        Every::Month => Some(first.first_of_month()),
    };
    let mut date = begins?;
    let mut all = Vec::new();
    while start_of(number(date)) < to {
        if all.len() == most {
            return None;
        }
        let next = match every {
            Every::Day => date.checked_add(1.day()),
            Every::Week => date.checked_add(1.week()),
            Every::Month => date.checked_add(1.month()),
        };
        let next = next.ok()?;
        all.push(Period { from: number(date), until: number(next) });
        date = next;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_period_begins_with_a_monday_or_the_first_and_the_next_follows_it() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let starts = |from, to, every| -> Vec<String> {
            let found = periods(at(from), at(to), every, 100).unwrap();
            assert!(found.windows(2).all(|two| two[0].until == two[1].from));
            found.iter().map(|period| start_of(period.from).to_string()[..10].to_owned()).collect()
        };
        let (new_year, later) = ("2026-01-01T12:00:00Z", "2026-01-12T00:00:00Z");
        assert_eq!(starts(new_year, later, Every::Week), ["2025-12-29", "2026-01-05"]);
        assert_eq!(starts(new_year, "2026-01-12T00:00:01Z", Every::Week), ["2025-12-29", "2026-01-05", "2026-01-12"]);
        assert_eq!(starts("2024-02-29T23:59:59Z", "2024-03-01T00:00:01Z", Every::Month), ["2024-02-01", "2024-03-01"]);
        assert_eq!(starts("2024-02-28T00:00:00Z", "2024-03-01T00:00:00Z", Every::Day), ["2024-02-28", "2024-02-29"]);
        assert_eq!(periods(at(new_year), at(later), Every::Day, 10), None);
    }
}

//! Business hours: when the clock of a service level runs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

/// Some hours on some days of the week in one time zone, such as `Mon-Fri 09:00-17:00 Europe/Berlin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BusinessHours {
    first: Weekday,
    last: Weekday,
    from: Time,
    to: Time,
    zone: TimeZone,
    name: String,
}

/// How far a deadline is looked for.
const MAX_DAYS: i64 = 20_000;

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

fn day(text: &str) -> Option<Weekday> {
    DAYS.iter().find(|(name, _)| *name == text).map(|(_, day)| *day)
}

fn name(day: Weekday) -> &'static str {
    DAYS.iter().find(|(_, d)| *d == day).map_or("Mon", |(name, _)| name)
}

impl FromStr for BusinessHours {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("'{text}' must be days, hours and a time zone, such as Mon-Fri 09:00-17:00 Europe/Berlin");
        let [days, hours, zone] = text.split_whitespace().collect::<Vec<_>>()[..] else { return Err(wrong()) };
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let (from, to) = hours.split_once('-').ok_or_else(wrong)?;
        let time = |text: &str| text.parse::<Time>().map_err(|_| wrong());
        let hours = Self {
            first: day(first).ok_or_else(wrong)?,
            last: day(last).ok_or_else(wrong)?,
            from: time(from)?,
            to: time(to)?,
            zone: TimeZone::get(zone).map_err(|_| format!("'{zone}' is not a time zone, such as Europe/Berlin"))?,
            name: zone.to_owned(),
        };
        if hours.from >= hours.to {
            return Err(format!("'{text}': the hours must begin before they end, on the same day"));
        }
        Ok(hours)
    }
}

impl fmt::Display for BusinessHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = |time: Time| format!("{:02}:{:02}", time.hour(), time.minute());
        let (first, last) = (name(self.first), name(self.last));
        write!(f, "{first}-{last} {}-{} {}", minutes(self.from), minutes(self.to), self.name)
    }
}

impl TryFrom<String> for BusinessHours {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<BusinessHours> for String {
    fn from(hours: BusinessHours) -> Self {
        hours.to_string()
    }
}

impl BusinessHours {
    fn works_on(&self, date: Date) -> bool {
        let offset = |day: Weekday| (day.to_monday_zero_offset() - self.first.to_monday_zero_offset()).rem_euclid(7);
        offset(date.weekday()) <= offset(self.last)
    }

    /// Whether it is one of these hours.
    #[must_use]
    pub fn are_now(&self, now: Timestamp) -> bool {
        let there = self.zone.to_datetime(now);
        self.works_on(there.date()) && (self.from..self.to).contains(&there.time())
    }

    /// When so much time has passed within these hours, from `start` on.
    #[must_use]
    pub fn after(&self, start: Timestamp, time: Duration) -> Timestamp {
        let Ok(mut left) = SignedDuration::try_from(time) else { return Timestamp::MAX };
        let mut date = self.zone.to_datetime(start).date();
        for _ in 0..MAX_DAYS {
            if self.works_on(date) {
                let at = |time: Time| self.zone.to_timestamp(date.to_datetime(time));
                let (Ok(opens), Ok(closes)) = (at(self.from), at(self.to)) else { return Timestamp::MAX };
                let opens = opens.max(start);
                let open = closes.duration_since(opens);
                if open.is_positive() && open >= left {
                    return opens.checked_add(left).unwrap_or(Timestamp::MAX);
                }
                if open.is_positive() {
                    left -= open;
                }
            }
            let Ok(next) = date.checked_add(1.day()) else { return Timestamp::MAX };
            date = next;
        }
        Timestamp::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stands_still_at_night_and_on_weekends() {
        let hours: BusinessHours = "Mon-Fri 09:00-17:00 Europe/Berlin".parse().unwrap();
        assert_eq!(hours.to_string().parse::<BusinessHours>(), Ok(hours.clone()));
        let hour = |n: u64| Duration::from_secs(n * 3600);
        let table = [
            // A Friday; Berlin is an hour ahead in winter.
            ("2026-01-16T09:00:00Z", 4, "2026-01-16T13:00:00Z"),
            ("2026-01-16T14:00:00Z", 4, "2026-01-19T10:00:00Z"),
            ("2026-01-17T12:00:00Z", 1, "2026-01-19T09:00:00Z"),
            ("2026-01-16T02:00:00Z", 8, "2026-01-16T16:00:00Z"),
            // Over the night in which the clocks change: an hour on Friday is left, and one on Monday.
            ("2026-03-27T15:00:00Z", 2, "2026-03-30T08:00:00Z"),
            ("2026-01-12T08:00:00Z", 80, "2026-01-23T16:00:00Z"),
        ];
        for (start, hours_allowed, end) in table {
            let found = hours.after(start.parse().unwrap(), hour(hours_allowed));
            assert_eq!(found, end.parse::<Timestamp>().unwrap(), "{start} and {hours_allowed} h");
        }
    }

    #[test]
    fn hours_that_make_no_sense_are_refused() {
        let table = [
            "",
            "Mon-Fri",
            "Mon-Fri 9-5 Europe/Berlin",
            "Mon-Fri 17:00-09:00 Europe/Berlin",
            "Foo 09:00-17:00 UTC",
            "Mon 09:00-17:00 Mars/Base",
        ];
        for text in table {
            assert!(text.parse::<BusinessHours>().is_err(), "{text}");
        }
    }
}

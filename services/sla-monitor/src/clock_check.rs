//! A clock that does not jump: what our own clock says is compared with the time that has really passed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How far the two may differ before it is a jump.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// How long a jump has to last to be believed: someone has set the clock.
const BELIEVED_AFTER: Duration = Duration::from_secs(60);

/// What a reading of the clock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As it should be.
    SteadyClock(Timestamp),
    /// It has jumped by so much; the time as it would be without.
    Jumped(Timestamp, SignedDuration),
    /// It has stayed there: the time is what it says.
    Believed(Timestamp),
}

impl Reading {
    /// The time to go by.
    #[must_use]
    pub const fn time(self) -> Timestamp {
        match self {
            Self::SteadyClock(at) | Self::Jumped(at, _) | Self::Believed(at) => at,
        }
    }
}

/// Reads a clock that may jump.
#[derive(Debug)]
pub struct SteadyClock {
    at: Timestamp,
    odd_for: Duration,
}

impl SteadyClock {
    /// One that starts from what the clock says now.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self { at: now, odd_for: Duration::ZERO }
    }

    /// The time, when the clock says `wall` and `elapsed` has passed since the last reading.
    pub fn read(&mut self, wall: Timestamp, elapsed: Duration) -> Reading {
        let elapsed_signed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::ZERO);
        let expected = self.at.checked_add(elapsed_signed).unwrap_or(wall);
        let jump = wall.duration_since(expected);
        if jump.abs() <= TOLERANCE {
            self.odd_for = Duration::ZERO;
            // Small corrections are followed, but never backwards.
            self.at = wall.max(self.at);
            return Reading::SteadyClock(self.at);
        }
        self.odd_for += elapsed;
        if self.odd_for >= BELIEVED_AFTER {
            self.odd_for = Duration::ZERO;
            self.at = wall;
            return Reading::Believed(wall);
        }
        self.at = expected;
        Reading::Jumped(expected, jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + seconds).unwrap()
    }

    #[test]
    fn a_jump_is_not_followed_until_it_lasts() {
        let mut clock = SteadyClock::new(at(0));
        let second = Duration::from_secs(1);
        assert_eq!(clock.read(at(1), second), Reading::SteadyClock(at(1)));
        // An hour ahead, then right again.
        assert_eq!(clock.read(at(3602), second).time(), at(2));
        assert_eq!(clock.read(at(3), second), Reading::SteadyClock(at(3)));
        // An hour back, for good.
        let mut last = at(3);
        for n in 1..60 {
            last = clock.read(at(3 + n - 3600), second).time();
            assert_eq!(last, at(3 + n));
        }
        assert_eq!(clock.read(at(63 - 3600), second), Reading::Believed(at(63 - 3600)));
        assert!(last > at(0));
        // A small step back: the time does not run backwards.
        let now = clock.read(at(64 - 3600), second).time();
        assert_eq!(clock.read(at(63 - 3600), Duration::from_millis(10)).time(), now);
    }
}

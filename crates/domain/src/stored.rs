//! How times and words are written where nobody reads them: as numbers, times exact to the nanosecond. JSON shows them as text.

use serde::{Serialize, Serializer};

/// A word by its place among the words of its kind, for `#[serde(serialize_with)]`; what is derived reads it either way.
///
/// # Errors
/// Those of the serializer.
pub fn number<T: Copy + Serialize + Into<u8>, S: Serializer>(word: &T, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() { word.serialize(serializer) } else { serializer.serialize_u8((*word).into()) }
}

/// A time, for `#[serde(with)]`.
pub mod time {
    use jiff::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    /// Seconds, and nanoseconds that are left.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return time.serialize(serializer);
        }
        (time.as_second(), time.subsec_nanosecond()).serialize(serializer)
    }

    /// # Errors
    /// When there is no such time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        if deserializer.is_human_readable() {
            return Timestamp::deserialize(deserializer);
        }
        let (seconds, nanoseconds) = <(i64, i32)>::deserialize(deserializer)?;
        Timestamp::new(seconds, nanoseconds).map_err(D::Error::custom)
    }
}

/// A time that may be missing.
pub mod time_or_none {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Time(#[serde(with = "super::time")] Timestamp);

    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Time).serialize(serializer)
    }

    /// # Errors
    /// When there is no such time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<Time>::deserialize(deserializer)?.map(|Time(time)| time))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use jiff::Timestamp;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Times {
        #[serde(with = "super::time")]
        at: Timestamp,
        #[serde(with = "super::time_or_none")]
        then: Option<Timestamp>,
    }

    #[test]
    fn a_time_comes_back_to_the_nanosecond_and_json_shows_it_as_text() {
        let texts = ["1970-01-01T00:00:00Z", "2026-11-25T23:12:08.123456789Z", "1969-12-31T23:59:59.999999999Z"];
        let times = texts.into_iter().map(|text| text.parse().unwrap()).chain([Timestamp::MIN, Timestamp::MAX]);
        for (at, then) in times.flat_map(|at| [(at, Some(at)), (at, None)]) {
            let times = Times { at, then };
            let stored = rmp_serde::to_vec(&times).unwrap();
            assert_eq!(rmp_serde::from_slice::<Times>(&stored).unwrap(), times);
            let shown = serde_json::to_value(&times).unwrap();
            assert_eq!(shown, serde_json::json!({ "at": at.to_string(), "then": then.map(|then| then.to_string()) }));
            assert_eq!(serde_json::from_value::<Times>(shown).unwrap(), times);
        }
    }

    #[test]
    fn what_is_no_time_is_an_error() {
        for wrong in [(i64::MAX, 0), (0, 1_000_000_000)] {
            let stored = rmp_serde::to_vec(&(wrong, None::<(i64, i32)>)).unwrap();
            assert!(rmp_serde::from_slice::<Times>(&stored).is_err(), "{wrong:?}");
        }
    }
}

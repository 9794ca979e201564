//! Times and words as the pages show them.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// A time to the second, in UTC.
pub fn at(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// The same; nothing for none.
pub fn at_or_none(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "–".to_owned(), at)
}

/// How long something took or has been, in its two largest units.
pub fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let units = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];
    let first = units.iter().position(|(_, size)| seconds >= *size).unwrap_or(units.len() - 1);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (name, size) in units.iter().skip(first).take(2) {
        let (count, left) = (rest / size, rest % size);
        if count > 0 || parts.is_empty() {
            parts.push(format!("{count} {name}"));
        }
        rest = left;
    }
    parts.join(" ")
}

/// The word of an enum.
pub fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::span;

    #[test]
    fn a_span_has_its_two_largest_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3661, "1 h 1 min"),
            (86_399, "23 h 59 min"),
            (90_061, "1 d 1 h"),
            (-5, "0 s"),
        ] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), text);
        }
    }
}

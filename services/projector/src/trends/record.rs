//! What is kept of one moment: a word and a number, in some three bytes.

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// Something took so many milliseconds.
    Took(u64),
    /// What was owed was met in time.
    InTime,
    /// The time for it has passed, or it was met after that.
    Late,
    /// So many began.
    Opened(u64),
    /// So many ended.
    Closed(u64),
    /// A number was found.
    Found(u64),
    /// An exception ran out before what it excepted was met.
    Expired,
}

const TAG_BITS: u32 = 3;

impl Record {
    /// Adds it to the end of what is kept, as a little-endian base-128 number of which the lowest bits say what it is.
    pub fn write(self, out: &mut Vec<u8>) {
        let (tag, value) = match self {
            Self::Took(ms) => (0, ms),
            Self::InTime => (1, 0),
            Self::Late => (2, 0),
            Self::Opened(count) => (3, count),
            Self::Closed(count) => (4, count),
            Self::Found(number) => (5, number),
            Self::Expired => (6, 0),
        };
        // What would not fit is some 70 million years.
        let mut left = (value.min(u64::MAX >> TAG_BITS) << TAG_BITS) | tag;
        while left >= 0x80 {
            out.push((left as u8 & 0x7f) | 0x80);
            left >>= 7;
        }
        out.push(left as u8);
    }

    /// Everything that was kept in order; `None` stands for what is damaged.
    pub fn read(bytes: &[u8]) -> impl Iterator<Item = Option<Self>> {
        let mut rest = bytes;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let length = rest.iter().position(|byte| byte & 0x80 == 0).map_or(rest.len(), |last| last + 1);
            let (one, more) = rest.split_at(length);
            rest = more;
            Some(Self::decode(one))
        })
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut number: u64 = 0;
        for (index, byte) in bytes.iter().enumerate() {
            let part = u64::from(byte & 0x7f);
            number |= part.checked_shl(u32::try_from(index).ok()?.checked_mul(7)?)?;
        }
        bytes.last().filter(|last| *last & 0x80 == 0)?;
        let value = number >> TAG_BITS;
        Some(match number & ((1 << TAG_BITS) - 1) {
            0 => Self::Took(value),
            1 => Self::InTime,
            2 => Self::Late,
            3 => Self::Opened(value),
            4 => Self::Closed(value),
            5 => Self::Found(value),
            6 => Self::Expired,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn record() -> impl Strategy<Value = Record> {
        let number = 0..u64::MAX >> TAG_BITS;
        prop_oneof![
            number.clone().prop_map(Record::Took),
            Just(Record::InTime),
            Just(Record::Late),
            number.clone().prop_map(Record::Opened),
            number.clone().prop_map(Record::Closed),
            number.prop_map(Record::Found),
            Just(Record::Expired),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(records in proptest::collection::vec(record(), 0..50)) {
            let mut bytes = Vec::new();
            records.iter().for_each(|record| record.write(&mut bytes));
            let read: Option<Vec<Record>> = Record::read(&bytes).collect();
            prop_assert_eq!(read.unwrap(), records);
        }

        #[test]
        fn what_is_damaged_is_no_reason_to_stop(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let _ = Record::read(&bytes).count();
        }
    }
}

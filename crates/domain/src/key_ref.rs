//! Where the key of a person is, with which what is personal on the log is sealed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where the data key of a person is: a page, and a place on it. 0 stands for none on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyRef {
    /// The page.
    pub page: u32,
    /// The place on it.
    pub slot: u8,
}

impl KeyRef {
    /// As one number; never 0.
    #[must_use]
    pub fn number(self) -> u64 {
        ((u64::from(self.page) << 8) | u64::from(self.slot)) + 1
    }

    /// From that number; `None` for 0, and for what is no such number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        let number = number.checked_sub(1)?;
        let [.., slot] = number.to_be_bytes();
        Some(Self { page: u32::try_from(number >> 8).ok()?, slot })
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{}", self.page, self.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_number_and_back() {
        for (page, slot) in [(0, 0), (0, 255), (1, 0), (u32::MAX, 255), (7, 9)] {
            let place = KeyRef { page, slot };
            assert!(place.number() > 0);
            assert_eq!(KeyRef::from_number(place.number()), Some(place));
        }
        assert_eq!(KeyRef::from_number(0), None);
        assert_eq!(KeyRef::from_number(u64::MAX), None);
    }
}

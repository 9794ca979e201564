//! How a value is stored: a long one compressed. The last byte of what is stored says which.

use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};
use rollcall_domain::kv::KvError;

/// How every value is stored; whatever was stored otherwise is built again.
pub(crate) const FORMAT: u32 = 3;

/// Compressing a shorter one saves less than it costs.
const LONG: usize = 1024;

const PLAIN: u8 = 0;
const LZ4: u8 = 1;

/// What is stored for a value.
pub(crate) fn pack(value: &[u8]) -> Vec<u8> {
    if value.len() < LONG {
        return [value, &[PLAIN]].concat();
    }
    let mut stored = compress_prepend_size(value);
    stored.push(LZ4);
    stored
}

/// The value of what is stored.
///
/// # Errors
/// When it is not what [`pack`] gives.
pub(crate) fn unpack(stored: &[u8]) -> Result<Vec<u8>, KvError> {
    match stored.split_last() {
        Some((&PLAIN, value)) => Ok(value.to_vec()),
        Some((&LZ4, value)) => decompress_size_prepended(value).map_err(|e| KvError::Storage(e.to_string())),
        _ => Err(KvError::Storage("a value is not stored as values are".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_value_comes_back_and_a_long_one_that_repeats_itself_is_stored_in_less() {
        for length in [0, 1, LONG - 1, LONG, LONG + 1, 100_000] {
            let value: Vec<u8> = (0..length).map(|n| (n % 50) as u8).collect();
            let stored = pack(&value);
            assert_eq!(unpack(&stored).unwrap(), value, "{length} bytes");
            assert_eq!(stored.len() < value.len(), length >= LONG, "{length} bytes are stored as {}", stored.len());
        }
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        let stored = pack(&[7; LONG]);
        for damaged in [&[][..], &[9], &[LZ4], &stored[..stored.len() - 2], &[1, 2, 3, 4, LZ4]] {
            assert!(unpack(damaged).is_err(), "{damaged:?}");
        }
    }
}

//! Several values in one: a store holds few large values faster than many small ones.
//!
//! Layout of a frame: the sequence that its value belongs to (8 bytes); the length of the value plus one, or 0 for no value (4 bytes);
//! the value.

use rollcall_domain::Sequence;

const SEQUENCE: usize = 8;
const LENGTH: usize = 4;

/// A frame. A value that is too long for the length field (4 GB) is stored as no value: no event is that large.
#[must_use]
pub fn frame(at: Sequence, value: Option<&[u8]>) -> Vec<u8> {
    let length = value.map_or(Some(0), |value| u32::try_from(value.len()).ok()?.checked_add(1)).unwrap_or_default();
    let value = value.filter(|_| length > 0).unwrap_or_default();
    let mut out = Vec::with_capacity(SEQUENCE + LENGTH + value.len());
    out.extend_from_slice(&at.0.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
    out
}

/// The frames of a block, in the order in which they were added, up to the first one that is damaged.
#[must_use]
pub const fn frames(block: &[u8]) -> Frames<'_> {
    Frames(block)
}

/// The frames of a block; see [`frames`].
#[derive(Debug, Clone)]
pub struct Frames<'a>(&'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = (Sequence, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let (at, rest) = self.0.split_first_chunk::<SEQUENCE>()?;
        let (length, rest) = rest.split_first_chunk::<LENGTH>()?;
        let at = Sequence(u64::from_be_bytes(*at));
        let Some(length) = u32::from_be_bytes(*length).checked_sub(1) else {
            self.0 = rest;
            return Some((at, None));
        };
        let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some((at, Some(value)))
    }
}

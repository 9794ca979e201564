//! Which keys a part of a state may have: a filter that never says no of one that is there (Bloom 1970).

/// Bits for each key: one in a hundred that are not there may seem to be.
const BITS_PER_KEY: usize = 10;

/// How many bits each key sets.
const PROBES: u32 = 5;

/// The filter over keys, and over their beginnings up to each slash.
#[derive(Debug)]
pub(crate) struct Bloom(Vec<u64>);

fn hashes(key: &[u8]) -> (u32, u32) {
    let mut second = crc32fast::Hasher::new_with_initial(0x9e37_79b9);
    second.update(key);
    (crc32fast::hash(key), second.finalize() | 1)
}

/// The words and bits of a key in a filter of so many words.
fn places(key: &[u8], words: usize) -> impl Iterator<Item = (usize, u64)> {
    let (first, second) = hashes(key);
    (0..PROBES).map(move |probe| {
        let hash = first.wrapping_add(probe.wrapping_mul(second));
        let bit = usize::try_from((u64::from(hash) * (words as u64 * 64)) >> 32).unwrap_or_default();
        (bit / 64, 1 << (bit % 64))
    })
}

/// The beginnings of a key that whoever scans may ask for.
fn beginnings(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    key.iter().enumerate().filter(|(_, byte)| **byte == b'/').filter_map(|(at, _)| key.get(..=at))
}

impl Bloom {
    /// An empty one for about so many keys and beginnings.
    pub(crate) fn for_about(count: usize) -> Self {
        Self(vec![0; (count * BITS_PER_KEY).div_ceil(64).max(1)])
    }

    /// Adds a key, and its beginnings.
    pub(crate) fn insert(&mut self, key: &[u8]) {
        self.add(key);
        beginnings(key).for_each(|beginning| self.add(beginning));
    }

    fn add(&mut self, key: &[u8]) {
        let words = self.0.len();
        for (word, bit) in places(key, words) {
            if let Some(word) = self.0.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether a key may be there, or something that begins with it when it ends with a slash.
    pub(crate) fn may_have(&self, key: &[u8]) -> bool {
        places(key, self.0.len()).all(|(word, bit)| self.0.get(word).is_some_and(|word| word & bit != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_denied_and_little_else_is_admitted() {
        let keys: Vec<Vec<u8>> = (0..10_000).map(|n| format!("account/{:05}/crm/{n}", n / 3).into_bytes()).collect();
        let mut bloom = Bloom::for_about(3 * keys.len());
        keys.iter().for_each(|key| bloom.insert(key));
        for key in &keys {
            assert!(bloom.may_have(key) && beginnings(key).all(|beginning| bloom.may_have(beginning)));
        }
        let strangers = (0..10_000).filter(|n| bloom.may_have(format!("account/{n:05}/wiki/").as_bytes())).count();
        assert!(strangers < 400, "{strangers} of 10000 seem to be there");
    }
}

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

/// The beginnings of a key that whoever scans may ask for.
fn beginnings(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    key.iter().enumerate().filter(|(_, byte)| **byte == b'/').filter_map(|(at, _)| key.get(..=at))
}

impl Bloom {
    /// Over some keys, which are in order.
    pub(crate) fn of<'a>(keys: impl Iterator<Item = &'a Vec<u8>> + Clone) -> Self {
        let mut last: &[u8] = &[];
        // What the key before begins with as well is there already.
        let new = |key: &'a Vec<u8>, last: &[u8]| {
            let shared = key.iter().zip(last).take_while(|(a, b)| a == b).count();
            beginnings(key).filter(move |beginning| beginning.len() > shared).collect::<Vec<_>>()
        };
        let mut count = 0;
        for key in keys.clone() {
            count += 1 + new(key, last).len();
            last = key;
        }
        let mut bloom = Self(vec![0; (count * BITS_PER_KEY).div_ceil(64).max(1)]);
        last = &[];
        for key in keys {
            bloom.add(key);
            new(key, last).into_iter().for_each(|beginning| bloom.add(beginning));
            last = key;
        }
        bloom
    }

    fn places(&self, key: &[u8]) -> impl Iterator<Item = (usize, u64)> {
        let ((first, second), words) = (hashes(key), self.0.len());
        (0..PROBES).map(move |probe| {
            let hash = first.wrapping_add(probe.wrapping_mul(second));
            let bit = usize::try_from(u64::from(hash) * (words as u64 * 64) >> 32).unwrap_or_default();
            (bit / 64, 1 << (bit % 64))
        })
    }

    fn add(&mut self, key: &[u8]) {
        let places: Vec<_> = self.places(key).collect();
        for (word, bit) in places {
            if let Some(word) = self.0.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether a key may be there, or something that begins with it when it ends with a slash.
    pub(crate) fn may_have(&self, key: &[u8]) -> bool {
        self.places(key).all(|(word, bit)| self.0.get(word).is_some_and(|word| word & bit != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_denied_and_little_else_is_admitted() {
        let keys: Vec<Vec<u8>> = (0..10_000).map(|n| format!("account/{:05}/crm/{n}", n / 3).into_bytes()).collect();
        let bloom = Bloom::of(keys.iter());
        for key in &keys {
            assert!(bloom.may_have(key) && beginnings(key).all(|beginning| bloom.may_have(beginning)));
        }
        let strangers = (0..10_000).filter(|n| bloom.may_have(format!("account/{n:05}/wiki/").as_bytes())).count();
        assert!(strangers < 400, "{strangers} of 10000 seem to be there");
    }
}

//! An ordered list of keys of which is known how many stand before each place: it is cut into stretches that are counted.

use std::collections::BTreeMap;
use std::ops::Bound;

use rollcall_domain::kv::{KvError, Read, Write, load_all, store};

/// How long a stretch is when it is new; at twice this it is cut in two.
const STRETCH: usize = 1024;

/// Where a list is kept, and the counts of its stretches.
#[derive(Debug, Clone)]
pub struct Counted {
    /// What the keys of the list begin with; a place is a key without it.
    pub entries: String,
    /// What the keys of the counts begin with; the place follows where the stretch begins.
    pub counts: String,
}

/// The counts of all stretches, by where they begin.
pub type Counts = BTreeMap<String, usize>;

/// The stretches that begin at or before a place.
fn up_to<'a>(counts: &'a Counts, place: &str) -> impl DoubleEndedIterator<Item = (&'a String, &'a usize)> {
    counts.range::<str, _>((Bound::Unbounded, Bound::Included(place)))
}

impl Counted {
    /// Reads how long the stretches are.
    pub fn counts(&self, state: &impl Read) -> Result<Counts, KvError> {
        let all: Vec<(String, usize)> = load_all(state, &self.counts, None, usize::MAX)?;
        let place = |key: String| key.strip_prefix(&self.counts).map(str::to_owned);
        Ok(all.into_iter().filter_map(|(key, count)| Some((place(key)?, count))).collect())
    }

    fn key(&self, place: &str) -> String {
        format!("{}{place}", self.entries)
    }

    fn keep(&self, state: &mut impl Write, begin: &str, count: usize) {
        store(state, format!("{}{begin}", self.counts), &count);
    }

    /// Notes that a key is there now.
    pub fn added(&self, state: &mut impl Write, counts: &mut Counts, place: &str) -> Result<(), KvError> {
        let stretch = counts.range_mut::<str, _>((Bound::Unbounded, Bound::Included(place))).next_back();
        let (begin, count) = match stretch {
            Some((begin, count)) => {
                *count += 1;
                if *count < 2 * STRETCH {
                    self.keep(state, begin, *count);
                    return Ok(());
                }
                (begin.clone(), *count)
            }
            None => {
                counts.insert(String::new(), 1);
                self.keep(state, "", 1);
                return Ok(());
            }
        };
        // The first of the stretch may stand where it begins.
        let first = usize::from(!begin.is_empty() && state.get(&self.key(&begin))?.is_some());
        let after = if begin.is_empty() { None } else { Some(self.key(&begin)) };
        let half = state.scan(&self.entries, after.as_deref(), STRETCH + 1 - first)?;
        let middle = half.last().and_then(|(key, _)| key.strip_prefix(&self.entries)).map(str::to_owned);
        let Some(middle) = middle.filter(|middle| *middle > begin && half.len() == STRETCH + 1 - first) else {
            self.keep(state, &begin, count);
            return Ok(());
        };
        for (begin, count) in [(begin, STRETCH), (middle, count - STRETCH)] {
            self.keep(state, &begin, count);
            counts.insert(begin, count);
        }
        Ok(())
    }

    /// Notes that a key is gone.
    pub fn removed(&self, state: &mut impl Write, counts: &mut Counts, place: &str) {
        let Some((begin, count)) = up_to(counts, place).next_back() else { return };
        let (begin, count) = (begin.clone(), count.saturating_sub(1));
        if count == 0 {
            counts.remove(&begin);
            state.delete(&format!("{}{begin}", self.counts));
        } else {
            self.keep(state, &begin, count);
            counts.insert(begin, count);
        }
    }

    /// How many stand before a place.
    pub fn before(&self, state: &impl Read, counts: &Counts, place: &str) -> Result<usize, KvError> {
        let mut stretches = up_to(counts, place);
        let Some((begin, count)) = stretches.next_back() else { return Ok(0) };
        let whole: usize = stretches.map(|(_, count)| count).sum();
        let mut within = usize::from(!begin.is_empty() && begin != place && state.get(&self.key(begin))?.is_some());
        let after = if begin.is_empty() { None } else { Some(self.key(begin)) };
        let place = self.key(place);
        for (key, _) in state.scan(&self.entries, after.as_deref(), *count)? {
            if key >= place {
                break;
            }
            within += 1;
        }
        Ok(whole + within)
    }

    /// The place after which so many have passed; `None`: it is before the first, or after the last when `skip` is more than there are.
    pub fn skip(&self, state: &impl Read, counts: &Counts, skip: usize) -> Result<Option<String>, KvError> {
        let mut left = skip;
        for (begin, count) in counts {
            if left > *count {
                left -= count;
                continue;
            }
            if left == 0 {
                break;
            }
            let first = usize::from(!begin.is_empty() && state.get(&self.key(begin))?.is_some());
            if left == first {
                return Ok(Some(begin.clone()));
            }
            let after = if begin.is_empty() { None } else { Some(self.key(begin)) };
            let found = state.scan(&self.entries, after.as_deref(), left - first)?;
            let last = found.last().and_then(|(key, _)| key.strip_prefix(&self.entries));
            return Ok(last.map(str::to_owned));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use rollcall_domain::kv::Memory;

    use super::*;

    /// Numbers that are the same in each run, and in no order.
    fn shuffled(seed: u64) -> impl Iterator<Item = u64> {
        std::iter::successors(Some(seed), |n| Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1)))
            .map(|n| (n >> 33) % 20_000)
    }

    #[test]
    fn places_are_counted_and_skipped_as_in_a_plain_list() {
        for seed in [1, 2, 3] {
            let list = Counted { entries: "e/".to_owned(), counts: "c/".to_owned() };
            let (mut state, mut counts, mut plain) =
                (Memory::default(), Counts::new(), std::collections::BTreeSet::new());
            for (step, number) in shuffled(seed).take(30_000).enumerate() {
                let place = format!("{number:05}");
                let key = format!("e/{place}");
                // More come than go, and then more go than come.
                if step % 7 < if step < 20_000 { 5 } else { 2 } {
                    if plain.insert(place.clone()) {
                        state.put(key, Vec::new());
                        list.added(&mut state, &mut counts, &place).unwrap();
                    }
                } else if plain.remove(&place) {
                    state.delete(&key);
                    list.removed(&mut state, &mut counts, &place);
                }
            }
            assert_eq!(list.counts(&state).unwrap(), counts, "what is stored is what is known");
            assert_eq!(counts.values().sum::<usize>(), plain.len());
            assert!(counts.len() > 3 && counts.values().all(|count| *count < 2 * STRETCH), "{counts:?}");
            let plain: Vec<String> = plain.into_iter().collect();
            for number in shuffled(seed + 7).take(500) {
                let place = format!("{number:05}");
                let wanted = plain.partition_point(|known| *known < place);
                assert_eq!(list.before(&state, &counts, &place).unwrap(), wanted, "before {place}");
                let skip = usize::try_from(number).unwrap() % (plain.len() + 10);
                let wanted = skip.checked_sub(1).and_then(|at| plain.get(at)).cloned();
                assert_eq!(list.skip(&state, &counts, skip).unwrap(), wanted, "skip {skip}");
            }
        }
    }
}

//! What was refused is said once for each source, kind and minute: whoever may do nothing must not fill the log for ever.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rollcall_domain::SourceName;

/// How long the same kind of refusal is only counted.
const QUIET: Duration = Duration::from_secs(60);

/// A kind of refusal: whose, of which resource type, of which operation.
type Kind = (SourceName, &'static str, String);

/// The kinds that were said lately: since when, and how many came after.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<BTreeMap<Kind, (Instant, u64)>>);

impl Refusals {
    /// Counts one; `Some`: it is to be said, and so many like it were not.
    pub fn count(&self, source: &SourceName, resource_type: &'static str, operation: &str) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match all.entry((source.clone(), resource_type, operation.to_owned())).or_insert((now, u64::MAX)) {
            (said_at, unsaid) if *unsaid == u64::MAX || said_at.elapsed() >= QUIET => {
                let before = if *unsaid == u64::MAX { 0 } else { *unsaid };
                (*said_at, *unsaid) = (now, 0);
                Some(before)
            }
            (_, unsaid) => {
                *unsaid += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_kind_is_said_once_and_another_at_once() {
        let refusals = Refusals::default();
        let lab: SourceName = "lab".parse().unwrap_or_else(|_| unreachable!());
        assert_eq!(refusals.count(&lab, "User", "delete"), Some(0));
        assert_eq!(refusals.count(&lab, "User", "delete"), None);
        assert_eq!(refusals.count(&lab, "User", "patch"), Some(0));
        assert_eq!(refusals.count(&lab, "Group", "delete"), Some(0));
        assert_eq!(refusals.count(&lab, "User", "delete"), None);
    }
}

//! The groups that accounts were taken out of here, by an answer of the app: nobody has to ask for it once more because another list shows it
//! late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rollcall_domain::Sequence;
use rollcall_domain::ids::IdentityId;

/// Those of one app, by whose account it is, with the version of what is desired that they were left for.
#[derive(Debug, Default)]
pub struct LeftGroups(Mutex<BTreeMap<IdentityId, (Sequence, BTreeSet<String>)>>);

impl LeftGroups {
    fn inner(&self) -> MutexGuard<'_, BTreeMap<IdentityId, (Sequence, BTreeSet<String>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The app has confirmed that an account is taken out of a group.
    pub fn note(&self, identity: IdentityId, version: Sequence, group: &str) {
        let mut all = self.inner();
        let theirs = all.entry(identity).or_insert_with(|| (version, BTreeSet::new()));
        if theirs.0 != version {
            *theirs = (version, BTreeSet::new());
        }
        theirs.1.insert(group.to_owned());
    }

    /// Whether it has, for this version of what is desired.
    pub fn has(&self, identity: IdentityId, version: Sequence, group: &str) -> bool {
        self.inner().get(&identity).is_some_and(|(left_for, groups)| *left_for == version && groups.contains(group))
    }

    /// The account is as desired.
    pub fn forget(&self, identity: IdentityId) {
        self.inner().remove(&identity);
    }
}

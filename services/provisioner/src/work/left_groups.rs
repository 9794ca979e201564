//! The groups that accounts were taken out of here, by an answer of the app: nobody has to ask for it once more because another list shows it
//! late.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rollcall_domain::Sequence;
use rollcall_domain::ids::IdentityId;

/// Those of one app, by whose account it is.
#[derive(Debug, Default)]
pub struct LeftGroups(Mutex<BTreeMap<IdentityId, Left>>);

/// What was asked for of one account.
#[derive(Debug)]
struct Left {
    /// For this version of what is desired.
    version: Sequence,
    /// By group.
    groups: BTreeMap<String, Said>,
}

/// What the app has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Left,
    /// No, so many times.
    Refused(u32),
}

impl LeftGroups {
    fn inner(&self) -> MutexGuard<'_, BTreeMap<IdentityId, Left>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn said(
        &self,
        identity: IdentityId,
        version: Sequence,
        group: &str,
        say: impl FnOnce(Option<Said>) -> Said,
    ) -> Said {
        let mut all = self.inner();
        let theirs = all.entry(identity).or_insert_with(|| Left { version, groups: BTreeMap::new() });
        if theirs.version != version {
            *theirs = Left { version, groups: BTreeMap::new() };
        }
        let said = say(theirs.groups.get(group).copied());
        theirs.groups.insert(group.to_owned(), said);
        said
    }

    /// The app has confirmed that an account is taken out of a group.
    pub fn note(&self, identity: IdentityId, version: Sequence, group: &str) {
        self.said(identity, version, group, |_| Said::Left);
    }

    /// The app has refused it; how often by now.
    pub fn refused(&self, identity: IdentityId, version: Sequence, group: &str) -> u32 {
        let said = self.said(identity, version, group, |before| match before {
            Some(Said::Refused(times)) => Said::Refused(times.saturating_add(1)),
            Some(Said::Left) | None => Said::Refused(1),
        });
        match said {
            Said::Left => 0,
            Said::Refused(times) => times,
        }
    }

    /// Whether the app has confirmed it, for this version of what is desired.
    pub fn has(&self, identity: IdentityId, version: Sequence, group: &str) -> bool {
        let all = self.inner();
        let theirs = all.get(&identity).filter(|theirs| theirs.version == version);
        theirs.is_some_and(|theirs| theirs.groups.get(group) == Some(&Said::Left))
    }

    /// The account is as desired.
    pub fn forget(&self, identity: IdentityId) {
        self.inner().remove(&identity);
    }
}

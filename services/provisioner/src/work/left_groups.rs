//! What apps have answered when they were asked to take accounts out of groups: nobody is asked once more because another list shows late that
//! it was done, nor for ever where it is refused.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rollcall_domain::Sequence;
use rollcall_domain::ids::IdentityId;

/// The answers of one app, by whose account it is and by group.
#[derive(Debug, Default)]
pub struct LeftGroups(Mutex<BTreeMap<IdentityId, BTreeMap<String, Said>>>);

/// What the app has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// They are out of it, for this version of what is desired.
    Left(Sequence),
    /// No, so many times.
    Refused(u32),
}

impl LeftGroups {
    fn inner(&self) -> MutexGuard<'_, BTreeMap<IdentityId, BTreeMap<String, Said>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn said(&self, identity: IdentityId, group: &str) -> Option<Said> {
        self.inner().get(&identity)?.get(group).copied()
    }

    /// The app has confirmed that an account is taken out of a group.
    pub fn note(&self, identity: IdentityId, version: Sequence, group: &str) {
        self.inner().entry(identity).or_default().insert(group.to_owned(), Said::Left(version));
    }

    /// The app has refused it; how often by now.
    pub fn note_refused(&self, identity: IdentityId, group: &str) -> u32 {
        let times = match self.said(identity, group) {
            Some(Said::Refused(times)) => times.saturating_add(1),
            Some(Said::Left(_)) | None => 1,
        };
        self.inner().entry(identity).or_default().insert(group.to_owned(), Said::Refused(times));
        times
    }

    /// An account is put into a group: what the app said of leaving it before is of before.
    pub fn entered(&self, identity: IdentityId, group: &str) {
        if let Some(groups) = self.inner().get_mut(&identity) {
            groups.remove(group);
        }
    }

    /// Whether the app has confirmed it, for this version of what is desired.
    pub fn has(&self, identity: IdentityId, version: Sequence, group: &str) -> bool {
        self.said(identity, group) == Some(Said::Left(version))
    }

    /// Whether it has refused it before.
    pub fn is_refused(&self, identity: IdentityId, group: &str) -> bool {
        matches!(self.said(identity, group), Some(Said::Refused(_)))
    }

    /// The account is as desired.
    pub fn forget(&self, identity: IdentityId) {
        self.inner().remove(&identity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_counted_whatever_is_desired_since_and_what_was_left_is_left_for_one_version() {
        let all = LeftGroups::default();
        let (anna, first, second) = (IdentityId(uuid::Uuid::from_u128(1)), Sequence(1), Sequence(2));
        assert_eq!((all.note_refused(anna, "eng"), all.note_refused(anna, "eng")), (1, 2));
        assert!(all.is_refused(anna, "eng") && !all.is_refused(anna, "ops") && !all.has(anna, first, "eng"));
        all.note(anna, first, "eng");
        assert!(all.has(anna, first, "eng") && !all.has(anna, second, "eng") && !all.is_refused(anna, "eng"));
        all.note_refused(anna, "ops");
        all.entered(anna, "ops");
        assert!(!all.is_refused(anna, "ops"));
        all.note_refused(anna, "ops");
        all.forget(anna);
        assert!(!all.has(anna, first, "eng") && !all.is_refused(anna, "ops"));
    }
}

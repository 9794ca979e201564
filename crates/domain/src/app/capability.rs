//! What an app can do: learned from its discovery documents, overridden by configuration.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::app::deprovision::Deprovision;
use crate::app::own_way::{OwnWays, Way};
use crate::app::quirk::AppQuirk;
use crate::ids::AppId;

/// Whether an app can do something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Support {
    /// It does not say: tried, and seen.
    #[default]
    Unknown,
    /// It says yes.
    Yes,
    /// It says no.
    No,
}

impl Support {
    /// What is known, where something else says more.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::Unknown { other } else { self }
    }
}

impl From<bool> for Support {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// What an app can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// PATCH; else PUT.
    pub patch: Support,
    /// Searching by filter; else accounts are read one after the other.
    pub filter: Support,
    /// Groups.
    pub groups: Support,
    /// The attribute `active`; without it an account can only be deleted.
    pub deactivate: Support,
    /// Paging by cursor (RFC 9865); else by index.
    pub cursor: Support,
    /// The most resources on a page.
    pub page_size: Option<u32>,
    /// The most members that one request names.
    pub members_per_request: Option<u32>,
    /// The attributes without which it creates no account.
    pub required: Vec<String>,
    /// How long a change may take until it is shown.
    pub consistency_delay: Option<Duration>,
    /// The attributes that it keeps in a way of its own.
    #[serde(default)]
    pub keeps: OwnWays,
    /// Whether the operations of a PATCH must be named `Add`, `Replace`, `Remove`; else `add`, `replace`, `remove`.
    #[serde(default)]
    pub patch_capitalized: Support,
    /// Whether an operation of a PATCH may name a path; else the value is an object of attributes.
    #[serde(default)]
    pub patch_paths: Support,
    /// Whether a PATCH may have more than one operation.
    #[serde(default)]
    pub patch_many: Support,
    /// Whether a group shows its members; else it is asked by filter who is in it.
    #[serde(default)]
    pub members_shown: Support,
    /// Whether members are removed by a list of values and not by a path (RFC 7644 §3.5.2.2 has the path alone): a server that keeps
    /// to the RFC would remove all of them, so this is tried last.
    #[serde(default)]
    pub removal_by_value: Support,
    /// Whether it invites people, and shows a new account inactive until they accept: only configured, never learned.
    #[serde(default)]
    pub invites: Support,
    /// In what its answers are not as the RFCs say, and are read all the same.
    #[serde(default)]
    pub quirks: BTreeSet<AppQuirk>,
}

impl Capabilities {
    /// What is configured, and what was learned where nothing is.
    #[must_use]
    pub fn over(&self, learned: &Self) -> Self {
        Self {
            patch: self.patch.or(learned.patch),
            filter: self.filter.or(learned.filter),
            groups: self.groups.or(learned.groups),
            deactivate: self.deactivate.or(learned.deactivate),
            cursor: self.cursor.or(learned.cursor),
            page_size: self.page_size.or(learned.page_size),
            members_per_request: self.members_per_request.or(learned.members_per_request),
            required: if self.required.is_empty() { learned.required.clone() } else { self.required.clone() },
            consistency_delay: self.consistency_delay.or(learned.consistency_delay),
            keeps: learned.keeps.clone().into_iter().chain(self.keeps.clone()).collect(),
            patch_capitalized: self.patch_capitalized.or(learned.patch_capitalized),
            patch_paths: self.patch_paths.or(learned.patch_paths),
            patch_many: self.patch_many.or(learned.patch_many),
            members_shown: self.members_shown.or(learned.members_shown),
            removal_by_value: self.removal_by_value.or(learned.removal_by_value),
            invites: self.invites.or(learned.invites),
            quirks: self.quirks.union(&learned.quirks).copied().collect(),
        }
    }

    /// What its discovery documents say now, with what was learned from its answers before: the one does not know of the other.
    #[must_use]
    pub fn with_experience(self, before: &Self) -> Self {
        let ways = before.keeps.clone().into_iter().filter(|(_, keeps)| keeps.way != Way::NotInSchema);
        Self {
            keeps: ways.chain(self.keeps).collect(),
            patch_capitalized: self.patch_capitalized.or(before.patch_capitalized),
            patch_paths: self.patch_paths.or(before.patch_paths),
            patch_many: self.patch_many.or(before.patch_many),
            members_shown: self.members_shown.or(before.members_shown),
            removal_by_value: self.removal_by_value.or(before.removal_by_value),
            quirks: self.quirks.union(&before.quirks).copied().collect(),
            ..self
        }
    }

    /// How accounts go: those of an app that is configured to have no `active` are deleted. What an app says of itself
    /// is not enough to delete anything.
    #[must_use]
    pub fn deprovision(&self, wanted: Deprovision) -> Deprovision {
        if self.deactivate == Support::No { Deprovision::Delete } else { wanted }
    }
}

/// An app's discovery documents were read, and say something new.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Discovered {
    pub app: AppId,
    pub capabilities: Capabilities,
}

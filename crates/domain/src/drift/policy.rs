//! What is done about drift that is found.

use serde::{Deserialize, Serialize};

use crate::access::desired::Target;
use crate::drift::kind::DriftKind;

/// What is done about drift that is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// It is shown, and grows older.
    #[default]
    Report,
    /// It is brought in line: an obligation like any other.
    Repair,
    /// An account that belongs to nobody becomes that of the identity that has none and whose address it has.
    Adopt,
}

/// What is done about each kind of drift in an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Policies {
    pub orphan: Policy,
    pub zombie: Policy,
    pub attribute: Policy,
    pub membership: Policy,
    pub missing: Policy,
    pub duplicate: Policy,
    pub residue: Policy,
}

impl Default for Policies {
    /// What is ours is repaired; what may be someone else's is reported.
    fn default() -> Self {
        Self {
            orphan: Policy::Report,
            zombie: Policy::Repair,
            attribute: Policy::Repair,
            membership: Policy::Repair,
            missing: Policy::Repair,
            duplicate: Policy::Report,
            residue: Policy::Repair,
        }
    }
}

impl Policies {
    /// What is done about one kind, for an account that must be there or must not.
    #[must_use]
    pub const fn of(&self, kind: DriftKind, target: Target) -> Policy {
        match kind {
            DriftKind::Orphan => self.orphan,
            DriftKind::Zombie => self.zombie,
            DriftKind::Attribute => self.attribute,
            DriftKind::Membership => self.membership,
            DriftKind::Missing => self.missing,
            DriftKind::Duplicate => self.duplicate,
            DriftKind::Residue => self.residue,
            // Only whoever is invited can accept; that somebody who must have none still can is mended as if they had.
            DriftKind::Invited => match target {
                Target::Present => Policy::Report,
                Target::Absent => self.zombie,
            },
        }
    }
}

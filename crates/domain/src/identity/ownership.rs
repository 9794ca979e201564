//! Who answers for a machine, and when it ends: by what its source says.

use jiff::Timestamp;
use rollcall_scim::MACHINE;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{GroupId, IdentityId};

/// What the source of a machine says of its owners and of its end. It is said on the log beside the resource, which is sealed: what
/// follows from it must follow also when the resource can't be read any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// The person who answers for it.
    pub owner: Option<IdentityId>,
    /// Who knows it besides.
    pub second_owner: Option<IdentityId>,
    /// The group that looks after it.
    pub team: Option<GroupId>,
    /// When it ends.
    pub ends_at: Option<Timestamp>,
}

/// The id that a reference to a resource names (RFC 7643 §2.3.7): where the resource is, absolute or not, or the id alone; `None`: it is
/// one of another kind.
#[must_use]
pub fn referred<'a>(kind: &str, reference: &'a str) -> Option<&'a str> {
    match reference.trim_end_matches('/').rsplit_once('/') {
        None => Some(reference),
        Some((place, id)) => (place == kind || place.ends_with(&format!("/{kind}"))).then_some(id),
    }
}

impl Ownership {
    /// What the resource of a machine says. What can't be read is left out: the door refuses it.
    #[must_use]
    pub fn stated(resource: &Map<String, Value>) -> Self {
        let Some(machine) = resource.get(MACHINE.id) else { return Self::default() };
        let text = |name: &str| machine.get(name).and_then(Value::as_str);
        let user = |name: &str| text(name).and_then(|to| referred("Users", to)?.parse().ok());
        let team = text("team").and_then(|to| referred("Groups", to)?.parse().ok());
        let ends_at = machine.get("expiresAt").and_then(Value::as_str).and_then(|at| at.parse().ok());
        Self { owner: user("owner"), second_owner: user("secondOwner"), team, ends_at }
    }

    /// Whether its end has come.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }
}

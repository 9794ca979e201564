//! Who may take over a machine for which somebody answers who leaves.

use rollcall_domain::access::handover::Handover;
use rollcall_domain::identity::Identity;
use rollcall_domain::identity::ownership::Ownership;
use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{directory, ledger};
use rollcall_scim::ENTERPRISE_USER;

/// The manager of an identity, by the enterprise extension (RFC 7643 §4.3).
pub fn manager_of(identity: &Identity) -> Option<IdentityId> {
    identity.resource.get(ENTERPRISE_USER.id)?.get("manager")?.get("value")?.as_str()?.parse().ok()
}

/// Somebody who may take over a machine, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    pub id: IdentityId,
    pub because: Because,
}

/// Why somebody may take over a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// They were asked to.
    Asked,
    /// They are the manager of whoever leaves.
    Manager,
    /// They are its second owner.
    SecondOwner,
    /// They are in the team that looks after it.
    Team,
}

impl Because {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Manager => "manager",
            Self::SecondOwner => "second_owner",
            Self::Team => "team",
        }
    }
}

/// Who may take over a machine, as far as they are there: who was asked to, the manager of whoever leaves, its second owner, its team.
///
/// # Errors
/// When the state can't be read.
pub fn candidates(state: &impl Read, handover: &Handover) -> Result<Vec<Candidate>, KvError> {
    let machine = directory::identity(state, handover.machine)?;
    let stated = machine.map(|machine| Ownership::stated(&machine.resource)).unwrap_or_default();
    let manager = directory::identity(state, handover.owner)?.and_then(|owner| manager_of(&owner));
    let team = stated.team.map(|team| directory::identities_in(state, team)).transpose()?;
    let as_because = |because: Because| move |id: IdentityId| Candidate { id, because };
    let mut all: Vec<Candidate> = handover.passed_to.map(as_because(Because::Asked)).into_iter().collect();
    all.extend(manager.map(as_because(Because::Manager)));
    all.extend(stated.second_owner.map(as_because(Because::SecondOwner)));
    all.extend(team.into_iter().flatten().map(as_because(Because::Team)));
    let mut there = Vec::new();
    for candidate in all {
        if candidate.id != handover.owner && ledger::can_own(state, candidate.id)? {
            there.push(candidate);
        }
    }
    Ok(there)
}

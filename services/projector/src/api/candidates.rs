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

/// The most members of a team who are proposed.
const MOST_PROPOSED: usize = 20;

/// Whether somebody may take over a machine.
///
/// # Errors
/// When the state can't be read.
pub fn is_candidate(state: &impl Read, handover: &Handover, id: IdentityId) -> Result<bool, KvError> {
    if candidates(state, handover)?.iter().any(|candidate| candidate.id == id) {
        return Ok(true);
    }
    // A team may have more than are proposed.
    let machine = directory::identity(state, handover.machine)?;
    let Some(team) = machine.and_then(|machine| Ownership::stated(&machine.resource).team) else { return Ok(false) };
    let is_in = directory::groups_of(state, id)?.iter().any(|(group, _)| group.id == team);
    Ok(is_in && id != handover.owner && ledger::can_own(state, id)?)
}

/// Who may take over a machine, as far as they are there: who was asked to, the manager of whoever leaves, its second owner, some of its team.
///
/// # Errors
/// When the state can't be read.
pub fn candidates(state: &impl Read, handover: &Handover) -> Result<Vec<Candidate>, KvError> {
    let machine = directory::identity(state, handover.machine)?;
    let stated = machine.map(|machine| Ownership::stated(&machine.resource)).unwrap_or_default();
    let manager = directory::identity(state, handover.owner)?.and_then(|owner| manager_of(&owner));
    let team = stated.team.map(|team| directory::members_after(state, team, None, MOST_PROPOSED)).transpose()?;
    let team = team.into_iter().flatten().filter_map(|(member, _)| member.identity());
    let as_because = |because: Because| move |id: IdentityId| Candidate { id, because };
    let mut all: Vec<Candidate> = handover.passed_to.map(as_because(Because::Asked)).into_iter().collect();
    all.extend(manager.map(as_because(Because::Manager)));
    all.extend(stated.second_owner.map(as_because(Because::SecondOwner)));
    all.extend(team.map(as_because(Because::Team)));
    let mut there = Vec::new();
    for candidate in all {
        if candidate.id != handover.owner && ledger::can_own(state, candidate.id)? {
            there.push(candidate);
        }
    }
    Ok(there)
}

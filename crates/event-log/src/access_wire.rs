//! Roles, entitlements, separations, grants and hand-overs, to and from their stored form.

use std::time::Duration;

use prost::Message as _;
use rollcall_domain::access::entitlement::{Entitlement, Part, Requestable, Terms};
use rollcall_domain::access::grant::{GrantChanged, GrantRequested, GrantStep, Lasts};
use rollcall_domain::access::handover::{HandoverChanged, HandoverStep, MachinePolicy};
use rollcall_domain::access::role::RoleSpec;
use rollcall_domain::access::separation::{SeparationSpec, ViolationAccepted};
use rollcall_domain::identity::switch::{Switch, Switched};
use rollcall_proto::{EventType, v1};

use crate::app_wire::millis;
use crate::wire;

fn to_terms(terms: &Terms) -> v1::Terms {
    v1::Terms {
        owner: terms.owner.clone(),
        risk: wire::to_risk(terms.risk),
        requestable: terms.requestable == Requestable::Yes,
        max_duration_ms: terms.max_duration.map(millis).unwrap_or_default(),
        approvers: terms.approvers.iter().map(ToString::to_string).collect(),
        approvals: terms.approvals,
    }
}

/// An approver that a newer version knows makes it unreadable: fewer of them would be another rule.
fn from_terms(stored: v1::Terms) -> Option<Terms> {
    Some(Terms {
        owner: stored.owner,
        risk: wire::from_risk(stored.risk)?,
        requestable: if stored.requestable { Requestable::Yes } else { Requestable::No },
        max_duration: Some(stored.max_duration_ms).filter(|ms| *ms != 0).map(Duration::from_millis),
        approvers: stored.approvers.iter().map(|text| text.parse().ok()).collect::<Option<_>>()?,
        approvals: stored.approvals,
    })
}

pub fn to_entitlement(entitlement: &Entitlement) -> v1::Entitlement {
    let group = match &entitlement.part {
        Part::Account => String::new(),
        Part::Group(name) => name.clone(),
    };
    v1::Entitlement { group, name: entitlement.name.clone(), terms: Some(to_terms(&entitlement.terms)) }
}

pub fn from_entitlement(stored: v1::Entitlement) -> Option<Entitlement> {
    let part = if stored.group.is_empty() { Part::Account } else { Part::Group(stored.group) };
    Some(Entitlement { part, name: stored.name, terms: from_terms(stored.terms?)? })
}

pub fn to_role(role: &RoleSpec) -> v1::RoleConfigured {
    v1::RoleConfigured {
        role_id: role.id.to_string(),
        name: role.name.clone(),
        members: role.members.clone(),
        entitlements: role.entitlements.iter().map(ToString::to_string).collect(),
        groups_from: role.groups_from.iter().map(ToString::to_string).collect(),
        terms: Some(to_terms(&role.terms)),
    }
}

pub fn from_role(payload: &[u8]) -> Option<RoleSpec> {
    let stored = v1::RoleConfigured::decode(payload).ok()?;
    Some(RoleSpec {
        id: stored.role_id.parse().ok()?,
        name: stored.name,
        members: stored.members,
        entitlements: stored.entitlements.iter().map(|id| id.parse().ok()).collect::<Option<_>>()?,
        groups_from: stored.groups_from.iter().map(|name| name.parse().ok()).collect::<Option<_>>()?,
        terms: from_terms(stored.terms?)?,
    })
}

pub fn to_switched(switched: &Switched) -> Vec<u8> {
    v1::IdentitySwitched { identity_id: switched.id.to_string(), reason: switched.reason.clone() }.encode_to_vec()
}

pub fn from_switched(to: Switch, payload: &[u8]) -> Option<Switched> {
    let stored = v1::IdentitySwitched::decode(payload).ok()?;
    Some(Switched { id: stored.identity_id.parse().ok()?, to, reason: stored.reason })
}

pub fn to_grant(changed: &GrantChanged) -> Vec<u8> {
    let (grant_id, identity_id) = (changed.id.to_string(), changed.identity.to_string());
    match &changed.step {
        GrantStep::Requested(asked) => v1::GrantRequested {
            grant_id,
            identity_id,
            what: asked.what.to_string(),
            until: match asked.lasts {
                Lasts::Until(until) => Some(wire::to_proto_time(until)),
                Lasts::For(_) | Lasts::Standing => None,
            },
            for_ms: match asked.lasts {
                Lasts::For(time) => millis(time),
                Lasts::Until(_) | Lasts::Standing => 0,
            },
            reason: asked.reason.clone(),
            ticket: asked.ticket.clone(),
            approvers: asked.approvers.iter().map(ToString::to_string).collect(),
            approvals: asked.approvals,
            expires_at: Some(wire::to_proto_time(asked.expires_at)),
            extends: asked.extends.map(|id| id.to_string()).unwrap_or_default(),
        }
        .encode_to_vec(),
        GrantStep::Approved => v1::GrantApproved { grant_id, identity_id }.encode_to_vec(),
        GrantStep::Ended { why, of, reason } => v1::GrantEnded {
            grant_id,
            identity_id,
            why: wire::to_grant_end(*why),
            of: of.map(wire::to_proto_time),
            reason: reason.clone(),
        }
        .encode_to_vec(),
    }
}

pub fn from_grant_requested(payload: &[u8]) -> Option<GrantChanged> {
    let stored = v1::GrantRequested::decode(payload).ok()?;
    let lasts = match (stored.until, stored.for_ms) {
        (Some(until), _) => Lasts::Until(wire::from_proto_time(until)?),
        (None, 0) => Lasts::Standing,
        (None, ms) => Lasts::For(Duration::from_millis(ms)),
    };
    let asked = GrantRequested {
        what: stored.what.parse().ok()?,
        lasts,
        reason: stored.reason,
        ticket: stored.ticket,
        approvers: stored.approvers.iter().map(|text| text.parse().ok()).collect::<Option<_>>()?,
        approvals: stored.approvals,
        expires_at: wire::from_proto_time(stored.expires_at?)?,
        extends: match stored.extends.as_str() {
            "" => None,
            id => Some(id.parse().ok()?),
        },
    };
    let step = GrantStep::Requested(Box::new(asked));
    Some(GrantChanged { id: stored.grant_id.parse().ok()?, identity: stored.identity_id.parse().ok()?, step })
}

pub fn from_grant_approved(payload: &[u8]) -> Option<GrantChanged> {
    let stored = v1::GrantApproved::decode(payload).ok()?;
    let (id, identity) = (stored.grant_id.parse().ok()?, stored.identity_id.parse().ok()?);
    Some(GrantChanged { id, identity, step: GrantStep::Approved })
}

pub fn from_grant_ended(payload: &[u8]) -> Option<GrantChanged> {
    let stored = v1::GrantEnded::decode(payload).ok()?;
    let of = match stored.of {
        Some(of) => Some(wire::from_proto_time(of)?),
        None => None,
    };
    let step = GrantStep::Ended { why: wire::from_grant_end(stored.why)?, of, reason: stored.reason };
    Some(GrantChanged { id: stored.grant_id.parse().ok()?, identity: stored.identity_id.parse().ok()?, step })
}

pub fn to_separation(spec: &SeparationSpec) -> v1::SeparationConfigured {
    v1::SeparationConfigured {
        separation_id: spec.id.to_string(),
        name: spec.name.clone(),
        owner: spec.owner.clone(),
        reason: spec.reason.clone(),
        entitlements: spec.entitlements.iter().map(ToString::to_string).collect(),
        never_with: spec.never_with.iter().map(ToString::to_string).collect(),
    }
}

/// A side that a newer version knows more of makes it unreadable: less of it would be another rule.
pub fn from_separation(payload: &[u8]) -> Option<SeparationSpec> {
    let stored = v1::SeparationConfigured::decode(payload).ok()?;
    let side = |ids: Vec<String>| ids.iter().map(|id| id.parse().ok()).collect::<Option<_>>();
    Some(SeparationSpec {
        id: stored.separation_id.parse().ok()?,
        name: stored.name,
        owner: stored.owner,
        reason: stored.reason,
        entitlements: side(stored.entitlements)?,
        never_with: side(stored.never_with)?,
    })
}

pub fn to_violation_accepted(accepted: &ViolationAccepted) -> v1::ViolationAccepted {
    v1::ViolationAccepted {
        separation_id: accepted.separation.to_string(),
        identity_id: accepted.identity.to_string(),
        control: accepted.control.clone(),
        reason: accepted.reason.clone(),
        expires_at: Some(wire::to_proto_time(accepted.expires_at)),
        held: accepted.held.iter().map(ToString::to_string).collect(),
    }
}

pub fn from_violation_accepted(payload: &[u8]) -> Option<ViolationAccepted> {
    let stored = v1::ViolationAccepted::decode(payload).ok()?;
    Some(ViolationAccepted {
        separation: stored.separation_id.parse().ok()?,
        identity: stored.identity_id.parse().ok()?,
        held: stored.held.iter().map(|id| id.parse().ok()).collect::<Option<_>>()?,
        control: stored.control,
        reason: stored.reason,
        expires_at: wire::from_proto_time(stored.expires_at?)?,
    })
}

pub fn to_machine_policy(policy: MachinePolicy) -> Vec<u8> {
    v1::MachinesConfigured {
        handover_within_ms: millis(policy.handover_within),
        revoke_within_ms: millis(policy.revoke_within),
        compromised_within_ms: millis(policy.compromised_within),
    }
    .encode_to_vec()
}

pub fn from_machine_policy(payload: &[u8]) -> Option<MachinePolicy> {
    let stored = v1::MachinesConfigured::decode(payload).ok()?;
    let usual = MachinePolicy::default();
    // What an older version has written says nothing of credentials.
    let given = |ms: u64, usual: Duration| if ms == 0 { usual } else { Duration::from_millis(ms) };
    Some(MachinePolicy {
        handover_within: Duration::from_millis(stored.handover_within_ms),
        revoke_within: given(stored.revoke_within_ms, usual.revoke_within),
        compromised_within: given(stored.compromised_within_ms, usual.compromised_within),
    })
}

pub fn to_handover(changed: &HandoverChanged) -> Vec<u8> {
    let to = match changed.step {
        HandoverStep::Accepted(to) | HandoverStep::Passed(to) => to.to_string(),
        HandoverStep::Retired => String::new(),
    };
    v1::HandoverChanged {
        machine_id: changed.machine.to_string(),
        owner_id: changed.owner.to_string(),
        to_id: to,
        reason: changed.reason.clone(),
    }
    .encode_to_vec()
}

pub fn from_handover(kind: EventType, payload: &[u8]) -> Option<HandoverChanged> {
    let stored = v1::HandoverChanged::decode(payload).ok()?;
    let step = match kind {
        EventType::HandoverAccepted => HandoverStep::Accepted(stored.to_id.parse().ok()?),
        EventType::HandoverPassed => HandoverStep::Passed(stored.to_id.parse().ok()?),
        _ => HandoverStep::Retired,
    };
    let (machine, owner) = (stored.machine_id.parse().ok()?, stored.owner_id.parse().ok()?);
    Some(HandoverChanged { machine, owner, step, reason: stored.reason })
}

//! Machines, who answers for them, and their hand-overs.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rollcall_domain::access::handover::{Handover, HandoverStatus, Machine};
use rollcall_domain::access::obligation::ObligationId;
use rollcall_domain::identity::Identity;
use rollcall_domain::identity::lifecycle::Lifecycle;
use rollcall_domain::identity::ownership::Ownership;
use rollcall_domain::ids::{IdentityId, Sequence};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{directory, ledger};
use rollcall_scim::MACHINE;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Detail;
use super::obligation::ExceptionView;
use crate::api::candidates::{Candidate, candidates};
use crate::api::schema;

/// Somebody, as they are named where they answer for something.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OwnerView {
    #[schema(value_type = uuid::Uuid)]
    pub id: IdentityId,
    /// Absent for viewers.
    pub user_name: Option<String>,
    /// Whether they are there: nobody answers for anything who has left.
    pub active: bool,
}

impl OwnerView {
    /// Somebody.
    pub fn of(state: &impl Read, id: IdentityId, detail: Detail) -> Result<Self, KvError> {
        let identity = directory::identity(state, id)?;
        Ok(Self {
            id,
            active: ledger::can_own(state, id)?,
            user_name: identity.and_then(|identity| detail.show(identity.user_name().to_owned())),
        })
    }
}

/// A service account or an agent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MachineView {
    #[schema(value_type = uuid::Uuid)]
    pub id: IdentityId,
    /// `ServiceAccount` or `Agent`.
    pub kind: &'static str,
    /// The name that it signs in with.
    pub name: String,
    pub display_name: Option<String>,
    #[schema(value_type = String)]
    pub lifecycle: Lifecycle,
    /// Whether a person has switched it off.
    pub disabled: bool,
    /// Who answers for it.
    pub owner: Option<OwnerView>,
    /// Whether it has access and nobody answers for it who is there.
    pub without_owner: bool,
    /// Since when its owner answers for it.
    #[schema(schema_with = schema::time)]
    pub owner_since: Timestamp,
    /// The event by which they do.
    #[schema(value_type = u64)]
    pub owner_since_event: Sequence,
    /// Who knows it besides.
    pub second_owner: Option<OwnerView>,
    /// The name of the group that looks after it.
    pub team: Option<String>,
    pub purpose: Option<String>,
    pub environment: Option<String>,
    pub criticality: Option<String>,
    /// What would stop without it.
    pub dependents: Option<String>,
    /// When it ends.
    #[schema(schema_with = schema::time_or_null)]
    pub expires_at: Option<Timestamp>,
    /// Its hand-overs that are open.
    #[schema(value_type = Vec<String>)]
    pub handovers: Vec<ObligationId>,
}

fn said<'a>(identity: &'a Identity, name: &str) -> Option<&'a Value> {
    identity.resource.get(MACHINE.id)?.get(name)
}

fn text(identity: &Identity, name: &str) -> Option<String> {
    said(identity, name)?.as_str().map(str::to_owned)
}

impl MachineView {
    /// A machine; `None`: it is erased.
    pub fn of(state: &impl Read, machine: &Machine, detail: Detail) -> Result<Option<Self>, KvError> {
        let id = machine.id;
        let Some(identity) = directory::identity(state, id)? else { return Ok(None) };
        let stated = Ownership::stated(&identity.resource);
        let owner = machine.owner.map(|owner| OwnerView::of(state, owner, detail)).transpose()?;
        let second_owner = stated.second_owner.map(|owner| OwnerView::of(state, owner, detail)).transpose()?;
        let team = stated.team.map(|team| directory::group(state, team)).transpose()?.flatten();
        Ok(Some(Self {
            id,
            kind: identity.kind.name(),
            name: identity.user_name().to_owned(),
            display_name: identity.resource.get("displayName").and_then(Value::as_str).map(str::to_owned),
            lifecycle: identity.lifecycle,
            disabled: ledger::switched_off(state, id)?.is_some(),
            owner,
            without_owner: ledger::is_without_owner(state, id)?,
            owner_since: machine.since_at,
            owner_since_event: machine.since,
            second_owner,
            team: team.map(|team| team.display_name().to_owned()),
            purpose: text(&identity, "purpose"),
            environment: text(&identity, "environment"),
            criticality: text(&identity, "criticality"),
            dependents: text(&identity, "dependents"),
            expires_at: stated.ends_at,
            handovers: ledger::handovers_of_machine(state, id)?.iter().map(Handover::id).collect(),
        }))
    }
}

/// Who is proposed to take a machine over, and why.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CandidateView {
    #[serde(flatten)]
    pub who: OwnerView,
    /// `asked`, `manager`, `second_owner` or `team`.
    pub because: &'static str,
}

/// The hand-over of a machine.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HandoverView {
    /// The obligation, by which it is accepted, passed on, retired and waived.
    #[schema(value_type = String)]
    pub id: ObligationId,
    #[schema(value_type = uuid::Uuid)]
    pub machine: IdentityId,
    /// The name that the machine signs in with.
    pub machine_name: String,
    /// Who leaves; null: nobody ever answered for the machine.
    pub owner: Option<OwnerView>,
    #[schema(value_type = String)]
    pub status: HandoverStatus,
    #[schema(value_type = u64)]
    pub opened_by: Sequence,
    #[schema(schema_with = schema::time)]
    pub opened_at: Timestamp,
    /// Until when it is owed; null once it has ended.
    #[schema(schema_with = schema::time_or_null)]
    pub deadline: Option<Timestamp>,
    #[schema(schema_with = schema::time_or_null)]
    pub overdue_at: Option<Timestamp>,
    pub waived: Option<ExceptionView>,
    /// Who may take it over, whoever is asked first.
    pub proposed: Vec<CandidateView>,
}

/// The most people of a team that are named.
const MOST_NAMED: usize = 20;

impl HandoverView {
    /// A hand-over.
    pub fn of(state: &impl Read, handover: &Handover, detail: Detail) -> Result<Self, KvError> {
        let owed = handover.obligation();
        let machine = directory::identity(state, handover.machine)?;
        let mut proposed = Vec::new();
        let mut named = BTreeSet::new();
        let all = if handover.end.is_none() { candidates(state, handover)? } else { Vec::new() };
        for Candidate { id, because } in all {
            if named.len() < MOST_NAMED && named.insert(id) {
                proposed.push(CandidateView { who: OwnerView::of(state, id, detail)?, because: because.name() });
            }
        }
        Ok(Self {
            id: handover.id(),
            machine: handover.machine,
            machine_name: machine.map(|machine| machine.user_name().to_owned()).unwrap_or_default(),
            owner: handover.former().map(|owner| OwnerView::of(state, owner, detail)).transpose()?,
            status: handover.status(),
            opened_by: handover.opened_by,
            opened_at: handover.opened_at,
            deadline: owed.as_ref().map(|owed| owed.deadline),
            overdue_at: owed.as_ref().and_then(|owed| owed.overdue_at),
            waived: owed.and_then(|owed| owed.waived).map(|waived| ExceptionView::of(&waived, detail)),
            proposed,
        })
    }
}

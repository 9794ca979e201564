//! Separations of duties, and who violates them.

use jiff::Timestamp;
use rollcall_domain::access::role::Standing;
use rollcall_domain::access::separation::{Separation, Violation, ViolationStatus};
use rollcall_domain::ids::{IdentityId, SeparationId, Sequence};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{directory, ledger};
use serde::Serialize;
use utoipa::ToSchema;

use super::Detail;
use super::access::reason_in_words;
use crate::api::schema;

/// A separation of duties.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SeparationView {
    #[schema(value_type = String)]
    pub id: SeparationId,
    pub name: String,
    /// Whether it is in the configuration.
    pub configured: bool,
    pub owner: String,
    pub reason: String,
    /// The one side: whoever holds something of it must hold nothing of the other.
    pub entitlements: Vec<String>,
    /// The other side.
    pub never_with: Vec<String>,
}

impl SeparationView {
    pub fn of(separation: &Separation) -> Self {
        let spec = &separation.spec;
        Self {
            id: spec.id.clone(),
            name: spec.name.clone(),
            configured: separation.standing == Standing::Configured,
            owner: spec.owner.clone(),
            reason: spec.reason.clone(),
            entitlements: spec.entitlements.iter().map(ToString::to_string).collect(),
            never_with: spec.never_with.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Something that is held, and makes a violation with other things.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HeldTogetherView {
    pub entitlement: String,
    /// Why they hold it; empty: it is being taken away, and that is not verified.
    pub reasons: Vec<String>,
}

/// That two people leave a violation as it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AcceptanceView {
    /// Who asked for it; absent for viewers.
    pub by: Option<String>,
    #[schema(schema_with = schema::time)]
    pub until: Timestamp,
    /// The event that says so, what is done instead, and why; what it is caused by is the approval.
    #[schema(value_type = u64)]
    pub event: Sequence,
}

/// Somebody who violates a separation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ViolationView {
    pub id: String,
    #[schema(value_type = String)]
    pub separation: SeparationId,
    /// The name of the separation.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    #[schema(value_type = uuid::Uuid)]
    pub identity: IdentityId,
    /// Absent for viewers.
    pub user_name: Option<String>,
    /// What they hold of both sides.
    pub held: Vec<HeldTogetherView>,
    #[schema(schema_with = schema::time)]
    pub since: Timestamp,
    /// The event that made it so.
    #[schema(value_type = u64)]
    pub opened_by: Sequence,
    /// `open` or `accepted`.
    pub status: &'static str,
    /// That it is left so for a time, or was until its time was over.
    pub accepted: Option<AcceptanceView>,
}

impl ViolationView {
    /// As it is at a time.
    pub fn of(state: &impl Read, violation: &Violation, now: Timestamp, detail: Detail) -> Result<Self, KvError> {
        let spec = directory::separation(state, &violation.separation)?.map(|known| known.spec);
        let identity = directory::identity(state, violation.identity)?;
        let mut held = Vec::new();
        for id in &violation.held {
            let account = ledger::account(state, violation.identity, &id.app)?;
            let holding = account.and_then(|account| account.holds.get(&id.part).cloned());
            let reasons = holding.into_iter().flat_map(|holding| holding.reasons);
            let reasons = reasons.map(|reason| reason_in_words(state, id, &reason)).collect::<Result<_, _>>()?;
            held.push(HeldTogetherView { entitlement: id.to_string(), reasons });
        }
        let status: ViolationStatus = violation.status(now);
        let accepted = violation.accepted.as_ref().map(|one| AcceptanceView {
            by: detail.show(one.by.clone()),
            until: one.until,
            event: one.sequence,
        });
        Ok(Self {
            id: violation.id().to_string(),
            separation: violation.separation.clone(),
            name: spec.as_ref().map_or_else(|| violation.separation.to_string(), |spec| spec.name.clone()),
            owner: spec.map(|spec| spec.owner).unwrap_or_default(),
            identity: violation.identity,
            user_name: identity.and_then(|identity| detail.show(identity.user_name().to_owned())),
            held,
            since: violation.since,
            opened_by: violation.opened_by,
            status: status.name(),
            accepted,
        })
    }
}

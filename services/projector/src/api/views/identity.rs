//! Identities and their accounts.

use jiff::Timestamp;
use rollcall_domain::access::account::{Account, Proof};
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::task::TaskId;
use rollcall_domain::identity::Identity;
use rollcall_domain::identity::lifecycle::Lifecycle;
use rollcall_domain::ids::{AppId, IdentityId, Sequence, SourceName};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{directory, ledger};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::schema;
use crate::api::views::{Detail, DisabledView, DriftView, FailureView, ObligationView};

/// An identity, without what belongs to it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct IdentitySummary {
    #[schema(value_type = uuid::Uuid)]
    pub id: IdentityId,
    /// Absent for viewers.
    pub user_name: Option<String>,
    /// Absent for viewers.
    pub display_name: Option<String>,
    #[schema(schema_with = schema::lifecycle)]
    pub lifecycle: Lifecycle,
    /// Whether the source removed the resource.
    pub deleted: bool,
    /// `open`, `sealed`: what is personal can't be read, or `erased`: it is gone.
    #[schema(value_type = String)]
    pub content: &'static str,
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    #[schema(schema_with = schema::time)]
    pub created_at: Timestamp,
    #[schema(schema_with = schema::time)]
    pub changed_at: Timestamp,
    /// The event that changed it last.
    #[schema(value_type = u64)]
    pub version: Sequence,
}

impl IdentitySummary {
    /// An identity, as much of it as may be seen.
    pub fn of(identity: &Identity, detail: Detail) -> Self {
        let name = identity.resource.get("displayName").and_then(Value::as_str).map(str::to_owned);
        Self {
            id: identity.id,
            user_name: detail.show(identity.user_name().to_owned()),
            display_name: detail.show(name).flatten(),
            lifecycle: identity.lifecycle,
            deleted: identity.deleted,
            content: identity.content.name(),
            source: identity.source.clone(),
            created_at: identity.created_at,
            changed_at: identity.changed_at,
            version: identity.version,
        }
    }
}

/// A group that an identity is in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GroupRef {
    pub value: uuid::Uuid,
    pub display: String,
    /// `direct`, or `indirect` through another group.
    #[serde(rename = "type")]
    pub membership: &'static str,
}

/// An identity with its accounts, obligations and drift.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct IdentityView {
    #[serde(flatten)]
    pub summary: IdentitySummary,
    /// The SCIM resource; absent for viewers.
    #[schema(schema_with = schema::resource)]
    pub resource: Option<Map<String, Value>>,
    /// Set: a person has switched them off in every app.
    pub disabled: Option<DisabledView>,
    pub groups: Vec<GroupRef>,
    pub accounts: Vec<AccountView>,
    pub obligations: Vec<ObligationView>,
    pub drift: Vec<DriftView>,
}

impl IdentityView {
    /// An identity and what belongs to it.
    pub fn of(state: &impl Read, identity: &Identity, now: Timestamp, detail: Detail) -> Result<Self, KvError> {
        let accounts = ledger::accounts_of(state, identity.id)?;
        let mut drift = Vec::new();
        for account in &accounts {
            drift.extend(ledger::drift_of(state, &account.app, identity.id)?);
        }
        let group = |(group, membership): &(rollcall_domain::identity::group::Group, directory::Membership)| GroupRef {
            value: group.id.0,
            display: group.display_name().to_owned(),
            membership: membership.name(),
        };
        Ok(Self {
            summary: IdentitySummary::of(identity, detail),
            resource: detail.show(identity.resource.clone()),
            disabled: ledger::switched_off(state, identity.id)?
                .map(|off| DisabledView::of(state, &off, detail))
                .transpose()?,
            groups: directory::groups_of(state, identity.id)?.iter().map(group).collect(),
            accounts: accounts.iter().map(|account| AccountView::of(account, detail)).collect(),
            obligations: ledger::obligations_of(state, identity.id)?
                .iter()
                .map(|owed| ObligationView::of(owed, detail))
                .collect(),
            drift: drift.iter().map(|item| DriftView::of(item, now, detail)).collect(),
        })
    }
}

/// One identity's presence in one app.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AccountView {
    #[schema(value_type = String)]
    pub app: AppId,
    #[schema(value_type = uuid::Uuid)]
    pub identity: IdentityId,
    #[schema(schema_with = schema::target)]
    pub desired: Target,
    #[schema(value_type = u64)]
    pub desired_version: Sequence,
    /// Whether the app was read back and shows what is desired.
    pub verified: bool,
    #[schema(value_type = Option<u64>)]
    pub verified_version: Option<Sequence>,
    #[schema(schema_with = schema::time_or_null)]
    pub verified_at: Option<Timestamp>,
    /// When somebody said that it is as desired, of an app that can't be read, or is not read yet: their word.
    #[schema(schema_with = schema::time_or_null)]
    pub attested_at: Option<Timestamp>,
    pub attested_by: Option<String>,
    /// The task that they have said it of, by which it can be taken back.
    #[schema(value_type = Option<String>)]
    pub attested_task: Option<TaskId>,
    /// Whether the app's refusal is taken as final until something changes.
    pub parked: bool,
    pub remote_id: Option<String>,
    /// What was read back; absent for viewers.
    #[schema(schema_with = schema::resource)]
    pub observed: Option<Map<String, Value>>,
    pub last_failure: Option<FailureView>,
}

impl AccountView {
    /// An account, as much of it as may be seen.
    pub fn of(account: &Account, detail: Detail) -> Self {
        let said = account.standing_word();
        Self {
            app: account.app.clone(),
            identity: account.identity,
            desired: account.desired.target(),
            desired_version: account.desired_version,
            verified: account.proof() == Proof::Read,
            verified_version: account.verified_version,
            verified_at: account.verified_at,
            attested_at: said.map(|said| said.at),
            attested_by: said.and_then(|said| detail.show(said.who.clone())),
            attested_task: said.map(|_| TaskId::of(account)),
            parked: account.parked_at.is_some(),
            remote_id: detail.show(account.remote_id.clone()).flatten(),
            observed: detail.show(account.observed.clone()).flatten(),
            last_failure: account.rejection.as_ref().map(|r| FailureView::of(r, detail)),
        }
    }
}

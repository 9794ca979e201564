//! State as the API answers it. What is personal is left out for whoever may not see it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rollcall_domain::account::{Account, Operation, Rejection, Target};
use rollcall_domain::app::{App, Connection, Deprovision, GroupRule};
use rollcall_domain::capability::Capabilities;
use rollcall_domain::conformance::Tally;
use rollcall_domain::drift::{DriftId, DriftItem, DriftKind, Policies};
use rollcall_domain::exception::Exception;
use rollcall_domain::guard::{Guard, Hold};
use rollcall_domain::hours::BusinessHours;
use rollcall_domain::identity::Identity;
use rollcall_domain::ids::{AppId, IdentityId, Sequence, SourceName};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::leaver::{Leaver, LeaverStatus};
use rollcall_domain::lifecycle::{ChangeKind, Lifecycle};
use rollcall_domain::mapping::Mapping;
use rollcall_domain::obligation::{Because, End, Obligation, ObligationId, ObligationStatus};
use rollcall_domain::reconciliation::Reconciled;
use rollcall_domain::{directory, ledger};
use rollcall_scim::Changed;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::words;

/// How much of a person is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Full,
    /// No names, no attributes.
    Impersonal,
}

impl Detail {
    fn show<T>(self, personal: T) -> Option<T> {
        (self == Self::Full).then_some(personal)
    }

    /// Differences, with their values or with their paths alone.
    pub fn changes(self, changes: &[Changed]) -> Vec<Changed> {
        let shown = |c: &Changed| match self {
            Self::Full => c.clone(),
            Self::Impersonal => Changed { path: c.path.clone(), before: None, after: None },
        };
        changes.iter().map(shown).collect()
    }
}

/// An identity, without what belongs to it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct IdentitySummary {
    #[schema(value_type = uuid::Uuid)]
    pub id: IdentityId,
    /// Absent for viewers.
    pub user_name: Option<String>,
    /// Absent for viewers.
    pub display_name: Option<String>,
    #[schema(schema_with = words::lifecycle)]
    pub lifecycle: Lifecycle,
    /// Whether the source removed the resource.
    pub deleted: bool,
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    #[schema(schema_with = words::time)]
    pub created_at: Timestamp,
    #[schema(schema_with = words::time)]
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
    #[schema(schema_with = words::resource)]
    pub resource: Option<Map<String, Value>>,
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
        let group = |(group, membership): &(rollcall_domain::group::Group, directory::Membership)| GroupRef {
            value: group.id.0,
            display: group.display_name().to_owned(),
            membership: membership.name(),
        };
        Ok(Self {
            summary: IdentitySummary::of(identity, detail),
            resource: detail.show(identity.resource.clone()),
            groups: directory::groups_of(state, identity.id)?.iter().map(group).collect(),
            accounts: accounts.iter().map(|account| AccountView::of(account, detail)).collect(),
            obligations: ledger::obligations_of(state, identity.id)?.iter().map(ObligationView::of).collect(),
            drift: drift.iter().map(|item| DriftView::of(item, now, detail)).collect(),
        })
    }
}

/// The last failure of an app for an account.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FailureView {
    /// refused, unreachable, conflict, throttled, not_scim, not_connected or unmappable.
    pub cause: &'static str,
    pub status: Option<u16>,
    /// The app's own words; absent for viewers.
    pub detail: Option<String>,
}

impl FailureView {
    /// A failure, its words left out for whoever may not see them: apps repeat what they were sent.
    pub fn of(rejection: &Rejection, detail: Detail) -> Self {
        let said = detail.show(rejection.detail.clone());
        Self { cause: rejection.cause.name(), status: rejection.status, detail: said }
    }
}

/// One identity's presence in one app.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AccountView {
    #[schema(value_type = String)]
    pub app: AppId,
    #[schema(value_type = uuid::Uuid)]
    pub identity: IdentityId,
    #[schema(schema_with = words::target)]
    pub desired: Target,
    #[schema(value_type = u64)]
    pub desired_version: Sequence,
    /// Whether the app was read back and shows what is desired.
    pub verified: bool,
    #[schema(value_type = Option<u64>)]
    pub verified_version: Option<Sequence>,
    #[schema(schema_with = words::time_or_null)]
    pub verified_at: Option<Timestamp>,
    /// Whether the app's refusal is taken as final until something changes.
    pub parked: bool,
    pub remote_id: Option<String>,
    /// What was read back; absent for viewers.
    #[schema(schema_with = words::resource)]
    pub observed: Option<Map<String, Value>>,
    pub last_failure: Option<FailureView>,
}

impl AccountView {
    /// An account, as much of it as may be seen.
    pub fn of(account: &Account, detail: Detail) -> Self {
        Self {
            app: account.app.clone(),
            identity: account.identity,
            desired: account.desired.target(),
            desired_version: account.desired_version,
            verified: !account.is_pending(),
            verified_version: account.verified_version,
            verified_at: account.verified_at,
            parked: account.parked_at.is_some(),
            remote_id: detail.show(account.remote_id.clone()).flatten(),
            observed: detail.show(account.observed.clone()).flatten(),
            last_failure: account.rejection.as_ref().map(|r| FailureView::of(r, detail)),
        }
    }
}

/// A named person's decision to leave something as it is for a while.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExceptionView {
    pub by: String,
    pub reason: String,
    #[schema(schema_with = words::time)]
    pub expires_at: Timestamp,
}

impl ExceptionView {
    fn of(exception: &Exception) -> Self {
        let Exception { by, reason, expires_at } = exception.clone();
        Self { by, reason, expires_at }
    }
}

/// "This account must reach this state by this deadline, because of that change".
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ObligationView {
    #[schema(value_type = String)]
    pub id: ObligationId,
    #[schema(value_type = String)]
    pub app: AppId,
    #[schema(value_type = uuid::Uuid)]
    pub identity: IdentityId,
    /// The event of the change.
    #[schema(value_type = u64)]
    pub opened_by: Sequence,
    #[schema(schema_with = words::change_kind)]
    pub change: ChangeKind,
    #[schema(schema_with = words::target)]
    pub target: Target,
    #[schema(schema_with = words::obligation_status)]
    pub status: ObligationStatus,
    #[schema(schema_with = words::time)]
    pub opened_at: Timestamp,
    #[schema(schema_with = words::time)]
    pub deadline: Timestamp,
    /// What gave the deadline.
    pub rule: String,
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    #[schema(schema_with = words::time_or_null)]
    pub at_risk_at: Option<Timestamp>,
    #[schema(schema_with = words::time_or_null)]
    pub applied_at: Option<Timestamp>,
    #[schema(schema_with = words::time_or_null)]
    pub overdue_at: Option<Timestamp>,
    pub waived: Option<ExceptionView>,
    #[schema(schema_with = words::time_or_null)]
    pub verified_at: Option<Timestamp>,
    /// The event of the reading.
    #[schema(value_type = Option<u64>)]
    pub verified_by: Option<Sequence>,
    /// The event of the change that took its place.
    #[schema(value_type = Option<u64>)]
    pub superseded_by: Option<Sequence>,
    #[schema(schema_with = words::because_or_null)]
    pub superseded_because: Option<Because>,
}

impl ObligationView {
    /// An obligation.
    pub fn of(obligation: &Obligation) -> Self {
        let verified = match obligation.end {
            Some(End::Verified { at, by }) => Some((at, by)),
            _ => None,
        };
        let superseded = match obligation.end {
            Some(End::Superseded { by, because, .. }) => Some((by, because)),
            _ => None,
        };
        Self {
            id: obligation.id.clone(),
            app: obligation.id.app.clone(),
            identity: obligation.id.identity,
            opened_by: obligation.id.opened_by,
            change: obligation.change,
            target: obligation.target,
            status: obligation.status(),
            opened_at: obligation.opened_at,
            deadline: obligation.deadline,
            rule: obligation.rule.clone(),
            source: obligation.source.clone(),
            at_risk_at: obligation.at_risk_at,
            applied_at: obligation.applied_at,
            overdue_at: obligation.overdue_at,
            waived: obligation.waived.as_ref().map(ExceptionView::of),
            verified_at: verified.map(|(at, _)| at),
            verified_by: verified.map(|(_, by)| by),
            superseded_by: superseded.map(|(by, _)| by),
            superseded_because: superseded.map(|(_, because)| because),
        }
    }
}

/// A departure with its obligations by app.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LeaverView {
    #[schema(value_type = uuid::Uuid)]
    pub identity: IdentityId,
    /// Absent for viewers.
    pub user_name: Option<String>,
    #[schema(schema_with = words::time)]
    pub left_at: Timestamp,
    #[schema(value_type = u64)]
    pub opened_by: Sequence,
    #[schema(schema_with = words::leaver_status)]
    pub status: LeaverStatus,
    #[schema(schema_with = words::time_or_null)]
    pub completed_at: Option<Timestamp>,
    #[schema(value_type = Option<u64>)]
    pub superseded_by: Option<Sequence>,
    #[schema(value_type = Vec<String>)]
    pub apps: Vec<AppId>,
    #[schema(value_type = Vec<String>)]
    pub open: Vec<AppId>,
    #[schema(value_type = Vec<String>)]
    pub overdue: Vec<AppId>,
    #[schema(value_type = Vec<String>)]
    pub waived: Vec<AppId>,
    #[schema(value_type = Vec<String>)]
    pub at_risk: Vec<AppId>,
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    pub obligations: Vec<ObligationView>,
}

impl LeaverView {
    /// A departure.
    pub fn of(state: &impl Read, leaver: &Leaver, detail: Detail) -> Result<Self, KvError> {
        let who = directory::identity(state, leaver.identity)?;
        let owed = ledger::obligations_of_leaver(state, leaver)?;
        let such =
            |which: fn(&Obligation) -> bool| owed.iter().filter(|o| which(o)).map(|o| o.id.app.clone()).collect();
        Ok(Self {
            identity: leaver.identity,
            user_name: who.and_then(|who| detail.show(who.user_name().to_owned())),
            left_at: leaver.left_at,
            opened_by: leaver.opened_by,
            status: leaver.status(),
            completed_at: leaver.completed_at,
            superseded_by: leaver.superseded_by,
            apps: such(|_| true),
            open: such(|o| o.end.is_none()),
            overdue: such(|o| o.status() == ObligationStatus::Overdue),
            waived: such(|o| o.status() == ObligationStatus::Waived),
            at_risk: such(Obligation::is_at_risk),
            source: leaver.source.clone(),
            obligations: owed.iter().map(ObligationView::of).collect(),
        })
    }
}

/// The time that each kind of change may take.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ServiceLevelView {
    pub joiner: f64,
    pub mover: f64,
    pub leaver: f64,
    pub emergency: f64,
}

/// Whether an app is worked with.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HealthView {
    /// `working`, or `quarantined`: left alone but for a probe.
    pub state: &'static str,
    #[schema(schema_with = words::time_or_null)]
    pub since: Option<Timestamp>,
    pub reason: Option<FailureView>,
}

/// How far an app does what it says.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConformanceView {
    /// The share of what it confirmed that was seen when it was read back; none: nothing was judged yet.
    pub score: Option<f64>,
    #[schema(value_type = BTreeMap<String, Object>)]
    pub operations: BTreeMap<&'static str, Tally>,
    pub findings: Vec<String>,
}

/// An app with what is open in it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AppView {
    #[schema(value_type = String)]
    pub id: AppId,
    pub name: String,
    pub owner: String,
    pub base_url: String,
    /// A SCIM filter: who has an account here.
    pub assign: String,
    #[schema(value_type = String)]
    pub deprovision: Deprovision,
    /// Whether it is configured.
    pub connected: bool,
    #[schema(value_type = u64)]
    pub version: Sequence,
    pub sla_seconds: ServiceLevelView,
    pub tier: String,
    #[schema(value_type = Option<String>)]
    pub business_hours: Option<BusinessHours>,
    pub obligations_open: u64,
    /// Of these, past their deadline and not waived.
    pub obligations_overdue: u64,
    pub drift_items: usize,
    /// The sum of how long each open item has been open.
    pub drift_debt_hours: f64,
    #[schema(value_type = Vec<Object>)]
    pub attributes: Mapping,
    #[schema(value_type = Vec<Object>)]
    pub groups: Vec<GroupRule>,
    #[schema(value_type = Object)]
    pub drift_policy: Policies,
    #[schema(value_type = Object)]
    pub guard: Guard,
    /// What it can do: what is configured over what was learned.
    #[schema(value_type = Object)]
    pub capabilities: Capabilities,
    pub health: HealthView,
    pub conformance: ConformanceView,
    #[schema(value_type = Object)]
    pub reconciliation: Reconciled,
}

impl AppView {
    /// An app.
    pub fn of(state: &impl Read, app: &App, now: Timestamp, detail: Detail) -> Result<Self, KvError> {
        let spec = app.spec.clone();
        let learned = ledger::capabilities(state, &spec.id)?.unwrap_or_default();
        let conformance = ledger::conformance(state, &spec.id)?;
        let quarantine = ledger::quarantine(state, &spec.id)?;
        let drift = ledger::drift(state, Some(&spec.id))?;
        let count = ledger::count_of(state, &spec.id)?;
        let seconds = |d: std::time::Duration| d.as_secs_f64();
        let operations = conformance.0.iter();
        Ok(Self {
            capabilities: spec.capabilities.over(&learned),
            conformance: ConformanceView {
                score: conformance.score(),
                operations: operations.map(|(op, tally): (&Operation, &Tally)| (op.name(), *tally)).collect(),
                findings: conformance.findings(),
            },
            health: HealthView {
                state: if quarantine.is_some() { "quarantined" } else { "working" },
                since: quarantine.as_ref().map(|q| q.since),
                reason: quarantine.as_ref().map(|q| FailureView::of(&q.rejection, detail)),
            },
            sla_seconds: ServiceLevelView {
                joiner: seconds(spec.sla.joiner),
                mover: seconds(spec.sla.mover),
                leaver: seconds(spec.sla.leaver),
                emergency: seconds(spec.sla.emergency),
            },
            reconciliation: ledger::reconciled(state, &spec.id)?,
            connected: app.connection == Connection::Configured,
            version: app.version,
            obligations_open: count.open,
            obligations_overdue: count.overdue,
            drift_items: drift.len(),
            // The sum of nothing is -0.
            drift_debt_hours: drift.iter().map(|item| item.debt_hours(now)).sum::<f64>() + 0.0,
            id: spec.id,
            name: spec.name,
            owner: spec.owner,
            base_url: spec.base_url,
            assign: spec.assign,
            deprovision: spec.deprovision,
            tier: spec.sla.tier,
            business_hours: spec.sla.hours,
            attributes: spec.attributes,
            groups: spec.groups,
            drift_policy: spec.drift,
            guard: spec.guard,
        })
    }
}

/// A difference between two versions.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[allow(dead_code, reason = "describes rollcall_scim::Changed, which knows nothing of the API")]
pub struct ChangedView {
    pub path: String,
    /// Absent: was not set, or may not be seen.
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// An open difference between what is desired and what was read.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DriftView {
    #[schema(value_type = String)]
    pub id: DriftId,
    #[schema(value_type = String)]
    pub app: AppId,
    /// None: it belongs to nobody.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub identity: Option<IdentityId>,
    #[schema(schema_with = words::drift_kind)]
    pub kind: DriftKind,
    /// Absent for viewers.
    pub remote_id: Option<String>,
    /// Absent for viewers.
    pub user_name: Option<String>,
    #[schema(value_type = Vec<ChangedView>)]
    pub differences: Vec<Changed>,
    #[schema(schema_with = words::time)]
    pub detected_at: Timestamp,
    pub age_hours: f64,
    pub accepted: Option<ExceptionView>,
    #[schema(value_type = u64)]
    pub version: Sequence,
}

impl DriftView {
    /// An open drift item.
    pub fn of(item: &DriftItem, now: Timestamp, detail: Detail) -> Self {
        Self {
            id: item.id.clone(),
            app: item.id.app.clone(),
            identity: Some(item.id.identity).filter(|_| item.id.kind != DriftKind::Orphan),
            kind: item.id.kind,
            remote_id: detail.show(item.remote_id.clone()),
            user_name: detail.show(item.user_name.clone()),
            differences: detail.changes(&item.differences),
            detected_at: item.detected_at,
            age_hours: now.duration_since(item.detected_at).as_secs_f64() / 3600.0,
            accepted: item.accepted.as_ref().map(ExceptionView::of),
            version: item.version,
        }
    }
}

/// The removals of a source that wait for a person.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HoldView {
    #[schema(value_type = String)]
    pub source: SourceName,
    #[schema(value_type = String)]
    pub app: AppId,
    pub removals: usize,
    #[schema(value_type = u64)]
    pub by: Sequence,
    #[schema(schema_with = words::time)]
    pub since: Timestamp,
}

impl HoldView {
    /// A hold.
    pub fn of(hold: &Hold) -> Self {
        let Hold { source, app, removals, by, since } = hold.clone();
        Self { source, app, removals, by, since }
    }
}

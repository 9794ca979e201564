//! Apps: what they are, how they are, and what waits in them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rollcall_domain::access::operation::Operation;
use rollcall_domain::access::rejection::Rejection;
use rollcall_domain::app::capability::Capabilities;
use rollcall_domain::app::conformance::Tally;
use rollcall_domain::app::deprovision::Deprovision;
use rollcall_domain::app::guard::Guard;
use rollcall_domain::app::hours::BusinessHours;
use rollcall_domain::app::kind::AppKind;
use rollcall_domain::app::mapping::Mapping;
use rollcall_domain::app::{Adopt, App, Connection, GroupRule};
use rollcall_domain::drift::policy::Policies;
use rollcall_domain::drift::reconciliation::Reconciled;
use rollcall_domain::governance::hold::Hold;
use rollcall_domain::ids::{AppId, Sequence, SourceName};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::schema;
use crate::api::views::Detail;

/// The last failure of an app for an account.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FailureView {
    /// refused, unreachable, app_error, timeout, conflict, throttled, not_scim, not_connected, unmappable, vanished or bad_list.
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

/// The time that each kind of change may take.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ServiceLevelView {
    pub joiner: f64,
    pub mover: f64,
    pub leaver: f64,
    pub emergency: f64,
    /// Of whom a person has switched off.
    pub disable: f64,
    /// What is granted for a time, and its end.
    pub grant: f64,
}

/// Whether an app is worked with.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HealthView {
    /// `working`, `quarantined`: left alone but for a probe, or `manual`: nothing of it can be read.
    pub state: &'static str,
    #[schema(schema_with = schema::time_or_null)]
    pub since: Option<Timestamp>,
    pub reason: Option<FailureView>,
    /// The event since which it is left alone: where accounts are missing it is the one that a person answers who says that they are gone.
    #[schema(value_type = Option<u64>)]
    pub event: Option<Sequence>,
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
    /// `scim`, `manual`: people change it, or `list`: they do, and a list of its accounts is read.
    #[schema(value_type = String)]
    pub kind: AppKind,
    /// How people do what is to be done there; empty where nothing is said.
    pub instructions: String,
    /// Where its SCIM service is; empty where it has none.
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
    /// The sources whose groups count here; none: those of each.
    #[schema(value_type = Vec<String>)]
    pub groups_from: BTreeSet<SourceName>,
    /// Whether accounts that Rollcall has not made are taken over, by name.
    #[schema(value_type = String)]
    pub adopt: Adopt,
    /// User names and ids of accounts that are never touched; null for a viewer.
    pub protected: Option<BTreeSet<String>>,
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
                state: match (&quarantine, spec.kind.is_readable()) {
                    (_, false) => "manual",
                    (Some(_), true) => "quarantined",
                    (None, true) => "working",
                },
                since: quarantine.as_ref().map(|q| q.since),
                reason: quarantine.as_ref().map(|q| FailureView::of(&q.rejection, detail)),
                event: quarantine.as_ref().map(|q| q.by),
            },
            sla_seconds: ServiceLevelView {
                joiner: seconds(spec.sla.joiner),
                mover: seconds(spec.sla.mover),
                leaver: seconds(spec.sla.leaver),
                emergency: seconds(spec.sla.emergency),
                disable: seconds(spec.sla.disable),
                grant: seconds(spec.sla.grant),
            },
            reconciliation: reconciled(state, &spec.id, detail)?,
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
            kind: spec.kind,
            instructions: spec.instructions,
            base_url: spec.base_url,
            assign: spec.assign,
            deprovision: spec.deprovision,
            tier: spec.sla.tier,
            business_hours: spec.sla.hours,
            attributes: spec.attributes,
            groups: spec.groups,
            drift_policy: spec.drift,
            groups_from: spec.groups_from,
            adopt: spec.adopt,
            protected: detail.show(spec.protected),
            guard: spec.guard,
        })
    }
}

/// How far comparisons came; apps repeat in what they fail with what they were sent.
fn reconciled(state: &impl Read, app: &AppId, detail: Detail) -> Result<Reconciled, KvError> {
    let reconciled = ledger::reconciled(state, app)?;
    let failure = reconciled.failure.clone().and_then(|failure| detail.show(failure));
    Ok(Reconciled { failure, ..reconciled })
}

/// The removals of a source that wait for a person.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HoldView {
    /// What took the accounts away: the name of a source, or `configuration:` and an app.
    pub source: String,
    /// Where they were too many.
    #[schema(value_type = String)]
    pub app: AppId,
    /// How many wait now, in every app.
    pub removals: usize,
    /// The same by app.
    pub apps: BTreeMap<String, usize>,
    /// The last change of those that wait now. A decision names it, and is about what was shown.
    #[schema(value_type = u64)]
    pub through: Sequence,
    /// The change that was one too many.
    #[schema(value_type = u64)]
    pub by: Sequence,
    #[schema(schema_with = schema::time)]
    pub since: Timestamp,
}

impl HoldView {
    /// A hold, with what waits now.
    pub fn of(state: &impl Read, hold: &Hold) -> Result<Self, KvError> {
        let waiting = ledger::held(state, hold)?;
        let mut apps: BTreeMap<String, usize> = BTreeMap::new();
        for account in &waiting {
            *apps.entry(account.app.to_string()).or_default() += 1;
        }
        let through = waiting.iter().map(|account| account.desired_version).max().unwrap_or(hold.by);
        let (source, app) = (hold.cause.to_string(), hold.app.clone());
        Ok(Self { source, app, removals: waiting.len(), apps, through, by: hold.by, since: hold.since })
    }
}

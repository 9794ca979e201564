//! What would be sent to whom, and why: decided from what is desired and what the app showed last, without asking it.

use axum::extract::State;
use axum::{Extension, Json};
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::{Presence, Queue, Target};
use rollcall_domain::access::plan::{Step, plan};
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::App;
use rollcall_domain::app::capability::Capabilities;
use rollcall_domain::app::mapping::to_resource;
use rollcall_domain::app::standard::Standard;
use rollcall_domain::identity::lifecycle::Lifecycle;
use rollcall_domain::ids::{AppId, IdentityId};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{directory, ledger};
use rollcall_scim::Changed;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::api::context::{Pairs, Shared, unknown};
use crate::api::identities::known_identity;
use crate::api::paging::{Answer, List, Who};
use crate::api::views::{Detail, FailureView};
use crate::api::{params, plan, schema};
use crate::error::{ApiError, Problem};

/// What would be sent for one account, and why.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct PlanView {
    #[schema(value_type = String)]
    pub app: AppId,
    #[schema(value_type = uuid::Uuid)]
    pub identity: IdentityId,
    pub user_name: Option<String>,
    #[schema(schema_with = schema::target)]
    pub desired: Target,
    /// Whether there is something to do.
    pub pending: bool,
    pub why: String,
    /// What keeps it from being done now.
    pub waits: Option<String>,
    pub steps: Vec<StepView>,
    pub last_failure: Option<FailureView>,
}

/// One request that would be sent.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[allow(missing_docs)]
pub struct StepView {
    pub operation: &'static str,
    pub method: &'static str,
    pub address: String,
    /// What it would carry.
    pub values: Value,
}

/// The plan for one account.
pub fn of_account(state: &impl Read, account: &Account) -> Result<PlanView, KvError> {
    let app = directory::app(state, &account.app)?;
    let who = directory::identity(state, account.identity)?;
    let steps = match &app {
        Some(app) if account.is_pending() => {
            let learned = ledger::capabilities(state, &account.app)?.unwrap_or_default();
            steps(account, app, &learned)
        }
        _ => Vec::new(),
    };
    let why = match (&app, &who, account.desired.target()) {
        (Some(app), _, Target::Present) => {
            format!("active, and matches the rule of {}: {}", app.spec.name, app.spec.assign)
        }
        (_, Some(who), Target::Absent) if who.deleted || who.lifecycle == Lifecycle::Left => "left".to_owned(),
        (Some(app), Some(_), Target::Absent) => {
            format!("does not match the rule of {} any more: {}", app.spec.name, app.spec.assign)
        }
        (_, None, _) => match ledger::duplicate_of(state, &account.app, account.identity)? {
            Some(owner) => format!("a second account of {owner}, and policy repairs that"),
            None => "an account that belongs to nobody, and policy repairs that".to_owned(),
        },
        (None, _, _) => "the app is not known any more".to_owned(),
    };
    let waits = match (waits_for_a_person(state, account)?, account.parked_at) {
        (Some(waits), _) => Some(waits),
        (None, Some(_)) => Some("the app has refused it for good: something must change first".to_owned()),
        (None, None) => match ledger::quarantine(state, &account.app)? {
            Some(quarantine) => Some(format!("the app is left alone since {}", quarantine.since)),
            None => None,
        },
    };
    Ok(PlanView {
        app: account.app.clone(),
        identity: account.identity,
        user_name: who.as_ref().map(|w| w.user_name().to_owned()),
        desired: account.desired.target(),
        pending: account.is_pending(),
        why,
        waits,
        steps,
        last_failure: account.rejection.as_ref().map(|r| FailureView::of(r, Detail::Full)),
    })
}

/// That an account is not to be removed before somebody has decided; `None`: no hold covers it.
pub fn held_back(state: &impl Read, account: &Account) -> Result<Option<String>, KvError> {
    Ok(ledger::hold_on(state, account)?.map(|hold| format!("the removals by {} wait for a decision", hold.cause)))
}

/// Why nothing is done for an account until somebody decides, or time has passed; `None`: it goes on.
pub fn waits_for_a_person(state: &impl Read, account: &Account) -> Result<Option<String>, KvError> {
    Ok(match held_back(state, account)? {
        Some(held) => Some(held),
        None if ledger::is_waived(state, &account.app, account.identity, Timestamp::now())? => {
            Some("everything that it owes is waived".to_owned())
        }
        None if ledger::reevaluations(state)?.iter().any(|running| running.keeps_waiting(account)) => {
            Some("whom else the change takes something away from is still being counted".to_owned())
        }
        None => None,
    })
}

/// The account as the app showed it last.
fn last_seen(account: &Account) -> Option<Remote> {
    let Presence { attributes, groups } = account.shown()?;
    Some(Remote { id: account.remote_id.clone()?, resource: to_resource(&attributes), groups })
}

fn steps(account: &Account, app: &App, learned: &Capabilities) -> Vec<StepView> {
    let remote = last_seen(account);
    let can = app.spec.capabilities.over(learned);
    let remote_id = account.remote_id.as_deref().unwrap_or_default();
    let standard = Standard::of(&app.spec, &can).for_account(account, remote_id, &can);
    plan(&account.desired, remote.as_ref(), &standard).iter().map(|step| shown(step, remote.as_ref(), app)).collect()
}

fn shown(step: &Step, remote: Option<&Remote>, app: &App) -> StepView {
    let base = app.spec.base_url.trim_end_matches('/');
    let user = || format!("{base}/Users/{}", remote.map_or("{id}", |r| r.id.as_str()));
    let changed = |changes: &[Changed]| -> Map<String, Value> {
        changes.iter().map(|c| (c.path.clone(), c.before.clone().unwrap_or_default())).collect()
    };
    let (method, address, what) = match step {
        Step::Create(attributes) => ("POST", format!("{base}/Users"), json!(to_resource(attributes))),
        Step::Update(changes) => ("PATCH", user(), Value::Object(changed(changes))),
        Step::Enter(group) => ("PATCH", format!("{base}/Groups"), json!({ "group": group, "member": "add" })),
        Step::Leave(group) => ("PATCH", format!("{base}/Groups"), json!({ "group": group, "member": "remove" })),
        Step::Deactivate => ("PATCH", user(), json!({ "active": false })),
        Step::Delete => ("DELETE", user(), Value::Null),
    };
    StepView { operation: step.operation().name(), method, address, values: what }
}

/// The plans for every account of an identity.
pub fn of_identity(state: &impl Read, id: IdentityId) -> Result<Vec<PlanView>, KvError> {
    ledger::accounts_of(state, id)?.iter().map(|account| of_account(state, account)).collect()
}

/// The plans for the accounts of an app that are not in line, at most `limit`, departures first.
pub fn of_app(state: &impl Read, app: &AppId, limit: usize) -> Result<Vec<PlanView>, KvError> {
    let mut out = Vec::new();
    for queue in Queue::ALL {
        for (identity, _) in ledger::pending(state, app, queue, None, limit.saturating_sub(out.len()))? {
            if let Some(account) = ledger::account(state, identity, app)? {
                out.push(of_account(state, &account)?);
            }
        }
    }
    for (identity, _) in ledger::parked(state, app, limit.saturating_sub(out.len()))? {
        if let Some(account) = ledger::account(state, identity, app)? {
            out.push(of_account(state, &account)?);
        }
    }
    Ok(out)
}

/// What would be sent to whom, and why.
#[utoipa::path(get, path = "/v1/plan", tag = "state", params(params::Plan), responses(
    (status = 200, body = List<PlanView>), Problem
))]
pub async fn planned(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<PlanView>> {
    let query = api.query::<params::Plan>(pairs)?;
    // It shows the values that would be sent.
    person.needs(Role::Auditor)?;
    let view = api.fresh().await?;
    let items = match (query.text("identity"), query.parsed::<AppId>("app", "an app id")?) {
        (Some(id), None) => plan::of_identity(&view, known_identity(&view, id)?.id)?,
        (None, Some(app)) => {
            directory::app(&view, &app)?.ok_or_else(|| unknown("app", app.as_str()))?;
            plan::of_app(&view, &app, query.limit()?)?
        }
        _ => return Err(ApiError::BadRequest("give one of the query parameters 'identity' and 'app'".into())),
    };
    Ok(Json(List { items, next_cursor: None, as_of: None }))
}

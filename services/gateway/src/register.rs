//! Apps, roles, policies, separations and what is said of machines are events too: what the configuration says differently from the log is appended at start, before the first
//! change is accepted, so that every change finds those it concerns.

use std::time::Duration;

use rollcall_domain::access::handover::MachinePolicy;
use rollcall_domain::access::reevaluation::ReevaluationPolicy;
use rollcall_domain::decision::access_rules::AccessSpec;
use rollcall_domain::directory::app_changes::{configure, configure_policies, configure_roles, configure_separations};
use rollcall_domain::governance::configuration::Configuring;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{Event, NewEvent, Sequence, directory};
use rollcall_event_log::{EventLog, Expect, LogError, Unit, by_service};
use rollcall_projection::Store;
use tracing::{info, warn};
use uuid::Uuid;

use crate::error::GatewayError;
use crate::state::NAME;

/// What the services derive by, besides apps and who is to have access there.
#[derive(Debug, Clone, Copy)]
pub struct Policies {
    /// What is said of machines.
    pub machines: MachinePolicy,
    /// For how many people at once a change that concerns many is decided.
    pub reevaluation: ReevaluationPolicy,
    /// Who decides that an app is governed no more.
    pub removals: Removals,
}

/// Who decides that an app is governed no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removals {
    /// Whoever writes the configuration.
    Configuration,
    /// Two people: what is taken out of the configuration stays governed until they have.
    TwoPeople,
}

/// Appends until log and configuration agree. Another gateway may be doing the same.
pub async fn register(
    log: &EventLog,
    store: &Store,
    configured: &AccessSpec,
    Policies { machines, reevaluation, removals }: Policies,
) -> Result<(), GatewayError> {
    loop {
        store.wait_for(log.head().await?, Duration::from_secs(3600)).await?;
        let view = store.view();
        let mut events = what_differs(&view, configured, removals)?;
        if directory::machine_policy(&view)? != machines {
            events.insert(0, Event::MachinesConfigured(machines));
        }
        // Before what it is about.
        if directory::reevaluation_policy(&view)? != Some(reevaluation) {
            events.insert(0, Event::ReevaluationConfigured(reevaluation));
        }
        if events.is_empty() {
            return Ok(());
        }
        let correlation = Uuid::now_v7().to_string();
        for event in events {
            let (what, expect) = match &event {
                Event::AppConfigured(spec) => (format!("app {}", spec.id), known_app(&view, &spec.id)?),
                Event::AppRemoved(id) => (format!("app {id}"), known_app(&view, id)?),
                Event::RoleConfigured(spec) => (format!("role {}", spec.id), known_role(&view, &spec.id)?),
                Event::RoleRemoved(id) => (format!("role {id}"), known_role(&view, id)?),
                Event::PolicyConfigured(spec) => (format!("policy {}", spec.id), known_policy(&view, &spec.id)?),
                Event::PolicyRemoved(id) => (format!("policy {id}"), known_policy(&view, id)?),
                Event::SeparationConfigured(spec) => {
                    (format!("separation {}", spec.id), known_separation(&view, &spec.id)?)
                }
                Event::SeparationRemoved(id) => (format!("separation {id}"), known_separation(&view, id)?),
                Event::MachinesConfigured(_) => ("machines".to_owned(), Expect::Any),
                Event::ReevaluationConfigured(_) => ("reevaluation".to_owned(), Expect::Any),
                _ => ("what changes together".to_owned(), Expect::Any),
            };
            let mut meta = by_service(NAME, &correlation, None);
            meta.reason = "the configuration has changed".into();
            match log.append(&Unit::one(NewEvent { meta, event }, expect)).await {
                Ok(_) => info!(what, "registered"),
                Err(LogError::Conflict { .. }) => info!(what, "registered by another gateway"),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

fn known_app(state: &impl Read, id: &rollcall_domain::AppId) -> Result<Expect, KvError> {
    Ok(Expect::Last(directory::app(state, id)?.map_or(Sequence(0), |app| app.version)))
}

fn known_role(state: &impl Read, id: &rollcall_domain::RoleId) -> Result<Expect, KvError> {
    Ok(Expect::Last(directory::role(state, id)?.map_or(Sequence(0), |role| role.version)))
}

fn known_policy(state: &impl Read, id: &rollcall_domain::PolicyId) -> Result<Expect, KvError> {
    Ok(Expect::Last(directory::policy(state, id)?.map_or(Sequence(0), |policy| policy.version)))
}

fn known_separation(state: &impl Read, id: &rollcall_domain::SeparationId) -> Result<Expect, KvError> {
    Ok(Expect::Last(directory::separation(state, id)?.map_or(Sequence(0), |one| one.version)))
}

/// The events that bring the log in line. Where roles or policies change, all of it changes together: access that an app's rule gave may be
/// what a role gives now, and nobody loses it in between.
fn what_differs(state: &impl Read, configured: &AccessSpec, removals: Removals) -> Result<Vec<Event>, KvError> {
    let mut events = configure(&directory::apps(state)?, &configured.apps);
    events.retain(|event| match (event, removals) {
        (Event::AppRemoved(app), Removals::TwoPeople) => {
            warn!(
                %app,
                "the app is not in the configuration any more, and stays governed until two people have decided about it: POST \
                 /v1/apps/{app}/remove, or rollcall apps remove {app}"
            );
            false
        }
        _ => true,
    });
    let mut roles = configure_roles(&directory::roles(state)?, &configured.roles);
    roles.extend(configure_policies(&directory::policies(state)?, &configured.policies));
    roles.extend(configure_separations(&directory::separations(state)?, &configured.separations));
    let together = !roles.is_empty() && events.len() + roles.len() > 1;
    events.extend(roles);
    // Somebody has begun, and not ended it.
    let is_open = directory::is_configuring(state)?;
    if together && !is_open {
        events.insert(0, Event::Configuring(Configuring::Begins));
    }
    if together || is_open {
        events.push(Event::Configuring(Configuring::Ends));
    }
    Ok(events)
}

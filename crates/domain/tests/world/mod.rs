//! A log in memory, and the ledger derived from it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod access;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use rollcall_domain::access::obligation::{Obligation, ObligationStatus};
use rollcall_domain::access::outcome::{Left, Verified};
use rollcall_domain::access::task::TaskDone;
use rollcall_domain::app::capability::Capabilities;
use rollcall_domain::app::deprovision::Deprovision;
use rollcall_domain::app::guard::Guard;
use rollcall_domain::app::kind::AppKind;
use rollcall_domain::app::service_level::ServiceLevel;
use rollcall_domain::app::{Adopt, AppSpec};
use rollcall_domain::drift::policy::Policies;
use rollcall_domain::identity::statement::completed;
use rollcall_domain::identity::{self, IdentityChanged, IdentityKind};
use rollcall_domain::kv::Memory;
use rollcall_domain::ledger::{self, Fact, Ledger};
use rollcall_domain::{AppId, Event, EventMeta, IdentityId, Recorded, Sequence, SourceName, TraceContext};
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub const START: i64 = 1_767_225_600;

pub fn at(sequence: u64) -> Timestamp {
    Timestamp::from_second(START + i64::try_from(sequence).unwrap()).unwrap()
}

pub fn app_id(text: &str) -> AppId {
    text.parse().unwrap()
}

pub fn person(n: u128) -> IdentityId {
    IdentityId(Uuid::from_u128(n))
}

pub fn resource(json: Value) -> Map<String, Value> {
    json.as_object().unwrap().clone()
}

pub fn spec(id: &str, assign: &str) -> AppSpec {
    AppSpec {
        id: app_id(id),
        name: id.to_uppercase(),
        kind: AppKind::Scim,
        base_url: "http://localhost".into(),
        instructions: String::new(),
        owner: "owner@example.com".into(),
        assign: assign.into(),
        identities: vec![IdentityKind::User],
        deprovision: Deprovision::Deactivate,
        sla: ServiceLevel {
            joiner: Duration::from_secs(400),
            mover: Duration::from_secs(300),
            leaver: Duration::from_secs(100),
            emergency: Duration::from_secs(10),
            disable: Duration::from_secs(5),
            grant: Duration::from_secs(30),
            tier: String::new(),
            at_risk_percent: 75,
            hours: None,
        },
        reconcile_every: Duration::from_secs(900),
        max_requests_per_second: 10,
        max_in_flight: 2,
        attributes: Vec::new(),
        groups: Vec::new(),
        drift: Policies::default(),
        groups_from: BTreeSet::new(),
        adopt: Adopt::default(),
        protected: BTreeSet::new(),
        guard: Guard::default(),
        capabilities: Capabilities::default(),
        essential: BTreeSet::new(),
        entitlements: Vec::new(),
    }
}

/// A log in memory and the ledger derived from it.
#[derive(Default)]
pub struct World {
    pub state: Memory,
    pub ledger: Ledger,
    pub log: Vec<Recorded>,
    pub facts: Vec<Fact>,
}

impl World {
    pub fn append(&mut self, event: Event) -> Sequence {
        self.append_by("hr", event)
    }

    pub fn append_by(&mut self, actor: &str, event: Event) -> Sequence {
        // Sources say who there is; what apps and roles are comes from the configuration, and what is decided from people.
        let by_source = !matches!(
            event,
            Event::AppConfigured(_)
                | Event::RoleConfigured(_)
                | Event::RoleRemoved(_)
                | Event::Configuring(_)
                | Event::Reevaluated(_)
                | Event::ReevaluationConfigured(_)
                | Event::SeparationConfigured(_)
                | Event::SeparationRemoved(_)
                | Event::IdentitySwitched(_)
                | Event::Grant(_)
        );
        let sequence = Sequence(u64::try_from(self.log.len()).unwrap() + 1);
        let recorded = Recorded {
            sequence,
            recorded_at: at(sequence.0),
            type_name: String::new(),
            schema_version: 1,
            meta: EventMeta {
                event_id: Uuid::from_u128(u128::from(sequence.0)),
                occurred_at: at(sequence.0),
                actor: actor.into(),
                source: Some("hr".parse::<SourceName>().unwrap()).filter(|_| by_source),
                reason: String::new(),
                correlation_id: format!("c{sequence}"),
                causation_id: None,
                trace: TraceContext::default(),
                quirks: Vec::new(),
            },
            event,
            payload: Vec::new(),
            subject: String::new(),
            stored: Vec::new(),
            seal: rollcall_domain::Seal::None,
            erased: None,
        };
        self.facts.extend(self.ledger.evolve(&mut self.state, &recorded).unwrap());
        self.log.push(recorded);
        sequence
    }

    pub fn last(&self, id: IdentityId) -> Option<IdentityChanged> {
        self.log.iter().rev().find_map(|e| match &e.event {
            Event::Identity(changed) if changed.id == id => Some(changed.clone()),
            _ => None,
        })
    }

    pub fn join(&mut self, id: IdentityId, user: Value) -> Sequence {
        self.append(Event::Identity(identity::create(id, IdentityKind::User, resource(user), at(0))))
    }

    pub fn update(&mut self, id: IdentityId, user: Value) -> Option<Sequence> {
        let last = self.last(id)?;
        let changed = identity::update(&last, completed(&last.resource, resource(user)), at(0))?;
        Some(self.append(Event::Identity(changed)))
    }

    pub fn verify(&mut self, id: IdentityId, app: &str) -> Sequence {
        let account = ledger::account(&self.state, id, &app_id(app)).unwrap().unwrap();
        self.append(Event::AccountVerified(Verified {
            left: Left::Nothing,
            differences: Vec::new(),
            app: app_id(app),
            identity: id,
            version: account.desired_version,
            remote_id: Some("r".into()),
            target: account.desired.target(),
            observed: Map::new(),
        }))
    }

    /// Somebody says that what is to be done for an account is done; nothing, where there is none.
    pub fn done(&mut self, id: IdentityId, app: &str) -> Option<Sequence> {
        let account = ledger::account(&self.state, id, &app_id(app)).unwrap()?;
        let (version, target) = (account.desired_version, account.desired.target());
        let done = TaskDone { app: app_id(app), identity: id, version, target, reference: "T-1".into() };
        Some(self.append_by("mo", Event::TaskDone(done)))
    }

    pub fn obligation(&self, id: IdentityId, app: &str, opened_by: Sequence) -> Obligation {
        let all = ledger::obligations_of(&self.state, id).unwrap();
        all.into_iter().find(|o| o.id.subject.app() == Some(&app_id(app)) && o.id.opened_by == opened_by).unwrap()
    }

    pub fn statuses(&self, id: IdentityId) -> Vec<(String, u64, ObligationStatus)> {
        let all = ledger::obligations_of(&self.state, id).unwrap();
        all.iter().map(|o| (o.id.subject.place().to_owned(), o.id.opened_by.0, o.status())).collect()
    }
}

pub fn employee(department: &str) -> Value {
    json!({ "userName": "anna", "userType": "Employee", "title": department, "active": true })
}

pub fn two_apps() -> World {
    let mut world = World::default();
    world.append(Event::AppConfigured(Box::new(spec("chat", r#"userType eq "Employee""#))));
    world.append(Event::AppConfigured(Box::new(spec("crm", r#"title eq "Sales""#))));
    world
}

//! At every instant the alerts that fire are those that a plain look at the whole log says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rollcall_config::{News, parse};
use rollcall_domain::access::outcome::{Left, Verified};
use rollcall_domain::alert::{About, Level};
use rollcall_domain::drift::reconciliation::{Progress, Reconciliation, ReconciliationEvent};
use rollcall_domain::identity::lifecycle::IdentityChange;
use rollcall_domain::identity::{self, IdentityChanged, IdentityKind};
use rollcall_domain::ids::{AppId, IdentityId};
use rollcall_domain::kv::Memory;
use rollcall_domain::ledger::{self, Ledger};
use rollcall_domain::{Event, EventMeta, Recorded, Sequence, TraceContext};
use rollcall_scim::LIFECYCLE;
use rollcall_sla_monitor::{Rules, Surroundings, changes, conditions, due_events, is_left_out};
use serde_json::{Map, json};
use uuid::Uuid;

const SLA: i64 = 100;
const AT_RISK: i64 = 75;
const STEPS: [i64; 2] = [50, 200];
const SINK: &str = "pager";

fn rules() -> Rules {
    let escalate_after = STEPS.iter().map(|s| Duration::from_secs(u64::try_from(*s).unwrap())).collect();
    Rules { escalate_after, ..Rules::default() }
}

fn person(n: u128) -> IdentityId {
    IdentityId(Uuid::from_u128(n))
}

/// The monitor's state, the log and the clock, in memory.
struct World {
    state: Memory,
    ledger: Ledger,
    log: Vec<Recorded>,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let now = Timestamp::from_second(1_767_225_600).unwrap();
        let mut world = Self { state: Memory::default(), ledger: Ledger::default(), log: Vec::new(), now };
        for app in ["chat", "crm"] {
            let text = format!(
                "[[apps]]\nid = \"{app}\"\nbase_url = \"http://localhost\"\nowner = \"o\"\nassign = \"active eq true\"\n\
                 [apps.sla]\nleaver = \"{SLA}s\"\nemergency = \"10s\"\nat_risk_percent = {AT_RISK}\n\
                 [apps.guard]\nmax_removals = 1000000\nmax_percent = 100\n"
            );
            let config = parse("test.toml", &text, &|_| None).unwrap();
            world.append(Event::AppConfigured(Box::new(config.apps[0].spec.clone())));
        }
        world
    }

    fn append(&mut self, event: Event) -> Sequence {
        let sequence = Sequence(self.log.len() as u64 + 1);
        let recorded = Recorded {
            sequence,
            recorded_at: self.now,
            type_name: String::new(),
            schema_version: 1,
            meta: EventMeta {
                event_id: Uuid::from_u128(u128::from(sequence.0)),
                occurred_at: self.now,
                actor: "hr".into(),
                source: Some("hr".parse().unwrap()),
                reason: String::new(),
                correlation_id: String::new(),
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
        self.ledger.evolve(&mut self.state, &recorded).unwrap();
        self.log.push(recorded);
        sequence
    }

    fn last(&self, id: IdentityId) -> Option<IdentityChanged> {
        self.log.iter().rev().find_map(|e| match &e.event {
            Event::Identity(changed) if changed.id == id => Some(changed.clone()),
            _ => None,
        })
    }

    fn set(&mut self, n: u128, active: bool, title: usize) {
        let user: Map<_, _> = json!({ "userName": n.to_string(), "active": active, "title": title.to_string() })
            .as_object()
            .unwrap()
            .clone();
        let changed = match self.last(person(n)) {
            None => Some(identity::create(person(n), IdentityKind::User, user, self.now)),
            Some(last) => identity::update(&last, user, self.now),
        };
        if let Some(changed) = changed {
            self.append(Event::Identity(changed));
        }
    }

    /// Somebody joins in so many days.
    fn joins_in(&mut self, n: u128, days: i64) -> Sequence {
        let at = self.now + SignedDuration::from_hours(24 * days);
        let user =
            json!({ "userName": n.to_string(), "active": true, LIFECYCLE.id: { "effectiveAt": at.to_string() } });
        let user = user.as_object().unwrap().clone();
        self.append(Event::Identity(identity::create(person(n), IdentityKind::User, user, self.now)))
    }

    fn verify(&mut self, n: u128, app: &str) {
        let app: AppId = app.parse().unwrap();
        let Some(account) = ledger::account(&self.state, person(n), &app).unwrap() else { return };
        let (version, target) = (account.desired_version, account.desired.target());
        let (identity, remote_id, observed) = (person(n), None, Map::new());
        self.append(Event::AccountVerified(Verified {
            left: Left::Nothing,
            differences: Vec::new(),
            app,
            identity,
            version,
            remote_id,
            target,
            observed,
        }));
    }

    /// Forgets everything and reads the log again.
    fn restart(&mut self) {
        self.state = Memory::default();
        self.ledger = Ledger::default();
        for event in &self.log {
            self.ledger.evolve(&mut self.state, event).unwrap();
        }
    }

    /// One look at the clock: words, then news to a sink that takes everything.
    fn tick(&mut self) {
        loop {
            let words = due_events(&self.state, self.now).unwrap();
            if words.is_empty() {
                break;
            }
            for word in words {
                self.append(word.event);
            }
        }
        let wrong = conditions(&self.state, self.now, &rules(), &Surroundings::default()).unwrap();
        let message = ledger::firing_alerts(&self.state).unwrap();
        for item in changes(&wrong, &message, (SINK, &BTreeSet::from([News::Alerts])), self.now, &rules()) {
            let event = item.event(SINK, String::new());
            self.append(event);
        }
    }

    /// What fires, as the monitor has it.
    fn firing(&self) -> BTreeMap<String, Level> {
        ledger::firing_alerts(&self.state).unwrap().into_iter().map(|alert| (alert.key, alert.level)).collect()
    }

    /// What should fire, by a plain look at the whole log: whoever left last, and in which apps nobody has seen that
    /// they are gone since; how long ago the first of these deadlines was seen to have passed.
    fn plainly(&self) -> BTreeMap<String, Level> {
        let mut out = BTreeMap::new();
        let people: BTreeSet<IdentityId> = self
            .log
            .iter()
            .filter_map(|e| match &e.event {
                Event::Identity(changed) => Some(changed.id),
                _ => None,
            })
            .collect();
        for id in people {
            let lifecycle = self.log.iter().rev().find_map(|e| match &e.event {
                Event::Identity(changed) if changed.id == id && changed.change != IdentityChange::Updated => {
                    Some((e, changed))
                }
                _ => None,
            });
            let Some((left, _)) = lifecycle.filter(|(_, changed)| changed.change == IdentityChange::Left) else {
                continue;
            };
            let gone = |app: &str| {
                self.log.iter().any(|e| match &e.event {
                    Event::AccountVerified(v) => {
                        v.identity == id && v.app.as_str() == app && v.version >= left.sequence
                    }
                    _ => false,
                })
            };
            let open: Vec<&str> = ["chat", "crm"].into_iter().filter(|app| !gone(app)).collect();
            let age = self.now.duration_since(left.recorded_at).as_secs();
            if open.is_empty() || age < SLA * AT_RISK / 100 {
                continue;
            }
            let said = self.log.iter().find(|e| match &e.event {
                Event::ObligationOverdue(o) => o.id.subject.identity() == id && o.id.opened_by == left.sequence,
                _ => false,
            });
            let level = match said {
                None => Level::AT_RISK,
                Some(said) => {
                    let late = self.now.duration_since(said.recorded_at);
                    let steps = STEPS.iter().filter(|s| late >= SignedDuration::from_secs(**s)).count();
                    Level::escalated(u32::try_from(steps).unwrap())
                }
            };
            assert_eq!(said.is_some(), age >= SLA, "overdue is said when, and only when, the deadline has passed");
            let about = About::Leaver { identity: id, opened_by: left.sequence };
            out.insert(about.key(), level);
        }
        out
    }
}

#[derive(Debug, Clone)]
enum Act {
    Set { who: u128, active: bool },
    Verify { who: u128, app: &'static str },
    Pass { seconds: i64 },
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let who = 1_u128..4;
    let act = prop_oneof![
        4 => (who.clone(), any::<bool>()).prop_map(|(who, active)| Act::Set { who, active }),
        4 => (who, prop_oneof![Just("chat"), Just("crm")]).prop_map(|(who, app)| Act::Verify { who, app }),
        5 => (0_i64..150).prop_map(|seconds| Act::Pass { seconds }),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 1..50)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_fires_is_what_a_plain_look_at_the_log_says(acts in acts()) {
        let mut world = World::new();
        for (n, act) in acts.iter().enumerate() {
            match act {
                Act::Set { who, active } => world.set(*who, *active, n),
                Act::Verify { who, app } => world.verify(*who, app),
                Act::Pass { seconds } => world.now += SignedDuration::from_secs(*seconds),
                Act::Restart => world.restart(),
            }
            world.tick();
            prop_assert_eq!(world.firing(), world.plainly(), "after {:?}", act);
            // Nothing is left to say: neither lost nor repeated.
            let before = world.log.len();
            world.tick();
            prop_assert_eq!(world.log.len(), before, "said twice");
        }
    }
}

/// Pages that have no end are no failure, and nothing is compared.
#[test]
fn a_comparison_that_does_not_end_is_told_and_one_that_no_process_ended_is_not() {
    let mut world = World::new();
    let step = |event| Event::Reconciliation(Reconciliation { app: "crm".parse().unwrap(), event });
    let told = |world: &World| {
        let all = conditions(&world.state, world.now, &rules(), &Surroundings::default()).unwrap();
        all.into_iter().find_map(|condition| match condition.about() {
            About::Uncompared { by, .. } => Some(by),
            _ => None,
        })
    };
    let hours = SignedDuration::from_hours;
    world.append(step(ReconciliationEvent::Started));
    world.now += hours(30);
    assert!(told(&world).is_some(), "it runs for longer than a day");
    // The process was away meanwhile.
    let again = world.append(step(ReconciliationEvent::Started));
    assert_eq!(told(&world), None);
    world.now += hours(23);
    let progress = Progress { accounts: 90_000, ..Progress::default() };
    world.append(step(ReconciliationEvent::Progressed { progress }));
    assert_eq!(told(&world), None, "one of a large app takes hours");
    world.now += hours(2);
    assert_eq!(told(&world), Some(again));
    world.append(step(ReconciliationEvent::Completed { progress }));
    assert_eq!(told(&world), None);
    // What fails is told sooner, since the first that was begun.
    let first = world.append(step(ReconciliationEvent::Started));
    world.append(step(ReconciliationEvent::Progressed { progress }));
    world.append(step(ReconciliationEvent::Failed { detail: "500".into() }));
    let reconciled = ledger::reconciled(&world.state, &"crm".parse().unwrap()).unwrap();
    assert_eq!(reconciled.running, None, "of what was read before nothing is known any more: the next one begins anew");
    world.append(step(ReconciliationEvent::Started));
    assert_eq!(told(&world), None);
    world.now += hours(1);
    assert_eq!(told(&world), Some(first));
}

/// A wrong feed says of thousands that they join in years; people are told of the first of them.
#[test]
fn what_is_left_out_of_a_list_that_is_cut_is_not_over() {
    let far_ahead = Some(Duration::from_secs(400 * 86_400));
    let rules = Rules { far_ahead, ..rules() };
    let mut world = World::new();
    let told = world.joins_in(1, 1000);
    for n in 2..200 {
        world.joins_in(n, 500);
    }
    let about = About::FarAhead { identity: person(1), by: told };
    let wrong = conditions(&world.state, world.now, &rules, &Surroundings::default()).unwrap();
    assert!(wrong.iter().all(|condition| condition.about() != about), "it is no list that is cut");
    let is_left_out = |world: &World, about: &About| is_left_out(&world.state, about, world.now, &rules).unwrap();
    assert!(is_left_out(&world, &about));
    assert!(
        wrong.iter().all(|condition| is_left_out(&world, &condition.about())),
        "one way to look says so, the other not"
    );
    // It is said anew, in another statement.
    let said = world.last(person(1)).unwrap();
    let resource = Map::from_iter([("userName".to_owned(), json!("1")), ("active".to_owned(), json!(true))]);
    world.append(Event::Identity(identity::update(&said, resource, world.now).unwrap()));
    assert!(!is_left_out(&world, &about));
}

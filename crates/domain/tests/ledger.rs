//! The ledger against stories of events, and against random ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rollcall_domain::access::case::CaseStatus;
use rollcall_domain::access::desired::{Desired, Queue, Target};
use rollcall_domain::access::obligation::{Because, End, Obligation, ObligationStatus, Overdue, Waived};
use rollcall_domain::access::operation::Operation;
use rollcall_domain::access::outcome::{Adopted, Applied, Left, Origin, Rejected, Verified};
use rollcall_domain::access::rejection::{Rejection, RejectionCause};
use rollcall_domain::app::capability::{Capabilities, Discovered};
use rollcall_domain::app::guard::Guard;
use rollcall_domain::app::health::Quarantined;
use rollcall_domain::app::kind::AppKind;
use rollcall_domain::app::own_way::Way;
use rollcall_domain::app::service_level::ServiceLevel;
use rollcall_domain::app::{AppSpec, GroupRule};
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::policy::{Policies, Policy};
use rollcall_domain::drift::reconciliation::SyncRequested;
use rollcall_domain::drift::{DriftAccepted, DriftDetected, DriftId};
use rollcall_domain::governance::hold::{Cause, Decision, HoldDecided};
use rollcall_domain::identity::group::{GroupChange, GroupChanged, MemberId};
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::identity::switch::Switch;
use rollcall_domain::identity::{self, EffectFailed, IdentityKind};
use rollcall_domain::kv::{Memory, decode};
use rollcall_domain::ledger::{self, Among, Fact, Ledger, List, Remembered};
use rollcall_domain::{Event, GroupId, IdentityId, Sequence, directory};
use rollcall_scim::Changed;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::world::{World, app_id, at, employee, person, resource, spec, two_apps};

/// Whose deadline, or exception, has passed, and that is not on the log.
fn due_by(world: &World, now: Timestamp) -> Vec<Obligation> {
    let mut ringing = ledger::ringing(&world.state, now, usize::MAX).unwrap();
    ringing.retain(|o| o.rings_at() <= now);
    ringing
}

#[test]
fn a_joiner_owes_the_apps_that_the_rules_choose_with_their_deadlines() {
    let mut world = two_apps();
    let joined = world.join(person(1), employee("Dev"));
    assert_eq!(world.statuses(person(1)), [("chat".into(), joined.0, ObligationStatus::Open)]);
    let obligation = world.obligation(person(1), "chat", joined);
    assert_eq!(obligation.deadline, at(joined.0 + 400));
    assert_eq!(obligation.target, Target::Present);
}

#[test]
fn applied_is_not_verified_and_verified_ends_the_obligation_and_is_measured() {
    let mut world = two_apps();
    let joined = world.join(person(1), employee("Dev"));
    world.append(Event::AccountApplied(Applied {
        app: app_id("chat"),
        identity: person(1),
        version: joined,
        remote_id: Some("r".into()),
        operation: Operation::Create,
        origin: Origin::Ours,
        group: None,
    }));
    assert_eq!(world.obligation(person(1), "chat", joined).status(), ObligationStatus::Applied);
    world.verify(person(1), "chat");
    assert_eq!(world.obligation(person(1), "chat", joined).status(), ObligationStatus::Verified);
    assert!(matches!(world.facts.as_slice(), [Fact::Applied(_), Fact::Verified(_)]), "{:?}", world.facts);
    assert!(ledger::open_obligations(&world.state, None).unwrap().is_empty());
}

/// What people say of an app's ids is believed of each account until it was read again.
#[test]
fn whoever_says_that_an_app_is_the_one_that_is_known_has_each_of_its_accounts_read() {
    let mut world = two_apps();
    for n in [1, 2] {
        world.join(person(n), employee("Dev"));
        world.verify(person(n), "chat");
    }
    let rejection = Rejection { cause: RejectionCause::Vanished, status: None, detail: "nobody is there".into() };
    let told = world.append(Event::AppQuarantined(Quarantined { app: app_id("chat"), rejection, failures: 1 }));
    let same = |told| Event::SyncRequested(SyncRequested::Same { app: app_id("chat"), told });
    let pending = |world: &World| {
        [1, 2].map(|n| ledger::account(&world.state, person(n), &app_id("chat")).unwrap().unwrap().is_pending())
    };
    // That is not what they were told last.
    world.append(same(Sequence(told.0 - 1)));
    assert_eq!(pending(&world), [false, false]);
    world.append(same(told));
    assert_eq!(pending(&world), [true, true]);
    assert!(ledger::quarantine(&world.state, &app_id("chat")).unwrap().is_none());
}

/// It was sent what makes it theirs: whoever had it before is not whose it is, although nobody must have it by now.
#[test]
fn an_account_that_is_given_to_somebody_who_is_switched_off_meanwhile_is_theirs() {
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    world.verify(person(1), "chat");
    let whose = |world: &World| ledger::linked(&world.state, &app_id("chat"), "r").unwrap();
    assert_eq!(whose(&world), Some(person(1)));
    world.append(Event::Identity(identity::delete(&world.last(person(1)).unwrap())));
    world.verify(person(1), "chat");
    world.join(person(2), employee("Dev"));
    crate::world::access::switch(&mut world, person(2), Switch::Off);
    let given = Adopted { app: app_id("chat"), identity: person(2), remote_id: "r".into() };
    world.append(Event::AccountAdopted(given));
    assert_eq!(whose(&world), Some(person(2)));
    let account = ledger::account(&world.state, person(2), &app_id("chat")).unwrap().unwrap();
    assert!(account.is_pending() && account.desired == Desired::Off, "{account:?}");
    // Whoever must have it keeps it.
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    world.verify(person(1), "chat");
    world.join(person(2), employee("Dev"));
    crate::world::access::switch(&mut world, person(2), Switch::Off);
    world.append(Event::AccountAdopted(Adopted { app: app_id("chat"), identity: person(2), remote_id: "r".into() }));
    assert_eq!(whose(&world), Some(person(1)));
}

/// A group that shows nobody says nothing of who has left it, nor does an answer that never came.
#[test]
fn that_they_were_to_be_in_a_group_is_remembered_until_it_is_shown_or_they_are_out() {
    let mut world = World::default();
    let rule = GroupRule { from: "Group 9".into(), to: "eng".into() };
    world.append(Event::AppConfigured(Box::new(AppSpec { groups: vec![rule], ..spec("chat", "active eq true") })));
    world.join(person(1), employee("Dev"));
    let nine = group_id(9);
    let change = |added: bool| {
        let one = vec![person(1).into()];
        let (added, removed) = if added { (one, Vec::new()) } else { (Vec::new(), one) };
        group(nine, GroupChange::MembersChanged, added, removed)
    };
    world.append(group(nine, GroupChange::Created, Vec::new(), Vec::new()));
    let entered = |world: &World| ledger::account(&world.state, person(1), &app_id("chat")).unwrap().unwrap().entered;
    let eng = BTreeSet::from(["eng".to_owned()]);
    world.append(change(true));
    assert_eq!(entered(&world), BTreeSet::new(), "they are to be in it");
    // Nobody has said that it was done: it may be all the same.
    let version = world.append(change(false));
    assert_eq!(entered(&world), eng);
    world.verify(person(1), "chat");
    assert_eq!(entered(&world), eng, "it was not shown");
    world.append(Event::AccountApplied(Applied {
        app: app_id("chat"),
        identity: person(1),
        version,
        remote_id: Some("r".into()),
        operation: Operation::Leave,
        origin: Origin::Ours,
        group: Some("eng".into()),
    }));
    assert_eq!(entered(&world), BTreeSet::new());
    let version = world.append(change(true));
    let shown = |groups: Value| {
        Event::AccountVerified(Verified {
            left: Left::Nothing,
            differences: Vec::new(),
            app: app_id("chat"),
            identity: person(1),
            version,
            remote_id: Some("r".into()),
            target: Target::Present,
            observed: resource(json!({ "groups": groups })),
        })
    };
    world.append(shown(json!(["eng"])));
    world.append(change(false));
    assert_eq!(entered(&world), BTreeSet::new(), "it was shown, and is seen to be left");
}

#[test]
fn a_mover_owes_the_app_she_enters_and_the_app_she_leaves() {
    let mut world = two_apps();
    world.join(person(1), employee("Sales"));
    world.verify(person(1), "chat");
    world.verify(person(1), "crm");
    let moved = world.update(person(1), employee("Dev")).unwrap();
    assert_eq!(world.obligation(person(1), "crm", moved).target, Target::Absent);
    assert_eq!(world.obligation(person(1), "chat", moved).target, Target::Present);
    assert_eq!(world.obligation(person(1), "crm", moved).deadline, at(moved.0 + 300));
}

#[test]
fn a_leaver_owes_every_app_that_ever_had_the_account_even_where_it_was_removed_before() {
    let mut world = two_apps();
    world.join(person(1), employee("Sales"));
    world.update(person(1), employee("Dev"));
    world.verify(person(1), "crm");
    let left = world.append(Event::Identity(identity::delete(&world.last(person(1)).unwrap())));
    for app in ["chat", "crm"] {
        assert_eq!(world.obligation(person(1), app, left).deadline, at(left.0 + 100), "{app}");
    }
    let leaver = ledger::leaver(&world.state, person(1), left).unwrap().unwrap();
    assert_eq!(leaver.status(), CaseStatus::Open);
    world.verify(person(1), "chat");
    assert_eq!(ledger::leaver(&world.state, person(1), left).unwrap().unwrap().status(), CaseStatus::Open);
    let last = world.verify(person(1), "crm");
    let leaver = ledger::leaver(&world.state, person(1), left).unwrap().unwrap();
    assert_eq!((leaver.status(), leaver.completed_at), (CaseStatus::Completed, Some(at(last.0))));
}

#[test]
fn an_overdue_leaver_stays_so_until_it_is_verified() {
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    world.verify(person(1), "chat");
    let left = world.update(person(1), json!({ "userName": "anna", "userType": "Employee", "active": false })).unwrap();
    assert!(due_by(&world, at(left.0 + 99)).is_empty());
    let due = due_by(&world, at(left.0 + 100));
    assert_eq!(due.len(), 1);
    let overdue = Overdue { id: due[0].id.clone(), change: due[0].change, deadline: due[0].deadline };
    world.append(Event::ObligationOverdue(overdue.clone()));
    // Said twice, it is counted once, and not due again.
    world.append(Event::ObligationOverdue(overdue));
    assert!(due_by(&world, at(left.0 + 500)).is_empty());
    assert_eq!(ledger::leaver(&world.state, person(1), left).unwrap().unwrap().status(), CaseStatus::Overdue);
    world.append(Event::AccountRejected(Rejected {
        app: app_id("chat"),
        identity: person(1),
        version: left,
        rejection: Rejection { cause: RejectionCause::Unreachable, status: None, detail: "down".into() },
        parked_at: None,
    }));
    assert_eq!(world.obligation(person(1), "chat", left).status(), ObligationStatus::Overdue);
    world.verify(person(1), "chat");
    assert_eq!(ledger::leaver(&world.state, person(1), left).unwrap().unwrap().status(), CaseStatus::Completed);
}

#[test]
fn pending_accounts_are_found_by_what_they_must_become() {
    let mut world = two_apps();
    let pending = |world: &World, queue| ledger::pending(&world.state, &app_id("chat"), queue, None, 10).unwrap();
    let joined = [1, 2, 3].map(|n| (person(n), world.join(person(n), employee("Dev"))));
    assert_eq!(pending(&world, Queue::Present), joined);
    let after = ledger::pending(&world.state, &app_id("chat"), Queue::Present, Some(person(1)), 1).unwrap();
    assert_eq!(after, joined[1..2]);
    world.verify(person(1), "chat");
    world.verify(person(2), "chat");
    let left = world.append(Event::Identity(identity::delete(&world.last(person(2)).unwrap())));
    assert_eq!(pending(&world, Queue::Absent), [(person(2), left)]);
    assert_eq!(pending(&world, Queue::Present), joined[2..]);
    let left = world.append(Event::Identity(identity::delete(&world.last(person(3)).unwrap())));
    assert_eq!(pending(&world, Queue::Absent).last(), Some(&(person(3), left)));
    assert_eq!(pending(&world, Queue::Present), []);
}

#[test]
fn a_rehire_supersedes_what_the_departure_still_owed() {
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    let left = world.update(person(1), json!({ "userName": "anna", "userType": "Employee", "active": false })).unwrap();
    let back = world.update(person(1), employee("Dev")).unwrap();
    assert_eq!(world.obligation(person(1), "chat", left).status(), ObligationStatus::Superseded);
    assert_eq!(world.obligation(person(1), "chat", back).target, Target::Present);
    let leaver = ledger::leaver(&world.state, person(1), left).unwrap().unwrap();
    assert_eq!((leaver.status(), leaver.superseded_by), (CaseStatus::Superseded, Some(back)));
    assert!(ledger::open_leavers(&world.state).unwrap().is_empty());
}

#[test]
fn whoever_is_back_before_all_was_gone_has_not_left() {
    let mut world = two_apps();
    let sales =
        |active: bool| json!({ "userName": "anna", "userType": "Employee", "department": "Sales", "active": active });
    world.append(Event::AppConfigured(Box::new(spec("crm", r#"title eq "Boss""#))));
    let boss = json!({ "userName": "anna", "userType": "Employee", "title": "Boss" });
    world.join(person(1), boss);
    let left = world.update(person(1), sales(false)).unwrap();
    // Back, and in no need of that app: what is owed there stays owed, and is no departure any more.
    let back = world.update(person(1), sales(true)).unwrap();
    world.verify(person(1), "crm");
    let leaver = ledger::leaver(&world.state, person(1), left).unwrap().unwrap();
    assert_eq!(world.obligation(person(1), "crm", left).status(), ObligationStatus::Verified);
    assert_eq!((leaver.completed_at, leaver.superseded_by), (None, Some(back)));
    assert_eq!(ledger::unsaid_completions(&world.state).unwrap(), []);
}

#[test]
fn what_is_verified_of_an_older_change_ends_no_newer_obligation() {
    let mut world = two_apps();
    let joined = world.join(person(1), employee("Dev"));
    let left = world.update(person(1), json!({ "userName": "anna", "userType": "Employee", "active": false })).unwrap();
    world.append(Event::AccountVerified(Verified {
        left: Left::Nothing,
        differences: Vec::new(),
        app: app_id("chat"),
        identity: person(1),
        version: joined,
        remote_id: Some("r".into()),
        target: Target::Present,
        observed: Map::new(),
    }));
    assert_eq!(world.obligation(person(1), "chat", left).status(), ObligationStatus::Open);
    // Nor does one that contradicts what is desired.
    world.append(Event::AccountVerified(Verified {
        left: Left::Nothing,
        differences: Vec::new(),
        app: app_id("chat"),
        identity: person(1),
        version: left,
        remote_id: Some("r".into()),
        target: Target::Present,
        observed: Map::new(),
    }));
    assert_eq!(world.obligation(person(1), "chat", left).status(), ObligationStatus::Open);
    assert!(ledger::account(&world.state, person(1), &app_id("chat")).unwrap().unwrap().is_pending());
}

fn group_id(n: u128) -> GroupId {
    GroupId(Uuid::from_u128(n))
}

fn group(id: GroupId, change: GroupChange, added: Vec<MemberId>, removed: Vec<MemberId>) -> Event {
    let resource = resource(json!({ "displayName": format!("Group {}", id.0.as_u128()) }));
    Event::Group(GroupChanged { id, change, resource, added, removed, changed: Vec::new() })
}

#[test]
fn a_group_in_a_rule_moves_its_members() {
    let mut world = World::default();
    world.append(Event::AppConfigured(Box::new(spec("vpn", r#"groups.display eq "Group 9""#))));
    world.join(person(1), employee("Dev"));
    let nine = group_id(9);
    let in_group = world.append(group(nine, GroupChange::Created, vec![person(1).into()], Vec::new()));
    assert_eq!(world.obligation(person(1), "vpn", in_group).target, Target::Present);
    let gone = world.append(group(nine, GroupChange::Deleted, Vec::new(), Vec::new()));
    assert_eq!(world.obligation(person(1), "vpn", gone).target, Target::Absent);
}

#[test]
fn whoever_is_in_a_group_of_a_group_is_in_both_even_where_they_go_in_circles() {
    let mut world = World::default();
    world.append(Event::AppConfigured(Box::new(spec("vpn", r#"groups.display eq "Group 9""#))));
    world.join(person(1), employee("Dev"));
    let (outer, inner) = (group_id(9), group_id(8));
    world.append(group(inner, GroupChange::Created, vec![person(1).into(), "nobody/here".into()], Vec::new()));
    let nested = world.append(group(outer, GroupChange::Created, vec![inner.into()], Vec::new()));
    assert_eq!(world.obligation(person(1), "vpn", nested).target, Target::Present);
    world.append(group(inner, GroupChange::MembersChanged, vec![outer.into()], Vec::new()));
    let groups = directory::groups_of(&world.state, person(1)).unwrap();
    let named: Vec<_> = groups.iter().map(|(g, how)| (g.display_name().to_owned(), how.name())).collect();
    assert_eq!(named, [("Group 8".to_owned(), "direct"), ("Group 9".to_owned(), "indirect")]);
    let apart = world.append(group(outer, GroupChange::MembersChanged, Vec::new(), vec![inner.into()]));
    assert_eq!(world.obligation(person(1), "vpn", apart).target, Target::Absent);
}

#[test]
fn an_agent_has_accounts_only_in_apps_that_take_agents() {
    let mut world = World::default();
    let both = AppSpec { identities: vec![IdentityKind::User, IdentityKind::Agent], ..spec("both", "active eq true") };
    let staff = AppSpec { identities: both.identities.clone(), ..spec("staff", r#"userType eq "Employee""#) };
    for app in [both, staff, spec("people", "active eq true")] {
        world.append(Event::AppConfigured(Box::new(app)));
    }
    let agent = resource(json!({ "name": "helper", "displayName": "Helper" }));
    world.append(Event::Identity(identity::create(person(7), IdentityKind::Agent, agent, at(0))));
    let accounts = ledger::accounts_of(&world.state, person(7)).unwrap();
    assert_eq!(accounts.iter().map(|a| a.app.as_str()).collect::<Vec<_>>(), ["both"]);
    let Desired::Present(presence) = &accounts[0].desired else { panic!("not desired") };
    assert_eq!(presence.attributes["userName"], json!("helper"));
    let left = world.append(Event::Identity(identity::delete(&world.last(person(7)).unwrap())));
    assert_eq!(world.obligation(person(7), "both", left).target, Target::Absent);
}

#[test]
fn an_app_that_is_configured_later_owes_those_who_are_here() {
    let mut world = World::default();
    world.join(person(1), employee("Dev"));
    let configured = world.append(Event::AppConfigured(Box::new(spec("chat", r#"userType eq "Employee""#))));
    assert_eq!(world.obligation(person(1), "chat", configured).target, Target::Present);
}

#[test]
fn an_app_that_is_removed_keeps_its_accounts_and_still_owes_its_leavers() {
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    world.verify(person(1), "chat");
    world.append(Event::AppRemoved(app_id("chat")));
    world.update(person(1), employee("Ops"));
    assert!(ledger::open_obligations(&world.state, None).unwrap().is_empty());
    let left = world.append(Event::Identity(identity::delete(&world.last(person(1)).unwrap())));
    assert_eq!(world.obligation(person(1), "chat", left).target, Target::Absent);
}

#[test]
fn a_rule_that_can_not_be_read_takes_nobodys_access_and_still_owes_its_leavers() {
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    world.verify(person(1), "chat");
    world.append(Event::AppConfigured(Box::new(spec("chat", "title resembles \"Dev\""))));
    world.update(person(1), employee("Ops"));
    assert!(ledger::open_obligations(&world.state, None).unwrap().is_empty());
    let left = world.append(Event::Identity(identity::delete(&world.last(person(1)).unwrap())));
    assert_eq!(world.obligation(person(1), "chat", left).target, Target::Absent);
}

#[test]
fn an_unknown_event_changes_nothing() {
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    let before = world.state.clone();
    world.append(Event::Unknown);
    assert_eq!(world.state, before);
}

fn found(id: DriftId) -> DriftDetected {
    let (remote_id, user_name) = ("r".to_owned(), "someone".to_owned());
    DriftDetected { id, version: Sequence(0), differences: Vec::new(), remote_id, user_name }
}

#[test]
fn drift_of_what_was_verified_is_owed_again_and_as_urgent_as_a_leaver_where_access_came_back() {
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    world.verify(person(1), "chat");
    world.append(Event::Identity(identity::delete(&world.last(person(1)).unwrap())));
    world.verify(person(1), "chat");
    assert!(ledger::open_obligations(&world.state, None).unwrap().is_empty());
    let id = DriftId { app: app_id("chat"), identity: person(1), kind: DriftKind::Zombie };
    let detected = world.append(Event::DriftDetected(found(id.clone())));
    let owed = world.obligation(person(1), "chat", detected);
    assert_eq!((owed.change, owed.target, owed.deadline), (ChangeKind::Repair, Target::Absent, at(detected.0 + 100)));
    // Found once more while it is being repaired, it is owed once.
    world.append(Event::DriftDetected(found(id)));
    assert_eq!(ledger::open_obligations(&world.state, None).unwrap().len(), 1);
    world.verify(person(1), "chat");
    assert!(ledger::drift(&world.state, None).unwrap().is_empty());
    assert!(ledger::open_obligations(&world.state, None).unwrap().is_empty());
}

#[test]
fn drift_that_is_only_reported_or_that_someone_accepts_is_not_repaired() {
    let mut world = two_apps();
    let report = Policies { attribute: Policy::Report, ..Policies::default() };
    world
        .append(Event::AppConfigured(Box::new(AppSpec { drift: report, ..spec("chat", r#"userType eq "Employee""#) })));
    world.join(person(1), employee("Sales"));
    world.verify(person(1), "chat");
    world.verify(person(1), "crm");
    let drift = |app: &str, kind| DriftId { app: app_id(app), identity: person(1), kind };
    world.append(Event::DriftDetected(found(drift("chat", DriftKind::Attribute))));
    assert!(ledger::open_obligations(&world.state, None).unwrap().is_empty());
    let missing = drift("crm", DriftKind::Missing);
    world.append(Event::DriftDetected(found(missing.clone())));
    world.verify(person(1), "crm");
    world.append(Event::DriftDetected(DriftDetected {
        version: Sequence(1),
        ..found(drift("crm", DriftKind::Duplicate))
    }));
    let (reason, expires_at) = ("known".to_owned(), at(1000));
    let duplicate = drift("crm", DriftKind::Duplicate);
    world.append(Event::DriftAccepted(DriftAccepted { id: duplicate, reason, expires_at }));
    let items = ledger::drift(&world.state, Some(&app_id("crm"))).unwrap();
    assert_eq!(items.len(), 1);
    assert!((items[0].debt_hours(at(900)) - 0.0).abs() < f64::EPSILON && items[0].debt_hours(at(1001)) > 0.0);
    world.append(Event::DriftCleared(drift("chat", DriftKind::Attribute)));
    assert!(ledger::drift(&world.state, Some(&app_id("chat"))).unwrap().is_empty());
}

fn everyone_in_crm() -> World {
    let mut world = World::default();
    world.append(Event::AppConfigured(Box::new(spec("crm", "active eq true"))));
    world
}

/// An account is verified, and shows this title after the app confirmed ours.
fn verify_showing(world: &mut World, id: IdentityId, shown: Option<&str>) {
    let account = ledger::account(&world.state, id, &app_id("crm")).unwrap().unwrap();
    let version = account.desired_version;
    world.append(Event::AccountApplied(Applied {
        app: app_id("crm"),
        identity: id,
        version,
        remote_id: Some("r".into()),
        operation: Operation::Update,
        origin: Origin::Ours,
        group: None,
    }));
    let Desired::Present(presence) = &account.desired else { panic!("absent") };
    let (before, after) = (presence.attributes.get("title").cloned(), shown.map(Value::from));
    let differs = before != after;
    world.append(Event::AccountVerified(Verified {
        left: Left::Nothing,
        differences: differs
            .then(|| Changed { path: "title".into(), before, after: after.clone() })
            .into_iter()
            .collect(),
        app: app_id("crm"),
        identity: id,
        version,
        remote_id: Some("r".into()),
        target: Target::Present,
        observed: after.map(|title| ("title".to_owned(), title)).into_iter().collect(),
    }));
}

#[test]
fn a_profile_that_differs_is_drift_that_grows_older_and_holds_nothing_open() {
    let mut world = everyone_in_crm();
    let joined = world.join(person(1), json!({ "userName": "a", "active": true, "title": "Dev" }));
    verify_showing(&mut world, person(1), None);
    assert_eq!(world.obligation(person(1), "crm", joined).status(), ObligationStatus::Verified);
    let item = || DriftId { app: app_id("crm"), identity: person(1), kind: DriftKind::Attribute };
    let drift = |world: &World| ledger::drift(&world.state, Some(&app_id("crm"))).unwrap();
    let [first] = drift(&world).try_into().unwrap();
    assert_eq!((first.id.clone(), first.differences.len()), (item(), 1));
    // A comparison finds it again: it is mended without an obligation, and is as old as it was.
    let title = || vec![Changed { path: "title".into(), before: Some("Dev".into()), after: None }];
    let again = DriftDetected { differences: title(), ..found(item()) };
    world.append(Event::DriftDetected(again));
    let account = |world: &World| ledger::account(&world.state, person(1), &app_id("crm")).unwrap().unwrap();
    assert!(
        account(&world).is_pending()
            && ledger::open_obligations(&world.state, Some(&app_id("crm"))).unwrap().is_empty()
    );
    verify_showing(&mut world, person(1), None);
    assert!(!account(&world).is_pending());
    assert_eq!(drift(&world)[0].detected_at, first.detected_at);
    verify_showing(&mut world, person(1), Some("Dev"));
    assert!(drift(&world).is_empty());
}

#[test]
fn a_profile_that_an_app_refuses_for_good_is_tried_ever_more_seldom() {
    let mut world = everyone_in_crm();
    world.join(person(1), json!({ "userName": "a", "active": true, "title": "Dev" }));
    let id = || DriftId { app: app_id("crm"), identity: person(1), kind: DriftKind::Attribute };
    let version = ledger::account(&world.state, person(1), &app_id("crm")).unwrap().unwrap().desired_version;
    let title =
        |after: &str| vec![Changed { path: "title".into(), before: Some("Dev".into()), after: Some(after.into()) }];
    let refuse = |world: &mut World| {
        let rejection = Rejection { cause: RejectionCause::Refused, status: Some(400), detail: "no".into() };
        let (app, identity) = (app_id("crm"), person(1));
        world.append(Event::AccountRejected(Rejected { app, identity, version, rejection, parked_at: None }));
        world.append(Event::AccountVerified(Verified {
            left: Left::Nothing,
            differences: title("theirs"),
            app: app_id("crm"),
            identity: person(1),
            version,
            remote_id: Some("r".into()),
            target: Target::Present,
            observed: Map::new(),
        }));
    };
    let is_refused = |world: &World, differences: Vec<Changed>, now: Timestamp| {
        let found = DriftDetected { version, differences, ..found(id()) };
        ledger::is_refused(&world.state, &found, now).unwrap()
    };
    verify_showing(&mut world, person(1), Some("theirs"));
    let now = |world: &World| world.log.last().unwrap().recorded_at;
    assert!(!is_refused(&world, title("theirs"), now(&world)), "nobody has refused it");
    // The pause grows with the age of the difference.
    for _ in 0..3 {
        refuse(&mut world);
        let age = now(&world).duration_since(ledger::drift(&world.state, None).unwrap()[0].detected_at);
        let soon = now(&world) + age - SignedDuration::from_millis(1);
        assert!(is_refused(&world, title("theirs"), soon));
        assert!(!is_refused(&world, title("theirs"), soon + SignedDuration::from_millis(1)));
        assert!(!is_refused(&world, title("other"), soon), "it shows something else");
    }
    // Other settings may mend it.
    world.append(Event::AppConfigured(Box::new(AppSpec { max_in_flight: 3, ..spec("crm", "active eq true") })));
    assert!(!is_refused(&world, title("theirs"), now(&world)));
}

#[test]
fn an_essential_attribute_that_differs_is_owed() {
    let mut world = everyone_in_crm();
    world.append(Event::AppConfigured(Box::new(AppSpec {
        essential: ["title".to_owned()].into(),
        ..spec("crm", "active eq true")
    })));
    world.join(person(1), json!({ "userName": "a", "active": true, "title": "Dev" }));
    world.verify(person(1), "crm");
    let item = DriftId { app: app_id("crm"), identity: person(1), kind: DriftKind::Attribute };
    let differences = vec![Changed { path: "title".into(), before: Some("Dev".into()), after: None }];
    world.append(Event::DriftDetected(DriftDetected { differences, ..found(item) }));
    assert_eq!(ledger::open_obligations(&world.state, Some(&app_id("crm"))).unwrap().len(), 1);
}

#[test]
fn what_an_app_shows_three_times_is_learned_as_its_way_and_is_no_drift_any_more() {
    let mut world = everyone_in_crm();
    for n in 1..=3 {
        assert!(ledger::shown_ways(&world.state, &app_id("crm")).unwrap().is_empty(), "{n}");
        world.join(person(n), json!({ "userName": format!("p{n}"), "active": true, "title": "Dev" }));
        verify_showing(&mut world, person(n), None);
    }
    let keeps = ledger::shown_ways(&world.state, &app_id("crm")).unwrap();
    assert_eq!(keeps["title"].way, Way::NotKept);
    assert_eq!(ledger::drift(&world.state, Some(&app_id("crm"))).unwrap().len(), 3);
    let capabilities = Capabilities { keeps, ..Capabilities::default() };
    world.append(Event::AppDiscovered(Discovered { app: app_id("crm"), capabilities }));
    assert!(ledger::drift(&world.state, Some(&app_id("crm"))).unwrap().is_empty());
    // A look that began before it was learned.
    verify_showing(&mut world, person(1), None);
    assert!(ledger::drift(&world.state, Some(&app_id("crm"))).unwrap().is_empty());
    // Its mapping is another one now: nothing that was seen counts.
    let moved = AppSpec { base_url: "http://elsewhere".into(), ..spec("crm", "active eq true") };
    world.append(Event::AppConfigured(Box::new(moved)));
    assert!(ledger::capabilities(&world.state, &app_id("crm")).unwrap().is_none());
    assert!(ledger::shown_ways(&world.state, &app_id("crm")).unwrap().is_empty());
}

#[test]
fn what_an_app_shows_of_before_a_change_may_be_late_until_it_is_tried_again() {
    let mut world = everyone_in_crm();
    for n in 1..=3 {
        world.join(person(n), json!({ "userName": format!("p{n}"), "active": true, "title": "Dev" }));
        verify_showing(&mut world, person(n), Some("Dev"));
        world.update(person(n), json!({ "userName": format!("p{n}"), "active": true, "title": "Lead" }));
        verify_showing(&mut world, person(n), Some("Dev"));
        assert!(ledger::shown_ways(&world.state, &app_id("crm")).unwrap().is_empty(), "{n}");
    }
    for n in 1..=3 {
        verify_showing(&mut world, person(n), Some("Dev"));
    }
    let keeps = ledger::shown_ways(&world.state, &app_id("crm")).unwrap();
    assert_eq!(keeps["title"].way, Way::OwnValue);
    // It takes titles again: what it did for a while was not its way.
    world.append(Event::AppDiscovered(Discovered {
        app: app_id("crm"),
        capabilities: Capabilities { keeps, ..Capabilities::default() },
    }));
    verify_showing(&mut world, person(1), Some("Lead"));
    assert!(ledger::shown_ways(&world.state, &app_id("crm")).unwrap().is_empty());
    assert!(ledger::capabilities(&world.state, &app_id("crm")).unwrap().unwrap().keeps.is_empty());
}

#[test]
fn a_waiver_is_someones_it_expires_and_then_it_is_overdue() {
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    world.verify(person(1), "chat");
    let left = world.append(Event::Identity(identity::delete(&world.last(person(1)).unwrap())));
    let id = world.obligation(person(1), "chat", left).id;
    let expires_at = at(left.0 + 500);
    world.append(Event::ObligationWaived(Waived { id: id.clone(), reason: "legal hold".into(), expires_at }));
    let leaver = |world: &World| ledger::leaver(&world.state, person(1), left).unwrap().unwrap();
    assert_eq!(world.obligation(person(1), "chat", left).status(), ObligationStatus::Waived);
    assert_eq!((leaver(&world).status(), leaver(&world).count.waived), (CaseStatus::Open, 1));
    assert!(ledger::is_waived(&world.state, &app_id("chat"), person(1), Timestamp::MIN).unwrap());
    // Its deadline passes without a word.
    assert!(due_by(&world, at(left.0 + 400)).is_empty());
    let early = Overdue { id: id.clone(), change: ChangeKind::Leaver, deadline: at(left.0 + 100) };
    world.append(Event::ObligationOverdue(early));
    assert_eq!(world.obligation(person(1), "chat", left).status(), ObligationStatus::Waived);
    let due = due_by(&world, expires_at);
    assert_eq!(due.len(), 1);
    world.append(Event::ObligationOverdue(Overdue { id, change: ChangeKind::Leaver, deadline: due[0].rings_at() }));
    assert_eq!(world.obligation(person(1), "chat", left).status(), ObligationStatus::Overdue);
    assert_eq!((leaver(&world).status(), leaver(&world).count.waived), (CaseStatus::Overdue, 0));
}

#[test]
fn a_name_that_an_account_was_read_without_is_no_name_of_it_any_more() {
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    let read = |world: &mut World, name: &str| {
        let (app, identity) = (app_id("chat"), person(1));
        let version = ledger::account(&world.state, identity, &app).unwrap().unwrap().desired_version;
        let observed = resource(json!({ "userName": name, "active": true }));
        let (target, remote_id) = (Target::Present, Some("r".into()));
        world.append(Event::AccountVerified(Verified {
            left: Left::Nothing,
            differences: Vec::new(),
            app,
            identity,
            version,
            remote_id,
            target,
            observed,
        }));
        ledger::account(&world.state, identity, &app_id("chat")).unwrap().unwrap().former_names
    };
    assert!(read(&mut world, "anna").is_empty());
    world.update(person(1), json!({ "userName": "anna.b", "userType": "Employee", "active": true }));
    assert_eq!(read(&mut world, "Anna"), ["anna".to_owned()].into(), "the app has not renamed it");
    assert_eq!(read(&mut world, "anna.b"), [].into());
}

#[test]
fn too_many_removals_of_a_source_wait_for_a_person_and_joiners_go_on() {
    let mut world = two_apps();
    let guard = Guard { max_removals: 3, max_percent: 100, window: Duration::from_secs(1000) };
    world.append(Event::AppConfigured(Box::new(AppSpec { guard, ..spec("chat", r#"userType eq "Employee""#) })));
    for n in 1..=8 {
        world.join(person(n), employee("Dev"));
        world.verify(person(n), "chat");
    }
    let leave = |world: &mut World, n| {
        let last = world.last(person(n)).unwrap();
        world.append(Event::Identity(identity::delete(&last)))
    };
    for n in 1..=3 {
        leave(&mut world, n);
    }
    assert!(ledger::holds(&world.state).unwrap().is_empty());
    let fourth = leave(&mut world, 4);
    let hold = ledger::hold(&world.state, &Cause::Source("hr".parse().unwrap())).unwrap().unwrap();
    assert_eq!((hold.removals, hold.by), (4, fourth));
    // They are owed all the same: only a person can end the waiting.
    assert_eq!(ledger::open_obligations(&world.state, None).unwrap().len(), 4);

    let decided = |decision| HoldDecided {
        cause: Cause::Source("hr".parse().unwrap()),
        through: Sequence(u64::MAX),
        decision,
        reason: "looked".into(),
    };
    world.append(Event::HoldDecided(decided(Decision::Release)));
    assert!(ledger::holds(&world.state).unwrap().is_empty());
    leave(&mut world, 5);
    assert!(ledger::holds(&world.state).unwrap().is_empty(), "what was decided about is counted again");
    for n in 6..=8 {
        leave(&mut world, n);
    }
    assert_eq!(ledger::holds(&world.state).unwrap().len(), 1);
    world.append(Event::HoldDecided(decided(Decision::Reject { expires_at: at(5000) })));
    let open = ledger::open_obligations(&world.state, None).unwrap();
    assert!(open.len() == 8 && open.iter().all(|o| o.status() == ObligationStatus::Waived), "{open:?}");
}

#[test]
fn a_hold_ends_once_all_that_waits_is_wanted_again_and_what_was_taken_away_counts_on() {
    let mut world = two_apps();
    let guard = Guard { max_removals: 3, max_percent: 100, window: Duration::from_secs(100_000) };
    let configured = |assign: &str| Event::AppConfigured(Box::new(AppSpec { guard, ..spec("chat", assign) }));
    world.append(configured(r#"userType eq "Employee""#));
    for n in 1..=6 {
        world.join(person(n), employee("Dev"));
        world.verify(person(n), "chat");
    }
    let lapsed = |cause: &Cause, through| {
        let (cause, reason) = (cause.clone(), String::new());
        Event::HoldDecided(HoldDecided { cause, through, decision: Decision::Lapse, reason })
    };
    world.append(configured(r#"userType eq "Employe""#));
    let cause = Cause::Configuration(app_id("chat"));
    let hold = ledger::hold(&world.state, &cause).unwrap().unwrap();
    assert!(ledger::holds_something(&world.state, &hold).unwrap());
    // Said on a state that had not caught up: they wait all the same.
    world.append(lapsed(&cause, Sequence(u64::MAX)));
    assert_eq!(ledger::hold(&world.state, &cause).unwrap().unwrap(), hold);

    world.append(configured(r#"userType eq "Employee""#));
    assert!(!ledger::holds_something(&world.state, &hold).unwrap());
    world.append(lapsed(&cause, hold.by));
    assert!(ledger::holds(&world.state).unwrap().is_empty());
    // Nobody has looked at what was taken away: the very next is one too many again.
    world.append(configured(r#"userType eq "Employee" and not (id eq "00000000-0000-7000-8000-000000000001")"#));
    world.append(configured(r#"userType eq "Employe""#));
    assert_eq!(ledger::held(&world.state, &ledger::hold(&world.state, &cause).unwrap().unwrap()).unwrap().len(), 6);
}

#[test]
fn a_decision_is_about_what_was_seen_and_a_changed_rule_is_held_as_a_source_is() {
    let mut world = two_apps();
    let guard = Guard { max_removals: 3, max_percent: 100, window: Duration::from_secs(1000) };
    let configured = |assign: &str| Event::AppConfigured(Box::new(AppSpec { guard, ..spec("chat", assign) }));
    world.append(configured(r#"userType eq "Employee""#));
    for n in 1..=20 {
        world.join(person(n), employee("Dev"));
        world.verify(person(n), "chat");
    }
    for n in 1..=6 {
        let last = world.last(person(n)).unwrap();
        world.append(Event::Identity(identity::delete(&last)));
    }
    let hr = Cause::Source("hr".parse().unwrap());
    let hold = ledger::hold(&world.state, &hr).unwrap().unwrap();
    let waiting = ledger::held(&world.state, &hold).unwrap();
    assert_eq!(waiting.len(), 6, "none of them was done yet");
    let through = waiting.iter().map(|a| a.desired_version).max().unwrap();
    for n in 7..=9 {
        let last = world.last(person(n)).unwrap();
        world.append(Event::Identity(identity::delete(&last)));
    }
    let decide = |cause: &Cause, through| {
        let (cause, reason) = (cause.clone(), "checked one by one".to_owned());
        Event::HoldDecided(HoldDecided { cause, through, decision: Decision::Release, reason })
    };
    world.append(decide(&hr, through));
    let hold = ledger::hold(&world.state, &hr).unwrap().unwrap();
    let waits = |n| hold.covers(&ledger::account(&world.state, person(n), &app_id("chat")).unwrap().unwrap());
    assert!((1..=6).all(|n| !waits(n)) && (7..=9).all(waits), "{hold:?}");
    // What is asked for again is the same removal.
    world.append(Event::SyncRequested(SyncRequested::App(app_id("chat"))));
    let waits = |n| hold.covers(&ledger::account(&world.state, person(n), &app_id("chat")).unwrap().unwrap());
    assert!((1..=6).all(|n| !waits(n)) && (7..=9).all(waits), "{hold:?}");
    world.append(decide(&hr, Sequence(u64::MAX)));
    assert!(ledger::holds(&world.state).unwrap().is_empty());

    // A rule that is mistyped takes everyone away, at once.
    world.append(configured(r#"userType eq "Employe""#));
    let rule = Cause::Configuration(app_id("chat"));
    let hold = ledger::hold(&world.state, &rule).unwrap().unwrap();
    assert_eq!(ledger::held(&world.state, &hold).unwrap().len(), 11);
    assert_eq!(ledger::holds(&world.state).unwrap().len(), 1);
    // It is mended: nobody has to go any more.
    world.append(configured(r#"userType eq "Employee""#));
    assert!(ledger::held(&world.state, &hold).unwrap().is_empty());
}

const LIFECYCLE: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:Lifecycle";

fn leaving(effective_at: Timestamp, emergency: bool) -> Value {
    let mut user = employee("Dev");
    user["active"] = json!(false);
    user[LIFECYCLE] = json!({ "effectiveAt": effective_at, "emergency": emergency });
    user
}

#[test]
fn a_leave_that_lies_ahead_is_owed_from_its_time_on_however_late_that_is_noted() {
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    world.verify(person(1), "chat");
    let effective = at(1000);
    world.update(person(1), leaving(effective, false));
    let chat = ledger::account(&world.state, person(1), &app_id("chat")).unwrap().unwrap();
    assert_eq!(chat.desired.target(), Target::Present, "access was taken too early");
    assert!(ledger::taking_effect(&world.state, at(999), None, 10).unwrap().0.is_empty());
    let due = ledger::taking_effect(&world.state, effective, None, 10).unwrap().0;
    assert_eq!(due.iter().map(|due| due.identity).collect::<Vec<_>>(), [person(1)]);
    let effect = identity::take_effect(&world.last(person(1)).unwrap(), effective).unwrap();
    let left = world.append(Event::Identity(effect));
    let owed = world.obligation(person(1), "chat", left);
    assert_eq!((owed.opened_at, owed.deadline, owed.target), (effective, at(1100), Target::Absent));
    assert!(ledger::taking_effect(&world.state, at(9999), None, 10).unwrap().0.is_empty());
}

#[test]
fn a_leave_of_yesterday_is_overdue_at_once_and_an_emergency_has_its_own_time() {
    let mut world = two_apps();
    for n in 1..=2 {
        world.join(person(n), employee("Dev"));
        world.verify(person(n), "chat");
    }
    let late = at(0) - Duration::from_secs(86_400);
    let left = world.update(person(1), leaving(late, false)).unwrap();
    let owed = world.obligation(person(1), "chat", left);
    assert_eq!((owed.opened_at, owed.deadline), (at(left.0), late + Duration::from_secs(100)));
    assert_eq!(due_by(&world, at(left.0)).len(), 1);
    let mut user = employee("Dev");
    user["active"] = json!(false);
    user[LIFECYCLE] = json!({ "emergency": true });
    let left = world.update(person(2), user).unwrap();
    let owed = world.obligation(person(2), "chat", left);
    assert_eq!(owed.deadline, at(left.0 + 10));
    assert!(owed.rule.contains("emergency leaver"), "{}", owed.rule);
    // The rules change: what was owed stays owed as it was.
    let sla = ServiceLevel { emergency: Duration::from_secs(7777), ..spec("chat", "active eq true").sla };
    world.append(Event::AppConfigured(Box::new(AppSpec { sla, ..spec("chat", r#"userType eq "Employee""#) })));
    assert_eq!(world.obligation(person(2), "chat", left).deadline, owed.deadline);
}

#[test]
fn a_cancelled_leave_owes_nothing_and_a_rehire_ends_what_was_owed_with_that_reason() {
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    world.verify(person(1), "chat");
    world.update(person(1), leaving(at(1000), false));
    world.update(person(1), employee("Dev"));
    assert!(ledger::taking_effect(&world.state, at(9999), None, 10).unwrap().0.is_empty());
    assert!(ledger::leaver(&world.state, person(1), Sequence(4)).unwrap().is_none());
    let mut gone = employee("Dev");
    gone["active"] = json!(false);
    let left = world.update(person(1), gone).unwrap();
    world.update(person(1), employee("Dev"));
    let ended = world.obligation(person(1), "chat", left);
    assert!(matches!(ended.end, Some(End::Superseded { because: Because::Rehired, .. })), "{ended:?}");
}

#[derive(Debug, Clone)]
enum Act {
    Set { who: u128, department: &'static str, active: bool },
    Delete { who: u128 },
    Verify { who: u128, app: &'static str },
    Overdue,
    Drift { who: u128, app: &'static str, kind: DriftKind },
    Waive { who: u128, until: u64 },
    Sync { who: u128 },
    SyncApp { app: &'static str },
    Refuse { who: u128, app: &'static str },
    Reject { until: u64 },
    Done { who: u128 },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let who = 1_u128..4;
    let app = prop_oneof![Just("chat"), Just("crm")];
    let kind = prop_oneof![Just(DriftKind::Zombie), Just(DriftKind::Attribute), Just(DriftKind::Missing)];
    let act = prop_oneof![
        4 => (who.clone(), prop_oneof![Just("Dev"), Just("Sales")], any::<bool>())
            .prop_map(|(who, department, active)| Act::Set { who, department, active }),
        1 => who.clone().prop_map(|who| Act::Delete { who }),
        5 => (who.clone(), app.clone()).prop_map(|(who, app)| Act::Verify { who, app }),
        1 => Just(Act::Overdue),
        2 => (who.clone(), app.clone(), kind).prop_map(|(who, app, kind)| Act::Drift { who, app, kind }),
        1 => (who.clone(), 1_u64..200).prop_map(|(who, until)| Act::Waive { who, until }),
        1 => who.clone().prop_map(|who| Act::Sync { who }),
        1 => app.clone().prop_map(|app| Act::SyncApp { app }),
        1 => (who, app).prop_map(|(who, app)| Act::Refuse { who, app }),
        1 => (1_u64..200).prop_map(|until| Act::Reject { until }),
        3 => (1_u128..4).prop_map(|who| Act::Done { who }),
    ];
    prop::collection::vec(act, 1..60)
}

fn play(acts: &[Act]) -> World {
    let mut world = World::default();
    let guard = Guard { max_removals: 1, ..Guard::default() };
    for (id, assign) in [("chat", r#"userType eq "Employee""#), ("crm", r#"title eq "Sales""#)] {
        world.append(Event::AppConfigured(Box::new(AppSpec { guard, ..spec(id, assign) })));
    }
    let by_people = AppSpec { guard, kind: AppKind::Manual, ..spec("wiki", r#"userType eq "Employee""#) };
    world.append(Event::AppConfigured(Box::new(by_people)));
    for act in acts {
        match act {
            Act::Set { who, department, active } => {
                let user = json!({ "userName": who.to_string(), "userType": "Employee", "title": department, "active": active });
                match world.last(person(*who)) {
                    Some(last) if last.deleted => {}
                    Some(_) => drop(world.update(person(*who), user)),
                    None => drop(world.join(person(*who), user)),
                }
            }
            Act::Delete { who } => {
                if let Some(last) = world.last(person(*who)).filter(|l| !l.deleted) {
                    world.append(Event::Identity(identity::delete(&last)));
                }
            }
            Act::Verify { who, app } => {
                if ledger::account(&world.state, person(*who), &app_id(app)).unwrap().is_some() {
                    world.verify(person(*who), app);
                }
            }
            Act::Overdue => {
                for due in due_by(&world, Timestamp::MAX) {
                    let overdue = Overdue { id: due.id.clone(), change: due.change, deadline: due.rings_at() };
                    world.append(Event::ObligationOverdue(overdue));
                }
            }
            Act::Drift { who, app, kind } => {
                let id = DriftId { app: app_id(app), identity: person(*who), kind: *kind };
                world.append(Event::DriftDetected(found(id)));
            }
            Act::Waive { who, until } => {
                for open in ledger::obligations_of(&world.state, person(*who)).unwrap() {
                    let (id, reason, expires_at) = (open.id.clone(), "legal".to_owned(), at(*until));
                    world.append(Event::ObligationWaived(Waived { id, reason, expires_at }));
                }
            }
            Act::Reject { until } => {
                let decision = Decision::Reject { expires_at: at(*until) };
                let decided = HoldDecided {
                    cause: Cause::Source("hr".parse().unwrap()),
                    through: Sequence(u64::MAX),
                    decision,
                    reason: "looked".into(),
                };
                world.append(Event::HoldDecided(decided));
            }
            Act::Done { who } => drop(world.done(person(*who), "wiki")),
            Act::Sync { who } => drop(world.append(Event::SyncRequested(SyncRequested::Identity(person(*who))))),
            Act::SyncApp { app } => drop(world.append(Event::SyncRequested(SyncRequested::App(app_id(app))))),
            Act::Refuse { who, app } => {
                if let Some(account) = ledger::account(&world.state, person(*who), &app_id(app)).unwrap() {
                    world.append(Event::AccountRejected(Rejected {
                        app: app_id(app),
                        identity: person(*who),
                        version: account.desired_version,
                        rejection: Rejection { cause: RejectionCause::Refused, status: Some(400), detail: "no".into() },
                        parked_at: Some(Sequence(2)),
                    }));
                }
            }
        }
    }
    world
}

/// All that is listed, so many at a time.
fn listed(state: &Memory, among: Among, look: usize) -> Vec<Obligation> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let found = ledger::obligations_after(state, among, after.as_deref(), look).unwrap();
        all.extend(found.pairs.into_iter().map(|(_, obligation)| obligation));
        after = found.next;
        if after.is_none() {
            return all;
        }
    }
}

/// Of two names of which one begins with the other, the longer one sorts first where a slash follows.
#[test]
fn obligations_are_listed_by_app_whatever_the_apps_are_called() {
    let mut world = World::default();
    for app in ["a", "a-b", "a_b", "ab"] {
        world.append(Event::AppConfigured(Box::new(spec(app, r#"userType eq "Employee""#))));
    }
    for n in 1..4 {
        world.join(person(n), json!({ "userName": n.to_string(), "userType": "Employee" }));
        world.verify(person(n), "a_b");
        world.update(person(n), json!({ "userName": n.to_string(), "userType": "Employee", "active": false })).unwrap();
        world.verify(person(n), "a");
    }
    let all: Vec<_> = (1..4).flat_map(|n| ledger::obligations_of(&world.state, person(n)).unwrap()).collect();
    assert_eq!(all.len(), 3 * 8, "each joined four apps, and left them");
    for look in 1..30 {
        assert_eq!(listed(&world.state, Among::All, look), all, "{look} at a time");
    }
}

/// Of the state that the story below leaves.
const DIGEST: &str = "ebc2377ff23d153897db2641a6e9c02af8246aeb9305fd8288190c69493cf67e";

/// Fields are told by their places: what an older version has stored would be read as something else.
#[test]
fn what_is_stored_has_not_changed_since_the_stamps_of_the_services_were_raised() {
    let set = |who, department, active| Act::Set { who, department, active };
    let world = play(&[
        set(1, "Sales", true),
        set(2, "Sales", true),
        Act::Verify { who: 1, app: "chat" },
        Act::Refuse { who: 1, app: "crm" },
        Act::Drift { who: 1, app: "chat", kind: DriftKind::Attribute },
        Act::Overdue,
        set(1, "Dev", true),
        set(1, "Dev", false),
        set(2, "Sales", false),
        Act::Waive { who: 1, until: 100 },
        Act::Reject { until: 150 },
        Act::Verify { who: 2, app: "crm" },
        Act::Delete { who: 2 },
        Act::Sync { who: 2 },
        Act::Done { who: 2 },
    ]);
    let mut digest = Sha256::new();
    for (key, value) in &world.state.0 {
        digest.update(key);
        digest.update(value);
    }
    let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, DIGEST, "raise STAMP in each service that stores what has changed, and then this");
}

proptest! {
    #[test]
    fn no_obligation_is_ever_dropped(acts in acts()) {
        let world = play(&acts);
        for n in 1..4 {
            let id = person(n);
            let identity = directory::identity(&world.state, id).unwrap();
            for account in ledger::accounts_of(&world.state, id).unwrap() {
                let of_app: Vec<_> = ledger::obligations_of(&world.state, id).unwrap()
                    .into_iter().filter(|o| o.id.subject.app() == Some(&account.app)).collect();
                let newest = of_app.iter().max_by_key(|o| o.id.opened_by).unwrap();
                // What is desired now is owed by the newest obligation, and is worked on while that is open: whoever waives,
                // refuses or asks for more.
                prop_assert!(newest.id.opened_by <= account.desired_version);
                prop_assert_eq!(newest.target, account.desired.target());
                prop_assert!(newest.end.is_some() || account.is_pending());
                let listed = ledger::pending(&world.state, &account.app, account.queue(), None, 100).unwrap();
                let parked = ledger::parked(&world.state, &account.app, 100).unwrap();
                let lists = listed.iter().chain(&parked).filter(|(who, _)| *who == id).count();
                prop_assert_eq!(lists, usize::from(account.is_pending()), "in one list, and never in both");
                let is_parked = account.is_pending() && account.parked_at.is_some() && account.desired.target() == Target::Present;
                prop_assert_eq!(parked.iter().any(|(who, _)| *who == id), is_parked);
                // Nothing ends but by a proof, or by a change that asks for the opposite.
                let proved = |o: &Obligation| match &o.end {
                    Some(End::Verified { by, .. }) => matches!(world.log[by.0 as usize - 1].event, Event::AccountVerified(_)),
                    Some(End::Attested { by, .. }) => {
                        account.app == app_id("wiki") && matches!(world.log[by.0 as usize - 1].event, Event::TaskDone(_))
                    }
                    Some(End::Superseded { by, .. }) => of_app.iter().any(|other| other.id.opened_by == *by && other.target != o.target),
                    None => true,
                };
                prop_assert!(of_app.iter().all(proved), "{:?}", of_app);
                // Whoever is not active is desired nowhere.
                let active = identity.as_ref().is_some_and(|i| i.lifecycle.has_access());
                prop_assert!(active || account.desired.target() == Target::Absent);
                // Open obligations never contradict each other.
                let targets: BTreeSet<_> =
                    of_app.iter().filter(|o| o.end.is_none()).map(|o| format!("{:?}", o.target)).collect();
                prop_assert!(targets.len() <= 1);
                // An account knows what it owes, and whatever is owed is pending.
                let open: Vec<_> = of_app.iter().filter(|o| o.end.is_none()).cloned().collect();
                prop_assert_eq!(&account.owes, &open);
                prop_assert!(open.is_empty() || account.is_pending());
            }
        }
    }

    #[test]
    fn a_departure_is_complete_exactly_when_each_of_its_obligations_is_met_before_they_are_back(acts in acts()) {
        let world = play(&acts);
        for recorded in &world.log {
            let Event::Identity(changed) = &recorded.event else { continue };
            let Some(leaver) = ledger::leaver(&world.state, changed.id, recorded.sequence).unwrap() else { continue };
            let owed: Vec<_> = ledger::obligations_of(&world.state, changed.id).unwrap()
                .into_iter().filter(|o| o.id.opened_by == recorded.sequence).collect();
            let back = world.log.iter().find(|later| later.sequence > recorded.sequence && matches!(
                &later.event, Event::Identity(c) if c.id == changed.id && c.change.kind() == Some(ChangeKind::Joiner)
            ));
            let back = back.map_or(Sequence(u64::MAX), |later| later.sequence);
            let met = |o: &Obligation| matches!(o.end, Some(End::Verified { by, .. } | End::Attested { by, .. }) if by < back);
            let all = owed.iter().all(met);
            let by_word = owed.iter().any(|o| matches!(o.end, Some(End::Attested { .. })));
            prop_assert_eq!(leaver.status() == CaseStatus::Completed, all && !by_word, "{:?} {:?}", leaver, owed);
            prop_assert_eq!(leaver.status() == CaseStatus::Attested, all && by_word, "{:?} {:?}", leaver, owed);
            let overdue = owed.iter().any(|o| o.status() == ObligationStatus::Overdue);
            prop_assert_eq!(leaver.status() == CaseStatus::Overdue, overdue);
        }
    }

    #[test]
    fn a_list_in_steps_of_any_size_shows_each_obligation_once_and_in_order(acts in acts(), look in 1..5_usize) {
        let world = play(&acts);
        let of = |n| ledger::obligations_of(&world.state, person(n)).unwrap();
        let all: Vec<_> = (1..4).flat_map(of).collect();
        for (among, wanted) in [
            (Among::All, all.clone()),
            (Among::Open, all.iter().filter(|o| o.end.is_none()).cloned().collect()),
            (Among::Ended, all.iter().filter(|o| o.end.is_some()).cloned().collect()),
        ] {
            prop_assert_eq!(listed(&world.state, among, look), wanted);
        }
    }

    #[test]
    fn what_is_counted_is_what_is_there(acts in acts()) {
        let world = play(&acts);
        let open = ledger::open_obligations(&world.state, None).unwrap();
        for ((app, change), count) in ledger::counts(&world.state).unwrap() {
            let of: Vec<_> = open.iter().filter(|o| o.id.subject.app() == Some(&app) && o.change == change).collect();
            let overdue = of.iter().filter(|o| o.status() == ObligationStatus::Overdue).count();
            prop_assert_eq!((count.open, count.overdue), (of.len() as u64, overdue as u64), "{} {:?}", app, change);
        }
        let oldest = open.iter().filter(|o| o.status() == ObligationStatus::Overdue).map(|o| o.deadline).min();
        prop_assert_eq!(ledger::oldest_overdue(&world.state).unwrap(), oldest);
    }

    #[test]
    fn what_rings_by_an_instant_is_every_open_obligation_whose_clock_has_rung(acts in acts(), limit in 1..6_usize) {
        let world = play(&acts);
        let open = ledger::open_obligations(&world.state, None).unwrap();
        let rings: BTreeSet<_> = open.iter().filter_map(Obligation::next_ring).collect();
        for now in rings.iter().flat_map(|at| [*at - Duration::from_micros(1), *at]) {
            let wanted: BTreeSet<_> =
                open.iter().filter(|o| o.next_ring().is_some_and(|at| at <= now)).map(|o| o.id.clone()).collect();
            let ids = |limit| ledger::ringing(&world.state, now, limit).unwrap().into_iter().map(|o| o.id);
            prop_assert_eq!(ids(usize::MAX).collect::<BTreeSet<_>>(), wanted.clone());
            let some: Vec<_> = ids(limit).collect();
            prop_assert_eq!(some.len(), limit.min(wanted.len()));
            prop_assert!(some.iter().all(|id| wanted.contains(id)));
        }
        // Nothing is left of a clock that has stopped.
        let counted: u64 = world.state.0.iter().filter(|(key, _)| key.starts_with("clock/"))
            .map(|(key, value)| decode::<u64>(key, value).unwrap()).sum();
        prop_assert_eq!(counted, open.iter().filter_map(Obligation::next_ring).count() as u64);
    }

    #[test]
    fn who_keeps_fewer_lists_derives_the_same_of_all_else(acts in acts()) {
        let world = play(&acts);
        let lists: [(&[List], &[&str]); 3] = [
            (&[List::Pending, List::Stories], &["clock/", "ended/", "conformance/", "at/", "link/"]),
            (&[List::Clock], &["pending/", "ended/", "conformance/", "story/", "at/", "link/"]),
            (&[List::Holders], &["pending/", "clock/", "ended/", "conformance/", "story/", "link/"]),
        ];
        for (kept, without) in lists {
            let (mut state, mut ledger) = (Memory::default(), Ledger::default().keeping(kept));
            for event in &world.log {
                ledger.evolve(&mut state, event).unwrap();
            }
            let mut wanted = world.state.clone();
            wanted.0.retain(|key, _| !without.iter().any(|list| key.starts_with(list)));
            prop_assert_eq!(state, wanted);
        }
    }

    #[test]
    fn who_remembers_fewer_obligations_derives_the_same_of_all_else(acts in acts()) {
        let world = play(&acts);
        for (remembered, is_kept) in [
            (Remembered::Leavers, (|o| o.change == ChangeKind::Leaver) as fn(&Obligation) -> bool),
            (Remembered::None, |_| false),
        ] {
            let (mut state, mut ledger) = (Memory::default(), Ledger::default().remembering(remembered));
            for event in &world.log {
                ledger.evolve(&mut state, event).unwrap();
            }
            let mut wanted = world.state.clone();
            wanted.0.retain(|key, value| !key.starts_with("obligation/") || is_kept(&decode(key, value).unwrap()));
            prop_assert_eq!(state, wanted);
        }
    }

    #[test]
    fn the_same_events_derive_the_same_state(acts in acts()) {
        let world = play(&acts);
        let (mut again, mut ledger) = (Memory::default(), Ledger::default());
        for event in &world.log {
            // A restart at any point forgets what was only in memory.
            if event.sequence.0 % 3 == 0 {
                ledger = Ledger::default();
            }
            ledger.evolve(&mut again, event).unwrap();
        }
        prop_assert_eq!(again, world.state);
    }
}

#[test]
fn what_can_not_take_effect_stands_before_nobody_and_is_known_until_something_else_is_said() {
    let mut world = two_apps();
    let (stuck, effective) = (1200, at(100_000));
    for n in 1..=stuck + 1 {
        world.join(person(n), employee("Dev"));
        world.update(person(n), leaving(effective, false));
    }
    let all = |world: &World| {
        let (mut found, mut place) = (Vec::new(), None::<String>);
        loop {
            let (due, next) = ledger::taking_effect(&world.state, effective, place.as_deref(), 500).unwrap();
            found.extend(due);
            place = next;
            if place.is_none() {
                return found;
            }
        }
    };
    let due = all(&world);
    assert_eq!(due.len(), 1201, "every one is found, and not the first 500");
    for scheduled in due.iter().filter(|due| due.identity != person(7)) {
        let ledger::Scheduled { identity: id, version, .. } = *scheduled;
        let failed = EffectFailed { id, version, effective_at: effective, reason: "too large".into() };
        world.append(Event::EffectFailed(failed));
    }
    assert_eq!(all(&world).iter().map(|due| due.identity).collect::<Vec<_>>(), [person(7)]);
    assert_eq!(ledger::stuck(&world.state).unwrap().len(), 1200);
    // What was said since is not what failed.
    let scheduled = due.iter().find(|due| due.identity == person(8)).unwrap();
    world.update(person(8), leaving(at(200_000), false));
    assert_eq!(ledger::stuck(&world.state).unwrap().len(), 1199);
    let failed = EffectFailed {
        id: person(8),
        version: scheduled.version,
        effective_at: effective,
        reason: "late news of the old one".into(),
    };
    world.append(Event::EffectFailed(failed));
    assert_eq!(ledger::far_ahead(&world.state, at(150_000), 10).unwrap().len(), 1, "it is still scheduled");
    assert!(ledger::far_ahead(&world.state, at(200_000), 10).unwrap().is_empty());
}

#[test]
fn what_an_app_has_refused_for_good_waits_apart_until_something_changes() {
    let mut world = two_apps();
    let chat = app_id("chat");
    let refuse = |world: &mut World, parked_at| {
        let account = ledger::account(&world.state, person(1), &chat).unwrap().unwrap();
        world.append(Event::AccountRejected(Rejected {
            app: app_id("chat"),
            identity: person(1),
            version: account.desired_version,
            rejection: Rejection { cause: RejectionCause::Refused, status: Some(400), detail: "no".into() },
            parked_at,
        }));
    };
    let lists = |world: &World| {
        let pending = ledger::pending(&world.state, &chat, Queue::Present, None, 10).unwrap().len();
        let gone = ledger::pending(&world.state, &chat, Queue::Absent, None, 10).unwrap().len();
        (pending, ledger::parked(&world.state, &chat, 10).unwrap().len(), gone)
    };
    world.join(person(1), employee("Dev"));
    assert_eq!(lists(&world), (1, 0, 0));
    refuse(&mut world, Some(Sequence(2)));
    assert_eq!(lists(&world), (0, 1, 0));
    // Another refusal, of which nobody knows whether it is for good, is tried again.
    refuse(&mut world, None);
    assert_eq!(lists(&world), (1, 0, 0));
    refuse(&mut world, Some(Sequence(2)));
    world.update(person(1), employee("Lead"));
    assert_eq!(lists(&world), (1, 0, 0), "the identity has changed");
    refuse(&mut world, Some(Sequence(2)));
    world.append(Event::AppConfigured(Box::new(spec("chat", r#"userType eq "Employee""#))));
    assert_eq!(lists(&world), (1, 0, 0), "the app has changed");
    refuse(&mut world, Some(Sequence(2)));
    world.append(Event::SyncRequested(SyncRequested::App(app_id("chat"))));
    assert_eq!(lists(&world), (1, 0, 0), "a person wants it tried");
    refuse(&mut world, Some(Sequence(2)));
    let mut gone = employee("Lead");
    gone["active"] = json!(false);
    world.update(person(1), gone);
    assert_eq!(lists(&world), (0, 0, 1), "whoever leaves is never put aside");
    refuse(&mut world, Some(Sequence(2)));
    assert_eq!(lists(&world), (0, 0, 1));
    world.verify(person(1), "chat");
    assert_eq!(lists(&world), (0, 0, 0));
}

#[test]
fn an_account_that_came_back_while_a_person_has_it_looked_at_again_is_owed_like_a_leavers() {
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    world.verify(person(1), "chat");
    let mut gone = employee("Dev");
    gone["active"] = json!(false);
    world.update(person(1), gone);
    world.verify(person(1), "chat");
    world.append(Event::SyncRequested(SyncRequested::App(app_id("chat"))));
    let account = ledger::account(&world.state, person(1), &app_id("chat")).unwrap().unwrap();
    assert!(account.is_pending() && account.owes.is_empty() && account.owes_no_access());
    let id = DriftId { app: app_id("chat"), identity: person(1), kind: DriftKind::Zombie };
    let detected = world.append(Event::DriftDetected(found(id)));
    let owed = world.obligation(person(1), "chat", detected);
    assert_eq!((owed.change, owed.target, owed.deadline), (ChangeKind::Repair, Target::Absent, at(detected.0 + 100)));
}

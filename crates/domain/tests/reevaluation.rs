//! A change that concerns many is decided in pieces, with other events between, and means the same as if it were decided at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use rollcall_domain::access::desired::{Desired, Target};
use rollcall_domain::access::reevaluation::{Pass, Reevaluated, ReevaluationPolicy};
use rollcall_domain::access::separation::SeparationSpec;
use rollcall_domain::app::guard::Guard;
use rollcall_domain::governance::hold::Cause;
use rollcall_domain::identity::group::{GroupChange, GroupChanged, MemberId};
use rollcall_domain::{Event, IdentityId, Sequence, ledger};
use serde_json::{Value, json};

use super::world::{World, app_id, at, person, resource, spec};

const PEOPLE: u128 = 23;

fn user(n: u128, title: &str) -> Value {
    json!({ "userName": format!("u{n}"), "userType": "Employee", "title": title, "active": true })
}

/// Half of the people in Sales, each verified in crm, the others in Dev.
fn company(people_at_once: usize) -> World {
    let mut world = World::default();
    world.append(Event::ReevaluationConfigured(ReevaluationPolicy { people_at_once }));
    world.append(Event::AppConfigured(Box::new(spec("crm", r#"title eq "Sales""#))));
    for n in 1..=PEOPLE {
        world.join(person(n), user(n, if n % 2 == 0 { "Sales" } else { "Dev" }));
        if n % 2 == 0 {
            world.verify(person(n), "crm");
        }
    }
    world
}

fn desired(world: &World, app: &str) -> Vec<Option<(Desired, bool)>> {
    let account = |n| ledger::account(&world.state, person(n), &app_id(app)).unwrap();
    (1..=PEOPLE).map(|n| account(n).map(|account| (account.desired.clone(), account.is_pending()))).collect()
}

/// By when what is owed is due, whatever has opened it.
fn deadlines(world: &World) -> BTreeSet<(IdentityId, bool, i64)> {
    let open = ledger::open_obligations(&world.state, None).unwrap();
    open.iter().map(|o| (o.id.subject.identity(), o.target == Target::Present, o.deadline.as_second())).collect()
}

/// Appends the next piece; nothing, where there is none.
fn piece(world: &mut World) -> Option<Reevaluated> {
    let running = ledger::reevaluations(&world.state).unwrap().into_iter().next()?;
    let piece = ledger::next_piece(&world.state, &running).unwrap();
    world.append_by("sla-monitor", Event::Reevaluated(piece));
    Some(piece)
}

fn to_its_end(world: &mut World) -> Vec<Reevaluated> {
    std::iter::from_fn(|| piece(world)).take(500).collect()
}

#[test]
fn in_pieces_of_whatever_size_it_is_what_it_is_at_once() {
    let mut at_once = company(1000);
    at_once.append(Event::AppConfigured(Box::new(spec("crm", r#"title eq "Dev""#))));
    assert_eq!(to_its_end(&mut at_once), []);
    for size in [1, 2, 5, 22] {
        let mut world = company(size);
        world.append(Event::AppConfigured(Box::new(spec("crm", r#"title eq "Dev""#))));
        let before = world.log.len();
        assert_eq!(deadlines(&world), deadlines(&company(1000)), "nothing is decided by the change itself");
        let pieces = to_its_end(&mut world);
        assert_eq!(desired(&world, "crm"), desired(&at_once, "crm"), "pieces of {size}");
        assert_eq!(deadlines(&world), deadlines(&at_once), "pieces of {size}: their time counts from the change");
        let passes = (PEOPLE as usize).div_ceil(size);
        assert_eq!((pieces.len(), world.log.len() - before), (2 * passes, 2 * passes), "pieces of {size}");
    }
}

#[test]
fn who_loses_something_comes_before_who_gets_something() {
    let mut world = company(4);
    world.append(Event::AppConfigured(Box::new(spec("crm", r#"title eq "Dev""#))));
    while piece(&mut world).unwrap().through.is_some() {}
    let all = desired(&world, "crm");
    assert!((2..=PEOPLE).step_by(2).all(|n| all[n as usize - 1] == Some((Desired::Absent, true))), "{all:?}");
    let got = deadlines(&world).iter().filter(|(_, is_present, _)| *is_present).count();
    assert_eq!(got, 0, "nobody has got anything yet");
}

#[test]
fn removals_wait_until_all_of_them_are_counted_and_whoever_leaves_does_not() {
    let mut world = company(4);
    world.append(Event::AppConfigured(Box::new(spec("crm", r#"title eq "Dev""#))));
    piece(&mut world);
    let waits = |world: &World, n| {
        let account = ledger::account(&world.state, person(n), &app_id("crm")).unwrap().unwrap();
        ledger::reevaluations(&world.state).unwrap().iter().any(|running| running.keeps_waiting(&account))
    };
    assert!(waits(&world, 2), "its removal is decided, and others are not");
    world.update(person(20), json!({ "userName": "u20", "userType": "Employee", "title": "Sales", "active": false }));
    assert_eq!(desired(&world, "crm")[19], Some((Desired::Absent, true)), "they are decided for at once");
    assert!(!waits(&world, 20));
    while piece(&mut world).unwrap().through.is_some() {}
    assert!(!waits(&world, 2), "all are counted");
}

#[test]
fn a_piece_that_is_said_twice_or_late_changes_nothing() {
    let mut world = company(4);
    world.append(Event::AppConfigured(Box::new(spec("crm", r#"title eq "Dev""#))));
    let said: Vec<Reevaluated> = to_its_end(&mut world);
    let (before, owed) = (desired(&world, "crm"), deadlines(&world));
    let unknown = Reevaluated { since: Sequence(1), pass: Pass::Access, through: None };
    for again in said.into_iter().chain([unknown]) {
        world.append_by("sla-monitor", Event::Reevaluated(again));
    }
    assert_eq!((desired(&world, "crm"), deadlines(&world)), (before, owed));
    let mut world = company(4);
    world.append(Event::AppConfigured(Box::new(spec("crm", r#"title eq "Dev""#))));
    let first = piece(&mut world).unwrap();
    let after = ledger::reevaluations(&world.state).unwrap();
    world.append_by("sla-monitor", Event::Reevaluated(first));
    assert_eq!(ledger::reevaluations(&world.state).unwrap(), after);
}

#[test]
fn the_guard_counts_what_all_pieces_take_away_as_one_cause() {
    let mut world = company(2);
    let guard = Guard { max_removals: 7, max_percent: 100, ..Guard::default() };
    let mut other = spec("crm", r#"title eq "Nobody""#);
    other.guard = guard;
    world.append(Event::AppConfigured(Box::new(other)));
    to_its_end(&mut world);
    let holds = ledger::holds(&world.state).unwrap();
    let [hold] = holds.as_slice() else { panic!("{holds:?}") };
    assert_eq!(hold.cause, Cause::Configuration(app_id("crm")));
    let held = |n| hold.covers(&ledger::account(&world.state, person(n), &app_id("crm")).unwrap().unwrap());
    assert_eq!((2..=PEOPLE).step_by(2).filter(|n| held(*n)).count(), 11, "the first of them, too");
}

#[test]
fn a_second_change_that_comes_between_is_what_counts_in_the_end() {
    let mut world = company(3);
    world.append(Event::AppConfigured(Box::new(spec("crm", r#"title eq "Dev""#))));
    for _ in 0..3 {
        piece(&mut world);
    }
    world.append(Event::AppConfigured(Box::new(spec("crm", r#"title eq "Sales""#))));
    to_its_end(&mut world);
    let present = |account: &Option<(Desired, bool)>| matches!(account, Some((Desired::Present(_), _)));
    let all = desired(&world, "crm");
    assert_eq!(all.iter().filter(|account| present(account)).count(), PEOPLE as usize / 2, "{all:?}");
    assert!(ledger::reevaluations(&world.state).unwrap().is_empty());
}

#[test]
fn a_group_of_many_is_decided_in_pieces_for_its_members_alone() {
    let mut world = company(4);
    let mut by_group = spec("chat", r#"groups.display eq "Everyone""#);
    by_group.guard = Guard { max_removals: 1000, max_percent: 100, ..Guard::default() };
    world.append(Event::AppConfigured(Box::new(by_group)));
    to_its_end(&mut world);
    let members: BTreeSet<MemberId> = (1..=PEOPLE).step_by(2).map(|n| MemberId::from(person(n))).collect();
    let group = |change, added: BTreeSet<MemberId>, removed: BTreeSet<MemberId>| GroupChanged {
        id: "0190a000-0000-7000-8000-000000000009".parse().unwrap(),
        change,
        resource: resource(json!({ "displayName": "Everyone" })),
        changed: Vec::new(),
        added: added.into_iter().collect(),
        removed: removed.into_iter().collect(),
    };
    world.append(Event::Group(group(GroupChange::Created, members.clone(), BTreeSet::new())));
    let pieces = to_its_end(&mut world);
    assert_eq!(pieces.len(), 2 * 3, "twelve members in pieces of four, twice");
    let there =
        |world: &World| desired(world, "chat").iter().filter(|a| matches!(a, Some((Desired::Present(_), _)))).count();
    assert_eq!(there(&world), 12);
    world.append(Event::Group(group(GroupChange::Deleted, BTreeSet::new(), members)));
    to_its_end(&mut world);
    assert_eq!(there(&world), 0);
}

#[test]
fn separations_are_looked_at_in_pieces_too() {
    let mut world = company(4);
    world.append(Event::AppConfigured(Box::new(spec("chat", r#"userType eq "Employee""#))));
    to_its_end(&mut world);
    world.append(Event::SeparationConfigured(Box::new(SeparationSpec {
        id: "s".parse().unwrap(),
        name: "s".into(),
        owner: String::new(),
        reason: String::new(),
        entitlements: ["crm".parse().unwrap()].into(),
        never_with: ["chat".parse().unwrap()].into(),
    })));
    assert_eq!(ledger::violations(&world.state).unwrap().len(), 0);
    let pieces = to_its_end(&mut world);
    assert!(pieces.iter().all(|piece| piece.pass == Pass::Separations), "{pieces:?}");
    assert_eq!(ledger::violations(&world.state).unwrap().len(), PEOPLE as usize / 2);
}

#[test]
fn on_a_log_that_says_nothing_of_it_everything_is_decided_at_once() {
    let mut world = World::default();
    world.append(Event::AppConfigured(Box::new(spec("crm", ""))));
    for n in 1..=1500 {
        world.join(person(n), user(n, "Sales"));
    }
    let configured = world.append(Event::AppConfigured(Box::new(spec("crm", r#"title eq "Sales""#))));
    assert_eq!(ledger::reevaluations(&world.state).unwrap(), []);
    assert_eq!(world.obligation(person(1500), "crm", configured).opened_at, at(configured.0));
}

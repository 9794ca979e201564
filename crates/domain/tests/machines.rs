//! Machines: who answers for them, their ends, and the hand-overs of those who leave.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use jiff::Timestamp;
use proptest::prelude::*;
use rollcall_domain::access::case::CaseStatus;
use rollcall_domain::access::handover::{Handover, HandoverChanged, HandoverStatus, HandoverStep, MachinePolicy};
use rollcall_domain::access::obligation::{Because, End, ObligationId, ObligationStatus, Overdue, Waived};
use rollcall_domain::app::AppSpec;
use rollcall_domain::identity::lifecycle::{IdentityChange, Lifecycle};
use rollcall_domain::identity::ownership::{Ownership, referred};
use rollcall_domain::identity::statement::completed;
use rollcall_domain::identity::switch::{Switch, Switched};
use rollcall_domain::identity::{self, IdentityKind};
use rollcall_domain::ledger::{self, Among, Fact};
use rollcall_domain::{Event, IdentityId, Sequence, directory};
use rollcall_scim::MACHINE;
use serde_json::{Value, json};

use crate::world::{World, app_id, at, employee, person, resource, spec};

const ADA: u128 = 1;
const BEN: u128 = 2;
const CY: u128 = 3;
const BOT: u128 = 10;
const JOB: u128 = 11;

fn machine(name: &str, owner: Option<u128>) -> Value {
    let mut machine = json!({ "userName": name, "active": true });
    if let Some(owner) = owner {
        machine[MACHINE.id] = json!({ "owner": person(owner).to_string() });
    }
    machine
}

fn ending(name: &str, owner: u128, end: Timestamp) -> Value {
    let mut machine = machine(name, Some(owner));
    machine[MACHINE.id]["expiresAt"] = end.to_string().into();
    machine
}

/// An app that takes people and service accounts; Ada, Ben and Cy are in it.
fn a_world() -> World {
    let mut world = World::default();
    let both = vec![IdentityKind::User, IdentityKind::ServiceAccount];
    let wiki = AppSpec { identities: both, ..spec("wiki", "active eq true") };
    world.append(Event::AppConfigured(Box::new(wiki)));
    for (n, name) in [(ADA, "ada"), (BEN, "ben"), (CY, "cy")] {
        let mut user = employee("Dev");
        user["userName"] = name.into();
        world.join(person(n), user);
        world.verify(person(n), "wiki");
    }
    world
}

impl World {
    fn adds(&mut self, n: u128, said: Value) -> Sequence {
        let created = identity::create(person(n), IdentityKind::ServiceAccount, resource(said), at(0));
        let owned = created.ownership.owner.is_some_and(|owner| ledger::can_own(&self.state, owner).unwrap());
        let created = if owned { created } else { identity::without_owner(created) };
        self.append(Event::Identity(created))
    }

    fn leaves(&mut self, n: u128) -> Sequence {
        let last = self.last(person(n)).unwrap();
        self.append(Event::Identity(identity::delete(&last)))
    }

    fn says(&mut self, n: u128, said: Value) -> Option<Sequence> {
        let last = self.last(person(n))?;
        let changed = identity::update(&last, completed(&last.resource, resource(said)), at(self.now()))?;
        let owned = changed.ownership.owner.is_some_and(|owner| ledger::can_own(&self.state, owner).unwrap());
        let changed = if owned { changed } else { identity::without_owner(changed) };
        Some(self.append(Event::Identity(changed)))
    }

    fn now(&self) -> u64 {
        self.log.len() as u64 + 1
    }

    fn hands(&mut self, machine: u128, owner: u128, step: HandoverStep) -> Sequence {
        let (machine, owner) = (person(machine), person(owner));
        self.append_by("ola", Event::Handover(HandoverChanged { machine, owner, step, reason: "why".into() }))
    }

    fn handover(&self, owner: u128, machine: u128) -> Handover {
        ledger::handover(&self.state, person(owner), person(machine)).unwrap().unwrap()
    }

    fn lifecycle(&self, n: u128) -> Lifecycle {
        directory::identity(&self.state, person(n)).unwrap().unwrap().lifecycle
    }

    fn owner(&self, n: u128) -> Option<IdentityId> {
        ledger::machine(&self.state, person(n)).unwrap().unwrap().owner
    }

    fn completed(&self, n: u128, opened_by: Sequence) -> bool {
        ledger::leaver(&self.state, person(n), opened_by).unwrap().unwrap().status() == CaseStatus::Completed
    }
}

#[test]
fn a_leaver_is_complete_once_their_apps_are_read_back_and_their_machines_are_handed_over() {
    let mut world = a_world();
    world.adds(BOT, machine("bot", Some(ADA)));
    world.adds(JOB, machine("job", Some(ADA)));
    let left = world.leaves(ADA);
    let owed = ledger::obligations_of(&world.state, person(ADA)).unwrap();
    let open: Vec<_> = owed.iter().filter(|o| o.id.opened_by == left).map(|o| o.id.to_string()).collect();
    let of = |n| format!("o{left}.handover:{}.{}", person(n), person(ADA));
    assert_eq!(open, [of(BOT), of(JOB), format!("o{left}.wiki.{}", person(ADA))]);
    assert!(owed.iter().all(|o| o.id.to_string().parse::<ObligationId>().unwrap() == o.id));
    assert_eq!(ledger::count_without_owner(&world.state).unwrap(), 2);
    world.verify(person(ADA), "wiki");
    assert!(!world.completed(ADA, left));

    // To Ben, to whom somebody passed it on; the other one ends.
    world.hands(BOT, ADA, HandoverStep::Passed(person(BEN)));
    assert_eq!(world.handover(ADA, BOT).passed_to, Some(person(BEN)));
    world.hands(BOT, ADA, HandoverStep::Accepted(person(BEN)));
    assert_eq!(world.handover(ADA, BOT).status(), HandoverStatus::Accepted);
    assert_eq!(world.owner(BOT), Some(person(BEN)));
    assert!(!world.completed(ADA, left));
    world.verify(person(JOB), "wiki");
    world.hands(JOB, ADA, HandoverStep::Retired);
    let off = Switched { id: person(JOB), to: Switch::Off, reason: String::new() };
    world.append_by("ola", Event::IdentitySwitched(off));
    assert_eq!(world.handover(ADA, JOB).status(), HandoverStatus::Retiring, "its account lives");
    assert!(!world.completed(ADA, left));
    world.facts.clear();
    world.verify(person(JOB), "wiki");
    assert_eq!(world.handover(ADA, JOB).status(), HandoverStatus::Retired);
    assert!(world.completed(ADA, left));
    assert!(world.facts.iter().any(|fact| matches!(fact, Fact::LeaverCompleted(c) if c.identity == person(ADA))));
    assert_eq!(ledger::count_without_owner(&world.state).unwrap(), 0);
    assert_eq!(ledger::count_handovers(&world.state).unwrap().open, 0);
    // They are listed with all others.
    let listed = ledger::obligations_after(&world.state, Among::Ended, None, 1000).unwrap().pairs;
    assert_eq!(listed.iter().filter(|(_, o)| o.id.subject.app().is_none()).count(), 2);
}

#[test]
fn a_machine_without_an_owner_who_is_there_does_not_begin() {
    let mut world = a_world();
    world.adds(BOT, machine("bot", None));
    assert_eq!(world.lifecycle(BOT), Lifecycle::Staged);
    assert!(ledger::accounts_of(&world.state, person(BOT)).unwrap().is_empty());
    assert_eq!(ledger::count_without_owner(&world.state).unwrap(), 0, "it has no access");
    world.says(BOT, machine("bot", Some(BEN))).unwrap();
    assert_eq!(world.last(person(BOT)).unwrap().change, IdentityChange::Joined);
    assert_eq!(ledger::accounts_of(&world.state, person(BOT)).unwrap().len(), 1);
    // It ends, and does not begin again for somebody who has left.
    world.leaves(BEN);
    world.says(BOT, json!({ "userName": "bot", "active": false, MACHINE.id: { "owner": person(BEN).to_string() } }));
    assert_eq!(world.lifecycle(BOT), Lifecycle::Left);
    world.says(BOT, machine("bot", Some(BEN))).unwrap();
    assert_eq!(world.lifecycle(BOT), Lifecycle::Left);
    world.says(BOT, machine("bot", Some(CY))).unwrap();
    assert_eq!(world.lifecycle(BOT), Lifecycle::Active);
    assert_eq!(world.owner(BOT), Some(person(CY)));
    // One that began all the same owes an owner.
    let job = identity::create(person(JOB), IdentityKind::ServiceAccount, resource(machine("job", None)), at(0));
    world.append(Event::Identity(job));
    assert_eq!(world.handover(JOB, JOB).status(), HandoverStatus::Open);
    world.hands(JOB, JOB, HandoverStep::Accepted(person(CY)));
    assert_eq!((world.handover(JOB, JOB).status(), world.owner(JOB)), (HandoverStatus::Accepted, Some(person(CY))));
}

#[test]
fn a_machine_leaves_at_its_end_and_begins_again_when_that_lies_ahead() {
    let mut world = a_world();
    let end = at(1000);
    world.adds(BOT, ending("bot", BEN, end));
    let (due, _) = ledger::taking_effect(&world.state, end, None, 10).unwrap();
    assert_eq!(due.len(), 1);
    assert!(ledger::taking_effect(&world.state, at(999), None, 10).unwrap().0.is_empty());
    let last = world.last(person(BOT)).unwrap();
    assert_eq!(identity::take_effect(&last, at(999)), None);
    let ended = identity::take_effect(&last, end).unwrap();
    assert_eq!((ended.change, ended.after, ended.effective_at), (IdentityChange::Left, Lifecycle::Left, Some(end)));
    world.append(Event::Identity(ended.clone()));
    assert!(ledger::taking_effect(&world.state, at(99_999), None, 10).unwrap().0.is_empty());
    // Said once more, with another name: it has ended all the same.
    let renamed = identity::update(&ended, resource(ending("bot-2", BEN, end)), at(2000)).unwrap();
    assert_eq!(renamed.after, Lifecycle::Left);
    let renewed = identity::update(&ended, resource(ending("bot", BEN, at(3000))), at(2000)).unwrap();
    assert_eq!(renewed.change, IdentityChange::Rehired);
    // Nor does an incomplete statement begin it: only who says that it is active.
    let without_end = json!({ "userName": "bot", MACHINE.id: { "owner": person(BEN).to_string() } });
    let incomplete = identity::update(&ended, completed(&ended.resource, resource(without_end)), at(2000)).unwrap();
    assert_eq!(incomplete.after, Lifecycle::Left);
    assert_eq!(ended.resource["active"], false);
    // One that has ended when it is first heard of never begins.
    let late = identity::create(person(JOB), IdentityKind::ServiceAccount, resource(ending("job", BEN, end)), at(2000));
    assert_eq!(late.after, Lifecycle::Staged);
    // Of people there is no such end.
    let user = identity::create(person(CY), IdentityKind::User, resource(ending("cy", BEN, end)), at(2000));
    assert_eq!((user.after, user.ownership), (Lifecycle::Active, Ownership::default()));
}

#[test]
fn a_reference_names_somebody_by_their_id_or_by_where_they_are() {
    let id = person(ADA).to_string();
    for said in
        [id.clone(), format!("Users/{id}"), format!("../Users/{id}"), format!("https://x.example/scim/v2/Users/{id}/")]
    {
        assert_eq!(referred("Users", &said), Some(id.as_str()), "{said}");
    }
    for other in [format!("https://x.example/scim/v2/Groups/{id}"), format!("/OtherUsers/{id}")] {
        assert_eq!(referred("Users", &other), None, "{other}");
    }
}

#[test]
fn what_ends_a_hand_over_besides_its_acceptance() {
    let mut world = a_world();
    for n in [BOT, JOB] {
        world.adds(n, machine(&format!("m{n}"), Some(ADA)));
        world.verify(person(n), "wiki");
    }
    let left = world.leaves(ADA);
    // Its source names somebody who is there.
    world.says(BOT, machine("m10", Some(BEN))).unwrap();
    assert_eq!(world.handover(ADA, BOT).status(), HandoverStatus::Reassigned);
    assert_eq!(world.owner(BOT), Some(person(BEN)));
    // Its source ends it: done once it is gone.
    world.leaves(JOB);
    assert_eq!(world.handover(ADA, JOB).status(), HandoverStatus::Open);
    world.verify(person(JOB), "wiki");
    assert_eq!(world.handover(ADA, JOB).status(), HandoverStatus::Retired);
    world.verify(person(ADA), "wiki");
    assert!(world.completed(ADA, left));
    // Who leaves next is back before anybody took it.
    let left = world.leaves(BEN);
    assert_eq!(world.handover(BEN, BOT).status(), HandoverStatus::Open);
    let mut ben = employee("Dev");
    ben["userName"] = "ben".into();
    let back = identity::create(person(BEN), IdentityKind::User, resource(ben), at(0));
    let back = identity::IdentityChanged { before: Some(Lifecycle::Left), change: IdentityChange::Rehired, ..back };
    world.append(Event::Identity(back));
    let handover = world.handover(BEN, BOT);
    assert_eq!(handover.status(), HandoverStatus::Returned);
    let ended = ledger::obligation(&world.state, &handover.id()).unwrap().unwrap();
    assert!(matches!(ended.end, Some(End::Superseded { because: Because::Rehired, .. })));
    assert_eq!(ended.id.opened_by, left);
    assert_eq!(world.owner(BOT), Some(person(BEN)));
    assert_eq!(ledger::count_without_owner(&world.state).unwrap(), 0);
}

#[test]
fn one_that_is_only_switched_off_is_somebodys_and_its_owner_who_is_off_is_not_there() {
    let mut world = a_world();
    let switch = |to, n| Event::IdentitySwitched(Switched { id: person(n), to, reason: String::new() });
    world.adds(BOT, machine("bot", Some(ADA)));
    world.adds(JOB, machine("job", Some(ADA)));
    // Off when she leaves: it is handed over all the same, and not done by its being off.
    world.append_by("ola", switch(Switch::Off, BOT));
    let left = world.leaves(ADA);
    world.verify(person(ADA), "wiki");
    world.verify(person(BOT), "wiki");
    assert_eq!(world.handover(ADA, BOT).status(), HandoverStatus::Open);
    world.hands(JOB, ADA, HandoverStep::Retired);
    world.append_by("ola", switch(Switch::Off, JOB));
    // Somebody wants it after all.
    world.append_by("ola", switch(Switch::On, JOB));
    assert_eq!(world.handover(ADA, JOB).status(), HandoverStatus::Open);
    assert!(!world.completed(ADA, left));
    world.hands(BOT, ADA, HandoverStep::Accepted(person(BEN)));
    world.hands(JOB, ADA, HandoverStep::Accepted(person(BEN)));
    assert!(world.completed(ADA, left));
    // Ben is switched off: somebody else must answer, from then on; when he leaves, that is part of his departure.
    world.append_by("ola", switch(Switch::On, BOT));
    world.append_by("ola", switch(Switch::Off, BEN));
    assert_eq!(world.handover(BEN, BOT).status(), HandoverStatus::Open);
    assert_eq!(ledger::count_without_owner(&world.state).unwrap(), 2);
    world.append_by("ola", switch(Switch::On, BEN));
    assert_eq!(world.handover(BEN, BOT).status(), HandoverStatus::Returned);
    world.append_by("ola", switch(Switch::Off, BEN));
    let left = world.leaves(BEN);
    world.verify(person(BEN), "wiki");
    assert_eq!(world.handover(BEN, JOB).opened_by, left);
    assert!(!world.completed(BEN, left));
    assert!(ledger::obstacles(&world.state, person(BEN)).unwrap().contains(&ledger::Obstacle::Answers(person(BOT))));
    for n in [BOT, JOB] {
        world.hands(n, BEN, HandoverStep::Accepted(person(CY)));
    }
    assert!(world.completed(BEN, left));
}

/// The usual order where something has happened: they are switched off, their machines are ended, and then they leave.
#[test]
fn what_was_retired_before_its_owner_leaves_is_handed_over_once() {
    let mut world = a_world();
    let switch = |to, n| Event::IdentitySwitched(Switched { id: person(n), to, reason: String::new() });
    world.adds(BOT, machine("bot", Some(ADA)));
    world.verify(person(BOT), "wiki");
    world.append_by("ola", switch(Switch::Off, ADA));
    world.verify(person(ADA), "wiki");
    world.hands(BOT, ADA, HandoverStep::Retired);
    world.append_by("ola", switch(Switch::Off, BOT));
    world.verify(person(BOT), "wiki");
    assert_eq!(world.handover(ADA, BOT).status(), HandoverStatus::Retired);
    let left = world.leaves(ADA);
    world.verify(person(ADA), "wiki");
    assert_eq!(world.handover(ADA, BOT).status(), HandoverStatus::Retired);
    assert!(world.completed(ADA, left));
    // It is switched on again: somebody has to answer for it.
    world.append_by("ola", switch(Switch::On, BOT));
    assert_eq!(world.handover(ADA, BOT).status(), HandoverStatus::Open);
}

#[test]
fn an_owner_who_answers_again_ends_what_another_was_to_hand_over() {
    let mut world = a_world();
    world.adds(BOT, machine("bot", Some(ADA)));
    world.leaves(ADA);
    world.hands(BOT, ADA, HandoverStep::Accepted(person(BEN)));
    let last = world.last(person(ADA)).unwrap();
    let back = identity::IdentityChanged {
        before: Some(Lifecycle::Left),
        after: Lifecycle::Active,
        change: IdentityChange::Rehired,
        deleted: false,
        ..last
    };
    world.append(Event::Identity(back));
    world.leaves(BEN);
    assert_eq!(world.handover(BEN, BOT).status(), HandoverStatus::Open);
    // Its source ends it and begins it again, for whom it has named all the time.
    let said = json!({ "userName": "bot", "active": false, MACHINE.id: { "owner": person(ADA).to_string() } });
    world.says(BOT, said).unwrap();
    world.says(BOT, machine("bot", Some(ADA))).unwrap();
    assert_eq!(world.owner(BOT), Some(person(ADA)));
    assert_eq!(world.handover(BEN, BOT).status(), HandoverStatus::Reassigned);
}

#[test]
fn nobody_takes_over_who_is_not_there_and_nothing_is_handed_over_twice() {
    let mut world = a_world();
    world.adds(BOT, machine("bot", Some(ADA)));
    world.leaves(ADA);
    world.leaves(BEN);
    for to in [ADA, BEN, BOT, 99] {
        world.hands(BOT, ADA, HandoverStep::Accepted(person(to)));
        assert_eq!(world.handover(ADA, BOT).status(), HandoverStatus::Open, "{to}");
    }
    world.hands(BOT, ADA, HandoverStep::Accepted(person(CY)));
    let taken = world.hands(BOT, ADA, HandoverStep::Accepted(person(BEN)));
    assert_eq!(world.owner(BOT), Some(person(CY)), "{taken}");
    // An owner who has taken it stays one while its source goes on saying what it said.
    let mut said = machine("bot", Some(ADA));
    said["displayName"] = "Bot".into();
    world.says(BOT, said).unwrap();
    assert_eq!(world.owner(BOT), Some(person(CY)));
}

#[test]
fn a_hand_over_has_a_deadline_of_its_own_and_pages_nobody_as_a_leaver() {
    let mut world = a_world();
    let within = std::time::Duration::from_secs(500);
    world.append(Event::MachinesConfigured(MachinePolicy { handover_within: within, ..MachinePolicy::default() }));
    world.adds(BOT, machine("bot", Some(ADA)));
    let left = world.leaves(ADA);
    world.verify(person(ADA), "wiki");
    let handover = world.handover(ADA, BOT);
    let owed = handover.obligation().unwrap();
    assert_eq!(owed.deadline, at(left.0 + 500));
    world.verify(person(BOT), "wiki");
    assert_eq!(ledger::ringing(&world.state, at(left.0 + 499), 10).unwrap(), []);
    assert_eq!(ledger::ringing(&world.state, at(left.0 + 500), 10).unwrap().len(), 1);
    let (id, change, deadline) = (owed.id.clone(), owed.change, owed.deadline);
    world.append_by("monitor", Event::ObligationOverdue(Overdue { id: id.clone(), change, deadline }));
    assert_eq!(world.handover(ADA, BOT).obligation().unwrap().status(), ObligationStatus::Overdue);
    assert_eq!(ledger::alerting_leavers(&world.state).unwrap(), []);
    assert_eq!(ledger::overdue_access(&world.state).unwrap(), []);
    let late: Vec<_> = ledger::late_handovers(&world.state, 10).unwrap().iter().map(|l| (l.whose, l.count)).collect();
    assert_eq!(late, [(person(ADA), 1)]);
    assert_eq!(ledger::ringing(&world.state, at(99_999), 10).unwrap(), []);
    world
        .append_by("ola", Event::ObligationWaived(Waived { id: id.clone(), reason: "r".into(), expires_at: at(2000) }));
    assert_eq!(world.handover(ADA, BOT).obligation().unwrap().status(), ObligationStatus::Waived);
    assert_eq!(ledger::late_handovers(&world.state, 10).unwrap(), []);
    assert!(!world.completed(ADA, left));
    world.hands(BOT, ADA, HandoverStep::Accepted(person(BEN)));
    assert!(world.completed(ADA, left));
    assert_eq!(ledger::obligation(&world.state, &id).unwrap().unwrap().status(), ObligationStatus::Verified);
}

/// What can happen to two people and two machines.
#[derive(Debug, Clone, Copy)]
enum Step {
    Says(u128, Option<u128>),
    Ends(u128),
    Leaves(u128),
    Returns(u128),
    Verified(u128),
    Accepted(u128, u128, u128),
    Retired(u128, u128),
    Off(u128),
    On(u128),
}

fn a_step() -> impl Strategy<Value = Step> {
    let who = || ADA..=CY;
    let what = || BOT..=JOB;
    prop_oneof![
        (what(), prop::option::of(who())).prop_map(|(m, o)| Step::Says(m, o)),
        what().prop_map(Step::Ends),
        who().prop_map(Step::Leaves),
        who().prop_map(Step::Returns),
        prop_oneof![who(), what()].prop_map(Step::Verified),
        who().prop_map(Step::Off),
        who().prop_map(Step::On),
        (what(), who(), who()).prop_map(|(m, o, to)| Step::Accepted(m, o, to)),
        (what(), who()).prop_map(|(m, o)| Step::Retired(m, o)),
        what().prop_map(Step::Off),
        what().prop_map(Step::On),
    ]
}

fn take(world: &mut World, step: Step) {
    let off = |to, n| Event::IdentitySwitched(Switched { id: person(n), to, reason: String::new() });
    match step {
        Step::Says(n, owner) => {
            let said = machine(&format!("m{n}"), owner);
            if world.last(person(n)).is_none_or(|last| last.deleted) {
                world.adds(n, said);
            } else {
                world.says(n, said);
            }
        }
        Step::Ends(n) | Step::Leaves(n) => {
            if let Some(last) = world.last(person(n)).filter(|last| last.after.has_access()) {
                let mut resource = last.resource.clone();
                resource.insert("active".into(), false.into());
                world.append(Event::Identity(identity::update(&last, resource, at(0)).unwrap()));
            }
        }
        Step::Returns(n) => {
            let last = world.last(person(n)).unwrap();
            if last.after == Lifecycle::Left {
                let mut resource = last.resource.clone();
                resource.insert("active".into(), true.into());
                world.append(Event::Identity(identity::update(&last, resource, at(0)).unwrap()));
            }
        }
        Step::Verified(n) => {
            if ledger::account(&world.state, person(n), &app_id("wiki")).unwrap().is_some() {
                world.verify(person(n), "wiki");
            }
        }
        Step::Accepted(m, o, to) => drop(world.hands(m, o, HandoverStep::Accepted(person(to)))),
        Step::Retired(m, o) => {
            world.hands(m, o, HandoverStep::Retired);
        }
        Step::Off(n) => drop(world.append_by("ola", off(Switch::Off, n))),
        Step::On(n) => drop(world.append_by("ola", off(Switch::On, n))),
    }
}

proptest! {
    /// What is listed is what there is, whatever happens; and a machine whose owner has left is handed over, or listed as without one.
    #[test]
    fn the_lists_are_what_there_is(steps in prop::collection::vec(a_step(), 1..40)) {
        let mut world = a_world();
        for step in steps {
            take(&mut world, step);
            let state = &world.state;
            let (mut without, mut open) = (0, 0);
            for n in [BOT, JOB] {
                let id = person(n);
                let identity = directory::identity(state, id).unwrap();
                let is_active = identity.is_some_and(|i| i.is_active());
                let on = is_active && ledger::switched_off(state, id).unwrap().is_none();
                let owner = ledger::machine(state, id).unwrap().and_then(|machine| machine.owner);
                let there = owner.is_some_and(|owner| ledger::can_own(state, owner).unwrap());
                prop_assert_eq!(ledger::is_without_owner(state, id).unwrap(), on && !there, "{:?}", step);
                without += u64::from(on && !there);
                for n in ADA..=CY {
                    let owns = ledger::machines_owned(state, person(n), None, 10).unwrap().contains(&id);
                    prop_assert_eq!(owns, is_active && owner == Some(person(n)), "{:?}", step);
                }
                let of_machine = ledger::handovers_of_machine(state, id).unwrap();
                open += of_machine.len() as u64;
                for handover in &of_machine {
                    prop_assert!(handover.end.is_none() && handover.owes.is_some());
                    let may = ledger::can_own(state, handover.owner).unwrap() && handover.owner != id;
                    prop_assert!(!may, "{:?}", step);
                }
                // One that is on has an owner, or somebody owes that it gets one.
                prop_assert!(!on || there || !of_machine.is_empty(), "{:?}", step);
                prop_assert!(!is_active || !there || of_machine.is_empty(), "{:?}", step);
            }
            prop_assert_eq!(ledger::count_without_owner(state).unwrap(), without);
            prop_assert_eq!(ledger::count_handovers(state).unwrap().open, open);
            // Each list of obligations says the same.
            let all = ledger::open_obligations(state, None).unwrap();
            let listed = ledger::obligations_after(state, Among::Open, None, 1000).unwrap().pairs;
            prop_assert_eq!(all.len(), listed.len());
            let by_one = {
                let (mut found, mut after) = (Vec::new(), None::<String>);
                loop {
                    let page = ledger::obligations_after(state, Among::All, after.as_deref(), 1).unwrap();
                    found.extend(page.pairs);
                    after = page.next;
                    if after.is_none() { break found; }
                }
            };
            let at_once = ledger::obligations_after(state, Among::All, None, 1000).unwrap().pairs;
            prop_assert_eq!(by_one, at_once);
            // A case counts what it has opened.
            for n in ADA..=CY {
                for leaver in ledger::open_leavers(state).unwrap().into_iter().filter(|l| l.identity == person(n)) {
                    let owed = ledger::obligations_of_leaver(state, &leaver).unwrap();
                    let open = owed.iter().filter(|o| o.end.is_none()).count() as u64;
                    prop_assert_eq!(leaver.count.open, open, "{:?}", step);
                }
            }
        }
    }
}

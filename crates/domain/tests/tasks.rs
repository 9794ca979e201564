//! What people do in apps that Rollcall does not change itself, and what their word is worth.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use rollcall_domain::access::account::{Account, Proof};
use rollcall_domain::access::case::CaseStatus;
use rollcall_domain::access::desired::{Queue, Target};
use rollcall_domain::access::obligation::{ObligationStatus, Overdue};
use rollcall_domain::access::rejection::{Rejection, RejectionCause};
use rollcall_domain::access::task::{StandsOnWord, TaskDone, TaskId, TaskUndone};
use rollcall_domain::access::to_do::to_do;
use rollcall_domain::app::deprovision::Deprovision;
use rollcall_domain::app::health::Quarantined;
use rollcall_domain::app::kind::AppKind;
use rollcall_domain::app::{AppSpec, GroupRule};
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::reconciliation::SyncRequested;
use rollcall_domain::drift::{DriftDetected, DriftId};
use rollcall_domain::governance::erasure::ErasureOrdered;
use rollcall_domain::ledger::{self, Fact, Obstacle};
use rollcall_domain::{Event, Sequence};
use serde_json::{Value, json};

use crate::world::{World, app_id, employee, person, spec};

const EVERYBODY: &str = r#"userType eq "Employee""#;

fn manual(id: &str) -> AppSpec {
    AppSpec { kind: AppKind::Manual, base_url: String::new(), ..spec(id, EVERYBODY) }
}

fn configured(specs: impl IntoIterator<Item = AppSpec>) -> World {
    let mut world = World::default();
    for spec in specs {
        world.append(Event::AppConfigured(Box::new(spec)));
    }
    world
}

fn gone(mut user: Value) -> Value {
    user["active"] = json!(false);
    user
}

fn account(world: &World, app: &str) -> Account {
    ledger::account(&world.state, person(1), &app_id(app)).unwrap().unwrap()
}

fn status(world: &World, app: &str, opened_by: Sequence) -> ObligationStatus {
    world.obligation(person(1), app, opened_by).status()
}

fn task_ids(world: &World) -> Vec<String> {
    let found = ledger::tasks_after(&world.state, None, None, 100).unwrap();
    found.pairs.iter().map(|(_, account)| TaskId::of(account).to_string()).collect()
}

#[test]
fn a_word_ends_what_is_owed_and_is_never_called_verified() {
    let mut world = configured([manual("wiki")]);
    let joined = world.join(person(1), employee("Dev"));
    assert_eq!(task_ids(&world), [format!("t{joined}.wiki.{}", person(1))]);
    let said = world.done(person(1), "wiki").unwrap();
    assert_eq!(status(&world, "wiki", joined), ObligationStatus::Attested);
    let now = account(&world, "wiki");
    assert_eq!((now.proof(), now.verified_version, now.observed.clone()), (Proof::Word, None, None));
    let word = now.attested.unwrap();
    assert_eq!((word.by, word.who.as_str()), (said, "mo"));
    assert!(matches!(world.facts.as_slice(), [Fact::Applied(_), Fact::Attested(_)]), "{:?}", world.facts);
    assert!(task_ids(&world).is_empty());
    // Nothing can be read, whoever asks for it.
    world.append(Event::SyncRequested(SyncRequested::App(app_id("wiki"))));
    world.append(Event::SyncRequested(SyncRequested::Identity(person(1))));
    assert!(task_ids(&world).is_empty());
}

#[test]
fn a_departure_is_complete_with_the_last_word_and_is_then_no_verified_one() {
    let mut world = configured([spec("chat", EVERYBODY), manual("wiki")]);
    world.join(person(1), employee("Dev"));
    world.verify(person(1), "chat");
    world.done(person(1), "wiki");
    let left = world.update(person(1), gone(employee("Dev"))).unwrap();
    world.verify(person(1), "chat");
    let leaver = |world: &World| ledger::leaver(&world.state, person(1), left).unwrap().unwrap();
    assert_eq!(leaver(&world).status(), CaseStatus::Open);
    world.done(person(1), "wiki");
    assert_eq!((leaver(&world).status(), leaver(&world).completed_at), (CaseStatus::Attested, None));
    let owed = ledger::obligations_of_leaver(&world.state, &leaver(&world)).unwrap();
    let verified: Vec<_> = owed.iter().filter_map(|o| o.verified_at().and(o.id.subject.app())).collect();
    assert_eq!(verified, [&app_id("chat")]);
}

#[test]
fn a_word_about_what_was_desired_before_counts_for_nothing() {
    let mut world = configured([manual("wiki")]);
    let joined = world.join(person(1), employee("Dev"));
    let done = |version, target| {
        let (app, identity, reference) = (app_id("wiki"), person(1), String::new());
        Event::TaskDone(TaskDone { app, identity, version, target, reference })
    };
    let left = world.update(person(1), gone(employee("Dev"))).unwrap();
    for (version, target) in [(joined, Target::Present), (joined, Target::Absent), (left, Target::Present)] {
        world.append(done(version, target));
        assert_eq!(status(&world, "wiki", left), ObligationStatus::Open, "{version} {target:?}");
        assert_eq!(account(&world, "wiki").attested, None);
    }
    world.append(done(left, Target::Absent));
    assert_eq!(status(&world, "wiki", left), ObligationStatus::Attested);
    // Said twice it is said once: who said it first has.
    let first = account(&world, "wiki").attested.unwrap().by;
    world.append(done(left, Target::Absent));
    assert_eq!(account(&world, "wiki").attested.unwrap().by, first);
}

#[test]
fn a_word_that_is_taken_back_counts_for_nothing_and_what_it_ended_is_owed_anew() {
    let undone = |version| {
        let (app, identity, reason) = (app_id("wiki"), person(1), "the other one".to_owned());
        Event::TaskUndone(TaskUndone { app, identity, version, reason })
    };
    let mut world = configured([manual("wiki")]);
    let joined = world.join(person(1), employee("Dev"));
    world.append(undone(joined));
    assert_eq!(status(&world, "wiki", joined), ObligationStatus::Open, "nobody has said anything");
    world.done(person(1), "wiki");
    world.append(undone(joined));
    let now = account(&world, "wiki");
    assert_eq!((now.proof(), now.desired_version, now.owes.len()), (Proof::None, joined, 1));
    assert_eq!(status(&world, "wiki", joined), ObligationStatus::Open, "with the time that it had");
    assert_eq!(now.owes[0].applied_at, None);
    assert_eq!(task_ids(&world), [format!("t{joined}.wiki.{}", person(1))]);
    let app = manual("wiki");
    let steps = |world: &World| to_do(&account(world, "wiki"), &app, Some("anna"), &BTreeSet::new());
    assert!(steps(&world)[0].starts_with("Create the account"), "{:?}", steps(&world));
    // Once.
    world.append(undone(joined));
    assert_eq!(account(&world, "wiki").owes.len(), 1);
    world.done(person(1), "wiki");
    assert_eq!(account(&world, "wiki").proof(), Proof::Word);
    // What there was before there is again.
    let moved = world.update(person(1), employee("Lead")).unwrap();
    let before = steps(&world);
    world.done(person(1), "wiki");
    world.append(undone(moved));
    assert_eq!(steps(&world), before);
    world.done(person(1), "wiki");

    // A departure goes on, and is late when it was.
    let left = world.update(person(1), gone(employee("Lead"))).unwrap();
    let case = |world: &World| ledger::leaver(&world.state, person(1), left).unwrap().unwrap();
    let owed = world.obligation(person(1), "wiki", left);
    world.append(Event::ObligationOverdue(Overdue {
        id: owed.id.clone(),
        change: owed.change,
        deadline: owed.deadline,
    }));
    assert_eq!(case(&world).status(), CaseStatus::Overdue);
    world.done(person(1), "wiki");
    assert_eq!((case(&world).status(), case(&world).on_word), (CaseStatus::Attested, 1));
    world.append(undone(left));
    assert_eq!((case(&world).status(), case(&world).on_word, case(&world).attested_at), (CaseStatus::Overdue, 0, None));
    assert!(ledger::open_leavers(&world.state).unwrap().iter().any(|open| open.identity == person(1)));
    assert!(steps(&world)[0].starts_with("Switch the account"), "{:?}", steps(&world));
    world.done(person(1), "wiki");
    assert_eq!(case(&world).status(), CaseStatus::Attested);
    // What is desired otherwise by now is no matter of that word.
    let again = world.update(person(1), employee("Dev")).unwrap();
    world.append(undone(left));
    assert_eq!(account(&world, "wiki").desired_version, again);

    // Where a list is still to show it nothing had ended: somebody has to do it, and that is all.
    let mut world = configured([AppSpec { kind: AppKind::List, ..manual("wiki") }]);
    let joined = world.join(person(1), employee("Dev"));
    world.done(person(1), "wiki");
    world.append(undone(joined));
    let now = account(&world, "wiki");
    assert!(now.word().unwrap().refuted && now.owes.len() == 1 && now.desired_version == joined, "{now:?}");
}

#[test]
fn nobodys_word_counts_where_rollcall_reads_for_itself_and_a_list_is_still_to_show_what_was_said() {
    let listed = AppSpec { kind: AppKind::List, ..manual("wiki") };
    let mut world = configured([spec("chat", EVERYBODY), listed]);
    let joined = world.join(person(1), employee("Dev"));
    world.done(person(1), "chat");
    assert_eq!((status(&world, "chat", joined), account(&world, "chat").attested), (ObligationStatus::Open, None));
    world.done(person(1), "wiki");
    assert_eq!(status(&world, "wiki", joined), ObligationStatus::Applied);
    assert_eq!(account(&world, "wiki").proof(), Proof::None);
    world.verify(person(1), "wiki");
    assert_eq!(status(&world, "wiki", joined), ObligationStatus::Verified);
    assert_eq!((account(&world, "wiki").proof(), account(&world, "wiki").attested), (Proof::Read, None));
}

#[test]
fn what_was_said_of_an_app_is_read_once_it_can_be() {
    let mut world = configured([manual("wiki")]);
    world.join(person(1), employee("Dev"));
    world.done(person(1), "wiki");
    world.update(person(1), gone(employee("Dev")));
    world.done(person(1), "wiki");
    assert!(!account(&world, "wiki").is_pending());
    world.append(Event::AppConfigured(Box::new(spec("wiki", EVERYBODY))));
    let now = account(&world, "wiki");
    assert_eq!((now.proof(), now.is_pending(), now.desired.target()), (Proof::None, true, Target::Absent));
    assert!(task_ids(&world).is_empty(), "it is no task of people any more");
    world.verify(person(1), "wiki");
    assert_eq!(account(&world, "wiki").proof(), Proof::Read);
}

#[test]
fn who_is_to_be_erased_is_deleted_also_where_people_have_to_say_so() {
    for (deprovision, kept) in [(Deprovision::Deactivate, true), (Deprovision::Delete, false)] {
        let mut world = configured([AppSpec { deprovision, ..manual("wiki") }]);
        world.join(person(1), employee("Dev"));
        world.done(person(1), "wiki");
        world.update(person(1), gone(employee("Dev")));
        let obstacles = |world: &World| ledger::obstacles(&world.state, person(1)).unwrap();
        assert_eq!(obstacles(&world), [Obstacle::Owed(app_id("wiki"))]);
        world.done(person(1), "wiki");
        let rest = if kept { vec![Obstacle::Kept(app_id("wiki"))] } else { Vec::new() };
        assert_eq!(obstacles(&world), rest, "{deprovision:?}");
        let order =
            ErasureOrdered { id: person(1), reason: "asked".into(), legal_basis: String::new(), approved_by: None };
        world.append(Event::ErasureOrdered(order));
        assert_eq!(task_ids(&world).len(), usize::from(kept));
        world.done(person(1), "wiki");
        assert_eq!(obstacles(&world), []);
    }
}

#[test]
fn tasks_are_listed_by_app_the_most_urgent_first_and_each_once_in_steps_of_any_size() {
    let mut world = configured([manual("b"), spec("chat", EVERYBODY), manual("a"), manual("a-b")]);
    for n in 1..=5 {
        world.join(person(n), json!({ "userName": n.to_string(), "userType": "Employee" }));
        if n > 3 {
            for app in ["a", "a-b", "b"] {
                world.done(person(n), app);
            }
            world.update(person(n), json!({ "userName": n.to_string(), "userType": "Employee", "active": false }));
        }
    }
    let whole = ledger::tasks_after(&world.state, None, None, 100).unwrap();
    let places: Vec<String> = whole.pairs.iter().map(|(place, _)| place.clone()).collect();
    assert_eq!((places.len(), whole.next), (15, None));
    assert!(places[0].starts_with("a/absent/") && places[2].starts_with("a/present/"), "{places:?}");
    for step in 1..=16 {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = ledger::tasks_after(&world.state, None, after.as_deref(), step).unwrap();
            found.extend(page.pairs.into_iter().map(|(place, _)| place));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, places, "{step} at a time");
    }
    let one = ledger::tasks_after(&world.state, Some(&app_id("b")), None, 100).unwrap();
    assert!(one.pairs.len() == 5 && one.pairs.iter().all(|(_, account)| account.app == app_id("b")));
}

/// One who joins in Sales, moves to Dev under another name, is switched off, and leaves.
#[test]
fn what_has_to_be_done_is_said_in_words() {
    let rule = |from: &str, to: &str| GroupRule { from: from.into(), to: to.into() };
    let app = AppSpec { groups: vec![rule("Sales", "Sellers"), rule("Dev", "Makers")], ..manual("wiki") };
    let mut world = configured([app.clone()]);
    let said = |world: &World, name: &str| to_do(&account(world, "wiki"), &app, Some(name), &BTreeSet::new());
    world.join(person(1), json!({ "userName": "ann", "userType": "Employee", "title": "Seller", "active": true }));
    let steps = said(&world, "ann");
    assert_eq!(steps[0], "Create the account ann, or switch on the one there is, with title: Seller");
    assert_eq!(steps[1], "See that it is in none of Makers, Sellers");
    world.done(person(1), "wiki");
    world.update(person(1), json!({ "userName": "anna", "userType": "Employee", "title": "Maker", "active": true }));
    assert_eq!(said(&world, "anna"), ["Rename the account ann to anna", "Change the account anna: title: Maker"]);
    world.done(person(1), "wiki");
    world.update(person(1), gone(json!({ "userName": "anna", "userType": "Employee", "title": "Maker" })));
    assert_eq!(
        said(&world, "anna"),
        ["Switch the account anna (it may be called ann) off, and take it out of every group"]
    );
    let deleting = AppSpec { deprovision: Deprovision::Delete, ..app.clone() };
    let steps = to_do(&account(&world, "wiki"), &deleting, Some("anna"), &BTreeSet::new());
    assert_eq!(steps, ["Delete the account anna (it may be called ann)"]);
}

#[test]
fn a_word_is_refuted_by_what_is_found_after_it_and_counts_again_when_it_is_given_again() {
    let listed = AppSpec { kind: AppKind::List, ..manual("wiki") };
    let mut world = configured([listed]);
    world.join(person(1), employee("Dev"));
    world.verify(person(1), "wiki");
    let left = world.update(person(1), gone(employee("Dev"))).unwrap();
    let is_refuted = |world: &World| account(world, "wiki").attested.unwrap().refuted;
    let zombie = || {
        let id = DriftId { app: app_id("wiki"), identity: person(1), kind: DriftKind::Zombie };
        Event::DriftDetected(DriftDetected::new(id, left, Vec::new(), None))
    };
    world.done(person(1), "wiki");
    assert!(!is_refuted(&world));
    world.append(zombie());
    assert!(is_refuted(&world));
    world.done(person(1), "wiki");
    assert!(!is_refuted(&world));
    world.append(zombie());
    assert!(is_refuted(&world));
    // Somebody has it looked at again: what was said of it was said of the same.
    world.append(Event::SyncRequested(SyncRequested::Identity(person(1))));
    let now = account(&world, "wiki");
    assert_eq!(now.attested.unwrap().version, now.desired_version);
}

#[test]
fn an_app_that_is_reached_in_another_way_is_read_anew_and_keeps_no_alert_of_before() {
    for (was, is, reopened) in [
        (AppKind::Scim, AppKind::List, true),
        (AppKind::List, AppKind::Scim, true),
        (AppKind::Scim, AppKind::Manual, false),
        (AppKind::Scim, AppKind::Scim, false),
    ] {
        let of = |kind| AppSpec { kind, ..spec("wiki", EVERYBODY) };
        let mut world = configured([of(was)]);
        world.join(person(1), employee("Dev"));
        world.verify(person(1), "wiki");
        let id = DriftId { app: app_id("wiki"), identity: person(2), kind: DriftKind::Orphan };
        world.append(Event::DriftDetected(DriftDetected::new(id, Sequence(0), Vec::new(), None)));
        let rejection = Rejection { cause: RejectionCause::Unreachable, status: None, detail: "away".into() };
        world.append(Event::AppQuarantined(Quarantined { app: app_id("wiki"), rejection, failures: 5 }));
        world.append(Event::AppConfigured(Box::new(of(is))));
        let now = account(&world, "wiki");
        assert_eq!(now.is_pending(), reopened, "{was:?} {is:?}");
        assert_eq!(now.remote_id.is_none(), reopened, "an id of another kind is known: {was:?} {is:?}");
        let left_alone = ledger::quarantine(&world.state, &app_id("wiki")).unwrap().is_some();
        assert_eq!(left_alone, was == is, "{was:?} {is:?}");
        let found = ledger::drift(&world.state, Some(&app_id("wiki"))).unwrap().len();
        assert_eq!(found == 0, is == AppKind::Manual, "{was:?} {is:?}");
    }
}

#[test]
fn that_an_account_was_said_to_be_made_and_never_shown_is_remembered_until_a_list_shows_it() {
    let listed = AppSpec { kind: AppKind::List, ..manual("wiki") };
    let mut world = configured([listed]);
    world.join(person(1), employee("Dev"));
    world.done(person(1), "wiki");
    world.update(person(1), gone(employee("Dev")));
    world.done(person(1), "wiki");
    let said = account(&world, "wiki").attested.unwrap();
    assert!(said.unseen && said.says_there_was_one(), "{said:?}");
    let mut shown = configured([AppSpec { kind: AppKind::List, ..manual("wiki") }]);
    shown.join(person(1), employee("Dev"));
    shown.verify(person(1), "wiki");
    shown.update(person(1), gone(employee("Dev")));
    shown.done(person(1), "wiki");
    assert!(!account(&shown, "wiki").attested.unwrap().says_there_was_one());
}

#[test]
fn a_word_of_a_departure_that_is_taken_back_after_they_came_back_completes_no_departure() {
    let mut world = configured([AppSpec { assign: r#"title eq "Sales""#.into(), ..manual("wiki") }]);
    world.join(person(1), employee("Sales"));
    world.done(person(1), "wiki").unwrap();
    world.update(person(1), gone(employee("Sales"))).unwrap();
    world.done(person(1), "wiki").unwrap();
    let completed = |world: &World| world.facts.iter().filter(|fact| matches!(fact, Fact::LeaverCompleted(_))).count();
    assert_eq!(completed(&world), 1);
    // Back, in another department: nothing is owed there anew, and what was said of it is taken back.
    world.update(person(1), employee("Dev")).unwrap();
    let Account { app, identity, desired_version: version, .. } = account(&world, "wiki");
    let undone = TaskUndone { app, identity, version, reason: "it was the other one".into() };
    world.append_by("mo", Event::TaskUndone(undone));
    assert!(account(&world, "wiki").is_pending(), "it is owed");
    world.done(person(1), "wiki").unwrap();
    assert_eq!(completed(&world), 1, "nobody has left a second time");
}

#[test]
fn what_stands_on_a_word_is_no_task_again_because_somebody_wants_it_read() {
    let mut world = configured([AppSpec { kind: AppKind::List, ..manual("wiki") }]);
    let joined = world.join(person(1), employee("Sales"));
    world.done(person(1), "wiki").unwrap();
    let stands = StandsOnWord { app: app_id("wiki"), identity: person(1), version: joined };
    world.append(Event::AccountAttested(stands));
    assert!(!account(&world, "wiki").is_pending());
    world.append(Event::SyncRequested(SyncRequested::App(app_id("wiki"))));
    assert!(!account(&world, "wiki").is_pending());
    for queue in Queue::ALL {
        assert_eq!(ledger::pending(&world.state, &app_id("wiki"), queue, None, 9).unwrap(), []);
    }
}

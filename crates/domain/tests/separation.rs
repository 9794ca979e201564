//! Separation of duties: what is refused as the second, and what is found to be held together.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use rollcall_domain::access::entitlement::{Entitlement, EntitlementId, Grantable, Part};
use rollcall_domain::access::grant::{GrantEnd, GrantStatus, Lasts};
use rollcall_domain::access::separation::{Separated, SeparationSpec, Violation, ViolationAccepted, ViolationStatus};
use rollcall_domain::app::AppSpec;
use rollcall_domain::governance::configuration::Configuring;
use rollcall_domain::identity::switch::Switch;
use rollcall_domain::ledger::Missing;
use rollcall_domain::{Event, IdentityId, directory, identity, ledger};
use rollcall_scim::Catalogue;
use serde_json::json;

use crate::world::access::{Ask, approve, end, request, role, status, switch, terms};
use crate::world::{World, at, person, spec, two_apps};

const PAY: &str = "erp:group:Payers";
const SIGN: &str = "erp:group:Signers";

fn set(ids: &[&str]) -> BTreeSet<EntitlementId> {
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

fn separation() -> SeparationSpec {
    SeparationSpec {
        id: "payments".parse().unwrap(),
        name: "Payments".into(),
        owner: "cfo@example.com".into(),
        reason: "four eyes".into(),
        entitlements: set(&[PAY]),
        never_with: set(&[SIGN]),
    }
}

fn erp() -> AppSpec {
    let group = |name: &str| Entitlement { part: Part::Group(name.into()), name: name.to_uppercase(), terms: terms() };
    AppSpec { entitlements: vec![group("Payers"), group("Signers")], ..spec("erp", "") }
}

fn with_erp() -> World {
    let mut world = two_apps();
    world.append(Event::AppConfigured(Box::new(erp())));
    world.append(Event::SeparationConfigured(Box::new(separation())));
    for n in 1..=2 {
        world.join(person(n), json!({ "userName": format!("p{n}"), "userType": "Employee", "title": "Clerk" }));
    }
    world
}

fn ask(what: &str) -> Ask<'_> {
    Ask { what, lasts: Lasts::Standing, approvals: 1, extends: None }
}

fn violations(world: &World, who: IdentityId) -> Vec<Violation> {
    ledger::violations_of(&world.state, who).unwrap()
}

fn refused(world: &World, who: IdentityId, what: &str) -> Vec<Separated> {
    let what: Grantable = what.parse().unwrap();
    ledger::separated(&world.state, who, &what).unwrap()
}

#[test]
fn the_second_is_refused_and_says_by_what_and_which_is_the_first() {
    let mut world = with_erp();
    assert_eq!(refused(&world, person(1), PAY), []);
    request(&mut world, 1, person(1), ask(PAY));
    approve(&mut world, "olga", 1, person(1));
    let expected =
        Separated { by: "payments".parse().unwrap(), second: SIGN.parse().unwrap(), first: PAY.parse().unwrap() };
    assert_eq!(refused(&world, person(1), SIGN), std::slice::from_ref(&expected));
    assert_eq!(refused(&world, person(2), SIGN), [], "others hold no first");
    assert_eq!(refused(&world, person(1), PAY), [], "what is held is no second");
    let identity = directory::identity(&world.state, person(1)).unwrap().unwrap();
    let (_, why_not) = ledger::explain(&world.state, &Catalogue::default(), identity, &SIGN.parse().unwrap()).unwrap();
    assert!(why_not.contains(&Missing::Separated(expected.by, expected.first)), "{why_not:?}");
    // Whoever approved it did not know of the first.
    request(&mut world, 2, person(1), ask(SIGN));
    approve(&mut world, "olga", 2, person(1));
    assert_eq!(status(&world, 2), (GrantStatus::Ended, Some(GrantEnd::Separated)));
    assert_eq!(violations(&world, person(1)), []);
    // After the first has ended, the second may begin.
    end(&mut world, 1, person(1), GrantEnd::Ended, None);
    world.verify(person(1), "erp");
    assert_eq!(refused(&world, person(1), SIGN), []);
    request(&mut world, 3, person(1), ask(SIGN));
    approve(&mut world, "olga", 3, person(1));
    assert_eq!(status(&world, 3).0, GrantStatus::Active);
}

#[test]
fn a_role_that_gives_the_second_is_refused_as_well_and_so_is_one_that_gives_both() {
    let mut world = with_erp();
    world.append(Event::RoleConfigured(Box::new(role("signer", "", &[SIGN, "crm"]))));
    world.append(Event::RoleConfigured(Box::new(role("both", "", &[SIGN, PAY]))));
    assert_eq!(refused(&world, person(1), "role:both").len(), 1);
    assert_eq!(refused(&world, person(1), "role:signer"), []);
    request(&mut world, 1, person(1), ask(PAY));
    approve(&mut world, "olga", 1, person(1));
    assert_eq!(refused(&world, person(1), "role:signer").len(), 1);
    request(&mut world, 2, person(1), ask("role:signer"));
    approve(&mut world, "olga", 2, person(1));
    assert_eq!(status(&world, 2), (GrantStatus::Ended, Some(GrantEnd::Separated)));
}

#[test]
fn what_is_held_together_is_found_until_one_of_it_is_verified_to_be_gone() {
    let mut world = with_erp();
    let clerks =
        |entitlements: &[&str]| Event::RoleConfigured(Box::new(role("clerk", r#"title eq "Clerk""#, entitlements)));
    let found = world.append(clerks(&[PAY, SIGN]));
    let [violation] = violations(&world, person(1)).try_into().unwrap();
    assert_eq!((violation.opened_by, violation.since), (found, at(found.0)));
    assert_eq!(violation.held, set(&[PAY, SIGN]));
    world.verify(person(1), "erp");
    world.append(clerks(&[PAY]));
    assert_eq!(violations(&world, person(1)).len(), 1, "the app was not read back without it");
    world.verify(person(1), "erp");
    assert_eq!(violations(&world, person(1)), []);
    assert_eq!(violations(&world, person(2)).len(), 1, "theirs is not verified");
    world.append(Event::Identity(identity::delete(&world.last(person(2)).unwrap())));
    assert_eq!(violations(&world, person(2)).len(), 1, "not gone yet");
    world.verify(person(2), "erp");
    assert_eq!(violations(&world, person(2)), []);
}

#[test]
fn a_separation_that_is_configured_finds_who_violates_it_when_all_that_changes_with_it_is_known() {
    let mut world = with_erp();
    world.append(Event::SeparationRemoved("payments".parse().unwrap()));
    let both = Event::RoleConfigured(Box::new(role("clerk", r#"title eq "Clerk""#, &[PAY, SIGN])));
    world.append(both);
    assert_eq!(violations(&world, person(1)), []);
    world.append(Event::Configuring(Configuring::Begins));
    world.append(Event::SeparationConfigured(Box::new(separation())));
    assert_eq!(violations(&world, person(1)), [], "the roles may change with it");
    let ends = world.append(Event::Configuring(Configuring::Ends));
    assert_eq!(violations(&world, person(1)).first().map(|one| one.opened_by), Some(ends));
    world.append(Event::SeparationRemoved("payments".parse().unwrap()));
    assert_eq!(ledger::violations(&world.state).unwrap(), []);
}

#[test]
fn what_two_people_accept_is_accepted_until_its_time_is_over_or_more_is_held() {
    let mut world = with_erp();
    let accept = |who| {
        Event::ViolationAccepted(ViolationAccepted {
            separation: "payments".parse().unwrap(),
            identity: who,
            held: set(&[PAY, SIGN]),
            control: "a second look each week".into(),
            reason: "holidays".into(),
            expires_at: at(1000),
        })
    };
    world.append_by("olga", accept(person(1)));
    assert_eq!(violations(&world, person(1)), [], "there is none");
    world.append(Event::RoleConfigured(Box::new(role("clerk", r#"title eq "Clerk""#, &[PAY, SIGN]))));
    let said = world.append_by("olga", accept(person(1)));
    let status = |world: &World, now| violations(world, person(1)).first().map(|one| one.status(now));
    assert_eq!(status(&world, at(999)), Some(ViolationStatus::Accepted));
    assert_eq!(status(&world, at(1000)), Some(ViolationStatus::Open));
    let acceptance = violations(&world, person(1)).remove(0).accepted.unwrap();
    assert_eq!((acceptance.sequence, acceptance.by.as_str()), (said, "olga"));
    let more = SeparationSpec { entitlements: set(&[PAY, "erp"]), ..separation() };
    world.append(Event::SeparationConfigured(Box::new(more)));
    assert_eq!(status(&world, at(999)), Some(ViolationStatus::Open), "nobody has agreed to more");
}

#[test]
fn what_is_taken_away_counts_until_the_app_was_read_back_whatever_is_asked_for_meanwhile() {
    let mut world = with_erp();
    request(&mut world, 1, person(1), ask(PAY));
    approve(&mut world, "olga", 1, person(1));
    world.verify(person(1), "erp");
    end(&mut world, 1, person(1), GrantEnd::Ended, None);
    assert_eq!(refused(&world, person(1), SIGN).len(), 1, "the app still has them");
    // Whoever goes on holding the first holds no less for it.
    request(&mut world, 2, person(1), ask(PAY));
    approve(&mut world, "olga", 2, person(1));
    end(&mut world, 2, person(1), GrantEnd::Ended, None);
    world.verify(person(1), "erp");
    assert_eq!(refused(&world, person(1), SIGN), []);
}

#[test]
fn whoever_changes_sides_at_once_holds_both_until_the_first_is_verified_gone() {
    let mut world = with_erp();
    let clerks = |id: &str| Event::RoleConfigured(Box::new(role("clerk", r#"title eq "Clerk""#, &[id])));
    world.append(clerks(PAY));
    world.verify(person(1), "erp");
    world.append(clerks(SIGN));
    assert_eq!(violations(&world, person(1)).len(), 1);
    // Not gone by being configured anew, nor by being switched off: the app has them in the group all the same.
    world.append(Event::SeparationRemoved("payments".parse().unwrap()));
    assert_eq!(violations(&world, person(1)), []);
    world.append(Event::SeparationConfigured(Box::new(separation())));
    assert_eq!(violations(&world, person(1)).len(), 1);
    switch(&mut world, person(1), Switch::Off);
    world.verify(person(1), "erp");
    assert_eq!(violations(&world, person(1)).len(), 1, "it was read as inactive, and else as it was");
    switch(&mut world, person(1), Switch::On);
    world.verify(person(1), "erp");
    assert_eq!(violations(&world, person(1)), []);
}

#[test]
fn a_group_brings_its_account_and_an_account_brings_what_groups_of_ours_give() {
    let mut world = with_erp();
    let accounts = SeparationSpec {
        id: "accounts".parse().unwrap(),
        entitlements: set(&["erp"]),
        never_with: set(&["crm"]),
        ..separation()
    };
    world.append(Event::SeparationConfigured(Box::new(accounts)));
    world.join(person(3), json!({ "userName": "p3", "userType": "Employee", "title": "Sales" }));
    assert_eq!(refused(&world, person(3), PAY).len(), 1, "a group of the ERP is an account there");
    request(&mut world, 1, person(2), ask("crm"));
    approve(&mut world, "olga", 1, person(2));
    request(&mut world, 2, person(2), ask(PAY));
    approve(&mut world, "olga", 2, person(2));
    assert_eq!(status(&world, 2), (GrantStatus::Ended, Some(GrantEnd::Separated)));
}

#[test]
fn an_acceptance_is_of_what_was_seen() {
    let mut world = with_erp();
    world.append(Event::RoleConfigured(Box::new(role("clerk", r#"title eq "Clerk""#, &[PAY, SIGN]))));
    let accept = |held: &[&str]| {
        Event::ViolationAccepted(ViolationAccepted {
            separation: "payments".parse().unwrap(),
            identity: person(1),
            held: set(held),
            control: "c".into(),
            reason: "r".into(),
            expires_at: at(1000),
        })
    };
    world.append_by("olga", accept(&[PAY]));
    assert_eq!(violations(&world, person(1))[0].accepted, None, "more is held than they have seen");
    let counts = |world: &World| ledger::count_violations(&world.state, at(500)).unwrap();
    assert_eq!((counts(&world).open, counts(&world).accepted), (2, 0));
    world.append_by("olga", accept(&[PAY, SIGN]));
    assert!(violations(&world, person(1))[0].accepted.is_some());
    assert_eq!((counts(&world).open, counts(&world).accepted), (1, 1));
    assert_eq!(ledger::count_violations(&world.state, at(1000)).unwrap().open, 2, "its time is over");
}

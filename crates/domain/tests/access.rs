//! Who holds what, and why: roles, grants, and whoever is switched off, in stories of events.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use rollcall_domain::access::desired::{Desired, Queue, Target};
use rollcall_domain::access::entitlement::{Grantable, Part};
use rollcall_domain::access::grant::{GrantEnd, GrantStatus, Lasts};
use rollcall_domain::access::holding::Reason;
use rollcall_domain::access::policy::PolicySpec;
use rollcall_domain::app::AppSpec;
use rollcall_domain::app::guard::Guard;
use rollcall_domain::governance::configuration::Configuring;
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::identity::switch::Switch;
use rollcall_domain::identity::{self, IdentityKind};
use rollcall_domain::ledger::Missing;
use rollcall_domain::{Event, directory, ledger};
use rollcall_scim::Catalogue;
use serde_json::json;

use crate::world::access::*;
use crate::world::{World, app_id, at, employee, person, resource, spec, two_apps};

#[test]
fn whoever_is_switched_off_owes_every_app_at_once_and_is_on_again_as_before() {
    let mut world = two_apps();
    world.join(person(1), employee("Sales"));
    world.verify(person(1), "chat");
    world.verify(person(1), "crm");
    let off = switch(&mut world, person(1), Switch::Off);
    for app in ["chat", "crm"] {
        let owed = world.obligation(person(1), app, off);
        assert_eq!((owed.change, owed.target, owed.deadline), (ChangeKind::Disable, Target::Absent, at(off.0 + 5)));
        assert_eq!(ledger::account(&world.state, person(1), &app_id(app)).unwrap().unwrap().desired, Desired::Off);
        assert_eq!(ledger::pending(&world.state, &app_id(app), Queue::Off, None, 9).unwrap(), [(person(1), off)]);
    }
    // Nobody counts that as a removal by a source.
    assert_eq!(ledger::holds(&world.state).unwrap(), []);
    assert!(ledger::switched_off(&world.state, person(1)).unwrap().is_some_and(|off| off.by == "olga"));
    // Off twice is off; a source that changes them, or rehires them, changes nothing about it.
    switch(&mut world, person(1), Switch::Off);
    world.update(person(1), employee("Dev")).unwrap();
    world.verify(person(1), "chat");
    let account = ledger::account(&world.state, person(1), &app_id("chat")).unwrap().unwrap();
    assert_eq!((account.desired.clone(), account.owes.len()), (Desired::Off, 0));
    // What is no longer theirs goes for good.
    assert_eq!(ledger::account(&world.state, person(1), &app_id("crm")).unwrap().unwrap().desired, Desired::Absent);
    let on = switch(&mut world, person(1), Switch::On);
    assert_eq!(world.obligation(person(1), "chat", on).target, Target::Present);
    assert_eq!(groups(&world, person(1), "crm"), None);
    assert_eq!(ledger::switched_off(&world.state, person(1)).unwrap(), None);
}

#[test]
fn whoever_is_switched_off_and_leaves_has_left_and_a_rehire_does_not_switch_them_on() {
    let mut world = two_apps();
    world.join(person(1), employee("Dev"));
    world.verify(person(1), "chat");
    switch(&mut world, person(1), Switch::Off);
    let left = world.update(person(1), json!({ "userName": "anna", "active": false })).unwrap();
    assert_eq!(ledger::account(&world.state, person(1), &app_id("chat")).unwrap().unwrap().desired, Desired::Absent);
    let pending = |world: &World, queue| ledger::pending(&world.state, &app_id("chat"), queue, None, 9).unwrap();
    assert_eq!(pending(&world, Queue::Off), [(person(1), left)], "no hold and no waiver stands before it");
    assert_eq!(pending(&world, Queue::Absent), []);
    // On again, they have left like anybody else.
    switch(&mut world, person(1), Switch::On);
    assert_eq!((pending(&world, Queue::Off), pending(&world, Queue::Absent)), (vec![], vec![(person(1), left)]));
    switch(&mut world, person(1), Switch::Off);
    world.verify(person(1), "chat");
    world.update(person(1), employee("Dev")).unwrap();
    assert_eq!(ledger::account(&world.state, person(1), &app_id("chat")).unwrap().unwrap().desired, Desired::Off);
    switch(&mut world, person(1), Switch::On);
    assert_eq!(groups(&world, person(1), "chat"), Some(vec![]));
}

#[test]
fn a_role_gives_what_it_names_to_whom_its_rule_chooses_and_takes_it_away() {
    let mut world = with_code();
    let joined = world.join(person(1), employee("Dev"));
    assert_eq!(groups(&world, person(1), "code"), None);
    let role_of = |members: &str| Event::RoleConfigured(Box::new(role("dev", members, &["code:group:Admins", "crm"])));
    let configured = world.append(role_of(r#"title eq "Dev""#));
    assert_eq!(groups(&world, person(1), "code"), Some(vec!["Admins".to_owned()]));
    assert_eq!(groups(&world, person(1), "crm"), Some(vec![]));
    let by_role = vec![Reason::Role("dev".parse().unwrap())];
    assert_eq!(reasons(&world, person(1), "code", &Part::Account), by_role, "whoever holds anything holds the account");
    assert_eq!(reasons(&world, person(1), "code", &Part::Group("Admins".into())), by_role);
    assert_eq!(reasons(&world, person(1), "chat", &Part::Account), [Reason::Rule]);
    assert_eq!(world.obligation(person(1), "code", configured).target, Target::Present);
    let moved = world.update(person(1), employee("Sales")).unwrap();
    assert_eq!(groups(&world, person(1), "code"), None);
    assert_eq!(world.obligation(person(1), "code", moved).target, Target::Absent);
    // The rule of the app keeps what the role does not give any more, since they had it.
    let crm = ledger::account(&world.state, person(1), &app_id("crm")).unwrap().unwrap();
    assert_eq!(crm.holds[&Part::Account].reasons, BTreeSet::from([Reason::Rule]));
    assert_eq!(crm.holds[&Part::Account].since, at(configured.0), "held since, whatever the reason");
    assert!(joined < configured);
    world.append(role_of(r#"title eq "Sales""#));
    assert_eq!(groups(&world, person(1), "code"), Some(vec!["Admins".to_owned()]));
    let removed = world.append(Event::RoleRemoved("dev".parse().unwrap()));
    assert_eq!(world.obligation(person(1), "code", removed).target, Target::Absent);
    assert_eq!(groups(&world, person(1), "crm"), Some(vec![]));
}

#[test]
fn a_group_that_the_app_does_not_manage_is_given_by_nothing() {
    let mut world = with_code();
    world.join(person(1), employee("Dev"));
    world.append(Event::RoleConfigured(Box::new(role("dev", r#"title eq "Dev""#, &["code:group:Owners"]))));
    assert_eq!(groups(&world, person(1), "code"), None);
}

#[test]
fn what_a_rule_gave_and_a_role_gives_now_is_lost_in_between_by_nobody() {
    let mut world = two_apps();
    world.join(person(1), employee("Sales"));
    world.verify(person(1), "crm");
    world.append(Event::Configuring(Configuring::Begins));
    world.append(Event::AppConfigured(Box::new(spec("crm", ""))));
    assert_eq!(groups(&world, person(1), "crm"), Some(vec![]), "not all of it is known yet");
    world.append(Event::RoleConfigured(Box::new(role("sales", r#"title eq "Sales""#, &["crm"]))));
    let ended = world.append(Event::Configuring(Configuring::Ends));
    assert_eq!(groups(&world, person(1), "crm"), Some(vec![]));
    assert_eq!(reasons(&world, person(1), "crm", &Part::Account), [Reason::Role("sales".parse().unwrap())]);
    assert!(
        ledger::open_obligations(&world.state, None)
            .unwrap()
            .iter()
            .all(|o| o.id.subject.app() != Some(&app_id("crm")))
    );
    // Without a role that gives it, it is lost once all is known.
    world.append(Event::Configuring(Configuring::Begins));
    world.append(Event::RoleRemoved("sales".parse().unwrap()));
    let lost = world.append(Event::Configuring(Configuring::Ends));
    assert_eq!(world.obligation(person(1), "crm", lost).target, Target::Absent);
    assert!(ended < lost);
}

#[test]
fn a_grant_begins_when_enough_have_approved_it_and_ends_when_its_time_is_over() {
    let mut world = with_code();
    world.join(person(1), employee("Dev"));
    request(&mut world, 1, person(1), Ask { approvals: 2, ..admins(Lasts::For(Duration::from_secs(60))) });
    approve(&mut world, "olga", 1, person(1));
    approve(&mut world, "olga", 1, person(1));
    assert_eq!(status(&world, 1), (GrantStatus::Requested, None), "one person twice is one person");
    assert_eq!(groups(&world, person(1), "code"), None);
    let begun = approve(&mut world, "otto", 1, person(1));
    assert_eq!(status(&world, 1), (GrantStatus::Active, None));
    assert_eq!(groups(&world, person(1), "code"), Some(vec!["Admins".to_owned()]));
    let owed = world.obligation(person(1), "code", begun);
    assert_eq!((owed.change, owed.deadline), (ChangeKind::Grant, at(begun.0 + 30)));
    assert_eq!(reasons(&world, person(1), "code", &Part::Account), [Reason::Grant(grant_id(1))]);
    let until = at(begun.0 + 60);
    assert!(ledger::grants_ringing(&world.state, at(begun.0 + 59), 9).unwrap().is_empty());
    assert_eq!(ledger::next_grant_ring(&world.state).unwrap(), Some(until));
    let ringing = ledger::grants_ringing(&world.state, until, 9).unwrap();
    assert_eq!(ringing.iter().map(|(at, grant)| (*at, grant.id)).collect::<Vec<_>>(), [(until, grant_id(1))]);
    // Another end than its own ends nothing.
    end(&mut world, 1, person(1), GrantEnd::Expired, Some(at(5)));
    assert_eq!(status(&world, 1), (GrantStatus::Active, None));
    let over = end(&mut world, 1, person(1), GrantEnd::Expired, Some(until));
    assert_eq!(status(&world, 1), (GrantStatus::Ended, Some(GrantEnd::Expired)));
    let owed = world.obligation(person(1), "code", over);
    assert_eq!((owed.change, owed.target, owed.deadline), (ChangeKind::Grant, Target::Absent, at(over.0 + 30)));
    assert_eq!(ledger::next_grant_ring(&world.state).unwrap(), None);
    // What has ended begins by nothing again.
    approve(&mut world, "olga", 1, person(1));
    assert_eq!(groups(&world, person(1), "code"), None);
}

#[test]
fn a_request_that_is_denied_withdrawn_or_not_answered_gives_nothing() {
    for why in [GrantEnd::Denied, GrantEnd::Withdrawn, GrantEnd::Unanswered] {
        let mut world = with_code();
        world.join(person(1), employee("Dev"));
        request(&mut world, 1, person(1), admins(Lasts::Standing));
        end(&mut world, 1, person(1), why, Some(at(10_000)));
        assert_eq!(status(&world, 1), (GrantStatus::Ended, Some(why)));
        approve(&mut world, "olga", 1, person(1));
        assert_eq!(groups(&world, person(1), "code"), None, "{why:?}");
    }
}

#[test]
fn whoever_leaves_has_no_grants_when_they_are_back() {
    let mut world = with_code();
    world.join(person(1), employee("Dev"));
    request(&mut world, 1, person(1), admins(Lasts::Standing));
    approve(&mut world, "olga", 1, person(1));
    request(&mut world, 2, person(1), Ask { what: "crm", ..admins(Lasts::Standing) });
    world.append(Event::Identity(identity::delete(&world.last(person(1)).unwrap())));
    assert_eq!(status(&world, 1), (GrantStatus::Ended, Some(GrantEnd::Left)));
    assert_eq!(status(&world, 2), (GrantStatus::Ended, Some(GrantEnd::Left)));
    world.append(Event::Identity(identity::create(person(1), IdentityKind::User, resource(employee("Dev")), at(0))));
    assert_eq!(groups(&world, person(1), "code"), None);
    // Whoever has left asks for nothing.
    let mut world = with_code();
    world.join(person(1), json!({ "userName": "anna", "active": false }));
    request(&mut world, 3, person(1), admins(Lasts::Standing));
    assert_eq!(status(&world, 3), (GrantStatus::Ended, Some(GrantEnd::Left)));
}

#[test]
fn a_grant_lasts_longer_by_an_approved_request_and_its_old_end_ends_it_no_more() {
    let mut world = with_code();
    world.join(person(1), employee("Dev"));
    request(&mut world, 1, person(1), admins(Lasts::Until(at(500))));
    approve(&mut world, "olga", 1, person(1));
    request(&mut world, 2, person(1), Ask { extends: Some(grant_id(1)), ..admins(Lasts::Until(at(900))) });
    approve(&mut world, "olga", 2, person(1));
    assert_eq!(status(&world, 2), (GrantStatus::Ended, Some(GrantEnd::Extended)));
    end(&mut world, 1, person(1), GrantEnd::Expired, Some(at(500)));
    assert_eq!(status(&world, 1), (GrantStatus::Active, None));
    assert_eq!(ledger::grant(&world.state, grant_id(1)).unwrap().unwrap().until, Some(at(900)));
    end(&mut world, 1, person(1), GrantEnd::Expired, Some(at(900)));
    assert_eq!(groups(&world, person(1), "code"), None);
}

#[test]
fn people_are_reminded_of_an_end_before_it_comes_and_of_a_short_one_at_its_last_tenth() {
    let mut world = with_code();
    world.join(person(1), employee("Dev"));
    let hour = Duration::from_secs(3600);
    request(&mut world, 1, person(1), admins(Lasts::For(hour * 24)));
    let begun = approve(&mut world, "olga", 1, person(1));
    request(&mut world, 2, person(1), Ask { what: "crm", ..admins(Lasts::For(Duration::from_secs(1000))) });
    let short = approve(&mut world, "olga", 2, person(1));
    request(&mut world, 3, person(1), Ask { what: "role:oncall", ..admins(Lasts::Standing) });
    approve(&mut world, "olga", 3, person(1));
    let reminded = |now, before| -> Vec<_> {
        ledger::grants_ending(&world.state, now, before, 100).unwrap().into_iter().map(|grant| grant.id).collect()
    };
    let (long_end, short_end) = (at(begun.0 + 86_400), at(short.0 + 1000));
    assert_eq!(reminded(short_end - SignedDuration::from_secs(101), hour), []);
    assert_eq!(reminded(short_end - SignedDuration::from_secs(100), hour), [grant_id(2)]);
    assert_eq!(reminded(short_end - SignedDuration::from_secs(1), Duration::ZERO), [], "never, when it is zero");
    let first = ledger::grants_ending(&world.state, short_end - SignedDuration::from_secs(1), hour * 48, 1).unwrap();
    assert_eq!(first.len(), 1, "what is not yet to be said takes no place");
    end(&mut world, 2, person(1), GrantEnd::Expired, Some(short_end));
    let reminded = |now| ledger::grants_ending(&world.state, now, hour, 100).unwrap().len();
    assert_eq!(reminded(long_end - SignedDuration::from_secs(3601)), 0, "what has ended is no news");
    assert_eq!(reminded(long_end - SignedDuration::from_secs(3600)), 1);
}

#[test]
fn a_role_that_is_granted_gives_what_it_names_and_follows_its_configuration() {
    let mut world = with_code();
    world.join(person(1), employee("Dev"));
    world.append(Event::RoleConfigured(Box::new(role("oncall", "", &["code:group:Admins"]))));
    request(&mut world, 1, person(1), Ask { what: "role:oncall", ..admins(Lasts::Standing) });
    approve(&mut world, "olga", 1, person(1));
    let by_grant = Reason::GrantedRole("oncall".parse().unwrap(), grant_id(1));
    assert_eq!(reasons(&world, person(1), "code", &Part::Group("Admins".into())), [by_grant]);
    world.append(Event::RoleConfigured(Box::new(role("oncall", "", &["crm"]))));
    assert_eq!((groups(&world, person(1), "code"), groups(&world, person(1), "crm")), (None, Some(vec![])));
    end(&mut world, 1, person(1), GrantEnd::Ended, None);
    assert_eq!(groups(&world, person(1), "crm"), None);
    assert_eq!(ledger::count_grants(&world.state, GrantStatus::Ended).unwrap(), 1);
    assert_eq!(ledger::count_grants(&world.state, GrantStatus::Active).unwrap(), 0);
    assert_eq!(
        ledger::grant(&world.state, grant_id(1)).unwrap().unwrap().what,
        Grantable::Role("oncall".parse().unwrap())
    );
}

#[test]
fn more_than_usual_lose_access_by_a_role_only_when_a_person_says_so() {
    let mut world = with_code();
    world.append(Event::RoleConfigured(Box::new(role("all", r#"userType eq "Employee""#, &["code"]))));
    for n in 1..=150 {
        world.join(person(n), json!({ "userName": format!("p{n}"), "userType": "Employee" }));
    }
    world.append(Event::RoleRemoved("all".parse().unwrap()));
    let holds = ledger::holds(&world.state).unwrap();
    assert_eq!(holds.iter().map(|hold| hold.cause.to_string()).collect::<Vec<_>>(), ["configuration:code"]);
}

#[test]
fn that_somebody_is_off_is_owed_no_longer_once_they_are_on_in_whatever_app() {
    let mut world = two_apps();
    world.join(person(1), employee("Sales"));
    world.verify(person(1), "chat");
    world.verify(person(1), "crm");
    // What is not theirs any more, and an app that is gone.
    world.update(person(1), employee("Dev")).unwrap();
    world.verify(person(1), "crm");
    world.append(Event::AppRemoved(app_id("chat")));
    switch(&mut world, person(1), Switch::Off);
    assert_eq!(ledger::account(&world.state, person(1), &app_id("chat")).unwrap().unwrap().desired, Desired::Off);
    switch(&mut world, person(1), Switch::On);
    let open = ledger::open_obligations(&world.state, None).unwrap();
    assert!(open.iter().all(|o| o.change != ChangeKind::Disable), "{open:?}");
    // In the app that is gone they have what they had.
    assert_eq!(groups(&world, person(1), "chat"), Some(vec![]));
}

#[test]
fn a_removal_that_waits_for_a_person_is_not_made_by_switching_somebody_off() {
    let mut world = World::default();
    let guarded =
        AppSpec { guard: Guard { max_removals: 1, ..Guard::default() }, ..spec("chat", r#"userType eq "Employee""#) };
    world.append(Event::AppConfigured(Box::new(guarded)));
    for n in 1..=4 {
        world.join(person(n), json!({ "userName": format!("p{n}"), "userType": "Employee" }));
        world.verify(person(n), "chat");
    }
    for n in 1..=4 {
        world
            .update(person(n), json!({ "userName": format!("p{n}"), "userType": "Employee", "active": false }))
            .unwrap();
    }
    let account = |world: &World| ledger::account(&world.state, person(4), &app_id("chat")).unwrap().unwrap();
    let hold = ledger::holds(&world.state).unwrap().remove(0);
    assert!(hold.covers(&account(&world)));
    switch(&mut world, person(4), Switch::Off);
    assert_eq!(account(&world).desired, Desired::Off, "switched off, and nothing else");
    world.verify(person(4), "chat");
    // Whatever else is said of them meanwhile.
    let titled = json!({ "userName": "p4", "userType": "Employee", "active": false, "title": "Lead" });
    world.update(person(4), titled).unwrap();
    assert_eq!(account(&world).desired, Desired::Off);
    switch(&mut world, person(4), Switch::On);
    assert_eq!(account(&world).desired, Desired::Absent);
    assert!(hold.covers(&account(&world)), "it waits again");
}

#[test]
fn the_removal_of_a_mover_that_waits_for_a_person_waits_while_they_are_off_too() {
    let mut world = World::default();
    let guarded =
        AppSpec { guard: Guard { max_removals: 1, ..Guard::default() }, ..spec("chat", r#"userType eq "Employee""#) };
    world.append(Event::AppConfigured(Box::new(guarded)));
    let user = |n: u128, kind: &str, title: &str| json!({ "userName": format!("p{n}"), "userType": kind, "title": title, "active": true });
    for n in 1..=4 {
        world.join(person(n), user(n, "Employee", "Dev"));
        world.verify(person(n), "chat");
    }
    for n in 1..=4 {
        world.update(person(n), user(n, "Guest", "Dev")).unwrap();
    }
    let account = |world: &World| ledger::account(&world.state, person(4), &app_id("chat")).unwrap().unwrap();
    let hold = ledger::holds(&world.state).unwrap().remove(0);
    assert!(hold.covers(&account(&world)));
    switch(&mut world, person(4), Switch::Off);
    world.verify(person(4), "chat");
    world.update(person(4), user(4, "Guest", "Lead")).unwrap();
    assert_eq!(account(&world).desired, Desired::Off, "nobody has released it");
    switch(&mut world, person(4), Switch::On);
    assert_eq!(account(&world).desired, Desired::Absent);
    assert!(hold.covers(&account(&world)), "it waits again");
}

#[test]
fn whoever_is_added_again_under_a_name_that_is_switched_off_is_to_be_switched_off() {
    let mut world = two_apps();
    world.join(person(1), json!({ "userName": "anna", "externalId": "7", "userType": "Employee" }));
    switch(&mut world, person(1), Switch::Off);
    // As long as she is there another one is somebody else, and so is whom another source calls so.
    world.join(person(6), json!({ "userName": "six", "externalId": "7", "userType": "Employee" }));
    world.append(Event::Identity(identity::delete(&world.last(person(1)).unwrap())));
    world.join(person(2), json!({ "userName": "other", "externalId": "8", "userType": "Employee" }));
    assert_eq!(ledger::carried_over(&world.state, 9).unwrap(), []);
    world.join(person(3), json!({ "userName": "anna.b", "externalId": "7", "userType": "Employee" }));
    world.join(person(4), json!({ "userName": "Anna", "userType": "Employee" }));
    assert_eq!(ledger::carried_over(&world.state, 9).unwrap(), [person(3), person(4)]);
    switch(&mut world, person(3), Switch::Off);
    switch(&mut world, person(4), Switch::Off);
    assert_eq!(ledger::carried_over(&world.state, 9).unwrap(), []);
    assert_eq!(ledger::switched_off_under_a_name_of(&world.state, person(4)).unwrap(), [person(1)]);
    switch(&mut world, person(4), Switch::On);
    switch(&mut world, person(1), Switch::On);
    world.join(person(5), json!({ "userName": "anna", "userType": "Employee" }));
    assert_eq!(ledger::carried_over(&world.state, 9).unwrap(), [], "a person has said that anna is on");
}

#[test]
fn a_role_that_is_gone_gives_nothing_and_is_no_reason_why_not() {
    let mut world = with_code();
    world.join(person(1), employee("Sales"));
    world.append(Event::RoleConfigured(Box::new(role("admins", "", &["code:group:Admins"]))));
    let missing = |world: &World| {
        let identity = directory::identity(&world.state, person(1)).unwrap().unwrap();
        let id = "code:group:Admins".parse().unwrap();
        ledger::explain(&world.state, &Catalogue::default(), identity, &id).unwrap().1
    };
    let in_role = Missing::NotInRole("admins".parse().unwrap(), String::new());
    assert!(missing(&world).contains(&in_role));
    world.append(Event::RoleRemoved("admins".parse().unwrap()));
    assert!(!missing(&world).contains(&in_role), "{:?}", missing(&world));
}

#[test]
fn what_a_policy_gives_to_a_role_follows_the_role_in_every_app() {
    let mut world = with_code();
    world.join(person(1), employee("Dev"));
    let text = r#"@id("p") permit(principal in Role :: "oncall", action == Action::"hold", resource in App::"crm");"#;
    let policy =
        PolicySpec { id: "p".parse().unwrap(), text: text.into(), reason: String::new(), owner: String::new() };
    world.append(Event::PolicyConfigured(Box::new(policy)));
    world.append(Event::RoleConfigured(Box::new(role("oncall", "", &["code:group:Admins"]))));
    assert_eq!(groups(&world, person(1), "crm"), None);
    let hour = Lasts::For(Duration::from_secs(3600));
    request(&mut world, 1, person(1), Ask { what: "role:oncall", ..admins(hour) });
    approve(&mut world, "olga", 1, person(1));
    assert_eq!(groups(&world, person(1), "crm"), Some(Vec::new()), "they have the role");
    end(&mut world, 1, person(1), GrantEnd::Ended, None);
    assert_eq!(groups(&world, person(1), "crm"), None, "they have it no more");
    let by_title = |title: &str| {
        let members = format!("title eq \"{title}\"");
        Event::RoleConfigured(Box::new(role("oncall", &members, &["code:group:Admins"])))
    };
    world.append(by_title("Dev"));
    assert_eq!(groups(&world, person(1), "crm"), Some(Vec::new()));
    world.append(by_title("Sales"));
    assert_eq!(groups(&world, person(1), "crm"), None);
}

#[test]
fn a_name_stays_switched_off_as_long_as_anybody_is_under_it() {
    let mut world = two_apps();
    let anna = || json!({ "userName": "anna", "userType": "Employee" });
    for n in 1..=2 {
        world.join(person(n), anna());
        switch(&mut world, person(n), Switch::Off);
        world.append(Event::Identity(identity::delete(&world.last(person(n)).unwrap())));
    }
    switch(&mut world, person(2), Switch::On);
    world.join(person(3), anna());
    assert_eq!(ledger::carried_over(&world.state, 9).unwrap(), [person(3)], "the first is off still");
    switch(&mut world, person(1), Switch::On);
    assert_eq!(ledger::carried_over(&world.state, 9).unwrap(), [], "nobody is, whose name they have");
}

#[test]
fn nobody_loses_anything_while_apps_and_roles_change_together_and_leavers_go() {
    let mut world = two_apps();
    world.join(person(1), employee("Sales"));
    world.join(person(2), json!({ "userName": "ben", "userType": "Employee", "title": "Sales" }));
    world.append(Event::Configuring(Configuring::Begins));
    world.append(Event::AppConfigured(Box::new(spec("crm", ""))));
    let mut nick = employee("Sales");
    nick["nickName"] = "A".into();
    world.update(person(1), nick).unwrap();
    assert_eq!(groups(&world, person(1), "crm"), Some(vec![]), "not all of it is known yet");
    let left = world.append(Event::Identity(identity::delete(&world.last(person(2)).unwrap())));
    assert_eq!(world.obligation(person(2), "crm", left).target, Target::Absent);
}

#[test]
fn what_is_held_by_a_role_that_can_not_be_read_stays_but_for_grants_that_end() {
    let mut world = with_code();
    world.join(person(1), employee("Dev"));
    world.append(Event::RoleConfigured(Box::new(role("dev", r#"title eq "Dev""#, &["code"]))));
    request(&mut world, 1, person(1), admins(Lasts::Standing));
    approve(&mut world, "olga", 1, person(1));
    world.verify(person(1), "code");
    assert_eq!(groups(&world, person(1), "code"), Some(vec!["Admins".to_owned()]));
    // A newer version knows this attribute.
    world.append(Event::RoleConfigured(Box::new(role("dev", r#"shoeSize eq 44"#, &["code"]))));
    assert_eq!(groups(&world, person(1), "code"), Some(vec!["Admins".to_owned()]));
    end(&mut world, 1, person(1), GrantEnd::Ended, None);
    assert_eq!(groups(&world, person(1), "code"), Some(vec![]), "a grant ends all the same");
    let left = world.append(Event::Identity(identity::delete(&world.last(person(1)).unwrap())));
    assert_eq!(world.obligation(person(1), "code", left).target, Target::Absent);
}

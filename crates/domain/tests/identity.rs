//! Decisions about identities, groups and apps.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use jiff::Timestamp;
use rollcall_domain::Sequence;
use rollcall_domain::access::obligation::ObligationId;
use rollcall_domain::access::subject::Subject;
use rollcall_domain::identity::group::{self, GroupChange, MEMBERS_PER_EVENT, Version};
use rollcall_domain::identity::lifecycle::{IdentityChange, Lifecycle, Urgency};
use rollcall_domain::identity::name::name_key;
use rollcall_domain::identity::statement::completed;
use rollcall_domain::identity::{self, IdentityChanged, IdentityKind, delete, take_effect, urgency};
use rollcall_domain::ids::{AppId, GroupId, IdentityId};
use serde_json::{Map, Value, json};
use uuid::Uuid;

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn now() -> Timestamp {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

fn create(id: IdentityId, kind: IdentityKind, resource: Map<String, Value>) -> IdentityChanged {
    identity::create(id, kind, resource, now())
}

fn update(last: &IdentityChanged, resource: Map<String, Value>) -> Option<IdentityChanged> {
    identity::update(last, resource, now())
}

fn id() -> IdentityId {
    IdentityId(Uuid::from_u128(1))
}

#[test]
fn whoever_is_created_without_a_word_on_it_is_active() {
    let created = create(id(), IdentityKind::User, map(json!({ "userName": "anna" })));
    assert_eq!((created.change, created.after), (IdentityChange::Joined, Lifecycle::Active));
    assert_eq!(created.resource["active"], json!(true));
    let staged = create(id(), IdentityKind::User, map(json!({ "userName": "anna", "active": false })));
    assert_eq!((staged.change, staged.after), (IdentityChange::Staged, Lifecycle::Staged));
}

#[test]
fn an_update_that_changes_nothing_is_no_event() {
    let created = create(id(), IdentityKind::User, map(json!({ "userName": "anna", "active": true })));
    assert_eq!(update(&created, completed(&created.resource, map(json!({ "userName": "anna" })))), None);
    assert_eq!(update(&created, map(json!({ "userName": "anna", "active": true }))), None);
}

#[test]
fn a_put_without_active_never_rehires_a_leaver() {
    let created = create(id(), IdentityKind::User, map(json!({ "userName": "anna" })));
    let left = update(&created, map(json!({ "userName": "anna", "active": false }))).unwrap();
    assert_eq!(left.change, IdentityChange::Left);
    let changed = update(&left, completed(&left.resource, map(json!({ "userName": "anna", "title": "x" })))).unwrap();
    assert_eq!((changed.change, changed.after), (IdentityChange::Updated, Lifecycle::Left));
    assert_eq!(changed.resource["active"], json!(false));
}

#[test]
fn whoever_is_no_longer_called_active_or_not_stays_what_they_were() {
    let created = create(id(), IdentityKind::Agent, map(json!({ "name": "helper" })));
    let silent = update(&created, map(json!({ "name": "helper" }))).unwrap();
    assert_eq!(
        (silent.change, silent.after, silent.kind),
        (IdentityChange::Moved, Lifecycle::Active, IdentityKind::Agent)
    );
    assert!(!silent.resource.contains_key("active"));
    let left = update(&silent, map(json!({ "name": "helper", "active": false }))).unwrap();
    let silent = update(&left, map(json!({ "name": "helper" }))).unwrap();
    assert_eq!((silent.change, silent.after), (IdentityChange::Updated, Lifecycle::Left));
}

#[test]
fn deleting_someone_active_is_a_departure_and_someone_gone_is_not_a_second_one() {
    let created = create(id(), IdentityKind::User, map(json!({ "userName": "anna" })));
    let deleted = delete(&created);
    assert_eq!((deleted.change, deleted.after, deleted.deleted), (IdentityChange::Left, Lifecycle::Left, true));
    let left = update(&created, map(json!({ "userName": "anna", "active": false }))).unwrap();
    assert_eq!(delete(&left).change, IdentityChange::Deleted);
}

#[test]
fn the_changed_paths_say_before_and_after() {
    let created = create(
        id(),
        IdentityKind::User,
        map(json!({ "userName": "anna", "name": { "givenName": "Anna" }, "title": "Dev" })),
    );
    let moved = update(
        &created,
        completed(
            &created.resource,
            map(json!({ "userName": "anna", "name": { "givenName": "Ann" }, "nickName": "A" })),
        ),
    );
    let paths: Vec<_> = moved.unwrap().changed.into_iter().map(|c| (c.path, c.before, c.after)).collect();
    assert_eq!(
        paths,
        [
            ("name.givenName".to_owned(), Some(json!("Anna")), Some(json!("Ann"))),
            ("nickName".to_owned(), None, Some(json!("A"))),
            ("title".to_owned(), Some(json!("Dev")), None),
        ]
    );
}

#[test]
fn names_are_the_same_in_any_case() {
    assert_eq!(name_key(" Anna@Example.COM"), name_key("anna@example.com"));
    // Written in full-width letters, as a ligature, composed and decomposed.
    for (one, other) in [("Ａnna", "anna"), ("ﬁona", "Fiona"), ("ren\u{e9}", "RENE\u{301}"), ("Å", "\u{212b}")] {
        assert_eq!(name_key(one), name_key(other), "{one} {other}");
    }
    // Folded, not only lowered.
    for (one, other) in [("Stra\u{df}e", "STRASSE"), ("\u{1e9e}", "ss"), ("\u{3c3}\u{3c2}", "\u{3a3}\u{3a3}")] {
        assert_eq!(name_key(one), name_key(other), "{one} {other}");
        assert_eq!(name_key(&name_key(one)), name_key(one), "{one}");
    }
    assert_ne!(name_key("rene"), name_key("ren\u{e9}"));
}

#[test]
fn a_large_membership_change_is_split_and_loses_nobody() {
    let everyone: BTreeSet<_> = (0..2 * u128::try_from(MEMBERS_PER_EVENT).unwrap() + 1)
        .map(|n| IdentityId(Uuid::from_u128(n)).into())
        .collect();
    let version = Version { resource: map(json!({ "displayName": "All" })), members: everyone.clone() };
    let events = group::create(GroupId(Uuid::from_u128(1)), version.clone());
    assert_eq!(events.iter().map(|e| e.added.len()).collect::<Vec<_>>(), [MEMBERS_PER_EVENT, MEMBERS_PER_EVENT, 1]);
    assert_eq!(events[0].change, GroupChange::Created);
    assert_eq!(events[2].change, GroupChange::MembersChanged);
    let added: BTreeSet<_> = events.iter().flat_map(|e| e.added.clone()).collect();
    assert_eq!(added, everyone);
    assert!(group::update(GroupId(Uuid::from_u128(1)), &version, version.clone()).is_empty());
}

#[test]
fn ids_refuse_what_they_are_not() {
    for bad in ["", "A", "a b", "a.b", "ä", &"x".repeat(65)] {
        assert!(bad.parse::<AppId>().is_err(), "{bad}");
    }
    let obligation = ObligationId {
        opened_by: Sequence(7),
        subject: Subject::Account { app: "crm-1_x".parse().unwrap(), identity: id() },
    };
    assert_eq!(obligation.to_string().parse(), Ok(obligation));
    for bad in ["", "o", "o1", "o1.crm", "ox.crm.00000000-0000-0000-0000-000000000001"] {
        assert!(bad.parse::<ObligationId>().is_err(), "{bad}");
    }
}

const LIFECYCLE: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:Lifecycle";

fn user(active: bool, effective_at: &str) -> Map<String, Value> {
    map(json!({ "userName": "anna", "active": active, (LIFECYCLE): { "effectiveAt": effective_at } }))
}

#[test]
fn a_leave_that_lies_ahead_takes_effect_at_its_time_and_not_before() {
    let anna = create(id(), IdentityKind::User, map(json!({ "userName": "anna" })));
    let scheduled = update(&anna, user(false, "2026-01-31T17:00:00Z")).unwrap();
    assert_eq!((scheduled.change, scheduled.after), (IdentityChange::LeaveScheduled, Lifecycle::Leaving));
    assert_eq!(take_effect(&scheduled, "2026-01-31T16:59:59Z".parse().unwrap()), None);
    let left = take_effect(&scheduled, "2026-01-31T17:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(
        (left.change, left.after, left.before),
        (IdentityChange::Left, Lifecycle::Left, Some(Lifecycle::Leaving))
    );
    assert_eq!(take_effect(&left, "2026-02-28T00:00:00Z".parse().unwrap()), None, "twice");
    // A PUT without a word on it changes nothing about the leave; one that says otherwise cancels it.
    let silent = completed(
        &scheduled.resource,
        map(json!({ "userName": "anna", "title": "x", (LIFECYCLE): { "effectiveAt": "2026-01-31T17:00:00Z" } })),
    );
    assert_eq!(update(&scheduled, silent).unwrap().after, Lifecycle::Leaving);
    let silent = completed(&scheduled.resource, map(json!({ "userName": "anna", "title": "x" })));
    let moved = update(&scheduled, silent).unwrap();
    assert_eq!(
        (moved.after, moved.effective_at),
        (Lifecycle::Leaving, scheduled.effective_at),
        "the date is forgotten"
    );
    let cancelled = update(&scheduled, map(json!({ "userName": "anna", "active": true }))).unwrap();
    assert_eq!((cancelled.change, cancelled.after), (IdentityChange::LeaveCancelled, Lifecycle::Active));
    // Deleted, she is gone at once.
    assert_eq!(delete(&scheduled).change, IdentityChange::Left);
}

#[test]
fn an_incomplete_put_cancels_no_leave_of_which_the_word_was_removed() {
    let anna = create(id(), IdentityKind::User, map(json!({ "userName": "anna" })));
    let scheduled = update(&anna, user(false, "2026-01-31T17:00:00Z")).unwrap();
    let mut without = scheduled.resource.clone();
    without.remove("active");
    let silent = update(&scheduled, without).unwrap();
    assert_eq!(silent.after, Lifecycle::Leaving);
    let whole = completed(&silent.resource, map(json!({ "userName": "anna", "title": "x" })));
    assert_eq!(update(&silent, whole).unwrap().after, Lifecycle::Leaving);
}

#[test]
fn that_a_departure_was_urgent_ends_with_it() {
    let anna = create(id(), IdentityKind::User, map(json!({ "userName": "anna" })));
    let gone = update(&anna, said(Some(false), None, true)).unwrap();
    assert_eq!((gone.after, urgency(&gone.resource)), (Lifecycle::Left, Urgency::Emergency));
    let back = update(&gone, said(Some(true), None, true)).unwrap();
    assert_eq!((back.after, urgency(&back.resource)), (Lifecycle::Active, Urgency::Usual));
    let mut later = back.resource.clone();
    later.extend(user(false, "2026-01-31T17:00:00Z"));
    assert_eq!(update(&back, later).unwrap().after, Lifecycle::Leaving);
}

#[test]
fn a_joiner_of_next_month_is_staged_until_then_and_a_leave_of_yesterday_is_one_now() {
    let staged = create(id(), IdentityKind::User, user(true, "2026-02-01T08:00:00Z"));
    assert_eq!(staged.after, Lifecycle::Staged);
    let silent = completed(&staged.resource, map(json!({ "userName": "anna", "title": "x" })));
    assert_eq!(update(&staged, silent).unwrap().after, Lifecycle::Staged, "joined before the start");
    let joined = take_effect(&staged, "2026-02-01T08:00:00Z".parse().unwrap()).unwrap();
    assert_eq!((joined.change, joined.after), (IdentityChange::Joined, Lifecycle::Active));
    let anna = create(id(), IdentityKind::User, map(json!({ "userName": "anna" })));
    let left = update(&anna, user(false, "2026-01-14T00:00:00Z")).unwrap();
    assert_eq!((left.change, left.after), (IdentityChange::Left, Lifecycle::Left));
    assert_eq!(left.effective_at, Some("2026-01-14T00:00:00Z".parse().unwrap()));
}

fn said(active: Option<bool>, date: Option<&str>, emergency: bool) -> Map<String, Value> {
    let mut resource = Map::from_iter([("userName".to_owned(), json!("ada"))]);
    if let Some(active) = active {
        resource.insert("active".into(), active.into());
    }
    let mut lifecycle = Map::new();
    lifecycle.extend(date.map(|date| ("effectiveAt".to_owned(), json!(date))));
    if emergency {
        lifecycle.insert("emergency".into(), true.into());
    }
    if !lifecycle.is_empty() {
        resource.insert(rollcall_scim::LIFECYCLE.id.into(), lifecycle.into());
    }
    resource
}

/// A date is used up by the statement that it came with, and an emergency does not wait.
#[test]
fn a_leave_that_is_said_without_a_date_of_its_own_is_a_leave_now() {
    let now: Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
    let ahead = Some("2099-01-01T00:00:00Z");
    let id = IdentityId(uuid::Uuid::from_u128(7));
    let joined = identity::create(id, IdentityKind::User, said(Some(true), None, false), now);
    let then = |last: &IdentityChanged, resource| identity::update(last, resource, now).unwrap();

    let dated = then(&joined, said(Some(false), ahead, false));
    assert_eq!(dated.after, Lifecycle::Leaving);
    // Cancelled as the docs say; what stands in the resource still is no date of what comes next.
    let cancelled = then(&dated, said(Some(true), ahead, false));
    assert_eq!((cancelled.after, identity::effective_at(&cancelled.resource)), (Lifecycle::Active, None));
    assert_eq!(then(&cancelled, said(Some(false), None, false)).after, Lifecycle::Left);

    // A date that someone added to a person who stays.
    let added = then(&joined, said(Some(true), ahead, false));
    let left = then(&added, said(Some(false), ahead, false));
    assert_eq!((left.after, left.effective_at), (Lifecycle::Left, None));

    let urgent = then(&dated, said(Some(false), ahead, true));
    assert_eq!((urgent.after, urgent.effective_at), (Lifecycle::Left, None));

    // The word is removed, and the leave stands.
    let silent = then(&dated, said(None, ahead, false));
    assert_eq!(silent.after, Lifecycle::Leaving);
    let at = "2099-01-02T00:00:00Z".parse().unwrap();
    assert_eq!(identity::take_effect(&silent, at).unwrap().after, Lifecycle::Left);
}

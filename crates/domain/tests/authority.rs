//! Whose word counts for an attribute.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use rollcall_domain::identity::authority::{AttributePath, Authority, Precedence, Settled};
use rollcall_domain::identity::lifecycle::{IdentityChange, Lifecycle};
use rollcall_domain::identity::statement::{OldDate, Says, Word, completed};
use rollcall_domain::identity::{IdentityChanged, IdentityKind, Provenance, create, restated, started, update};
use rollcall_domain::ids::{IdentityId, SourceName};
use serde_json::{Map, Value, json};
use uuid::Uuid;

const NOW: jiff::Timestamp = jiff::Timestamp::constant(1_767_225_600, 0);

const LIFECYCLE: &str = rollcall_scim::LIFECYCLE.id;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn source(name: &str) -> SourceName {
    name.parse().unwrap()
}

fn rule(extension: Option<&str>, name: &str, sources: &[&str]) -> Precedence {
    let attribute = AttributePath { extension: extension.map(str::to_owned), name: name.to_owned() };
    Precedence { attribute, sources: sources.iter().map(|s| source(s)).collect() }
}

fn authority() -> Authority {
    Authority {
        groups: Vec::new(),
        rules: vec![
            rule(None, "title", &["hr", "okta"]),
            rule(Some(ENTERPRISE), "department", &["hr"]),
            rule(None, "active", &["hr", "okta"]),
        ],
    }
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn joined(by: &str, resource: Value) -> (IdentityChanged, Settled) {
    let started = started(map(resource));
    let says = Says::whole(&started);
    let settled = authority().settle(&source(by), None, started, says);
    let mut made = create(IdentityId(Uuid::from_u128(1)), IdentityKind::User, settled.resource.clone(), NOW);
    made.provenance.clone_from(&settled.provenance);
    (made, settled)
}

fn put(by: &str, last: &IdentityChanged, resource: Value) -> (Option<IdentityChanged>, Settled) {
    let resource = map(resource);
    let says = Says::of(&resource, &last.resource, NOW);
    said(by, last, completed(&last.resource, resource), says)
}

/// What comes of a whole resource of which a part is said.
fn said(by: &str, last: &IdentityChanged, whole: Map<String, Value>, says: Says) -> (Option<IdentityChanged>, Settled) {
    let settled = authority().settle(&source(by), Some(last), whole, says);
    let changed = update(last, settled.resource.clone(), NOW);
    let mut changed = changed.or_else(|| restated(last, &settled.provenance, NOW));
    if let Some(changed) = &mut changed {
        changed.provenance.clone_from(&settled.provenance);
    }
    (changed, settled)
}

#[test]
fn what_the_first_of_them_says_last_stands_although_another_one_has_said_it_before() {
    let whole = |active| json!({ "userName": "anna", "active": active });
    let (anna, _) = joined("okta", whole(true));
    let (left, _) = put("okta", &anna, whole(false));
    // HR says the same: from now on it is HR's word.
    let (again, settled) = put("hr", &left.unwrap(), whole(false));
    let again = again.unwrap();
    assert_eq!((again.change, again.after, again.changed.len()), (IdentityChange::Updated, Lifecycle::Left, 0));
    assert_eq!(settled.provenance.get("active"), Some(&source("hr")));
    let (rehired, settled) = put("okta", &again, whole(true));
    assert_eq!(settled.denied[0].held_by, Some(source("hr")));
    assert!(rehired.is_none(), "okta undoes what hr has said last");
    // Said once more it is no news; and who says nothing of it takes nothing over.
    assert!(put("hr", &again, whole(false)).0.is_none());
    let (anna, _) = joined("okta", whole(true));
    let (moved, settled) = put("hr", &anna, json!({ "userName": "anna", "nickName": "A" }));
    assert!(moved.is_some());
    assert_eq!(settled.provenance.get("active"), Some(&source("okta")));
    // By the rules from before there were any, it is nobody's: the first that says it again has it.
    let unheld = IdentityChanged { provenance: Provenance::new(), ..anna };
    let (taken, _) = put("hr", &unheld, whole(true));
    assert_eq!(taken.unwrap().provenance.get("active"), Some(&source("hr")));
}

#[test]
fn who_says_another_date_is_whose_word_stands_on_it() {
    let dated = |date: &str| json!({ "userName": "anna", "active": false, LIFECYCLE: { "effectiveAt": date } });
    let (anna, _) = joined("okta", json!({ "userName": "anna" }));
    let (leaving, _) = put("okta", &anna, dated("2030-12-31T00:00:00Z"));
    let (sooner, _) = put("hr", &leaving.unwrap(), dated("2030-06-30T00:00:00Z"));
    let (later, settled) = put("okta", &sooner.unwrap(), dated("2030-12-31T00:00:00Z"));
    assert!(later.is_none(), "okta puts off what hr has said");
    assert_eq!(settled.denied.len(), 1);
}

#[test]
fn a_date_that_lies_ahead_ends_with_the_statement_that_it_came_with() {
    let dated = json!({ "userName": "anna", "active": false, LIFECYCLE: { "effectiveAt": "2030-12-31T00:00:00Z" } });
    let (anna, _) = joined("okta", json!({ "userName": "anna" }));
    let leaving = put("okta", &anna, dated).0.unwrap();
    assert_eq!(leaving.after, Lifecycle::Leaving);
    // A part of it that says nothing of it leaves it as it is, and one that says it again without a date means now.
    let whole = || leaving.resource.clone();
    let silent = Says::of(&map(json!({})), &leaving.resource, NOW);
    assert!(said("okta", &leaving, whole(), silent).0.is_none());
    let again = Says::of(&map(json!({ "active": false })), &leaving.resource, NOW);
    assert_eq!(said("okta", &leaving, whole(), again).0.unwrap().after, Lifecycle::Left);
    let with_date = Says::of(&leaving.resource, &leaving.resource, NOW);
    assert!(said("okta", &leaving, whole(), with_date).0.is_none());
    // Whose word it is not ends no date by that, and is told nothing of it.
    let by_hr = put("hr", &leaving, whole_value(&leaving)).0.unwrap();
    let (nothing, settled) = said("okta", &by_hr, by_hr.resource.clone(), again);
    assert!(nothing.is_none() && settled.denied.is_empty(), "{:?}", settled.denied);
}

fn whole_value(of: &IdentityChanged) -> Value {
    Value::Object(of.resource.clone())
}

#[test]
fn a_source_with_less_say_does_not_undo_what_one_with_more_has_said() {
    let (anna, settled) = joined("hr", json!({ "userName": "anna", "title": "Lead" }));
    assert!(settled.denied.is_empty());
    let (changed, settled) = put("okta", &anna, json!({ "userName": "anna", "title": "Boss", "nickName": "A" }));
    let changed = changed.unwrap();
    assert_eq!((&changed.resource["title"], &changed.resource["nickName"]), (&json!("Lead"), &json!("A")));
    assert_eq!(settled.denied.len(), 1);
    assert_eq!(settled.denied[0].held_by, Some(source("hr")));
    assert_eq!(settled.denied[0].change.after, Some(json!("Boss")));
    // Left out is cleared, and that is not its to do either.
    let (changed, settled) = put("okta", &anna, json!({ "userName": "anna" }));
    assert!(changed.is_none() && settled.denied.len() == 1);
}

#[test]
fn a_source_with_more_say_takes_an_attribute_over() {
    let (anna, _) = joined("okta", json!({ "userName": "anna", "title": "Lead" }));
    let (changed, settled) = put("hr", &anna, json!({ "userName": "anna", "title": "Boss" }));
    let changed = changed.unwrap();
    assert!(settled.denied.is_empty());
    let (_, settled) = put("okta", &changed, json!({ "userName": "anna", "title": "Lead" }));
    assert_eq!(settled.denied.len(), 1);
}

#[test]
fn a_source_that_is_not_named_never_sets_the_attribute() {
    let department =
        |name: &str| json!({ "userName": "anna", "schemas": [ENTERPRISE], (ENTERPRISE): { "department": name } });
    let (anna, settled) = joined("okta", department("Sales"));
    assert_eq!(settled.denied[0].held_by, None);
    assert!(anna.resource.get(ENTERPRISE).is_none(), "{:?}", anna.resource);
    let (changed, _) = put("hr", &anna, department("Research"));
    let (_, settled) = put("okta", &changed.unwrap(), department("Sales"));
    assert_eq!(settled.resource[ENTERPRISE]["department"], "Research");
}

#[test]
fn who_may_not_say_that_someone_is_active_neither_brings_in_nor_takes_away() {
    let authority = authority();
    assert!(authority.forbids_creation(&source("crm")) && !authority.forbids_creation(&source("okta")));
    let (anna, _) = joined("hr", json!({ "userName": "anna" }));
    assert!(authority.forbids_removal(&source("okta"), &anna).is_some());
    assert!(authority.forbids_removal(&source("hr"), &anna).is_none());
    let (changed, settled) = put("okta", &anna, json!({ "userName": "anna", "active": false }));
    assert!(changed.is_none(), "okta ended what hr has begun");
    assert_eq!(settled.denied[0].change.path, "active");
}

#[test]
fn without_rules_everyone_changes_everything() {
    let says = Says { active: Word::Silent, date: OldDate::Stands };
    let settled = Authority::default().settle(&source("any"), None, map(json!({ "title": "x" })), says);
    assert!(settled.denied.is_empty() && settled.provenance.is_empty());
}

#[test]
fn the_end_of_a_machine_is_part_of_whether_it_is_active() {
    const MACHINE: &str = rollcall_scim::MACHINE.id;
    let said = |end: &str| map(json!({ "userName": "svc", "active": true, MACHINE: { "expiresAt": end } }));
    let (rules, says) = (authority(), Says { active: Word::Said, date: OldDate::Stands });
    let made = rules.settle(&source("hr"), None, said("2030-01-01T00:00:00Z"), says);
    let mut last = create(IdentityId(Uuid::from_u128(9)), IdentityKind::ServiceAccount, made.resource, NOW);
    last.provenance = made.provenance;
    let settled = rules.settle(&source("okta"), Some(&last), said("2026-01-01T00:00:00Z"), says);
    assert_eq!(settled.resource[MACHINE]["expiresAt"], "2030-01-01T00:00:00Z");
    assert_eq!(settled.denied[0].change.path, format!("{MACHINE}:expiresAt"));
    let settled = rules.settle(&source("hr"), Some(&last), said("2026-06-01T00:00:00Z"), says);
    assert_eq!(
        (settled.resource[MACHINE]["expiresAt"].as_str(), settled.denied.len()),
        (Some("2026-06-01T00:00:00Z"), 0)
    );
}

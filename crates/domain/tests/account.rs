//! What follows from desired and observed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use rollcall_domain::account::{Desired, Remote, Step, Target, judge, managed_attributes, plan};
use rollcall_domain::app::Deprovision;
use rollcall_domain::drift::DriftKind;
use rollcall_domain::ids::IdentityId;
use serde_json::{Map, Value, json};
use uuid::Uuid;

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn identity() -> IdentityId {
    IdentityId(Uuid::from_u128(1))
}

fn desired() -> Desired {
    let user = json!({
        "userName": "Anna@example.com",
        "title": "Lead",
        "name": { "givenName": "Anna", "middleName": "not managed" },
        "emails": [{ "value": "old@example.com" }, { "value": "anna@example.com", "primary": true }],
        "nickName": "not managed",
    });
    Desired::Present(managed_attributes(identity(), &map(user)))
}

fn remote(change: Value) -> Remote {
    let mut resource = map(json!({
        "userName": "anna@example.com",
        "externalId": identity().to_string(),
        "title": "Lead",
        "active": true,
        "name": { "givenName": "Anna", "formatted": "made by the app" },
        "displayName": "made by the app",
        "emails": [{ "value": "ANNA@example.com" }],
    }));
    for (key, value) in map(change) {
        if value.is_null() {
            resource.remove(&key);
        } else {
            resource.insert(key, value);
        }
    }
    Remote { id: "r".into(), resource }
}

#[test]
fn an_account_as_desired_is_verified_whatever_the_app_adds() {
    assert_eq!(judge(&desired(), Some(&remote(json!({}))), Deprovision::Deactivate), Ok(Target::Present));
}

#[test]
fn each_managed_attribute_that_differs_is_named() {
    let table = [
        (json!({ "title": "Dev" }), "title"),
        (json!({ "title": null }), "title"),
        (json!({ "userName": "other" }), "userName"),
        (json!({ "externalId": "other" }), "externalId"),
        (json!({ "active": false }), "active"),
        (json!({ "name": { "givenName": "Ann" } }), "name.givenName"),
        (json!({ "name": { "givenName": "Anna", "familyName": "cleared at the source" } }), "name.familyName"),
        (json!({ "emails": [{ "value": "old@example.com" }] }), "emails"),
        (json!({ "emails": null }), "emails"),
    ];
    for (change, path) in table {
        let (kind, differences) =
            judge(&desired(), Some(&remote(change.clone())), Deprovision::Deactivate).expect_err(path);
        assert_eq!(kind, DriftKind::Attribute, "{change}");
        assert_eq!(differences.iter().map(|c| c.path.as_str()).collect::<Vec<_>>(), [path], "{change}");
    }
}

#[test]
fn gone_is_what_the_app_shows_and_nothing_else() {
    let live = remote(json!({}));
    let inactive = remote(json!({ "active": false }));
    // An app that does not say whether the account is active has a live one.
    let silent = remote(json!({ "active": null }));
    let table = [
        (None, Deprovision::Deactivate, true),
        (None, Deprovision::Delete, true),
        (Some(&inactive), Deprovision::Deactivate, true),
        (Some(&inactive), Deprovision::Delete, false),
        (Some(&live), Deprovision::Deactivate, false),
        (Some(&live), Deprovision::Delete, false),
        (Some(&silent), Deprovision::Deactivate, false),
    ];
    for (observed, deprovision, gone) in table {
        let judged = judge(&Desired::Absent, observed, deprovision);
        assert_eq!(judged.is_ok(), gone, "{observed:?} {deprovision:?}");
        if let Err((kind, _)) = judged {
            assert_eq!(kind, DriftKind::Zombie);
        }
    }
}

#[test]
fn a_missing_account_is_created_with_what_is_managed() {
    let Step::Create(attributes) = plan(&desired(), None, Deprovision::Deactivate) else { panic!("no creation") };
    assert_eq!(
        Value::Object(attributes),
        json!({
            "userName": "Anna@example.com",
            "externalId": identity().to_string(),
            "active": true,
            "title": "Lead",
            "name": { "givenName": "Anna" },
            "emails": [{ "value": "anna@example.com", "type": "work", "primary": true }],
        })
    );
}

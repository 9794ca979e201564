//! What follows from desired and observed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use rollcall_domain::access::desired::{Desired, Presence};
use rollcall_domain::access::plan::{Step, differences, judge, plan};
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::deprovision::Deprovision;
use rollcall_domain::app::mapping::{Origin, Rule, WhenEmpty, managed_attributes, to_resource};
use rollcall_domain::app::own_way::{Keeps, OwnWays, Way};
use rollcall_domain::app::standard::Standard;
use rollcall_domain::drift::kind::DriftKind;
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
    let attributes = managed_attributes(&Vec::new(), identity(), &map(user));
    Desired::Present(Presence { attributes, groups: BTreeSet::new() })
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
    Remote { id: "r".into(), resource, groups: BTreeSet::new() }
}

#[test]
fn an_account_as_desired_is_verified_whatever_the_app_adds() {
    assert_eq!(judge(&desired(), Some(&remote(json!({}))), &Deprovision::Deactivate.into()), Ok(Vec::new()));
}

#[test]
fn each_managed_attribute_that_differs_is_named_and_only_what_gives_access_is_owed() {
    use Standing::{Access, Profile};
    let table = [
        (json!({ "title": "Dev" }), "title", Profile),
        (json!({ "title": null }), "title", Profile),
        (json!({ "userName": "other" }), "userName", Access),
        // Whose it is we know by our own link.
        (json!({ "externalId": "other" }), "externalId", Profile),
        (json!({ "active": false }), "active", Access),
        (json!({ "name": { "givenName": "Ann" } }), "name.givenName", Profile),
        (json!({ "name": { "givenName": "Anna", "familyName": "cleared at the source" } }), "name.familyName", Profile),
        (json!({ "emails": [{ "value": "old@example.com" }] }), "emails", Profile),
        (json!({ "emails": null }), "emails", Profile),
    ];
    let usual = Standard::from(Deprovision::Deactivate);
    for (change, path, standing) in table {
        let judged = judge(&desired(), Some(&remote(change.clone())), &usual);
        let differences = match (standing, judged) {
            (Profile, Ok(differences)) | (Access, Err((DriftKind::Attribute, differences))) => differences,
            (_, other) => panic!("{change}: {other:?}"),
        };
        assert_eq!(differences.iter().map(|c| c.path.as_str()).collect::<Vec<_>>(), [path], "{change}");
        // What the configuration calls essential is access, too.
        let essential = Standard { essential: [path.to_owned()].into(), ..usual.clone() };
        let (kind, _) = judge(&desired(), Some(&remote(change)), &essential).expect_err(path);
        assert_eq!(kind, DriftKind::Attribute);
    }
}

enum Standing {
    Access,
    Profile,
}

#[test]
fn what_an_app_keeps_in_its_own_way_is_no_difference_and_never_hides_what_gives_access() {
    let ways: OwnWays = [("title", Way::NotKept), ("userName", Way::OwnValue), ("active", Way::NotKept)]
        .map(|(path, way)| (path.to_owned(), Keeps::from(way)))
        .into();
    let standard = Standard { ways, ..Standard::from(Deprovision::Deactivate) };
    assert_eq!(judge(&desired(), Some(&remote(json!({ "title": null }))), &standard), Ok(Vec::new()));
    assert!(plan(&desired(), Some(&remote(json!({ "title": null }))), &standard).is_empty());
    // Somebody has written something there: that is not its way.
    assert_eq!(judge(&desired(), Some(&remote(json!({ "title": "by hand" }))), &standard).map(|d| d.len()), Ok(1));
    for change in [json!({ "userName": "other" }), json!({ "active": false })] {
        assert_eq!(judge(&desired(), Some(&remote(change)), &standard).unwrap_err().0, DriftKind::Attribute);
    }
}

#[test]
fn what_the_schema_of_an_app_does_not_have_is_not_sent() {
    let ways = OwnWays::from([("title".to_owned(), Keeps::from(Way::NotInSchema))]);
    let standard = Standard { ways, ..Standard::from(Deprovision::Deactivate) };
    let steps = plan(&desired(), None, &standard);
    let [Step::Create(attributes)] = steps.as_slice() else { panic!("no creation: {steps:?}") };
    assert!(!attributes.contains_key("title") && attributes.contains_key("emails"));
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
        let judged = judge(&Desired::Absent, observed, &deprovision.into());
        assert_eq!(judged.is_ok(), gone, "{observed:?} {deprovision:?}");
        if let Err((kind, _)) = judged {
            // With one that is inactive nobody signs in any more: what is left is another matter.
            let live = observed.is_some_and(rollcall_domain::access::remote::Remote::is_active);
            assert_eq!(kind, if live { DriftKind::Zombie } else { DriftKind::Residue });
        }
    }
}

#[test]
fn a_missing_account_is_created_with_what_is_managed() {
    let steps = plan(&desired(), None, &Deprovision::Deactivate.into());
    let [Step::Create(attributes)] = steps.as_slice() else { panic!("no creation: {steps:?}") };
    assert_eq!(
        Value::Object(to_resource(attributes)),
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

fn groups(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

fn in_groups(remote: Remote, names: &[&str]) -> Remote {
    Remote { groups: groups(names), ..remote }
}

#[test]
fn memberships_are_brought_in_line_and_named_when_they_are_not() {
    let Desired::Present(presence) = desired() else { panic!("absent") };
    let desired = Desired::Present(Presence { groups: groups(&["dev", "ops"]), ..presence });
    let remote = in_groups(remote(json!({})), &["ops", "sales"]);
    let steps = plan(&desired, Some(&remote), &Deprovision::Deactivate.into());
    assert_eq!(steps, [Step::Leave("sales".into()), Step::Enter("dev".into())]);
    let (kind, differences) = judge(&desired, Some(&remote), &Deprovision::Deactivate.into()).unwrap_err();
    assert_eq!((kind, differences.len()), (DriftKind::Membership, 2));
    let right = in_groups(remote, &["ops", "dev"]);
    assert_eq!(judge(&desired, Some(&right), &Deprovision::Deactivate.into()), Ok(Vec::new()));
}

#[test]
fn whoever_leaves_is_switched_off_first_and_is_not_done_with_while_in_a_group() {
    let live = in_groups(remote(json!({})), &["ops"]);
    let steps = plan(&Desired::Absent, Some(&live), &Deprovision::Deactivate.into());
    assert_eq!(steps, [Step::Deactivate, Step::Leave("ops".into())]);
    let steps = plan(&Desired::Absent, Some(&live), &Deprovision::Delete.into());
    assert_eq!(steps, [Step::Leave("ops".into()), Step::Delete]);
    let inactive = in_groups(remote(json!({ "active": false })), &["ops"]);
    let (kind, _) = judge(&Desired::Absent, Some(&inactive), &Deprovision::Deactivate.into()).unwrap_err();
    assert_eq!(kind, DriftKind::Residue);
    assert_eq!(judge(&Desired::Absent, Some(&live), &Deprovision::Deactivate.into()).unwrap_err().0, DriftKind::Zombie);
}

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[test]
fn a_mapping_takes_from_attributes_constants_and_templates() {
    let rule = |target: &str, origin, when_empty| Rule { target: target.into(), origin, when_empty };
    let mapping = vec![
        rule("userName", Origin::Template("{name.givenName}.{name.familyName}".into()), WhenEmpty::Clear),
        rule("displayName", Origin::Template("{nickName} ".into()), WhenEmpty::Clear),
        rule("userType", Origin::Constant(json!("staff")), WhenEmpty::Clear),
        rule("nickName", Origin::Attribute("emails".into()), WhenEmpty::Clear),
        rule("title", Origin::Attribute("title".into()), WhenEmpty::Leave),
        rule(
            &format!("{ENTERPRISE}:department"),
            Origin::Attribute(format!("{ENTERPRISE}:department")),
            WhenEmpty::Clear,
        ),
    ];
    let user = json!({
        "userName": "anna", "name": { "givenName": "Anna", "familyName": "Lee" },
        "emails": [{ "value": "a@example.com" }], (ENTERPRISE): { "department": "Sales" },
    });
    let attributes = managed_attributes(&mapping, identity(), &map(user));
    assert_eq!(attributes["userName"], "Anna.Lee");
    assert_eq!(attributes["displayName"], Value::Null);
    assert_eq!(attributes["nickName"], "a@example.com");
    assert!(!attributes.contains_key("title"));
    let resource = to_resource(&attributes);
    assert_eq!(resource[ENTERPRISE]["department"], "Sales");
    assert!(!resource.contains_key("displayName"));

    // What must not be set counts as different while the app shows it.
    let mut shown = resource.clone();
    shown.insert("displayName".into(), "made by hand".into());
    let remote = Remote { id: "r".into(), resource: shown, groups: BTreeSet::new() };
    let paths: Vec<String> =
        differences(&attributes, &remote, &Deprovision::Deactivate.into()).into_iter().map(|c| c.path).collect();
    assert_eq!(paths, ["displayName"]);
}

#[test]
fn an_account_that_was_sent_is_found_by_its_name_and_by_each_address_whatever_form_they_have() {
    use rollcall_domain::access::account::findable;
    let table = [
        (json!({ "userName": "anna" }), vec!["anna"]),
        // As it is mapped, and as it is shown.
        (json!({ "userName": "anna", "emails": "a@example.com" }), vec!["a@example.com", "anna"]),
        (json!({ "emails": [{ "value": "a@example.com" }, "b@example.com"] }), vec!["a@example.com", "b@example.com"]),
        (json!({ "emails": { "value": "a@example.com" } }), vec!["a@example.com"]),
        (json!({ "emails[type eq \"work\"].value": "a@example.com", "emails": null }), vec!["a@example.com"]),
        (json!({ "userName": "", "title": "Dev" }), vec![]),
    ];
    for (resource, wanted) in table {
        let found = findable(resource.as_object().expect("an object"));
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), wanted, "{resource}");
    }
}

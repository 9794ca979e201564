//! PATCH: what each operation does, as the RFC says and as identity providers send it, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use rollcall_scim::{GROUP_TYPE, PatchRequest, Reading, Strictness, USER_TYPE};
use serde_json::{Map, Value, json};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn anna() -> Map<String, Value> {
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "anna",
        "active": true,
        "title": "Dev",
        "name": { "givenName": "Anna", "familyName": "B" },
        "emails": [{ "value": "a@work", "type": "work", "primary": true }, { "value": "a@home", "type": "home" }],
    });
    user.as_object().unwrap().clone()
}

fn request(operations: Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations })
}

fn apply(operation: Value) -> Result<Value, String> {
    applied(operation, Strictness::Tolerant)
}

fn apply_strictly(operation: Value) -> Result<Value, String> {
    applied(operation, Strictness::Strict)
}

fn applied(operation: Value, strictness: Strictness) -> Result<Value, String> {
    let text = |e: rollcall_scim::ScimError| format!("{} {}", e.scim_type.map_or("-", |t| t.name()), e.detail);
    let mut reading = Reading::new(strictness);
    let patch = PatchRequest::parse(&request(json!([operation])), &USER_TYPE, &mut reading).map_err(text)?;
    patch.apply(&anna(), &USER_TYPE, &mut reading).map(Value::Object).map_err(text)
}

#[test]
fn each_operation_changes_what_it_names() {
    let work = json!({ "value": "a@work", "type": "work", "primary": true });
    let home = json!({ "value": "a@home", "type": "home" });
    let table = [
        (json!({ "op": "replace", "path": "title", "value": "Lead" }), "/title", json!("Lead")),
        (json!({ "op": "Replace", "path": "TITLE", "value": "Lead" }), "/title", json!("Lead")),
        (json!({ "op": "remove", "path": "title" }), "/title", Value::Null),
        (json!({ "op": "replace", "path": "title", "value": null }), "/title", Value::Null),
        (json!({ "op": "add", "value": { "nickName": "A" } }), "/nickName", json!("A")),
        (json!({ "op": "replace", "path": "active", "value": "False" }), "/active", json!(false)),
        (json!({ "op": "replace", "value": { "active": "False", "id": "ignored" } }), "/active", json!(false)),
        (json!({ "op": "replace", "value": { "name.givenName": "Ann" } }), "/name/givenName", json!("Ann")),
        (json!({ "op": "replace", "path": "name.givenName", "value": "Ann" }), "/name/familyName", json!("B")),
        (json!({ "op": "replace", "path": "name", "value": { "givenName": "Ann" } }), "/name/familyName", json!("B")),
        (json!({ "op": "remove", "path": "name.givenName" }), "/name", json!({ "familyName": "B" })),
        (
            json!({ "op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Sales" }),
            "/schemas",
            json!(["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE]),
        ),
        (
            json!({ "op": "add", "value": { format!("{ENTERPRISE}:department"): "Sales" } }),
            &format!("/{ENTERPRISE}/department"),
            json!("Sales"),
        ),
        (
            json!({ "op": "add", "value": { ENTERPRISE: { "department": "Sales" } } }),
            &format!("/{ENTERPRISE}/department"),
            json!("Sales"),
        ),
        (
            json!({ "op": "add", "path": format!("{ENTERPRISE}:manager"), "value": "m1" }),
            &format!("/{ENTERPRISE}/manager"),
            json!({ "value": "m1" }),
        ),
        (
            json!({ "op": "replace", "path": "emails[type eq \"work\"].value", "value": "b@work" }),
            "/emails",
            json!([{ "value": "b@work", "type": "work", "primary": true }, home]),
        ),
        (json!({ "op": "remove", "path": "emails[type eq \"home\"]" }), "/emails", json!([work])),
        (json!({ "op": "remove", "path": "emails[type eq \"none\"]" }), "/emails", json!([work, home])),
        (
            json!({ "op": "add", "path": "phoneNumbers[type eq \"work\"].value", "value": "+1" }),
            "/phoneNumbers",
            json!([{ "type": "work", "value": "+1" }]),
        ),
        (
            json!({ "op": "add", "path": "emails", "value": { "value": "c@new", "primary": true } }),
            "/emails",
            json!([{ "value": "a@work", "type": "work" }, home, { "value": "c@new", "primary": true }]),
        ),
        (json!({ "op": "add", "path": "emails", "value": [home] }), "/emails", json!([work, home])),
        (json!({ "op": "replace", "path": "emails", "value": [home] }), "/emails", json!([home])),
    ];
    for (operation, pointer, expected) in table {
        let after = apply(operation.clone()).unwrap_or_else(|e| panic!("{operation}: {e}"));
        assert_eq!(after.pointer(pointer).cloned().unwrap_or_default(), expected, "{operation}");
    }
}

#[test]
fn what_can_not_be_done_is_refused_by_kind() {
    let table = [
        (json!({ "op": "move", "path": "title" }), "invalidSyntax"),
        (json!({ "path": "title", "value": "x" }), "invalidSyntax"),
        (json!("replace"), "invalidSyntax"),
        (json!({ "op": "remove" }), "noTarget"),
        (json!({ "op": "replace", "path": "shoeSize", "value": 1 }), "invalidPath"),
        (json!({ "op": "replace", "path": "emails[", "value": 1 }), "invalidPath"),
        (json!({ "op": "replace", "path": 5, "value": 1 }), "invalidPath"),
        (json!({ "op": "replace", "path": "name[x eq \"1\"]", "value": "x" }), "invalidPath"),
        (json!({ "op": "replace", "path": "emails[size eq \"1\"].value", "value": "x" }), "invalidFilter"),
        (json!({ "op": "replace", "path": "id", "value": "x" }), "mutability"),
        (json!({ "op": "add", "path": "groups", "value": [{ "value": "g" }] }), "mutability"),
        (json!({ "op": "replace", "path": "title", "value": 5 }), "invalidValue"),
        (json!({ "op": "replace", "path": "active", "value": "maybe" }), "invalidValue"),
        (json!({ "op": "replace", "path": "title" }), "invalidValue"),
        (json!({ "op": "add", "value": "x" }), "invalidValue"),
        (json!({ "op": "add", "value": { "name": { "shoe": "x" } } }), "invalidValue"),
        (json!({ "op": "remove", "path": "userName" }), "invalidValue"),
        (json!({ "op": "replace", "path": "userName", "value": " " }), "invalidValue"),
        (json!({ "op": "replace", "path": "emails[value co \"zzz\"].value", "value": "x" }), "noTarget"),
        (
            json!({ "op": "replace", "path": "emails", "value": [
                { "value": "1", "primary": true }, { "value": "2", "primary": true },
            ] }),
            "invalidValue",
        ),
    ];
    for (operation, kind) in table {
        let error = apply_strictly(operation.clone()).expect_err(&operation.to_string());
        assert!(error.starts_with(kind), "{operation}: {error}");
    }
}

#[test]
fn a_request_of_another_form_is_refused() {
    for body in [
        json!([]),
        json!({ "Operations": [{ "op": "remove", "path": "title" }] }),
        json!({ "schemas": ["urn:other"], "Operations": [{ "op": "remove", "path": "title" }] }),
        request(json!([])),
        request(json!({})),
        request(json!(vec![json!({ "op": "remove", "path": "title" }); 1001])),
    ] {
        let error = PatchRequest::parse(&body, &USER_TYPE, &mut Reading::new(Strictness::Strict)).expect_err("refused");
        assert_eq!(error.scim_type.map(|t| t.name()), Some("invalidSyntax"), "{}", error.detail);
    }
}

#[test]
fn all_operations_apply_or_none() {
    let body = request(json!([
        { "op": "replace", "path": "title", "value": "Lead" },
        { "op": "remove", "path": "userName" },
    ]));
    let before = anna();
    assert!(
        PatchRequest::parse(&body, &USER_TYPE, &mut Reading::default())
            .unwrap()
            .apply(&before, &USER_TYPE, &mut Reading::default())
            .is_err()
    );
    assert_eq!(before, anna());
}

#[test]
fn members_come_and_go_as_providers_send_them() {
    let group = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "All",
        "members": [{ "value": "1", "type": "User", "$ref": "x/1" }, { "value": "2", "type": "User" }],
    });
    let members = |operation: Value| {
        let patch = PatchRequest::parse(&request(json!([operation])), &GROUP_TYPE, &mut Reading::default()).unwrap();
        let after = patch.apply(group.as_object().unwrap(), &GROUP_TYPE, &mut Reading::default()).unwrap();
        let all = after.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        all.iter().map(|m| m["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(members(json!({ "op": "add", "path": "members", "value": [{ "value": "3" }] })), ["1", "2", "3"]);
    assert_eq!(members(json!({ "op": "add", "path": "members", "value": [{ "value": "2" }] })), ["1", "2"]);
    assert_eq!(members(json!({ "op": "remove", "path": "members[value eq \"1\"]" })), ["2"]);
    assert_eq!(members(json!({ "op": "Remove", "path": "members", "value": [{ "value": "1" }] })), ["2"]);
    assert_eq!(members(json!({ "op": "replace", "path": "members", "value": [{ "value": "9" }] })), ["9"]);
    assert!(members(json!({ "op": "remove", "path": "members" })).is_empty());
    assert!(members(json!({ "op": "remove", "path": "members", "value": null })).is_empty());
    // One that is named in another form is not all of them.
    assert_eq!(members(json!({ "op": "remove", "path": "members", "value": { "value": "1" } })), ["2"]);
    assert_eq!(members(json!({ "op": "remove", "path": "members", "value": "1" })), ["2"]);
    assert_eq!(members(json!({ "op": "remove", "path": "members", "value": ["1"] })), ["2"]);
    assert_eq!(members(json!({ "op": "remove", "path": "members", "value": [] })), ["1", "2"]);
}

#[test]
fn the_schema_of_the_resource_may_be_named_as_extensions_are() {
    let core = "urn:ietf:params:scim:schemas:core:2.0:User";
    let operation = json!({ "op": "replace", "value": { core: { "active": false, "name": { "givenName": "Ann" } } } });
    let after = apply(operation.clone()).unwrap();
    assert_eq!((&after["active"], &after["name"]["givenName"]), (&json!(false), &json!("Ann")));
    assert!(apply_strictly(operation).unwrap_err().contains("path-as-key"));
    for operation in [
        json!({ "op": "replace", "path": core, "value": { "active": false } }),
        json!({ "op": "replace", "path": format!("{core}.active"), "value": false }),
        json!({ "op": "replace", "path": format!("{core}:active"), "value": false }),
        json!({ "op": "replace", "value": { format!("{core}.active"): false } }),
    ] {
        assert_eq!(apply(operation.clone()).unwrap()["active"], false, "{operation}");
    }
    let department = json!({ "op": "add", "path": format!("{ENTERPRISE}.department"), "value": "Sales" });
    assert_eq!(apply(department).unwrap()[ENTERPRISE]["department"], "Sales");
    assert!(apply(json!({ "op": "remove", "path": core })).is_err(), "nothing was done, and nothing is said");
    assert!(apply(json!({ "op": "replace", "value": { core: false } })).unwrap_err().contains("must be an object"));
    // Nothing that it names is there: that is a mistake, and not a change.
    assert!(apply(json!({ "op": "replace", "value": { core: { "activ": false } } })).unwrap_err().contains("activ"));
}

#[test]
fn a_value_that_becomes_the_primary_one_takes_that_from_the_one_that_was() {
    let primary = |after: &Value| {
        let all = after["emails"].as_array().cloned().unwrap_or_default();
        all.iter().filter(|e| e["primary"] == true).map(|e| e["value"].clone()).collect::<Vec<_>>()
    };
    for operation in [
        json!({ "op": "replace", "path": "emails[type eq \"home\"].primary", "value": true }),
        json!({ "op": "add", "path": "emails[type eq \"home\"]", "value": { "primary": true } }),
        json!({ "op": "add", "path": "emails", "value": [{ "value": "a@home", "type": "other", "primary": true }] }),
    ] {
        assert_eq!(primary(&apply_strictly(operation.clone()).unwrap()), [json!("a@home")], "{operation}");
    }
    let both = json!({ "op": "replace", "path": "emails[value co \"a@\"].primary", "value": true });
    assert!(apply(both).is_err());
}

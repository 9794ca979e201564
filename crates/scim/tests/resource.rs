//! Resources that clients send: made canonical, or refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use rollcall_scim::{Reading, Selection, Strictness, USER_TYPE, changed_paths, normalize};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[test]
fn a_resource_is_made_canonical() {
    let sent = json!({
        "SCHEMAS": [USER, ENTERPRISE],
        "username": "anna",
        "id": "not the client's to choose",
        "meta": { "resourceType": "User" },
        "password": "dropped",
        "nickName": "",
        "title": null,
        "active": "True",
        "emails": [{ "VALUE": "a@b", "primary": true }, { "primary": true, "value": "a@b" }],
        "groups": [{ "value": "read-only" }],
        ENTERPRISE: { "department": "Sales", "manager": { "value": "m", "displayName": "read-only" } },
    });
    assert_eq!(
        Value::Object(normalize(&sent, &USER_TYPE, &mut Reading::default()).unwrap()),
        json!({
            "schemas": [USER, ENTERPRISE],
            "userName": "anna",
            "active": true,
            "emails": [{ "value": "a@b", "primary": true }],
            ENTERPRISE: { "department": "Sales", "manager": { "value": "m" } },
        })
    );
}

#[test]
fn one_value_where_many_are_meant_and_a_string_where_an_object_is_are_read_and_noted() {
    let canonical = json!({
        "schemas": [USER, ENTERPRISE],
        "userName": "anna",
        "emails": [{ "value": "a@b" }],
        ENTERPRISE: { "manager": { "value": "m" } },
    });
    for (emails, manager) in [
        (json!({ "value": "a@b" }), json!("m")),
        (json!("a@b"), json!({ "value": "m" })),
        (json!(["a@b"]), json!([{ "value": "m" }])),
        (json!([{ "value": "a@b" }]), json!(["m"])),
    ] {
        let sent = json!({
            "schemas": [USER, ENTERPRISE], "userName": "anna", "emails": emails, ENTERPRISE: { "manager": manager },
        });
        let mut reading = Reading::default();
        assert_eq!(Value::Object(normalize(&sent, &USER_TYPE, &mut reading).unwrap()), canonical, "{sent}");
        assert_eq!(reading.quirks(), ["plain-value"], "{sent}");
        let refused = normalize(&sent, &USER_TYPE, &mut Reading::new(Strictness::Strict)).unwrap_err();
        assert!(refused.detail.contains("emails") || refused.detail.contains("manager"), "{}", refused.detail);
    }
    // More than one is a mistake.
    let two = json!({ "schemas": [USER], "userName": ["anna", "eva"] });
    assert!(normalize(&two, &USER_TYPE, &mut Reading::default()).unwrap_err().detail.contains("userName"));
}

#[test]
fn what_the_schema_does_not_allow_is_refused_and_named() {
    let base = |change: Value| {
        let mut user = json!({ "schemas": [USER], "userName": "anna" });
        user.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        user
    };
    let table = [
        (json!([1]), "invalidSyntax", "object"),
        (json!({ "userName": "a" }), "invalidSyntax", "schemas"),
        (json!({ "schemas": [ENTERPRISE], "userName": "a" }), "invalidSyntax", USER),
        (json!({ "schemas": [USER, "urn:x"], "userName": "a" }), "invalidSyntax", "urn:x"),
        (json!({ "schemas": [USER, 5], "userName": "a" }), "invalidSyntax", "string"),
        (json!({ "schemas": [USER] }), "invalidValue", "userName"),
        (json!({ "schemas": [USER], "userName": "" }), "invalidValue", "userName"),
        (base(json!({ "userName": 5 })), "invalidValue", "userName"),
        (base(json!({ "shoeSize": 5 })), "invalidValue", "shoeSize"),
        (base(json!({ "active": "perhaps" })), "invalidValue", "active"),
        (base(json!({ "name": "Anna" })), "invalidValue", "name"),
        (base(json!({ "name": { "given": "Anna" } })), "invalidValue", "given"),
        (base(json!({ "emails": "a@b" })), "invalidValue", "emails"),
        (base(json!({ "emails": 5 })), "invalidValue", "emails"),
        (base(json!({ "emails": [{ "value": 5 }] })), "invalidValue", "emails[0].value"),
        (base(json!({ "title": "a", "TITLE": "b" })), "invalidValue", "title"),
        (base(json!({ ENTERPRISE: "Sales" })), "invalidValue", ENTERPRISE),
        (base(json!({ ENTERPRISE: { "shoe": "x" } })), "invalidValue", "shoe"),
        (
            base(json!({ "emails": [{ "value": "1", "primary": true }, { "value": "2", "primary": true }] })),
            "invalidValue",
            "primary",
        ),
    ];
    for (body, kind, named) in table {
        let error = normalize(&body, &USER_TYPE, &mut Reading::new(Strictness::Strict)).expect_err(&body.to_string());
        assert_eq!((error.status, error.scim_type.map(|t| t.name())), (400, Some(kind)), "{body}");
        assert!(error.detail.contains(named), "{body}: {}", error.detail);
    }
}

#[test]
fn changed_paths_go_into_extensions() {
    let before = json!({ ENTERPRISE: { "department": "Sales" } });
    let after = json!({ ENTERPRISE: { "department": "Ops" }, "meta": { "version": "2" } });
    let changed = changed_paths(before.as_object().unwrap(), after.as_object().unwrap());
    assert_eq!(changed.iter().map(|c| c.path.as_str()).collect::<Vec<_>>(), [format!("{ENTERPRISE}:department")]);
}

#[test]
fn a_selection_shows_what_was_asked_for_and_always_the_id() {
    let user = json!({
        "schemas": [USER], "id": "1", "userName": "anna", "title": "Dev",
        "name": { "givenName": "Anna", "familyName": "B" },
        "emails": [{ "value": "a@b", "type": "work" }],
        ENTERPRISE: { "department": "Sales" },
    });
    let show = |only: Option<&str>, without: Option<&str>| {
        let selection = Selection::parse(only, without, &USER_TYPE, Strictness::Strict).unwrap();
        Value::Object(selection.apply(user.as_object().unwrap().clone()))
    };
    assert_eq!(
        show(Some("userName,name.givenName,emails.value"), None),
        json!({
            "schemas": [USER], "id": "1", "userName": "anna",
            "name": { "givenName": "Anna" }, "emails": [{ "value": "a@b" }],
        })
    );
    assert_eq!(
        show(Some(&format!("{ENTERPRISE}:department")), None),
        json!({ "schemas": [USER], "id": "1", ENTERPRISE: { "department": "Sales" } })
    );
    let without = show(None, Some("name.familyName,emails,id"));
    assert_eq!(without["name"], json!({ "givenName": "Anna" }));
    assert_eq!((without.get("emails"), &without["id"]), (None, &json!("1")));
    // Blank is as if it were not there.
    assert_eq!(show(Some(" "), Some("")), user);
    let parse = |only, without, strictness| Selection::parse(only, without, &USER_TYPE, strictness);
    assert!(parse(Some("shoeSize"), None, Strictness::Strict).is_err());
    assert!(parse(Some("title"), Some("title"), Strictness::Tolerant).is_err());
    let known = parse(Some("shoeSize,title"), None, Strictness::Tolerant).unwrap();
    let shown = Value::Object(known.apply(user.as_object().unwrap().clone()));
    assert_eq!(shown, json!({ "schemas": [USER], "id": "1", "title": "Dev" }));
}

//! Hostile input: whatever is sent, the answer is a value or a SCIM error, within bounded time and depth; nothing panics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::prelude::*;
use proptest::test_runner::Config;
use rollcall_scim::{
    BulkRequest, Filter, GROUP_TYPE, PatchRequest, Reading, ScimError, Selection, Sort, Strictness, USER_TYPE,
    changed_paths, normalize, parse_json,
};
use serde_json::{Map, Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Pieces that mean something in the grammar, put together without sense.
fn words() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("userName".to_owned()),
        Just("emails".to_owned()),
        Just("members".to_owned()),
        Just("[type eq \"work\"]".to_owned()),
        Just(".value".to_owned()),
        Just(" eq ".to_owned()),
        Just(" co ".to_owned()),
        Just(" pr".to_owned()),
        Just(" and ".to_owned()),
        Just(" or ".to_owned()),
        Just("not (".to_owned()),
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("\"a\\\"b\"".to_owned()),
        Just("\"".to_owned()),
        Just("\\u0000".to_owned()),
        Just("true".to_owned()),
        Just("-1e999".to_owned()),
        Just(ENTERPRISE.to_owned()),
        Just(":department".to_owned()),
        Just(" ".to_owned()),
        "\\PC{0,6}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("userName".to_owned()),
        Just("USERNAME".to_owned()),
        Just("name".to_owned()),
        Just("emails".to_owned()),
        Just("active".to_owned()),
        Just("members".to_owned()),
        Just("value".to_owned()),
        Just("primary".to_owned()),
        Just("id".to_owned()),
        Just("meta".to_owned()),
        Just("schemas".to_owned()),
        Just(ENTERPRISE.to_owned()),
        Just("op".to_owned()),
        Just("path".to_owned()),
        words(),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!("True")),
        Just(json!(USER)),
        words().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn with_schemas(mut body: Value, schema: &str) -> Value {
    if let Some(object) = body.as_object_mut() {
        object.insert("schemas".into(), json!([schema]));
    }
    body
}

/// What every refusal must be.
fn check(error: &ScimError) {
    assert!(matches!(error.status, 400 | 409 | 413), "{error:?}");
    assert!(!error.detail.is_empty());
    let body = error.body();
    assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    assert_eq!(body["status"], error.status.to_string().as_str());
}

proptest! {
    #![proptest_config(Config { cases: 2000, ..Config::default() })]

    #[test]
    fn any_text_is_a_filter_or_refused(text in words(), resource in value()) {
        match Filter::parse(&text, &USER_TYPE) {
            Ok(filter) => {
                let _ = (filter.matches(&resource), filter.equalities());
            }
            Err(error) => check(&error),
        }
    }

    #[test]
    fn any_text_is_a_list_of_attributes_or_an_order_or_refused(text in words(), resource in value()) {
        let fields = resource.as_object().cloned().unwrap_or_default();
        for parsed in [
            Selection::parse(Some(&text), None, &USER_TYPE, Strictness::Strict),
            Selection::parse(None, Some(&text), &USER_TYPE, Strictness::Tolerant),
        ] {
            match parsed {
                Ok(selection) => drop(selection.apply(fields.clone())),
                Err(error) => check(&error),
            }
        }
        match Sort::parse(Some(&text), None, &USER_TYPE) {
            Ok(sort) => drop(sort.map(|s| s.key(&resource))),
            Err(error) => check(&error),
        }
    }

    #[test]
    fn any_bytes_are_json_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), text in words()) {
        for body in [bytes, format!("{{\"a\": {text}}}").into_bytes(), text.into_bytes()] {
            if let Err(error) = parse_json(&body) {
                check(&error);
            }
        }
    }

    #[test]
    fn what_is_json_is_read_as_serde_reads_it(value in value()) {
        let text = value.to_string();
        match parse_json(text.as_bytes()) {
            // Numbers may differ in how they are written.
            Ok(read) => prop_assert_eq!(read.to_string(), serde_json::from_str::<Value>(&text).unwrap().to_string()),
            Err(error) => {
                check(&error);
                prop_assert!(text.contains("\\u0000"), "{}", error.detail);
            }
        }
    }

    #[test]
    fn any_body_is_a_resource_or_refused_and_a_resource_stays_what_it_is(body in value()) {
        for body in [body.clone(), with_schemas(body, USER)] {
            match normalize(&body, &USER_TYPE, &mut Reading::default()) {
                Ok(resource) => {
                    let again = normalize(&Value::Object(resource.clone()), &USER_TYPE, &mut Reading::default());
                    prop_assert_eq!(changed_paths(&resource, &again.unwrap()), []);
                }
                Err(error) => check(&error),
            }
        }
    }

    #[test]
    fn any_body_is_a_patch_or_refused_and_what_it_leaves_is_a_resource(
        operations in prop::collection::vec((key(), value()), 0..4),
        op in prop_oneof![Just("add"), Just("Replace"), Just("remove"), Just("")],
    ) {
        let operations: Vec<Value> =
            operations.into_iter().map(|(path, value)| json!({ "op": op, "path": path, "value": value })).collect();
        let body = json!({ "schemas": [PATCH], "Operations": operations });
        let user = json!({
            "schemas": [USER], "userName": "anna", "emails": [{ "value": "a", "type": "work", "primary": true }],
        });
        let group = json!({ "displayName": "g", "members": [{ "value": "a" }] });
        for (kind, before) in [(&USER_TYPE, user), (&GROUP_TYPE, group)] {
            let request = match PatchRequest::parse(&body, kind, &mut Reading::default()) {
                Ok(request) => request,
                Err(error) => {
                    check(&error);
                    continue;
                }
            };
            let _ = request.member_changes();
            match request.apply(before.as_object().unwrap(), kind, &mut Reading::default()) {
                Ok(after) => {
                    let whole = Value::Object(after.clone());
                    let read = normalize(&whole, kind, &mut Reading::default());
                    prop_assert!(read.is_ok(), "{} leaves {}", body, whole);
                }
                Err(error) => check(&error),
            }
        }
    }

    #[test]
    fn any_body_is_a_bulk_request_or_refused(body in value(), items in prop::collection::vec(value(), 0..5)) {
        let schema = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
        let with_items = json!({ "schemas": [schema], "Operations": items });
        for body in [with_schemas(body, schema), with_items] {
            match BulkRequest::parse(&body, 100) {
                Ok(request) => {
                    let mut order = request.order();
                    order.sort_unstable();
                    prop_assert_eq!(order, (0..request.operations.len()).collect::<Vec<_>>());
                }
                Err(error) => check(&error),
            }
        }
    }
}

#[test]
fn a_filter_as_long_as_the_door_lets_in_is_read_in_no_time() {
    let started = std::time::Instant::now();
    let long = ["userName eq \"a\""; 250].join(" or ");
    assert!(Filter::parse(&long, &USER_TYPE).is_ok());
    for deep in ["(".repeat(4000), "not (".repeat(800), "emails[".repeat(500), "\"".repeat(4001)] {
        check(&Filter::parse(&deep, &USER_TYPE).unwrap_err());
    }
    // Quadratic or worse would take minutes.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

/// Each refers to the next: passes over all that are left would take as many as there are operations.
#[test]
fn a_long_chain_of_references_is_put_in_order_in_no_time() {
    let last = 20_000;
    let operations: Vec<Value> = (0..=last)
        .map(|n| {
            let members: Vec<Value> =
                (n < last).then(|| json!({ "value": format!("bulkId:{}", n + 1) })).into_iter().collect();
            let data = json!({ "displayName": format!("g{n}"), "members": members });
            json!({ "method": "POST", "path": "/Groups", "bulkId": n.to_string(), "data": data })
        })
        .collect();
    let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations });
    let request = BulkRequest::parse(&body, last + 1).unwrap();
    let started = std::time::Instant::now();
    assert_eq!(request.order(), (0..=last).rev().collect::<Vec<_>>());
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

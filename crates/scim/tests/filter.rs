//! Filters: what matches, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use rollcall_scim::{Filter, ScimType, Strictness, USER_TYPE};
use serde_json::{Value, json};

fn anna() -> Value {
    json!({
        "userName": "Anna@example.com",
        "externalId": "HR-1",
        "active": true,
        "userType": "Employee",
        "title": "",
        "name": { "givenName": "Anna" },
        "emails": [
            { "value": "anna@work.example", "type": "work", "primary": true },
            { "value": "anna@home.example", "type": "home" },
        ],
        "groups": [{ "value": "g1", "display": "Remote" }],
        "meta": { "lastModified": "2026-01-31T12:00:00Z" },
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "department": "Sales", "manager": { "value": "m1" },
        },
    })
}

#[test]
fn each_filter_matches_or_does_not() {
    let table = [
        (r#"userName eq "anna@EXAMPLE.com""#, true),
        (r#"userName ne "anna@example.com""#, false),
        (r#"externalId eq "HR-1""#, true),
        (r#"externalId eq "hr-1""#, false),
        (r#"userName sw "anna" and userName ew ".com" and userName co "@""#, true),
        (r#"active eq true"#, true),
        (r#"active eq "True""#, true),
        (r#"active ne true"#, false),
        (r#"not (active eq false)"#, true),
        (r#"title pr"#, false),
        (r#"nickName pr"#, false),
        (r#"nickName eq null"#, true),
        (r#"nickName ne "x""#, true),
        (r#"name pr"#, true),
        (r#"name.givenName eq "anna""#, true),
        (r#"NAME.GIVENNAME EQ "anna""#, true),
        (r#"emails eq "anna@home.example""#, true),
        (r#"emails.type eq "home""#, true),
        (r#"emails[type eq "home" and value co "work"]"#, false),
        (r#"emails[type eq "work" and value co "work"]"#, true),
        (r#"emails[primary eq true and type eq "work"]"#, true),
        (r#"groups.display eq "remote""#, true),
        (r#"meta.lastModified gt "2026-01-01T00:00:00Z""#, true),
        (r#"meta.lastModified lt "2026-01-31T13:00:00+01:00""#, false),
        (r#"meta.lastModified le "2026-01-31T13:00:00+01:00""#, true),
        (r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "sales""#, true),
        (r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "m1""#, true),
        (r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "anna""#, true),
        (r#"userType eq "Contractor" or userType eq "Employee" and active eq false"#, false),
        (r#"(userType eq "Contractor" or userType eq "Employee") and active eq true"#, true),
    ];
    for (text, expected) in table {
        let filter = Filter::parse(text, &USER_TYPE).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(filter.matches(&anna()), expected, "{text}");
    }
}

#[test]
fn what_is_not_a_filter_is_refused_and_named() {
    let table = [
        ("", "not valid"),
        ("userName", "not valid"),
        (r#"userName eq anna"#, "not valid"),
        (r#"userName eq "anna" and"#, "not valid"),
        (r#"userName like "anna""#, "not valid"),
        (r#"shoeSize eq "42""#, "shoeSize"),
        (r#"name.shoe eq "42""#, "shoe"),
        (r#"urn:example:no:such:User:x eq "1""#, "urn:example:no:such:User"),
        (r#"active eq "yes""#, "active"),
        (r#"active gt true"#, "does not apply"),
        (r#"userName eq 5"#, "string"),
        (r#"meta.created gt "yesterday""#, "RFC 3339"),
        (r#"meta.created co "2026-01-01T00:00:00Z""#, "does not apply"),
        (r#"name eq "Anna""#, "sub-attributes"),
        (r#"emails[size eq "1"]"#, "size"),
    ];
    for (text, named) in table {
        let error = Filter::parse(text, &USER_TYPE).expect_err(text);
        assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidFilter)), "{text}");
        assert!(error.detail.contains(named), "{text}: {}", error.detail);
    }
}

#[test]
fn a_filter_that_nests_without_end_is_refused() {
    let deep = format!("{}userName pr{}", "not (".repeat(10_000), ")".repeat(10_000));
    assert!(Filter::parse(&deep, &USER_TYPE).is_err());
}

#[test]
fn what_must_be_equal_can_be_found_by_an_index() {
    let equalities = |text: &str| {
        let filter = Filter::parse(text, &USER_TYPE).unwrap();
        filter.equalities().into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(equalities(r#"username eq "Anna""#), ["userName=Anna"]);
    assert_eq!(
        equalities(r#"active eq true and userName eq "a" and externalId eq "b""#),
        ["userName=a", "externalId=b"]
    );
    assert_eq!(equalities(r#"name.givenName eq "a""#), ["name.givenName=a"]);
    for other in [r#"userName ne "a""#, r#"userName eq "a" or userName eq "b""#, "title pr"] {
        assert!(equalities(other).is_empty(), "{other}");
    }
}

#[test]
fn quotes_that_are_left_out_are_added_for_who_is_read_tolerantly() {
    let user = serde_json::json!({ "userName": "Otto", "name": { "familyName": "and" }, "active": true });
    for filter in [
        "userName sw O",
        "userName eq otto and (name.familyName eq and or title co x)",
        "userName eq \"Otto\" and active eq true",
        "emails[type eq work] or userName ew to",
    ] {
        let read = Filter::parse_as(filter, &USER_TYPE, Strictness::Tolerant).expect(filter);
        assert!(read.matches(&user), "{filter}");
    }
    assert!(Filter::parse_as("meta.created gt 2015-10-10T14:38:21.8-07:00", &USER_TYPE, Strictness::Tolerant).is_ok());
    let strict = Filter::parse_as("userName sw O", &USER_TYPE, Strictness::Strict).expect_err("strict");
    assert_eq!(strict.scim_type, Some(ScimType::InvalidFilter));
    // What is wrong otherwise is said of what was sent.
    let wrong = Filter::parse_as("userName sw", &USER_TYPE, Strictness::Tolerant).expect_err("wrong");
    assert!(wrong.detail.contains("'userName sw'"), "{}", wrong.detail);
}

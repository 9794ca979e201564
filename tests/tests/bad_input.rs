//! Bad input: each mistake gets a precise answer in the form of its path, and appends nothing.

use anyhow::ensure;
use reqwest::{Client, Method, StatusCode};
use rollcall_tests::rollcall::{API_TOKEN, SOURCE_TOKEN};
use rollcall_tests::{Rollcall, free_port};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const STRICT_TOKEN: &str = "strict-secret-19c2";
const NOBODY: &str = "018f0000-0000-7000-8000-000000000000";

/// A request to `/scim/v2`, and what must be said about it.
struct Case {
    method: Method,
    path: String,
    body: Option<String>,
    status: u16,
    /// RFC 7644 table 9; none where that table has none.
    scim_type: Option<&'static str>,
    /// What the detail has to name.
    names: &'static str,
}

fn case(method: Method, path: &str, status: u16, scim_type: &'static str, names: &'static str) -> Case {
    let scim_type = (!scim_type.is_empty()).then_some(scim_type);
    Case { method, path: path.to_owned(), body: None, status, scim_type, names }
}

impl Case {
    fn with(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self
    }

    fn with_text(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }
}

fn patch(operation: Value) -> Value {
    json!({ "schemas": [PATCH], "Operations": [operation] })
}

fn creations() -> Vec<Case> {
    let post = |status, scim_type, names| case(Method::POST, "/Users", status, scim_type, names);
    let user = |extra: Value| {
        let mut user = json!({ "schemas": [USER], "userName": "new@example.com" });
        if let (Some(user), Some(extra)) = (user.as_object_mut(), extra.as_object()) {
            user.extend(extra.clone());
        }
        user
    };
    vec![
        post(400, "invalidSyntax", "not valid JSON").with_text("{\"userName\": "),
        post(400, "invalidSyntax", "not valid JSON").with_text(""),
        post(400, "invalidSyntax", "object").with_text("[]"),
        post(400, "invalidValue", "active").with(&user(json!({ "active": "perhaps" }))),
        post(400, "invalidValue", "U+200B").with(&user(json!({ "userName": "ad\u{200b}min" }))),
        post(400, "invalidValue", "U+000A").with(&user(json!({ "userName": "admin\nroot" }))),
        post(413, "", "max_resource_bytes").with(&user(json!({ "title": "t".repeat(200 << 10) }))),
        post(413, "", "max_resource_bytes").with(&user(json!({ "userName": "n".repeat(600 << 10) }))),
        post(400, "invalidValue", "userName").with(&json!({ "schemas": [USER], "userName": 7 })),
        post(400, "invalidValue", "emails").with(&user(json!({ "emails": "a@example.com" }))),
        post(400, "invalidSyntax", "urn:example:unknown")
            .with(&user(json!({ "schemas": [USER, "urn:example:unknown"] }))),
        post(400, "invalidValue", "userName").with(&json!({ "schemas": [USER], "title": "Dev" })),
        post(400, "invalidValue", "userName").with(&json!({ "schemas": [USER], "userName": "  " })),
        post(409, "uniqueness", "ANN@example.com").with(&json!({ "schemas": [USER], "userName": "ANN@example.com" })),
        post(413, "", "bytes").with(&user(json!({ "title": "x".repeat(2_000_000) }))),
        case(Method::POST, "/Groups", 400, "invalidValue", "displayName").with(&json!({ "schemas": [GROUP] })),
        case(Method::POST, "/Groups", 400, "invalidValue", "members")
            .with(&json!({ "schemas": [GROUP], "displayName": "g", "members": [{ "type": "User" }] })),
        post(400, "invalidSyntax", "twice")
            .with_text(&format!("{{\"schemas\": [\"{USER}\"], \"userName\": \"a\", \"userName\": \"b\"}}")),
        post(400, "invalidValue", "twice").with(&json!({ "schemas": [USER], "userName": "a", "username": "b" })),
        post(400, "invalidSyntax", "NUL").with(&user(json!({ "title": "a\u{0}b" }))),
        post(400, "invalidSyntax", "levels deep").with_text(&format!("{}{}", "[".repeat(40), "]".repeat(40))),
        post(409, "uniqueness", "ＡＮＮ").with(&json!({ "schemas": [USER], "userName": "ＡＮＮ@example.com" })),
        post(409, "uniqueness", "externalId").with(&user(json!({ "externalId": "ann-1" }))),
    ]
}

fn changes(ann: &str) -> Vec<Case> {
    let path = format!("/Users/{ann}");
    let change = |status, scim_type, names| case(Method::PATCH, &path, status, scim_type, names);
    let set = |path: &str, value: Value| patch(json!({ "op": "replace", "path": path, "value": value }));
    let nobody = format!("/Users/{NOBODY}");
    let user = json!({ "schemas": [USER], "userName": "n@example.com" });
    vec![
        change(400, "invalidPath", "nosuch").with(&set("nosuch", json!(1))),
        change(400, "invalidPath", "emails[").with(&set("emails[type eq", json!("x"))),
        change(400, "invalidValue", "active").with(&set("active", json!("perhaps"))),
        change(400, "noTarget", "").with(&patch(json!({ "op": "remove" }))),
        change(400, "invalidSyntax", "op").with(&patch(json!({ "op": "destroy", "path": "title" }))),
        change(400, "invalidSyntax", "Operations").with(&json!({ "schemas": [PATCH] })),
        change(400, "mutability", "id").with(&set("id", json!("other"))),
        change(400, "invalidValue", "userName").with(&patch(json!({ "op": "remove", "path": "userName" }))),
        case(Method::PUT, &path, 400, "invalidValue", "userName").with(&json!({ "schemas": [USER] })),
        case(Method::PUT, &path, 409, "uniqueness", "Bob").with(&json!({ "schemas": [USER], "userName": "Bob" })),
        case(Method::GET, &nobody, 404, "", NOBODY),
        case(Method::PUT, &nobody, 404, "", NOBODY).with(&user),
        case(Method::PATCH, &nobody, 404, "", NOBODY).with(&set("title", json!("x"))),
        case(Method::DELETE, &nobody, 404, "", NOBODY),
        case(Method::DELETE, "/Users/not-an-id", 404, "", "not-an-id"),
        case(Method::DELETE, "/Users/%FF", 400, "invalidValue", "UTF-8"),
        case(Method::DELETE, &format!("/Groups/{NOBODY}"), 404, "", NOBODY),
        case(Method::DELETE, "/Users", 405, "", "DELETE"),
        case(Method::GET, "/Nothing", 404, "", "/Nothing"),
    ]
}

fn searches() -> Vec<Case> {
    let get = |path, scim_type, names| case(Method::GET, path, 400, scim_type, names);
    vec![
        get("/Users?filter=userName%20eq", "invalidFilter", "userName eq"),
        get("/Users?filter=userName%20like%20%22a%22", "invalidFilter", "like"),
        get("/Users?filter=nosuch%20eq%20%22a%22", "invalidFilter", "nosuch"),
        get("/Users?startIndex=one", "invalidValue", "startIndex"),
        get("/Users?count=many", "invalidValue", "count"),
        get("/Users?count=1&count=2", "invalidValue", "count"),
        get("/Users?attributes=userName&excludedAttributes=title", "invalidValue", "excludedAttributes"),
    ]
}

#[tokio::test]
async fn each_mistake_at_the_scim_door_is_named_and_appends_nothing() -> anyhow::Result<()> {
    // What is left out from others is refused to a source that is read strictly.
    let strict =
        "[[sources]]\nname = \"strict\"\ntoken = \"strict-secret-19c2\"\nstrict = true\nexternal_id = \"unique\"\n";
    let rollcall = Rollcall::new(&[], strict)?;
    rollcall.start().await?;
    let mut ann = String::new();
    for (name, external_id) in [("bob", "bob-1"), ("ann@example.com", "ann-1")] {
        let user = json!({ "schemas": [USER], "userName": name, "externalId": external_id });
        let (status, made) = rollcall.raw(Method::POST, "/scim/v2/Users", STRICT_TOKEN, Some(user.to_string())).await?;
        ensure!(status == StatusCode::CREATED, "{status} {made}");
        ann = made["id"].as_str().unwrap_or_default().to_owned();
    }
    let before = rollcall.items("/v1/timeline").await?;
    ensure!(before.len() >= 2, "nothing was appended: {before:?}");
    let mut wrong = Vec::new();
    for case in creations().into_iter().chain(changes(&ann)).chain(searches()) {
        let path = format!("/scim/v2{}", case.path);
        let (status, answer) = rollcall.raw(case.method.clone(), &path, STRICT_TOKEN, case.body.clone()).await?;
        let detail = answer["detail"].as_str().unwrap_or_default();
        let good = status.as_u16() == case.status
            && answer["status"].as_str().and_then(|s| s.parse().ok()) == Some(case.status)
            && answer["schemas"][0] == "urn:ietf:params:scim:api:messages:2.0:Error"
            && answer["scimType"].as_str() == case.scim_type
            && !detail.is_empty()
            && detail.contains(case.names);
        if !good {
            let body = case.body.unwrap_or_default();
            let body: String = body.chars().take(200).collect();
            wrong.push(format!("{} {path} {body}\n  answered {status} {answer}", case.method));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    ensure!(rollcall.items("/v1/timeline").await? == before, "something was appended");
    Ok(())
}

#[tokio::test]
async fn a_wrong_token_opens_nothing() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "")?;
    rollcall.start().await?;
    let body = json!({ "schemas": [USER], "userName": "n@example.com" }).to_string();
    for token in ["", "wrong", API_TOKEN, "source-secret-5f1", "source-secret-5f1d1"] {
        let (status, answer) = rollcall.raw(Method::POST, "/scim/v2/Users", token, Some(body.clone())).await?;
        ensure!(status == StatusCode::UNAUTHORIZED && answer["status"] == "401", "{token}: {status} {answer}");
    }
    for token in ["", "wrong", SOURCE_TOKEN] {
        let (status, answer) = rollcall.raw(Method::GET, "/v1/timeline", token, None).await?;
        ensure!(status == StatusCode::UNAUTHORIZED && answer["status"] == 401, "{token}: {status} {answer}");
    }
    let none = Client::new().get(format!("{}/scim/v2/Users", rollcall.address())).send().await?;
    ensure!(none.status() == StatusCode::UNAUTHORIZED);
    ensure!(none.headers().contains_key("www-authenticate"), "a 401 says how to authenticate");
    let identities = rollcall.items("/v1/identities").await?;
    ensure!(identities.is_empty(), "{identities:?}");
    Ok(())
}

#[tokio::test]
async fn a_mistake_at_the_api_is_a_problem_that_names_it() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "")?;
    rollcall.start().await?;
    let nobody = format!("/v1/identities/{NOBODY}");
    let cases = [
        ("/v1/timeline?colour=blue", 400, "colour"),
        ("/v1/timeline?limit=0", 400, "limit"),
        ("/v1/timeline?limit=1000000", 400, "limit"),
        ("/v1/timeline?from=yesterday", 400, "yesterday"),
        ("/v1/timeline?cursor=abc", 400, "cursor"),
        ("/v1/leavers?status=gone", 400, "gone"),
        ("/v1/obligations?status=gone", 400, "gone"),
        (nobody.as_str(), 404, NOBODY),
        ("/v1/identities/x", 404, "x"),
        ("/v1/identities/%FF", 400, "UTF-8"),
        ("/v1/apps/none", 404, "none"),
        ("/v1/nothing", 404, "/v1/nothing"),
        ("/nothing", 404, "/nothing"),
    ];
    let mut wrong = Vec::new();
    for (path, status, names) in cases {
        let address = format!("{}{path}", rollcall.address());
        let answer = Client::new().get(address).bearer_auth(API_TOKEN).send().await?;
        let kind = answer.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let code = answer.status().as_u16();
        let text = answer.text().await?;
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or_default();
        if code != status
            || kind != "application/problem+json"
            || problem["status"] != status
            || !detail.contains(names)
        {
            wrong.push(format!("{path}: {code} {kind} {text}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test]
async fn a_configuration_with_mistakes_is_refused_with_each_of_their_lines() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("rollcall.toml");
    let text = format!(
        "[server]\nlisten = \"here\"\ncolour = 1\n[[sources]]\nname = \"hr\"\n[[apps]]\nid = \"crm\"\n\
         base_url = \"http://127.0.0.1:{}/v2\"\nassign = 'active eq'\ndeprovision = \"ignore\"\n",
        free_port()
    );
    std::fs::write(&file, text)?;
    for arguments in [&["check"][..], &["up", "--data-dir", "data"]] {
        let mut command = rollcall_tests::rollcall::command();
        command.args(arguments).arg("--config").arg(&file).current_dir(dir.path());
        let output = command.output().await?;
        ensure!(!output.status.success(), "{arguments:?} succeeded");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines = [("2", "listen"), ("3", "colour"), ("4", "token"), ("9", "assign"), ("10", "deprovision")];
        for (line, names) in lines {
            let found = said.lines().any(|l| l.contains(&format!("line {line}:")) && l.contains(names));
            ensure!(found, "line {line} with {names} is not named:\n{said}");
        }
        ensure!(!dir.path().join("data").exists(), "{arguments:?} left something behind");
    }
    Ok(())
}

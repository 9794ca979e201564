//! The parts of the protocol that a client may use: versions, order, cursors, search by POST, bulk, own schemas.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use reqwest::{Client, Method, Response};
use rollcall_tests::Rollcall;
use rollcall_tests::rollcall::SOURCE_TOKEN;
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

async fn door(extra: &str) -> anyhow::Result<Rollcall> {
    let rollcall = Rollcall::new(&[], extra)?;
    rollcall.start().await?;
    Ok(rollcall)
}

fn user(name: &str) -> Value {
    json!({ "schemas": [USER], "userName": name })
}

async fn create(rollcall: &Rollcall, user: &Value) -> anyhow::Result<String> {
    let made = rollcall.scim(Method::POST, "/Users", user).await?;
    Ok(made["id"].as_str().context("no id")?.to_owned())
}

async fn get(rollcall: &Rollcall, path: &str) -> anyhow::Result<Value> {
    let (status, answer) = rollcall.raw(Method::GET, &format!("/scim/v2{path}"), SOURCE_TOKEN, None).await?;
    ensure!(status.is_success(), "{path}: {status} {answer}");
    Ok(answer)
}

async fn bulk(rollcall: &Rollcall, body: &Value) -> anyhow::Result<Vec<Value>> {
    let answer = rollcall.scim(Method::POST, "/Bulk", body).await?;
    Ok(answer["Operations"].as_array().context("no operations")?.clone())
}

fn names(page: &Value) -> Vec<&str> {
    page["Resources"].as_array().into_iter().flatten().filter_map(|u| u["userName"].as_str()).collect()
}

#[tokio::test]
async fn a_version_that_is_not_the_current_one_is_not_changed() -> anyhow::Result<()> {
    let rollcall = door("").await?;
    let id = create(&rollcall, &user("anna")).await?;
    let address = format!("{}/scim/v2/Users/{id}", rollcall.address());
    let send = |method: Method, header: &'static str, tag: &str| {
        Client::new().request(method, &address).bearer_auth(SOURCE_TOKEN).header(header, tag).send()
    };
    let etag = |answer: &Response| anyhow::Ok(answer.headers().get("etag").context("no ETag")?.to_str()?.to_owned());
    let first = etag(&Client::new().get(&address).bearer_auth(SOURCE_TOKEN).send().await?)?;
    let same = send(Method::GET, "if-none-match", &first).await?;
    ensure!(same.status() == 304, "{}", same.status());
    let put = |tag: &str, title: &str| {
        let mut body = user("anna");
        body["title"] = title.into();
        Client::new().put(&address).bearer_auth(SOURCE_TOKEN).header("if-match", tag).body(body.to_string()).send()
    };
    let changed = put(&first, "one").await?;
    ensure!(changed.status() == 200, "{}", changed.status());
    let second = etag(&changed)?;
    ensure!(second != first, "{second}");
    let body: Value = changed.json().await?;
    ensure!(body["meta"]["version"] == second.as_str(), "{body}");
    ensure!(put(&first, "two").await?.status() == 412, "an old version was changed");
    let late = send(Method::DELETE, "if-match", &first).await?;
    ensure!(late.status() == 412, "{}", late.status());
    ensure!(get(&rollcall, &format!("/Users/{id}")).await?["title"] == "one");
    let gone = send(Method::DELETE, "if-match", &second).await?;
    ensure!(gone.status() == 204, "{}", gone.status());
    Ok(())
}

#[tokio::test]
async fn results_come_in_the_order_that_was_asked_for() -> anyhow::Result<()> {
    let rollcall = door("").await?;
    for (name, title) in [("Carl", Some("b")), ("anna", None), ("Bea", Some("A"))] {
        let mut body = user(name);
        if let Some(title) = title {
            body["title"] = title.into();
        }
        create(&rollcall, &body).await?;
    }
    for (query, wanted) in [
        ("sortBy=userName", ["anna", "Bea", "Carl"]),
        ("sortBy=userName&sortOrder=descending", ["Carl", "Bea", "anna"]),
        ("sortBy=title", ["Bea", "Carl", "anna"]),
        ("sortBy=title&sortOrder=descending", ["anna", "Carl", "Bea"]),
        ("sortBy=meta.created", ["Carl", "anna", "Bea"]),
    ] {
        let page = get(&rollcall, &format!("/Users?{query}")).await?;
        ensure!(names(&page) == wanted, "{query}: {:?}", names(&page));
    }
    Ok(())
}

#[tokio::test]
async fn a_cursor_leads_through_every_result_once() -> anyhow::Result<()> {
    let rollcall = door("").await?;
    for n in 0..7 {
        create(&rollcall, &user(&format!("user{n}"))).await?;
    }
    for search in ["count=3", "count=3&sortBy=userName", "count=3&filter=userName%20sw%20%22user%22"] {
        let (mut cursor, mut seen, mut pages) = (String::new(), Vec::new(), 0);
        loop {
            let page = get(&rollcall, &format!("/Users?{search}&cursor={cursor}")).await?;
            ensure!(page["totalResults"] == 7 && page.get("startIndex").is_none(), "{page}");
            seen.extend(names(&page).into_iter().map(str::to_owned));
            pages += 1;
            match page["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        let different: BTreeSet<_> = seen.iter().collect();
        ensure!((pages, seen.len(), different.len()) == (3, 7, 7), "{search}: {pages} pages with {seen:?}");
    }
    let first = get(&rollcall, "/Users?count=3&cursor").await?;
    let cursor = first["nextCursor"].as_str().context("no cursor")?;
    for (query, scim_type) in [
        (format!("cursor={cursor}&filter=active%20eq%20true"), "invalidCursor"),
        ("cursor=abc".to_owned(), "invalidCursor"),
        (format!("cursor={cursor}&count=x"), "invalidCount"),
        (format!("cursor={cursor}&startIndex=1"), "invalidValue"),
    ] {
        let (status, answer) =
            rollcall.raw(Method::GET, &format!("/scim/v2/Users?{query}"), SOURCE_TOKEN, None).await?;
        ensure!(status == 400 && answer["scimType"] == scim_type, "{query}: {status} {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn search_by_post_finds_what_a_query_finds_and_the_root_finds_every_type() -> anyhow::Result<()> {
    let rollcall = door("").await?;
    create(&rollcall, &user("anna")).await?;
    rollcall.scim(Method::POST, "/Groups", &json!({ "schemas": [GROUP], "displayName": "Anna's" })).await?;
    let search = json!({ "schemas": [SEARCH], "filter": "userName eq \"ANNA\"", "attributes": ["userName"] });
    let found = rollcall.scim(Method::POST, "/Users/.search", &search).await?;
    ensure!(names(&found) == ["anna"] && found["Resources"][0].get("meta").is_none(), "{found}");
    let everything = json!({ "schemas": [SEARCH], "filter": "meta.resourceType pr" });
    let found = rollcall.scim(Method::POST, "/.search", &everything).await?;
    ensure!(found["totalResults"] == 2, "{found}");
    let found = rollcall.scim(Method::POST, "/.search", &search).await?;
    ensure!(found["totalResults"] == 1, "{found}");
    let found = get(&rollcall, "/?filter=meta.resourceType%20eq%20%22Group%22").await?;
    ensure!(found["totalResults"] == 1 && found["Resources"][0]["displayName"] == "Anna's", "{found}");
    Ok(())
}

#[tokio::test]
async fn bulk_operations_may_name_what_others_create() -> anyhow::Result<()> {
    let rollcall = door("").await?;
    // The group comes first, and refers to people who are created after it.
    let done = bulk(
        &rollcall,
        &json!({ "schemas": [BULK], "Operations": [
            { "method": "POST", "path": "/Groups", "bulkId": "team", "data": {
                "schemas": [GROUP], "displayName": "Team",
                "members": [{ "value": "bulkId:a" }, { "value": "bulkId:b" }],
            } },
            { "method": "POST", "path": "/Users", "bulkId": "a", "data": user("a") },
            { "method": "POST", "path": "/Users", "bulkId": "b", "data": user("b") },
            { "method": "PATCH", "path": "/Users/bulkId:a", "data": {
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{ "op": "replace", "path": "title", "value": "Dev" }],
            } },
        ] }),
    )
    .await?;
    let statuses: Vec<_> = done.iter().filter_map(|o| o["status"].as_str()).collect();
    ensure!(statuses == ["201", "201", "201", "200"], "{done:?}");
    ensure!(done[0]["bulkId"] == "team" && done[0]["location"].is_string() && done[0]["version"].is_string());
    let found = get(&rollcall, "/Users?filter=userName%20eq%20%22a%22").await?;
    let a = &found["Resources"][0];
    ensure!(a["title"] == "Dev" && a["groups"][0]["display"] == "Team", "{a}");
    Ok(())
}

#[tokio::test]
async fn bulk_failures_are_named_and_stop_the_rest_when_they_are_too_many() -> anyhow::Result<()> {
    let rollcall = door("[scim]\nmax_bulk_operations = 4").await?;
    let post = |id: &str, name: &str| json!({ "method": "POST", "path": "/Users", "bulkId": id, "data": user(name) });
    let group = |id: &str, of: &str| {
        let members = json!([{ "value": format!("bulkId:{of}") }]);
        let data = json!({ "schemas": [GROUP], "displayName": id, "members": members });
        json!({ "method": "POST", "path": "/Groups", "bulkId": id, "data": data })
    };
    let request =
        |most: u64, operations: Value| json!({ "schemas": [BULK], "failOnErrors": most, "Operations": operations });
    let done = bulk(&rollcall, &request(1, json!([post("a", "a"), post("b", "A"), post("c", "c")]))).await?;
    ensure!(done.len() == 2 && done[1]["status"] == "409" && done[1].get("location").is_none(), "{done:?}");
    ensure!(done[1]["response"]["scimType"] == "uniqueness", "{done:?}");
    ensure!(get(&rollcall, "/Users?filter=userName%20eq%20%22c%22").await?["totalResults"] == 0, "it went on");
    // Each waits for the other.
    let done = bulk(&rollcall, &request(9, json!([group("x", "y"), group("y", "x"), post("c", "c")]))).await?;
    let statuses: Vec<_> = done.iter().filter_map(|o| o["status"].as_str()).collect();
    ensure!(statuses == ["409", "409", "201"], "{done:?}");
    let many: Vec<Value> = (0..5).map(|n| post(&format!("m{n}"), &format!("m{n}"))).collect();
    let body = json!({ "schemas": [BULK], "Operations": many }).to_string();
    let (status, answer) = rollcall.raw(Method::POST, "/scim/v2/Bulk", SOURCE_TOKEN, Some(body)).await?;
    ensure!(status == 413 && answer["detail"].as_str().is_some_and(|d| d.contains('4')), "{status} {answer}");
    Ok(())
}

#[tokio::test]
async fn an_operators_own_schemas_are_served_and_enforced() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let badge = "urn:example:scim:schemas:extension:badge:1.0:User";
    let device = "urn:example:scim:schemas:core:1.0:Device";
    let extension = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"], "id": badge, "name": "Badge",
        "attributes": [
            { "name": "number", "type": "integer", "required": true, "uniqueness": "server" },
            { "name": "colour", "type": "string", "mutability": "immutable", "canonicalValues": ["red", "blue"] },
            { "name": "pin", "type": "string", "mutability": "writeOnly", "returned": "never" },
            { "name": "note", "type": "string", "returned": "request" },
        ],
    });
    let schema = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"], "id": device, "name": "Device",
        "attributes": [{ "name": "serial", "type": "string", "required": true, "caseExact": true }],
    });
    let user_type = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"], "name": "User", "endpoint": "/Users",
        "schema": USER, "schemaExtensions": [{ "schema": badge, "required": false }],
    });
    let device_type = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"], "name": "Device", "endpoint": "/Devices",
        "schema": device,
    });
    for (name, document) in [("1", &extension), ("2", &schema), ("3", &user_type), ("4", &device_type)] {
        std::fs::write(folder.path().join(format!("{name}.json")), document.to_string())?;
    }
    let rollcall = door(&format!("[scim]\nschemas = {:?}", folder.path())).await?;
    let with = |name: &str, fields: Value| {
        let mut user = user(name);
        user["schemas"] = json!([USER, badge]);
        user[badge] = fields;
        user
    };
    let id =
        create(&rollcall, &with("anna", json!({ "number": 7, "colour": "red", "pin": "1234", "note": "n" }))).await?;
    let shown = get(&rollcall, &format!("/Users/{id}")).await?;
    ensure!(shown[badge] == json!({ "number": 7, "colour": "red" }), "{shown}");
    let asked = get(&rollcall, &format!("/Users/{id}?attributes={badge}:note")).await?;
    ensure!(asked[badge] == json!({ "note": "n" }), "{asked}");
    let found = get(&rollcall, &format!("/Users?filter={badge}:number%20ge%207")).await?;
    ensure!(found["totalResults"] == 1, "{found}");
    for (method, path, body, status, names) in [
        (Method::POST, "/Users".to_owned(), with("b", json!({ "colour": "red" })), 400, "number"),
        (Method::POST, "/Users".to_owned(), with("b", json!({ "number": 1.5 })), 400, "whole number"),
        (Method::POST, "/Users".to_owned(), with("b", json!({ "number": 7 })), 409, "number"),
        (Method::PUT, format!("/Users/{id}"), with("anna", json!({ "number": 7, "colour": "blue" })), 400, "colour"),
        (Method::POST, "/Devices".to_owned(), json!({ "schemas": [device] }), 400, "serial"),
    ] {
        let whole = format!("/scim/v2{path}");
        let (code, answer) = rollcall.raw(method, &whole, SOURCE_TOKEN, Some(body.to_string())).await?;
        let named = answer["detail"].as_str().is_some_and(|d| d.contains(names));
        ensure!(code == status && named, "{path} {body}: {code} {answer}");
    }
    let made = rollcall.scim(Method::POST, "/Devices", &json!({ "schemas": [device], "serial": "X1" })).await?;
    ensure!(made["meta"]["resourceType"] == "Device", "{made}");
    ensure!(rollcall.items("/v1/timeline?type=resource.created").await?.len() == 1, "not on the log");
    ensure!(get(&rollcall, &format!("/Schemas/{badge}")).await?["attributes"][0]["name"] == "number");
    ensure!(get(&rollcall, "/ResourceTypes/Device").await?["endpoint"] == "/Devices");
    Ok(())
}

#[tokio::test]
async fn a_source_that_asks_too_often_is_told_when_to_come_back() -> anyhow::Result<()> {
    let slow = "[[sources]]\nname = \"slow\"\ntoken = \"slow-secret\"\nmax_requests_per_second = 1";
    let rollcall = door(slow).await?;
    let ask = || {
        let address = format!("{}/scim/v2/Users", rollcall.address());
        Client::new().get(address).bearer_auth("slow-secret").send()
    };
    ensure!(ask().await?.status() == 200);
    let refused = ask().await?;
    ensure!(refused.status() == 429, "{}", refused.status());
    let seconds: u64 = refused.headers().get("retry-after").context("no Retry-After")?.to_str()?.parse()?;
    ensure!((1..=2).contains(&seconds), "{seconds}");
    let body: Value = refused.json().await?;
    ensure!(body["status"] == "429" && body["detail"].as_str().is_some_and(|d| d.contains("slow")), "{body}");
    // The other source does not notice.
    get(&rollcall, "/Users").await?;
    Ok(())
}

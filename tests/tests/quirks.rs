//! Clients as they are: what Microsoft Entra and Okta send. Each known deviation from the RFCs is accepted and noted on
//! the event, and refused from a source that is read strictly.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::Rollcall;
use rollcall_tests::rollcall::SOURCE_TOKEN;
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const STRICT_TOKEN: &str = "strict-secret-19c2";
const STRICT: &str = "[[sources]]\nname = \"strict\"\ntoken = \"strict-secret-19c2\"\nstrict = true\n[[group_authority]]\nnames = [\"*\"]\nsources = [\"hr\", \"strict\"]";

async fn door() -> anyhow::Result<Rollcall> {
    let rollcall = Rollcall::new(&[], STRICT)?;
    rollcall.start().await?;
    Ok(rollcall)
}

async fn create(rollcall: &Rollcall, path: &str, body: &Value) -> anyhow::Result<String> {
    let made = rollcall.scim(Method::POST, path, body).await?;
    Ok(format!("{path}/{}", made["id"].as_str().context("no id")?))
}

fn anna() -> Value {
    json!({ "schemas": [USER], "userName": "anna@example.com", "displayName": "Anna", "active": true })
}

fn patch(operations: &Value) -> Value {
    json!({ "schemas": [PATCH], "Operations": operations })
}

/// The strict source is refused with `scim_type`; the other one gets the resource, and the event names the quirk.
async fn tolerated(
    rollcall: &Rollcall,
    path: &str,
    operations: &Value,
    quirk: &str,
    scim_type: &str,
) -> anyhow::Result<Value> {
    let body = patch(operations);
    let whole = format!("/scim/v2{path}");
    let (status, answer) = rollcall.raw(Method::PATCH, &whole, STRICT_TOKEN, Some(body.to_string())).await?;
    ensure!(status == 400 && answer["scimType"] == scim_type, "strict: {status} {answer}");
    let after = rollcall.scim(Method::PATCH, path, &body).await?;
    let newest = rollcall.api("/v1/timeline?limit=1").await?["items"][0].clone();
    ensure!(newest["quirks"] == json!([quirk]), "{newest}");
    Ok(after)
}

#[tokio::test]
async fn entra_operation_names_in_capitals() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let path = create(&rollcall, "/Users", &anna()).await?;
    let operations = json!([{ "op": "Replace", "path": "displayName", "value": "Ann" }]);
    let after = tolerated(&rollcall, &path, &operations, "operation-case", "invalidSyntax").await?;
    ensure!(after["displayName"] == "Ann", "{after}");
    Ok(())
}

#[tokio::test]
async fn entra_active_as_text() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let path = create(&rollcall, "/Users", &anna()).await?;
    let operations = json!([{ "op": "replace", "path": "active", "value": "False" }]);
    let after = tolerated(&rollcall, &path, &operations, "boolean-text", "invalidValue").await?;
    ensure!(after["active"] == false, "{after}");
    ensure!(rollcall.items("/v1/timeline?type=identity.left").await?.len() == 1, "no leaver");
    Ok(())
}

#[tokio::test]
async fn entra_patch_without_a_path_and_paths_as_keys() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let path = create(&rollcall, "/Users", &anna()).await?;
    let department = format!("{ENTERPRISE}:department");
    let operations = json!([
        { "op": "replace", "value": { "displayName": "Ann", "name.givenName": "Anna", department: "Sales" } }
    ]);
    let after = tolerated(&rollcall, &path, &operations, "path-as-key", "invalidPath").await?;
    let found = (&after["displayName"], &after["name"]["givenName"], &after[ENTERPRISE]["department"]);
    ensure!(found == (&json!("Ann"), &json!("Anna"), &json!("Sales")), "{after}");
    Ok(())
}

#[tokio::test]
async fn entra_value_filter_on_an_email_that_is_not_there_yet() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let path = create(&rollcall, "/Users", &anna()).await?;
    let operations = json!([{ "op": "add", "path": "emails[type eq \"work\"].value", "value": "anna@work" }]);
    let after = tolerated(&rollcall, &path, &operations, "value-made", "noTarget").await?;
    ensure!(after["emails"] == json!([{ "type": "work", "value": "anna@work" }]), "{after}");
    // Now that it is there, it is changed in place, as the RFC says.
    let change = patch(&json!([{ "op": "replace", "path": "emails[type eq \"work\"].value", "value": "a@work" }]));
    let after = rollcall.scim(Method::PATCH, &path, &change).await?;
    ensure!(after["emails"] == json!([{ "type": "work", "value": "a@work" }]), "{after}");
    Ok(())
}

#[tokio::test]
async fn entra_manager_as_a_plain_id() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let path = create(&rollcall, "/Users", &anna()).await?;
    let operations = json!([{ "op": "add", "path": format!("{ENTERPRISE}:manager"), "value": "26118915" }]);
    let after = tolerated(&rollcall, &path, &operations, "plain-value", "invalidValue").await?;
    ensure!(after[ENTERPRISE]["manager"]["value"] == "26118915", "{after}");
    Ok(())
}

#[tokio::test]
async fn entra_members_removed_by_a_list_of_values() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let user = create(&rollcall, "/Users", &anna()).await?;
    let id = user.rsplit('/').next().unwrap_or_default();
    let team = json!({ "schemas": [GROUP], "displayName": "Team", "members": [{ "value": id }] });
    let path = create(&rollcall, "/Groups", &team).await?;
    let operations = json!([{ "op": "remove", "path": "members", "value": [{ "value": id }] }]);
    let after = tolerated(&rollcall, &path, &operations, "removal-by-value", "invalidValue").await?;
    ensure!(after.get("members").is_none(), "{after}");
    Ok(())
}

#[tokio::test]
async fn a_member_whom_nobody_knows_stays_in_the_group_and_gets_nothing() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let path = create(&rollcall, "/Groups", &json!({ "schemas": [GROUP], "displayName": "Team" })).await?;
    let operations = json!([{ "op": "add", "path": "members", "value": [{ "value": "some/one 1" }] }]);
    let after = tolerated(&rollcall, &path, &operations, "unknown-member", "invalidValue").await?;
    ensure!(after["members"] == json!([{ "value": "some/one 1" }]), "{after}");
    Ok(())
}

#[tokio::test]
async fn a_canonical_value_in_another_case() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let path = create(&rollcall, "/Users", &anna()).await?;
    let operations = json!([{ "op": "add", "path": "emails", "value": [{ "type": "Work", "value": "a@work" }] }]);
    let after = tolerated(&rollcall, &path, &operations, "canonical-case", "invalidValue").await?;
    ensure!(after["emails"][0]["type"] == "work", "{after}");
    Ok(())
}

/// What a request of any kind to the tolerant source answers, and the quirks of the newest event after it.
async fn sent(rollcall: &Rollcall, method: Method, path: &str, body: &Value) -> anyhow::Result<(u16, Value, Value)> {
    let (status, answer) =
        rollcall.raw(method, &format!("/scim/v2{path}"), SOURCE_TOKEN, Some(body.to_string())).await?;
    // Services that start say something, too.
    let events = rollcall.api("/v1/timeline?limit=20").await?["items"].clone();
    let newest = events.as_array().into_iter().flatten().find(|event| event["source"].is_string());
    Ok((status.as_u16(), answer, newest.context("no event of a source")?["quirks"].clone()))
}

/// What the strict source is answered.
async fn refused(rollcall: &Rollcall, method: Method, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    let (status, answer) =
        rollcall.raw(method, &format!("/scim/v2{path}"), STRICT_TOKEN, Some(body.to_string())).await?;
    Ok((status.as_u16(), answer["scimType"].clone()))
}

#[tokio::test]
async fn unknown_attributes_and_extensions_are_left_out_and_named() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let theirs = "http://schemas.example.com/2006/11/Custom";
    let mut user = anna();
    user["schemas"] = json!([USER, theirs]);
    user["costCentre"] = "4711".into();
    user[theirs] = json!({ "tag": "x" });
    user["emails"] = json!([{ "value": "a@work", "verified": true }]);
    let (status, strict) = refused(&rollcall, Method::POST, "/Users", &user).await?;
    ensure!(status == 400 && strict == "invalidSyntax", "{status} {strict}");
    let (status, made, quirks) = sent(&rollcall, Method::POST, "/Users", &user).await?;
    ensure!(status == 201 && made.get("costCentre").is_none() && made.get(theirs).is_none(), "{status} {made}");
    ensure!(made["schemas"] == json!([USER]) && made["emails"] == json!([{ "value": "a@work" }]), "{made}");
    let names = ["unknown-attribute:costCentre", "unknown-attribute:emails.verified"];
    let names: Vec<String> =
        names.map(str::to_owned).into_iter().chain([format!("unknown-attribute:{theirs}")]).collect();
    ensure!(quirks == json!(names), "{quirks}");
    // The same in a PATCH: the rest of it counts.
    let path = format!("/Users/{}", made["id"].as_str().context("no id")?);
    let tag = "urn:example:custom:2.0:User:tag";
    let change = patch(&json!([
        { "op": "add", "path": tag, "value": "x" }, { "op": "replace", "path": "costCentre", "value": "1" },
        { "op": "replace", "path": "title", "value": "Lead" },
    ]));
    let (status, after, quirks) = sent(&rollcall, Method::PATCH, &path, &change).await?;
    ensure!(status == 200 && after["title"] == "Lead", "{status} {after}");
    ensure!(quirks == json!(["unknown-attribute:costCentre", format!("unknown-attribute:{tag}")]), "{quirks}");
    // Of an extension that is not ours nothing is expected; a wrong name of ours must not look like a change.
    let (status, ..) =
        sent(&rollcall, Method::PATCH, &path, &patch(&json!([{ "op": "add", "path": tag, "value": "x" }]))).await?;
    ensure!(status == 200, "{status}");
    let mistake = patch(&json!([{ "op": "replace", "path": "activ", "value": false }]));
    let (status, answer, _) = sent(&rollcall, Method::PATCH, &path, &mistake).await?;
    ensure!(status == 400 && answer["scimType"] == "invalidPath", "{status} {answer}");
    Ok(())
}

#[tokio::test]
async fn entra_group_with_a_second_schema() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let second = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";
    let group = json!({ "schemas": [GROUP, second], "displayName": "Team" });
    let (status, made, quirks) = sent(&rollcall, Method::POST, "/Groups", &group).await?;
    ensure!(status == 201 && made["schemas"] == json!([GROUP]), "{status} {made}");
    ensure!(quirks == json!([format!("unknown-attribute:{second}")]), "{quirks}");
    Ok(())
}

#[tokio::test]
async fn entra_a_role_that_is_chosen_by_a_boolean_as_text_and_is_not_there_yet() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let path = create(&rollcall, "/Users", &anna()).await?;
    let operations = json!([{ "op": "add", "path": "roles[primary eq \"True\"].value", "value": "admin" }]);
    let change = patch(&operations);
    let (status, strict) = refused(&rollcall, Method::PATCH, &path, &change).await?;
    ensure!(status == 400 && strict == "invalidFilter", "{status} {strict}");
    let (status, after, quirks) = sent(&rollcall, Method::PATCH, &path, &change).await?;
    ensure!(status == 200 && after["roles"] == json!([{ "primary": true, "value": "admin" }]), "{status} {after}");
    ensure!(quirks == json!(["boolean-text", "value-made"]), "{quirks}");
    // An assignment with more in it than the schema has.
    let role = json!([{ "primary": false, "type": "App", "value": "reader", "id": "r1", "displayName": "Reader" }]);
    let change = patch(&json!([{ "op": "add", "path": "roles", "value": role }]));
    let (status, after, quirks) = sent(&rollcall, Method::PATCH, &path, &change).await?;
    ensure!(status == 200 && after["roles"][1]["value"] == "reader", "{status} {after}");
    ensure!(quirks == json!(["unknown-attribute:roles.displayName", "unknown-attribute:roles.id"]), "{quirks}");
    Ok(())
}

#[tokio::test]
async fn a_patch_without_schemas() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let path = create(&rollcall, "/Users", &anna()).await?;
    let change = json!({ "Operations": [{ "op": "replace", "path": "title", "value": "Lead" }] });
    let (status, strict) = refused(&rollcall, Method::PATCH, &path, &change).await?;
    ensure!(status == 400 && strict == "invalidSyntax", "{status} {strict}");
    let (status, after, quirks) = sent(&rollcall, Method::PATCH, &path, &change).await?;
    ensure!(status == 200 && after["title"] == "Lead" && quirks == json!(["no-schemas"]), "{status} {after} {quirks}");
    Ok(())
}

#[tokio::test]
async fn paths_with_a_slash_at_the_end_and_in_another_case() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let (status, made, quirks) = sent(&rollcall, Method::POST, "/users/", &anna()).await?;
    ensure!(status == 201 && quirks == json!(["path-form"]), "{status} {made} {quirks}");
    let id = made["id"].as_str().context("no id")?;
    let mut boris = anna();
    boris["userName"] = "boris@example.com".into();
    let (status, _) = refused(&rollcall, Method::POST, "/Users/", &boris).await?;
    ensure!(status == 400, "{status}");
    for path in
        [format!("/USERS/{id}"), format!("/Users/{id}/"), "/users?count=1".into(), "/serviceproviderconfig/".into()]
    {
        let (status, answer) = rollcall.raw(Method::GET, &format!("/scim/v2{path}"), SOURCE_TOKEN, None).await?;
        ensure!(status == 200, "{path}: {status} {answer}");
    }
    let (status, _) = rollcall.raw(Method::GET, "/scim/v2/nothing/", SOURCE_TOKEN, None).await?;
    ensure!(status == 404, "{status}");
    Ok(())
}

#[tokio::test]
async fn a_filter_inside_attributes() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let mut user = anna();
    user["emails"] = json!([{ "type": "work", "value": "a@work" }]);
    let path = create(&rollcall, "/Users", &user).await?;
    let query = "attributes=userName,emails%5Btype%20eq%20%22work%22%5D.value";
    let (status, answer) = rollcall.raw(Method::GET, &format!("/scim/v2{path}?{query}"), SOURCE_TOKEN, None).await?;
    ensure!(status == 200 && answer["emails"] == json!([{ "value": "a@work" }]), "{status} {answer}");
    ensure!(answer["userName"] == "anna@example.com" && answer.get("displayName").is_none(), "{answer}");
    Ok(())
}

#[tokio::test]
async fn an_external_id_that_two_have_is_noted_or_refused_as_the_source_is_set() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(
        &[],
        "[[sources]]\nname = \"strict\"\ntoken = \"strict-secret-19c2\"\nexternal_id = \"unique\"\n",
    )?;
    rollcall.start().await?;
    let user = |name: &str, external: &str| json!({ "schemas": [USER], "userName": name, "externalId": external });
    let (status, anna, quirks) = sent(&rollcall, Method::POST, "/Users", &user("anna", "e1")).await?;
    ensure!(status == 201 && quirks == json!([]), "{status} {quirks}");
    let (status, boris, quirks) = sent(&rollcall, Method::POST, "/Users", &user("boris", "e1")).await?;
    ensure!(status == 201 && quirks == json!(["shared-external-id"]), "{status} {boris} {quirks}");
    let found =
        rollcall.raw(Method::GET, "/scim/v2/Users?filter=externalId%20eq%20%22e1%22", SOURCE_TOKEN, None).await?.1;
    ensure!(found["totalResults"] == 2, "{found}");
    // One of them leaves: the other one stays, and is found.
    let path = format!("/scim/v2/Users/{}", anna["id"].as_str().context("no id")?);
    ensure!(rollcall.raw(Method::DELETE, &path, SOURCE_TOKEN, None).await?.0 == 204);
    let found =
        rollcall.raw(Method::GET, "/scim/v2/Users?filter=externalId%20eq%20%22e1%22", SOURCE_TOKEN, None).await?.1;
    ensure!(found["totalResults"] == 1 && found["Resources"][0]["userName"] == "boris", "{found}");
    // Another source has external ids of its own, and wants each once.
    let post = |body: Value| rollcall.raw(Method::POST, "/scim/v2/Users", STRICT_TOKEN, Some(body.to_string()));
    ensure!(post(user("carla", "e1")).await?.0 == 201);
    let (status, answer) = post(user("dora", "e1")).await?;
    ensure!(status == 409 && answer["detail"].as_str().is_some_and(|d| d.contains("externalId")), "{status} {answer}");
    Ok(())
}

#[tokio::test]
async fn whoever_is_created_again_is_back_or_taken_as_the_source_is_set() -> anyhow::Result<()> {
    let rollcall =
        Rollcall::new(&[], "[[sources]]\nname = \"strict\"\ntoken = \"strict-secret-19c2\"\nrecreate = \"restore\"\n")?;
    rollcall.start().await?;
    for (token, answered) in [(SOURCE_TOKEN, 409), (STRICT_TOKEN, 201)] {
        let user = |external: &str, title: &str| json!({ "schemas": [USER], "userName": format!("anna{answered}"), "externalId": external, "title": title });
        let post = |body: Value| rollcall.raw(Method::POST, "/scim/v2/Users", token, Some(body.to_string()));
        let (status, made) = post(user("e1", "Dev")).await?;
        ensure!(status == 201, "{status} {made}");
        // Who is active is taken in any case.
        ensure!(post(user("e1", "Dev")).await?.0 == 409);
        let path = format!("/scim/v2/Users/{}", made["id"].as_str().context("no id")?);
        let off = patch(&json!([{ "op": "replace", "path": "active", "value": false }]));
        ensure!(rollcall.raw(Method::PATCH, &path, token, Some(off.to_string())).await?.0 == 200);
        // Another external id is another person.
        ensure!(post(user("e2", "Lead")).await?.0 == 409);
        let (status, back) = post(user("e1", "Lead")).await?;
        ensure!(status == answered, "{status} {back}");
        if answered == 201 {
            ensure!(back["id"] == made["id"] && back["active"] == true && back["title"] == "Lead", "{back}");
            let found = rollcall.items("/v1/timeline?type=identity.rehired").await?;
            ensure!(found.len() == 1 && found[0]["identity"] == made["id"], "{found:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn entra_probe_for_a_user_that_can_not_exist() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let filter = "userName%20eq%20%22non-existent-3f2a%22";
    let (status, answer) =
        rollcall.raw(Method::GET, &format!("/scim/v2/Users?filter={filter}"), SOURCE_TOKEN, None).await?;
    ensure!(status == 200 && answer["totalResults"] == 0 && answer["Resources"] == json!([]), "{status} {answer}");
    Ok(())
}

#[tokio::test]
async fn entra_lookup_by_external_id() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let mut user = anna();
    user["externalId"] = "0a21f0f2/8d2a".into();
    create(&rollcall, "/Users", &user).await?;
    let filter = "externalId%20eq%20%220a21f0f2%2F8d2a%22";
    let (_, answer) = rollcall.raw(Method::GET, &format!("/scim/v2/Users?filter={filter}"), SOURCE_TOKEN, None).await?;
    ensure!(answer["totalResults"] == 1 && answer["Resources"][0]["userName"] == "anna@example.com", "{answer}");
    Ok(())
}

#[tokio::test]
async fn okta_profile_update_by_put() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let path = create(&rollcall, "/Users", &anna()).await?;
    let mut whole = rollcall.raw(Method::GET, &format!("/scim/v2{path}"), SOURCE_TOKEN, None).await?.1;
    whole["displayName"] = "Ann".into();
    let after = rollcall.scim(Method::PUT, &path, &whole).await?;
    ensure!(after["displayName"] == "Ann" && after["active"] == true, "{after}");
    Ok(())
}

#[tokio::test]
async fn okta_deactivation_by_patch_without_a_path() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let path = create(&rollcall, "/Users", &anna()).await?;
    let leave = patch(&json!([{ "op": "replace", "value": { "active": false } }]));
    let after = rollcall.scim(Method::PATCH, &path, &leave).await?;
    ensure!(after["active"] == false, "{after}");
    ensure!(rollcall.items("/v1/timeline?type=identity.left").await?.len() == 1, "no leaver");
    Ok(())
}

#[tokio::test]
async fn okta_group_push_replaces_the_members_and_the_name() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let user = create(&rollcall, "/Users", &anna()).await?;
    let id = user.rsplit('/').next().unwrap_or_default();
    let path = create(&rollcall, "/Groups", &json!({ "schemas": [GROUP], "displayName": "Team" })).await?;
    let push = patch(&json!([
        { "op": "replace", "value": { "id": path.rsplit('/').next(), "displayName": "Team A" } },
        { "op": "replace", "path": "members", "value": [{ "value": id, "display": "anna@example.com" }] },
    ]));
    let after = rollcall.scim(Method::PATCH, &path, &push).await?;
    ensure!(after["displayName"] == "Team A" && after["members"][0]["value"] == id, "{after}");
    let (_, user) = rollcall.raw(Method::GET, &format!("/scim/v2{user}"), SOURCE_TOKEN, None).await?;
    ensure!(user["groups"][0]["display"] == "Team A", "{user}");
    Ok(())
}

#[tokio::test]
async fn okta_pages_of_a_hundred() -> anyhow::Result<()> {
    let rollcall = door().await?;
    let people = 250;
    for n in 0..people {
        create(&rollcall, "/Users", &json!({ "schemas": [USER], "userName": format!("user{n}") })).await?;
    }
    let mut seen = Vec::new();
    loop {
        let path = format!("/scim/v2/Users?startIndex={}&count=100", seen.len() + 1);
        let (_, page) = rollcall.raw(Method::GET, &path, SOURCE_TOKEN, None).await?;
        ensure!(page["totalResults"] == people && page["startIndex"] == seen.len() + 1, "{page}");
        let found = page["Resources"].as_array().context("no resources")?;
        ensure!(page["itemsPerPage"] == found.len(), "{page}");
        seen.extend(found.iter().filter_map(|u| u["id"].as_str().map(str::to_owned)));
        if found.len() < 100 {
            break;
        }
    }
    let all = seen.len();
    seen.sort();
    seen.dedup();
    ensure!((all, seen.len()) == (people, people), "{all} of which {} differ", seen.len());
    Ok(())
}

#[tokio::test]
async fn okta_filter_with_quoted_specials() -> anyhow::Result<()> {
    let rollcall = door().await?;
    for name in [r#"o"hara\smith"#, "a&b=c+d@example.com", "zoë [x] (y)"] {
        create(&rollcall, "/Users", &json!({ "schemas": [USER], "userName": name })).await?;
        let filter: String =
            format!("userName eq {}", json!(name)).bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (_, answer) =
            rollcall.raw(Method::GET, &format!("/scim/v2/Users?filter={filter}"), SOURCE_TOKEN, None).await?;
        ensure!(answer["totalResults"] == 1 && answer["Resources"][0]["userName"] == name, "{name}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn members_added_one_by_one_and_a_group_read_without_them() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "[scim]\nmax_members_shown = 3")?;
    rollcall.start().await?;
    let path = create(&rollcall, "/Groups", &json!({ "schemas": [GROUP], "displayName": "Team" })).await?;
    let whole = format!("/scim/v2{path}");
    for n in 0..5 {
        let user = create(&rollcall, "/Users", &json!({ "schemas": [USER], "userName": format!("user{n}") })).await?;
        let value = json!([{ "value": user.rsplit('/').next() }]);
        let add = patch(&json!([{ "op": "add", "path": "members", "value": value }]));
        let (status, _) = rollcall.raw(Method::PATCH, &whole, SOURCE_TOKEN, Some(add.to_string())).await?;
        // A large group is not shown after each change.
        ensure!(status == if n < 3 { 200 } else { 204 }, "{n}: {status}");
    }
    let (_, group) = rollcall.raw(Method::GET, &whole, SOURCE_TOKEN, None).await?;
    ensure!(group["members"].as_array().is_some_and(|m| m.len() == 5), "{group}");
    let without = format!("{whole}?excludedAttributes=members");
    let (_, group) = rollcall.raw(Method::GET, &without, SOURCE_TOKEN, None).await?;
    ensure!(group["displayName"] == "Team" && group.get("members").is_none(), "{group}");
    Ok(())
}

//! Several sources: whose word counts, and what each may see and change. What one wanted beyond that is an event.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::Rollcall;
use rollcall_tests::rollcall::SOURCE_TOKEN;
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const OKTA: &str = "okta-secret-81cc";
const LAB: &str = "lab-secret-19e0";

fn sources() -> String {
    format!(
        "[[sources]]\nname = \"okta\"\ntoken = \"{OKTA}\"\n\
         [[sources]]\nname = \"lab\"\ntoken = \"{LAB}\"\nsees = \"own\"\nresources = [\"User\"]\n\
         [[precedence]]\nattributes = [\"title\", \"active\"]\nsources = [\"hr\", \"okta\", \"lab\"]\n"
    )
}

async fn ask(
    rollcall: &Rollcall,
    method: Method,
    path: &str,
    token: &str,
    body: Option<Value>,
) -> anyhow::Result<(u16, Value)> {
    let body = body.map(|b| b.to_string());
    let (status, answer) = rollcall.raw(method, &format!("/scim/v2{path}"), token, body).await?;
    Ok((status.as_u16(), answer))
}

async fn refusals(rollcall: &Rollcall) -> anyhow::Result<Vec<Value>> {
    rollcall.items("/v1/timeline?type=change.refused").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_with_less_say_wants_is_refused_and_recorded_once() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], &sources())?;
    rollcall.start().await?;
    let anna = json!({ "schemas": [USER], "userName": "anna", "title": "Lead" });
    let (status, made) = ask(&rollcall, Method::POST, "/Users", SOURCE_TOKEN, Some(anna)).await?;
    ensure!(status == 201, "{made}");
    let path = format!("/Users/{}", made["id"].as_str().context("no id")?);

    let wanted = json!({ "schemas": [USER], "userName": "anna", "title": "Boss", "nickName": "A" });
    for _ in 0..3 {
        let (status, answer) = ask(&rollcall, Method::PUT, &path, OKTA, Some(wanted.clone())).await?;
        ensure!(status == 200 && answer["title"] == "Lead" && answer["nickName"] == "A", "{status} {answer}");
    }
    let found = refusals(&rollcall).await?;
    ensure!(found.len() == 1, "a source that repeats itself filled the log: {found:?}");
    let refused = &found[0];
    ensure!(refused["source"] == "okta" && refused["identity"] == made["id"], "{refused}");
    ensure!(refused["changes"][0]["path"] == "title" && refused["changes"][0]["after"] == "Boss", "{refused}");
    ensure!(refused["summary"].as_str().is_some_and(|s| s.contains("'hr'")), "{refused}");

    // Nor may it end what HR has begun.
    let (status, answer) = ask(&rollcall, Method::DELETE, &path, OKTA, None).await?;
    ensure!(status == 403 && answer["detail"].as_str().is_some_and(|d| d.contains("hr")), "{status} {answer}");
    let (status, answer) = ask(&rollcall, Method::GET, &path, OKTA, None).await?;
    ensure!(status == 200 && answer["active"] == true, "{status} {answer}");
    ensure!(refusals(&rollcall).await?.len() == 2, "the refused removal is not on the log");
    let (status, _) = ask(&rollcall, Method::DELETE, &path, SOURCE_TOKEN, None).await?;
    ensure!(status == 204, "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_sees_and_changes_only_what_it_may() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], &sources())?;
    rollcall.start().await?;
    let user = |name: &str| Some(json!({ "schemas": [USER], "userName": name }));
    let (_, anna) = ask(&rollcall, Method::POST, "/Users", SOURCE_TOKEN, user("anna")).await?;
    let (status, robot) = ask(&rollcall, Method::POST, "/Users", LAB, user("robot")).await?;
    ensure!(status == 201, "{robot}");
    let path = |user: &Value| format!("/Users/{}", user["id"].as_str().unwrap_or_default());

    let (status, all) = ask(&rollcall, Method::GET, "/Users", LAB, None).await?;
    ensure!(status == 200 && all["totalResults"] == 1 && all["Resources"][0]["userName"] == "robot", "{all}");
    let (_, found) = ask(&rollcall, Method::GET, "/Users?filter=userName%20eq%20%22anna%22", LAB, None).await?;
    ensure!(found["totalResults"] == 0, "{found}");
    ensure!(ask(&rollcall, Method::GET, &path(&robot), LAB, None).await?.0 == 200);
    ensure!(ask(&rollcall, Method::GET, &path(&anna), LAB, None).await?.0 == 404);
    for (method, body) in [(Method::PUT, user("anna")), (Method::DELETE, None)] {
        let (status, answer) = ask(&rollcall, method, &path(&anna), LAB, body).await?;
        ensure!(status == 404, "{status} {answer}");
    }
    // A name that someone else has is still taken.
    ensure!(ask(&rollcall, Method::POST, "/Users", LAB, user("ANNA")).await?.0 == 409);
    let group = json!({ "schemas": [GROUP], "displayName": "G" });
    ensure!(ask(&rollcall, Method::POST, "/Groups", LAB, Some(group)).await?.0 == 403);
    ensure!(ask(&rollcall, Method::GET, "/Groups", LAB, None).await?.0 == 403);
    let (status, everything) = ask(&rollcall, Method::GET, "/", LAB, None).await?;
    ensure!(status == 200 && everything["totalResults"] == 1, "{everything}");

    let found = refusals(&rollcall).await?;
    ensure!(found.len() == 3 && found.iter().all(|r| r["source"] == "lab"), "{found:?}");
    let (_, all) = ask(&rollcall, Method::GET, "/Users", OKTA, None).await?;
    ensure!(all["totalResults"] == 2, "{all}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_put_into_a_group_by_a_source_whose_group_or_person_it_is_not() -> anyhow::Result<()> {
    let extra = format!(
        "[[sources]]\nname = \"okta\"\ntoken = \"{OKTA}\"\n\
         [[sources]]\nname = \"lab\"\ntoken = \"{LAB}\"\nsees = \"own\"\n\
         [[group_authority]]\nnames = [\"app-*\"]\nsources = [\"hr\", \"okta\"]\n"
    );
    let rollcall = Rollcall::new(&[], &extra)?;
    rollcall.start().await?;
    let user = |name: &str| Some(json!({ "schemas": [USER], "userName": name }));
    let group = |name: &str, members: &[&Value]| {
        let members: Vec<Value> = members.iter().map(|member| json!({ "value": member["id"] })).collect();
        Some(json!({ "schemas": [GROUP], "displayName": name, "members": members }))
    };
    let (_, mallory) = ask(&rollcall, Method::POST, "/Users", SOURCE_TOKEN, user("mallory")).await?;
    let (_, robot) = ask(&rollcall, Method::POST, "/Users", LAB, user("robot")).await?;
    let (_, theirs) = ask(&rollcall, Method::POST, "/Groups", SOURCE_TOKEN, group("Engineering", &[])).await?;

    // Not one of the same name, in any case, nor with someone whom it does not see.
    let (status, answer) = ask(&rollcall, Method::POST, "/Groups", LAB, group("engineering", &[&robot])).await?;
    ensure!(status == 409, "{status} {answer}");
    let (status, answer) = ask(&rollcall, Method::POST, "/Groups", LAB, group("Robots", &[&mallory])).await?;
    ensure!(status == 400, "{status} {answer}");
    let (status, robots) = ask(&rollcall, Method::POST, "/Groups", LAB, group("Robots", &[&robot])).await?;
    ensure!(status == 201, "{status} {robots}");
    let patch = |op: &str, path: &str, value: Value| {
        Some(json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": op, "path": path, "value": value }] }))
    };
    let path = |group: &Value| format!("/Groups/{}", group["id"].as_str().unwrap_or_default());
    let rename = patch("replace", "displayName", "ENGINEERING".into());
    let (status, answer) = ask(&rollcall, Method::PATCH, &path(&robots), LAB, rename).await?;
    ensure!(status == 409, "{status} {answer}");
    let add = |member: &Value| patch("add", "members", json!([{ "value": member["id"] }]));
    let (status, answer) = ask(&rollcall, Method::PATCH, &path(&robots), LAB, add(&mallory)).await?;
    ensure!(status == 400, "{status} {answer}");

    // Nor whom nobody has added yet, and may tomorrow; nor does it see in which groups of others its own are.
    let nobody = json!({ "id": "01890000-0000-7000-8000-000000000000" });
    let (status, answer) = ask(&rollcall, Method::PATCH, &path(&robots), LAB, add(&nobody)).await?;
    ensure!(matches!(status, 200 | 204), "{status} {answer}");
    let (_, shown) = ask(&rollcall, Method::GET, &path(&robots), SOURCE_TOKEN, None).await?;
    ensure!(shown["members"].as_array().is_some_and(|all| all.len() == 1), "somebody unknown is a member: {shown}");
    let (status, answer) = ask(&rollcall, Method::PATCH, &path(&theirs), SOURCE_TOKEN, add(&robot)).await?;
    ensure!(matches!(status, 200 | 204), "{status} {answer}");
    let of_robot = format!("/Users/{}", robot["id"].as_str().unwrap_or_default());
    for (token, expected) in [(LAB, vec!["Robots"]), (OKTA, vec!["Engineering", "Robots"])] {
        let (_, shown) = ask(&rollcall, Method::GET, &of_robot, token, None).await?;
        let mut names: Vec<_> =
            shown["groups"].as_array().into_iter().flatten().map(|g| g["display"].clone()).collect();
        names.sort_by_key(Value::to_string);
        ensure!(names == expected, "{token}: {shown}");
    }

    // Okta sees everything; the group is HR's all the same.
    for (method, body) in [
        (Method::PATCH, add(&robot)),
        (Method::PUT, group("Engineering", &[&robot])),
        (Method::PATCH, patch("replace", "displayName", "Mine".into())),
        (Method::DELETE, None),
    ] {
        let (status, answer) = ask(&rollcall, method.clone(), &path(&theirs), OKTA, body).await?;
        ensure!(status == 403, "{method} {status} {answer}");
    }
    // What a rule gives to both is both's, and nobody else's.
    let (status, shared) = ask(&rollcall, Method::POST, "/Groups", SOURCE_TOKEN, group("app-crm", &[])).await?;
    ensure!(status == 201, "{status} {shared}");
    let (status, answer) = ask(&rollcall, Method::PATCH, &path(&shared), OKTA, add(&mallory)).await?;
    ensure!(matches!(status, 200 | 204), "{status} {answer}");
    let (status, answer) = ask(&rollcall, Method::POST, "/Groups", LAB, group("App-Mine", &[&robot])).await?;
    ensure!(status == 403, "{status} {answer}");
    ensure!(refusals(&rollcall).await?.len() >= 5, "refusals are on the log, once for each kind");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn when_someone_leaves_is_for_those_to_say_who_say_whether_they_are_active() -> anyhow::Result<()> {
    const LIFECYCLE: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:Lifecycle";
    let extra = format!(
        "[scim]\neffective_dates = true\n[[sources]]\nname = \"okta\"\ntoken = \"{OKTA}\"\n\
         [[precedence]]\nattributes = [\"active\"]\nsources = [\"hr\"]\n"
    );
    let rollcall = Rollcall::new(&[], &extra)?;
    rollcall.start().await?;
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)).to_string();
    let at = |when: &str| {
        json!({ "schemas": [USER, LIFECYCLE], "userName": "anna", "active": false,
        LIFECYCLE: { "effectiveAt": when } })
    };
    let anna = json!({ "schemas": [USER], "userName": "anna", "active": true });
    let (status, made) = ask(&rollcall, Method::POST, "/Users", SOURCE_TOKEN, Some(anna)).await?;
    ensure!(status == 201, "{made}");
    let path = format!("/Users/{}", made["id"].as_str().context("no id")?);
    let (status, answer) = ask(&rollcall, Method::PUT, &path, SOURCE_TOKEN, Some(at(&soon))).await?;
    ensure!(status == 200, "{status} {answer}");
    let (status, answer) = ask(&rollcall, Method::PUT, &path, OKTA, Some(at("2099-01-01T00:00:00Z"))).await?;
    ensure!(status == 200, "{status} {answer}");
    let said: jiff::Timestamp = answer[LIFECYCLE]["effectiveAt"].as_str().context("no date")?.parse()?;
    ensure!(said == soon.parse::<jiff::Timestamp>()?, "{answer}");
    let refused = &refusals(&rollcall).await?[0];
    ensure!(refused["changes"].to_string().contains("effectiveAt"), "{refused}");
    Ok(())
}

fn patch(path: &str, value: Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": path, "value": value }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hr_says_last_is_not_undone_by_who_has_said_it_before() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], &sources())?;
    rollcall.start().await?;
    let anna = json!({ "schemas": [USER], "userName": "anna" });
    let (_, made) = ask(&rollcall, Method::POST, "/Users", OKTA, Some(anna)).await?;
    let path = format!("/Users/{}", made["id"].as_str().context("no id")?);
    let say = async |token, active: bool| {
        let body = patch("active", active.into());
        let (status, answer) = ask(&rollcall, Method::PATCH, &path, token, Some(body)).await?;
        ensure!(status == 200, "{status} {answer}");
        anyhow::Ok(answer["active"] == true)
    };
    ensure!(!say(OKTA, false).await?);
    ensure!(!say(SOURCE_TOKEN, false).await?);
    ensure!(!say(OKTA, true).await?, "okta brings back whom hr calls inactive");
    let refused = &refusals(&rollcall).await?[0];
    ensure!(refused["summary"].as_str().is_some_and(|s| s.contains("'hr'")), "{refused}");
    let events = rollcall.items("/v1/timeline?type=identity.updated").await?;
    let again = events[0]["summary"].as_str().unwrap_or_default();
    ensure!(events.len() == 1 && again.contains("it is hr's word now"), "{events:?}");
    ensure!(say(SOURCE_TOKEN, true).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_again_that_somebody_leaves_and_not_when_means_now() -> anyhow::Result<()> {
    const LIFECYCLE: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:Lifecycle";
    let rollcall = Rollcall::new(&[], "[scim]\neffective_dates = true\n")?;
    rollcall.start().await?;
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)).to_string();
    let anna = json!({ "schemas": [USER], "userName": "anna" });
    let (_, made) = ask(&rollcall, Method::POST, "/Users", SOURCE_TOKEN, Some(anna)).await?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    let path = format!("/Users/{id}");
    let leaves = json!({ "schemas": [USER, LIFECYCLE], "userName": "anna", "active": false,
        LIFECYCLE: { "effectiveAt": soon } });
    let lifecycle = async || {
        let shown = rollcall.api(&format!("/v1/identities/{id}")).await?;
        anyhow::Ok(shown["lifecycle"].as_str().unwrap_or_default().to_owned())
    };
    let said = async |method, body: Value| {
        let (status, answer) = ask(&rollcall, method, &path, SOURCE_TOKEN, Some(body)).await?;
        ensure!(status == 200, "{status} {answer}");
        anyhow::Ok(())
    };
    said(Method::PUT, leaves).await?;
    // A title says nothing of it, whole or in part.
    said(Method::PATCH, patch("title", "Dev".into())).await?;
    said(Method::PUT, json!({ "schemas": [USER], "userName": "anna", "title": "Lead" })).await?;
    ensure!(lifecycle().await? == "leaving", "{}", lifecycle().await?);
    said(Method::PATCH, patch("active", false.into())).await?;
    ensure!(lifecycle().await? == "left", "{}", lifecycle().await?);
    Ok(())
}

//! Accounts that were there before, that someone else has, and that a group decides about; on a real SCIM server.

use anyhow::{Context as _, ensure};
use reqwest::{Client, Method};
use rollcall_tests::rollcall::{APP_TOKEN, SOURCE_TOKEN};
use rollcall_tests::{App, Rollcall, Scim2Server, until};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

fn app(server: &Scim2Server, assign: &'static str) -> App {
    App {
        id: "wiki",
        base_url: server.base_url.clone(),
        assign,
        deprovision: "delete",
        leaver_sla: "10m",
        keys: "",
        tables: "",
    }
}

/// What an administrator made in the app by hand.
async fn by_hand(server: &Scim2Server, user: &Value) -> anyhow::Result<()> {
    let url = format!("{}/Users", server.base_url);
    let request = Client::new().post(url).bearer_auth(APP_TOKEN).header("content-type", "application/scim+json");
    request.body(user.to_string()).send().await?.error_for_status()?;
    Ok(())
}

async fn join(rollcall: &Rollcall, name: &str) -> anyhow::Result<String> {
    let made = rollcall.scim(Method::POST, "/Users", &json!({ "schemas": [USER], "userName": name })).await?;
    Ok(made["id"].as_str().context("no id")?.to_owned())
}

async fn verified(rollcall: &Rollcall, id: &str) -> anyhow::Result<()> {
    until("the account is verified", || async {
        let identity = rollcall.api(&format!("/v1/identities/{id}")).await?;
        Ok(identity["accounts"][0]["verified"].as_bool().filter(|v| *v).map(drop))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_there_before_is_adopted_and_not_made_twice() -> anyhow::Result<()> {
    let server = Scim2Server::start().await?;
    by_hand(&server, &json!({ "schemas": [USER], "userName": "Gil@example.com", "active": true })).await?;
    let rollcall = Rollcall::new(&[app(&server, "active eq true")], "")?;
    rollcall.start().await?;
    let id = join(&rollcall, "gil@example.com").await?;
    verified(&rollcall, &id).await?;
    let users = server.users().await?;
    ensure!(users.len() == 1 && users[0]["externalId"] == id.as_str(), "{users:?}");
    let applied = &rollcall.items("/v1/timeline?type=account.applied").await?[0];
    ensure!(applied["summary"].as_str().is_some_and(|s| s.contains("adopt")), "{applied}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_someone_else_is_a_named_conflict_and_is_left_alone() -> anyhow::Result<()> {
    let server = Scim2Server::start().await?;
    let rollcall = Rollcall::new(&[app(&server, "active eq true")], "")?;
    rollcall.start().await?;
    let hal = join(&rollcall, "hal@example.com").await?;
    verified(&rollcall, &hal).await?;
    // Someone renames Hal's account in the app, by hand; then one joins who has that name.
    let url = format!("{}/Users/{}", server.base_url, server.users().await?[0]["id"].as_str().context("no id")?);
    let rename = json!({ "schemas": [PATCH], "Operations": [
        { "op": "replace", "path": "userName", "value": "ida@example.com" }
    ] });
    let request = Client::new().patch(url).bearer_auth(APP_TOKEN).header("content-type", "application/scim+json");
    request.body(rename.to_string()).send().await?.error_for_status()?;
    let before = server.users().await?;
    let ida = join(&rollcall, "ida@example.com").await?;
    let rejected = until("the conflict is named", || async {
        Ok(rollcall.items("/v1/timeline?type=account.rejected").await?.into_iter().next())
    })
    .await?;
    ensure!(rejected["summary"].as_str().is_some_and(|s| s.contains("conflict")), "{rejected}");
    ensure!(rejected["identity"] == ida.as_str(), "{rejected}");
    ensure!(server.users().await? == before, "the account was touched");
    let identity = rollcall.api(&format!("/v1/identities/{ida}")).await?;
    ensure!(identity["accounts"][0]["verified"] == false, "{identity}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_enters_a_group_gets_its_apps_and_loses_them_with_it() -> anyhow::Result<()> {
    let server = Scim2Server::start().await?;
    let rollcall = Rollcall::new(&[app(&server, r#"active eq true and groups.display eq "Editors""#)], "")?;
    rollcall.start().await?;
    let (jo, kim) = (join(&rollcall, "jo@example.com").await?, join(&rollcall, "kim@example.com").await?);
    let editors = json!({ "schemas": [GROUP], "displayName": "Editors", "members": [{ "value": jo }] });
    let group = rollcall.scim(Method::POST, "/Groups", &editors).await?;
    let group = format!("/Groups/{}", group["id"].as_str().context("no id")?);
    let members = |names: &'static [&'static str]| {
        let server = &server;
        move || async move {
            let users = server.users().await?;
            let live = |u: &&Value| u["active"] == true;
            let found: Vec<&str> = users.iter().filter(live).filter_map(|u| u["userName"].as_str()).collect();
            Ok((found == names).then_some(()))
        }
    };
    until("Jo is in", members(&["jo@example.com"])).await?;
    let swap = json!({ "schemas": [PATCH], "Operations": [
        { "op": "Add", "path": "members", "value": [{ "value": kim }] },
        { "op": "Remove", "path": format!("members[value eq \"{jo}\"]") },
    ] });
    rollcall.scim(Method::PATCH, &group, &swap).await?;
    until("Kim is in, Jo is out", members(&["kim@example.com"])).await?;
    rollcall.raw(Method::DELETE, &format!("/scim/v2{group}"), SOURCE_TOKEN, None).await?;
    until("nobody is in", members(&[])).await?;
    until("every obligation ended", || async {
        Ok(rollcall.items("/v1/obligations?status=open").await?.is_empty().then_some(()))
    })
    .await?;
    let leavers = rollcall.items("/v1/leavers").await?;
    ensure!(leavers.is_empty(), "leaving a group is no departure: {leavers:?}");
    Ok(())
}

//! Apps that other people wrote, as they come: django-scim2, which composes `displayName` and keeps no `title`, and Canaille, which
//! knows no filter, no `externalId` and no `count`. Through joiner, group, mover, leaver, rehire and comparison, and no alarm.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::SOURCE_TOKEN;
use rollcall_tests::{App, Maker, Pusher, RealApp, Rollcall, until};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

async fn with(app: &RealApp, tables: &'static str) -> anyhow::Result<Rollcall> {
    let apps = [App {
        id: "wiki",
        base_url: app.base_url.clone(),
        assign: "active eq true",
        deprovision: "deactivate",
        leaver_sla: "10m",
        keys: "",
        tables,
    }];
    let rollcall =
        Rollcall::new(&apps, "[[api_tokens]]\nname = \"ola\"\nrole = \"operator\"\ntoken = \"ola-secret\"\n")?;
    rollcall.start().await?;
    Ok(rollcall)
}

async fn verified(rollcall: &Rollcall, id: &str) -> anyhow::Result<()> {
    until("the account is verified", || async {
        let identity = rollcall.api(&format!("/v1/identities/{id}")).await?;
        Ok(identity["accounts"][0]["verified"].as_bool().filter(|v| *v).map(drop))
    })
    .await
}

async fn change(rollcall: &Rollcall, id: &str, path: &str, value: Value) -> anyhow::Result<()> {
    let operations = json!([{ "op": "replace", "path": path, "value": value }]);
    rollcall
        .scim(Method::PATCH, &format!("/Users/{id}"), &json!({ "schemas": [PATCH], "Operations": operations }))
        .await?;
    verified(rollcall, id).await
}

async fn named(app: &RealApp, name: &str) -> anyhow::Result<Value> {
    let users = app.all("Users").await?;
    users.iter().find(|u| u["userName"] == name).cloned().with_context(|| format!("no {name}: {users:?}"))
}

async fn members(app: &RealApp) -> anyhow::Result<usize> {
    let groups = app.all("Groups").await?;
    Ok(groups.first().and_then(|g| g["members"].as_array().map(Vec::len)).unwrap_or_default())
}

/// Everything that can happen to people, in an app as it comes; what was on the log at last is said where it fails.
async fn through_everything(app: &RealApp, rollcall: &Rollcall) -> anyhow::Result<()> {
    let Err(failure) = everything(app, rollcall).await else { return Ok(()) };
    let events = rollcall.items("/v1/timeline").await?;
    let said: Vec<&str> = events.iter().take(20).filter_map(|e| e["summary"].as_str()).collect();
    Err(failure.context(format!("the newest events first:\n{}", said.join("\n"))))
}

/// Nothing is overdue, and in the end nothing is drift.
async fn everything(app: &RealApp, rollcall: &Rollcall) -> anyhow::Result<()> {
    let mut ids = Vec::new();
    for name in ["anna", "boris", "carla"] {
        let user = json!({
            "schemas": [USER], "userName": name, "displayName": format!("The {name}"), "title": "Dev",
            "name": { "givenName": name, "familyName": "Lee" },
            "emails": [{ "value": format!("{name}@example.com"), "primary": true, "type": "work" }],
        });
        let made = rollcall.scim(Method::POST, "/Users", &user).await?;
        let id = made["id"].as_str().context("no id")?.to_owned();
        verified(rollcall, &id).await?;
        ids.push(id);
    }
    let users = app.all("Users").await?;
    ensure!(users.len() == 3 && users.iter().all(|u| u["active"] == true), "{users:?}");
    let all: Vec<Value> = ids.iter().map(|id| json!({ "value": id })).collect();
    let group = json!({ "schemas": [GROUP], "displayName": "Engineering", "members": all });
    rollcall.scim(Method::POST, "/Groups", &group).await?;
    until("all are in the group", || async { Ok((members(app).await? == 3).then_some(())) }).await?;
    // A mover, by a name that the app keeps and by a title that it may not.
    change(rollcall, &ids[0], "name.familyName", "Kern".into()).await?;
    change(rollcall, &ids[0], "title", "Lead".into()).await?;
    ensure!(named(app, "anna").await?["name"]["familyName"] == "Kern", "{:?}", named(app, "anna").await?);
    // A leaver, who is back.
    change(rollcall, &ids[1], "active", false.into()).await?;
    ensure!(named(app, "boris").await?["active"] == false, "{:?}", named(app, "boris").await?);
    until("one is out of the group", || async { Ok((members(app).await? == 2).then_some(())) }).await?;
    change(rollcall, &ids[1], "active", true.into()).await?;
    ensure!(named(app, "boris").await?["active"] == true, "{:?}", named(app, "boris").await?);
    until("and in again", || async { Ok((members(app).await? == 3).then_some(())) }).await?;
    let (status, answer) =
        rollcall.raw(Method::DELETE, &format!("/scim/v2/Users/{}", ids[2]), SOURCE_TOKEN, None).await?;
    ensure!(status == 204, "{status} {answer}");
    verified(rollcall, &ids[2]).await?;
    ensure!(named(app, "carla").await?["active"] == false, "{:?}", named(app, "carla").await?);
    // The comparison finds nothing to complain about.
    let (status, answer) =
        rollcall.raw(Method::POST, "/v1/apps/wiki/reconcile", "ola-secret", Some("{}".to_owned())).await?;
    ensure!(status == 202, "{status} {answer}");
    until("it is compared", || async {
        Ok(rollcall.items("/v1/timeline?type=reconciliation.completed").await?.into_iter().next().map(drop))
    })
    .await?;
    until("every obligation has ended", || async {
        let mut open = 0;
        for status in ["open", "applied", "overdue"] {
            open += rollcall.items(&format!("/v1/obligations?status={status}")).await?.len();
        }
        Ok((open == 0).then_some(()))
    })
    .await?;
    until("no drift is left", || async { Ok(rollcall.items("/v1/drift").await?.is_empty().then_some(())) }).await?;
    ensure!(rollcall.items("/v1/timeline?type=obligation.overdue").await?.is_empty(), "overdue");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn django_scim2_as_it_comes_raises_no_alarm() -> anyhow::Result<()> {
    let Some(app) = RealApp::start(Maker::DjangoScim2).await? else { return Ok(()) };
    let rollcall = with(&app, "[[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n").await?;
    through_everything(&app, &rollcall).await?;
    let keeps = rollcall.api("/v1/apps/wiki").await?["capabilities"]["keeps"].clone();
    ensure!(keeps["displayName"]["way"] == "own value" && keeps["title"]["way"] == "not kept", "{keeps}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn canaille_as_it_comes_raises_no_alarm() -> anyhow::Result<()> {
    let Some(app) = RealApp::start(Maker::Canaille).await? else { return Ok(()) };
    // Its schema requires `name.formatted`.
    let tables = "[apps.attributes]\ndisplayName = \"displayName\"\ntitle = \"title\"\nemails = \"emails\"\n\
                  \"name.givenName\" = \"name.givenName\"\n\"name.familyName\" = \"name.familyName\"\n\
                  \"name.formatted\" = { template = \"{name.givenName} {name.familyName}\" }\n\
                  [[apps.groups]]\nfrom = \"Engineering\"\nto = \"eng\"\n";
    let rollcall = with(&app, tables).await?;
    through_everything(&app, &rollcall).await?;
    let can = rollcall.api("/v1/apps/wiki").await?["capabilities"].clone();
    ensure!(can["quirks"] == json!(["no_count", "members_by_name"]), "{can}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn canaille_pushes_a_joiner_a_mover_and_a_leaver() -> anyhow::Result<()> {
    // Its client takes no `pagination` in the ServiceProviderConfig.
    let silent = "[[sources]]\nname = \"canaille\"\ntoken = \"canaille-secret-19c2\"\ncursors = \"silent\"\n";
    let rollcall = Rollcall::new(&[], silent)?;
    rollcall.start().await?;
    let base = format!("{}/scim/v2", rollcall.address());
    let Some(mut canaille) = Pusher::start(&base, "canaille-secret-19c2").await? else { return Ok(()) };
    let find = |id: String| {
        let rollcall = &rollcall;
        async move {
            let filter = format!("/scim/v2/Users?filter=externalId%20eq%20%22{id}%22");
            let found = rollcall.raw(Method::GET, &filter, SOURCE_TOKEN, None).await?.1;
            Ok::<_, anyhow::Error>(found["Resources"][0].clone())
        }
    };
    let id = canaille.id.clone();
    let joined = find(id.clone()).await?;
    ensure!(joined["userName"] == "cora" && joined["active"] == true && joined["title"] == "Dev", "{joined}");
    ensure!(joined["groups"][0]["display"] == "Engineering", "{joined}");
    canaille.tell("move").await?;
    ensure!(find(id.clone()).await?["title"] == "Lead", "{}", find(id.clone()).await?);
    canaille.tell("lock").await?;
    ensure!(find(id.clone()).await?["active"] == false, "{}", find(id.clone()).await?);
    canaille.tell("unlock").await?;
    ensure!(find(id.clone()).await?["active"] == true, "{}", find(id.clone()).await?);
    canaille.tell("delete").await?;
    ensure!(find(id.clone()).await?.is_null(), "{}", find(id.clone()).await?);
    for kind in ["identity.joined", "identity.moved", "identity.left", "identity.rehired"] {
        ensure!(!rollcall.items(&format!("/v1/timeline?type={kind}")).await?.is_empty(), "no {kind}");
    }
    Ok(())
}

//! Machines: who answers for them, and what becomes of those for which somebody answers who leaves.

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use rollcall_tests::browser::Browser;
use rollcall_tests::rollcall::SOURCE_TOKEN;
use rollcall_tests::stage::{APP, Stage, USER};
use rollcall_tests::{App, Faulty, Rollcall, Script, until};
use serde_json::{Value, json};

const SERVICE_ACCOUNT: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:ServiceAccount";
const MACHINE: &str = "urn:ietf:params:scim:schemas:extension:rollcall:2.0:Machine";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

const TABLES: &str = r#"
[machines]
handover_within = "2d"
[[api_tokens]]
name = "ola"
role = "operator"
token = "ola-secret"
[[api_tokens]]
name = "bea-token"
role = "viewer"
token = "bea-secret"
identity = "bea"
[[api_tokens]]
name = "cy-token"
role = "viewer"
token = "cy-secret"
identity = "cy"
"#;

/// The token of an operator.
const OLA: &str = "ola-secret";

async fn stage() -> anyhow::Result<Stage> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let keys = "identities = [\"user\", \"service_account\", \"agent\"]\n";
    let apps = [App { assign: "active eq true", keys, ..App::usual(APP, app.base_url(APP)) }];
    let rollcall = Rollcall::new(&apps, TABLES)?;
    rollcall.start().await?;
    Ok(Stage { app, rollcall })
}

async fn join(stage: &Stage, name: &str, manager: Option<&str>) -> anyhow::Result<String> {
    let mut user = json!({ "schemas": [USER, ENTERPRISE], "userName": name });
    if let Some(manager) = manager {
        user[ENTERPRISE] = json!({ "manager": { "value": manager } });
    }
    let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    stage.verified(&id).await?;
    Ok(id)
}

fn service_account(name: &str, said: &Value) -> Value {
    json!({ "schemas": [SERVICE_ACCOUNT, MACHINE], "userName": name, MACHINE: said })
}

async fn machine(stage: &Stage, name: &str, owner: &str) -> anyhow::Result<String> {
    let said = json!({ "owner": format!("../Users/{owner}"), "purpose": "nightly jobs", "environment": "production" });
    let made = stage.rollcall.scim(Method::POST, "/ServiceAccounts", &service_account(name, &said)).await?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    stage.verified(&id).await?;
    Ok(id)
}

async fn post(stage: &Stage, path: &str, token: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    let (status, answer) = stage.rollcall.raw(Method::POST, path, token, Some(body.to_string())).await?;
    Ok((status.as_u16(), answer))
}

async fn scim(stage: &Stage, method: Method, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    let (status, answer) =
        stage.rollcall.raw(method, &format!("/scim/v2{path}"), SOURCE_TOKEN, Some(body.to_string())).await?;
    Ok((status.as_u16(), answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_is_complete_once_one_machine_is_taken_over_and_one_is_verified_gone() -> anyhow::Result<()> {
    let stage = stage().await?;
    let bea = join(&stage, "bea", None).await?;
    let ada = join(&stage, "ada", Some(&bea)).await?;
    let cy = join(&stage, "cy", None).await?;
    let bot = machine(&stage, "svc-bot", &ada).await?;
    let job = machine(&stage, "svc-job", &ada).await?;
    let shown = stage.rollcall.api(&format!("/v1/machines/{bot}")).await?;
    ensure!(shown["owner"]["id"] == *ada && shown["without_owner"] == false, "{shown}");
    ensure!(shown["kind"] == "ServiceAccount" && shown["purpose"] == "nightly jobs", "{shown}");
    ensure!(stage.rollcall.items("/v1/machines?owner=ada").await?.len() == 2, "not both are Ada's");

    let (status, answer) =
        stage.rollcall.raw(Method::DELETE, &format!("/scim/v2/Users/{ada}"), SOURCE_TOKEN, None).await?;
    ensure!(status == 204, "{status} {answer}");
    until("Ada is gone from the app", || async { Ok(stage.leaver(&ada).await?["gone_at"].as_str().map(drop)) }).await?;
    let open = stage.rollcall.items("/v1/handovers?status=open").await?;
    ensure!(open.len() == 2, "{open:?}");
    let of = |machine: &str| {
        let found = open.iter().find(|handover| handover["machine"] == machine);
        found.and_then(|handover| handover["id"].as_str()).map(str::to_owned).context("no hand-over")
    };
    let (of_bot, of_job) = (of(&bot)?, of(&job)?);
    let proposed = &open[0]["proposed"];
    ensure!(proposed[0]["id"] == *bea && proposed[0]["because"] == "manager", "{proposed}");
    let (opened, due) = (open[0]["opened_at"].as_str(), open[0]["deadline"].as_str());
    let (opened, due): (Timestamp, Timestamp) = (opened.context("no time")?.parse()?, due.context("no time")?.parse()?);
    ensure!(due.duration_since(opened) <= SignedDuration::from_hours(48), "{opened} {due}");
    ensure!(stage.rollcall.items("/v1/machines?is=without_owner").await?.len() == 2, "both have access");
    until("they are counted", || async {
        let (_, metrics) = stage.rollcall.raw(Method::GET, "/metrics", "", None).await?;
        Ok(metrics.as_str().is_some_and(|text| text.contains("rollcall_handovers_open 2")).then_some(()))
    })
    .await?;
    ensure!(stage.leaver(&ada).await?["completed_at"].is_null(), "complete with two machines left");

    // Who has nothing to do with it decides nothing, nor takes it; whoever it is passed to does.
    let accept = format!("/v1/handovers/{of_bot}/accept");
    let (status, answer) = post(&stage, &accept, "cy-secret", &json!({ "reason": "mine now" })).await?;
    ensure!(status == 403, "{status} {answer}");
    let pass = format!("/v1/handovers/{of_bot}/pass");
    for (to, wanted) in [(ada.as_str(), 409), ("nobody", 409), ("svc-job", 409)] {
        let (status, answer) = post(&stage, &pass, "bea-secret", &json!({ "reason": "take it", "to": to })).await?;
        ensure!(status == wanted, "{to}: {status} {answer}");
    }
    let (status, answer) = post(&stage, &pass, "bea-secret", &json!({ "reason": "take it", "to": "cy" })).await?;
    ensure!(status == 202, "{status} {answer}");
    let (status, answer) = post(&stage, &accept, "cy-secret", &json!({ "reason": "mine now" })).await?;
    ensure!(status == 202, "{status} {answer}");
    let shown = stage.rollcall.api(&format!("/v1/machines/{bot}")).await?;
    ensure!(shown["owner"]["id"] == *cy && shown["without_owner"] == false, "{shown}");
    let (status, answer) = post(&stage, &accept, "cy-secret", &json!({ "reason": "again" })).await?;
    ensure!(status == 409 || status == 403, "{status} {answer}");

    // The console shows what is left, and an act what it would do.
    let ola = Browser::signed_in(&stage.rollcall, "ola-secret").await?;
    let (status, page) = ola.page("/console/handovers").await?;
    ensure!(status == 200 && page.contains("svc-job") && page.contains("bea (manager)"), "{page}");
    let (status, page) = ola.page("/console/machines?is=without_owner").await?;
    ensure!(status == 200 && page.contains("svc-job") && !page.contains("svc-bot"), "{page}");
    let (status, page) = ola.page(&format!("/console/act?do=pass-handover&id={of_job}")).await?;
    ensure!(status == 200 && page.contains("svc-job") && page.contains("Who takes them"), "{page}");
    let fields = [("do", "pass-handover"), ("id", of_job.as_str()), ("reason", "yours?"), ("whom", "nobody")];
    let (status, _, page) = ola.act(&fields).await?;
    ensure!(status == 404 && page.contains("yours?"), "{status} {page}");
    let fields = [("do", "pass-handover"), ("id", of_job.as_str()), ("reason", "yours?"), ("whom", "cy")];
    let (status, to, page) = ola.act(&fields).await?;
    ensure!(status == 303 && to.contains("done="), "{status} {to} {page}");
    let (_, page) = ola.page("/console/handovers").await?;
    ensure!(page.contains("cy (asked), bea (manager)"), "{page}");

    // The other one ends: not before its account was read back inactive.
    let said = stage.terminal(OLA, &["handovers", "retire", &of_job, "--reason", "nobody needs it", "--yes"]).await?;
    ensure!(said.status.success(), "{said:?}");
    until("the leaver is complete", || async { Ok(stage.leaver(&ada).await?["completed_at"].as_str().map(drop)) })
        .await?;
    let handovers = stage.rollcall.items("/v1/handovers").await?;
    let status_of = |machine: &str| handovers.iter().find(|h| h["machine"] == machine).map(|h| h["status"].clone());
    ensure!(status_of(&bot) == Some("accepted".into()) && status_of(&job) == Some("retired".into()), "{handovers:?}");
    let accounts = stage.rollcall.api(&format!("/v1/identities/{job}")).await?["accounts"].clone();
    ensure!(accounts[0]["verified"] == true && accounts[0]["desired"]["active"] != true, "{accounts}");
    let record = stage.leaver(&ada).await?;
    let (gone, complete) = (record["gone_at"].as_str(), record["completed_at"].as_str());
    let (gone, complete): (Timestamp, Timestamp) = (gone.context("no")?.parse()?, complete.context("no")?.parse()?);
    ensure!(gone < complete, "{record}");
    // It is told for each of whom it is about, and was so at its time.
    for id in [&ada, &bot, &cy] {
        let events = stage.rollcall.items(&format!("/v1/identities/{id}/timeline?type=handover.accepted")).await?;
        ensure!(events.len() == 1, "{events:?}");
    }
    let then = stage.rollcall.items(&format!("/v1/machines?owner={ada}&as_of={opened}")).await?;
    ensure!(then.len() == 2, "{then:?}");
    let latency = stage.rollcall.api("/v1/latency?group_by=app").await?;
    ensure!(!latency.to_string().contains("handover"), "{latency}");
    let listed = stage.terminal(OLA, &["machines", "--owner", "cy", "--json"]).await?;
    ensure!(String::from_utf8_lossy(&listed.stdout).contains("svc-bot"), "{listed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_said_of_a_machine_is_refused_and_one_without_an_owner_has_no_access() -> anyhow::Result<()> {
    let stage = stage().await?;
    let ada = join(&stage, "ada", None).await?;
    let left = join(&stage, "left", None).await?;
    let (status, _) = stage.rollcall.raw(Method::DELETE, &format!("/scim/v2/Users/{left}"), SOURCE_TOKEN, None).await?;
    ensure!(status == 204, "{status}");
    let bot = machine(&stage, "svc-bot", &ada).await?;
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (said, word) in [
        (json!({ "owner": nobody }), "there is no User"),
        (json!({ "owner": "ada" }), "there is no User"),
        (json!({ "owner": left }), "there is no User"),
        (json!({ "owner": bot }), "is a machine"),
        (json!({ "owner": format!("../Groups/{ada}") }), "there is no User"),
        (json!({ "secondOwner": bot }), "is a machine"),
        (json!({ "team": nobody }), "there is no group"),
        (json!({ "owner": ada, "expiresAt": "2020-01-01T00:00:00Z" }), "is past"),
        (json!({ "owner": ada, "expiresAt": "next year" }), "is no time"),
    ] {
        let (status, answer) = scim(&stage, Method::POST, "/ServiceAccounts", &service_account("x", &said)).await?;
        ensure!(status == 400 && answer["scimType"] == "invalidValue", "{said}: {status} {answer}");
        ensure!(answer["detail"].as_str().is_some_and(|detail| detail.contains(word)), "{said}: {answer}");
    }
    // Nothing came of any of them; one that names nobody is known, and has no access.
    let made = stage.rollcall.scim(Method::POST, "/ServiceAccounts", &service_account("x", &json!({}))).await?;
    let id = made["id"].as_str().context("no id")?;
    let shown = stage.rollcall.api(&format!("/v1/machines/{id}")).await?;
    ensure!(shown["lifecycle"] == "staged" && shown["owner"].is_null() && shown["without_owner"] == false, "{shown}");
    let change = json!({ "schemas": [PATCH], "Operations": [
        { "op": "add", "path": format!("{MACHINE}:owner"), "value": ada },
    ]});
    stage.rollcall.scim(Method::PATCH, &format!("/ServiceAccounts/{id}"), &change).await?;
    stage.verified(id).await?;
    // Its end is its leave, which nobody has to say again.
    let end = (Timestamp::now() + SignedDuration::from_secs(2)).to_string();
    let change = json!({ "schemas": [PATCH], "Operations": [
        { "op": "add", "path": format!("{MACHINE}:expiresAt"), "value": end },
    ]});
    stage.rollcall.scim(Method::PATCH, &format!("/ServiceAccounts/{id}"), &change).await?;
    until("it has ended, and is gone", || async {
        Ok(stage.leaver(id).await.ok().filter(|l| l["gone_at"].is_string()))
    })
    .await?;
    let (status, answer) =
        scim(&stage, Method::GET, "/ServiceAccounts?filter=userName%20eq%20%22X%22", &Value::Null).await?;
    ensure!(status == 200 && answer["totalResults"] == 1, "{status} {answer}");
    Ok(())
}

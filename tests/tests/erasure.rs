//! A person is erased: nothing of what was personal is left anywhere, and everything else is as it was.

use std::path::Path;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::{SOURCE_TOKEN, command};
use rollcall_tests::stage::{APP, Stage, USER};
use rollcall_tests::{App, Faulty, Rollcall, Script, until};
use serde_json::{Value, json};

const PEOPLE: &str = "[[api_tokens]]\nname = \"ola\"\nrole = \"operator\"\ntoken = \"ola-secret\"\n\
                      [[api_tokens]]\nname = \"ada\"\nrole = \"admin\"\ntoken = \"ada-secret\"\n\
                      [[api_tokens]]\nname = \"eva\"\nrole = \"admin\"\ntoken = \"eva-secret\"\n";

/// What every attribute of the person has in it, and nothing else.
const MARKERS: [&str; 9] =
    ["zqanna", "zqdisplay", "zqtitle", "zqgiven", "zqfamily", "zqmail", "zqexternal", "zqdrifted", "zqreason"];

async fn stage() -> anyhow::Result<Stage> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let apps = [App {
        deprovision: "delete",
        assign: "active eq true",
        tables: "[apps.drift]\nattribute = \"report\"\n",
        ..App::usual(APP, app.base_url(APP))
    }];
    let rollcall = Rollcall::new(&apps, PEOPLE)?;
    rollcall.start().await?;
    Ok(Stage { app, rollcall })
}

async fn ask(stage: &Stage, path: &str, token: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    let (status, answer) = stage.rollcall.raw(Method::POST, path, token, Some(body.to_string())).await?;
    Ok((status.as_u16(), answer))
}

/// The markers that are somewhere in a text.
fn marked(text: &[u8]) -> Vec<&'static str> {
    let is_in = |marker: &&str| text.windows(marker.len()).any(|found| found == marker.as_bytes());
    MARKERS.into_iter().filter(is_in).collect()
}

/// Every file under a folder that a marker is in.
fn marked_files(folder: &Path) -> anyhow::Result<Vec<String>> {
    let (mut open, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let markers = marked(&std::fs::read(&path)?);
            if !markers.is_empty() {
                found.push(format!("{}: {markers:?}", path.display()));
            }
        }
    }
    Ok(found)
}

/// Someone with a marker in every attribute joins, moves, is changed by hand in the app, has an exception, and leaves.
async fn a_life(stage: &Stage) -> anyhow::Result<String> {
    let user = json!({
        "schemas": [USER], "userName": "zqanna", "displayName": "zqdisplay", "title": "zqtitle", "externalId": "zqexternal",
        "name": { "givenName": "zqgiven", "familyName": "zqfamily" }, "emails": [{ "value": "zqmail@example.com" }],
    });
    let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    stage.verified(&id).await?;
    let operations = json!([{ "op": "replace", "path": "title", "value": "zqtitle two" }]);
    let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
    stage.rollcall.scim(Method::PATCH, &format!("/Users/{id}"), &patch).await?;
    stage.verified(&id).await?;
    stage.app.by_hand(APP, |users| {
        for user in users.values_mut() {
            user.insert("title".to_owned(), "zqdrifted".into());
        }
    });
    let (status, answer) = ask(stage, &format!("/v1/apps/{APP}/reconcile"), "ola-secret", &json!({})).await?;
    ensure!(status == 202, "{status} {answer}");
    let item =
        until("it is found", || async { Ok(stage.rollcall.items("/v1/drift").await?.into_iter().next()) }).await?;
    let path = format!("/v1/drift/{}/accept", item["id"].as_str().context("no id")?);
    let expires_at = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let body = json!({ "reason": "zqreason: she asked for it", "expires_at": expires_at });
    let (status, answer) = ask(stage, &path, "ola-secret", &body).await?;
    ensure!(status == 202, "{status} {answer}");
    stage.leave(&id).await?;
    stage.verified(&id).await?;
    stage.all_ended().await?;
    Ok(id)
}

/// All that the API says of someone, but for what is about the erasure itself.
async fn said(stage: &Stage, id: &str) -> anyhow::Result<String> {
    let mut all = String::new();
    for path in [
        format!("/v1/identities/{id}"),
        format!("/v1/identities/{id}/timeline?limit=100"),
        "/v1/timeline?limit=100".to_owned(),
        "/v1/obligations".to_owned(),
        "/v1/leavers".to_owned(),
        "/v1/drift".to_owned(),
        "/v1/export?format=ndjson".to_owned(),
        "/v1/export?format=csv".to_owned(),
        "/v1/export?format=ocsf".to_owned(),
        format!("/v1/export?format=ndjson&identity={id}"),
        "/metrics".to_owned(),
    ] {
        let answer = reqwest::Client::new()
            .get(format!("{}{path}", stage.rollcall.address()))
            .bearer_auth("ada-secret")
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        all.push_str(&answer.text().await?);
    }
    Ok(all)
}

/// What was owed, and what became of it.
async fn owed(stage: &Stage) -> anyhow::Result<Vec<Value>> {
    let all = stage.rollcall.items("/v1/obligations").await?;
    let parts = ["id", "change", "status", "opened_at", "deadline", "applied_at", "verified_at"];
    Ok(all.iter().map(|o| parts.iter().map(|part| o[part].clone()).collect()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_is_left_of_who_was_erased_and_all_else_is_as_it_was() -> anyhow::Result<()> {
    let stage = stage().await?;
    let id = a_life(&stage).await?;
    let other = stage.join("ben").await?;
    stage.verified(&other).await?;
    let (before, owed_before) = (said(&stage, &id).await?, owed(&stage).await?);
    ensure!(marked(before.as_bytes()).len() >= 8, "the markers are not shown before: {:?}", marked(before.as_bytes()));
    let mut export = command();
    export.args(["export", "--identity", &id]).env("ROLLCALL_SERVER", stage.rollcall.address());
    let output = export.env("ROLLCALL_API_TOKEN", "ada-secret").output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bundle = output.stdout;
    let all: Value = serde_json::from_slice(&bundle)?;
    ensure!(marked(&bundle).len() == MARKERS.len() && all["known_now"]["id"] == id.as_str(), "{:?}", marked(&bundle));
    let path = format!("/v1/identities/{id}/erase");
    let body = json!({ "reason": "they asked for it", "legal_basis": "GDPR Art. 17(1)(b)" });
    let (status, asked) = ask(&stage, &path, "ada-secret", &body).await?;
    ensure!(status == 202, "{status} {asked}");
    let approve = format!("/v1/approvals/{}/approve", asked["approval"].as_str().context("done by one person")?);
    ensure!(ask(&stage, &approve, "ada-secret", &json!({})).await?.0 == 403, "who asks does not approve");
    ensure!(ask(&stage, &approve, "ola-secret", &json!({})).await?.0 == 403, "it takes an admin");
    let (status, answer) = ask(&stage, &approve, "eva-secret", &json!({})).await?;
    ensure!(status == 202, "{status} {answer}");
    let identity = stage.rollcall.api(&format!("/v1/identities/{id}")).await?;
    ensure!(identity["content"] == "erased", "{identity}");
    let after = said(&stage, &id).await?;
    ensure!(marked(after.as_bytes()).is_empty(), "still said: {:?} in {after}", marked(after.as_bytes()));
    ensure!(owed(&stage).await? == owed_before, "what was owed is not what it was");
    let (status, again) = ask(&stage, &path, "ada-secret", &body).await?;
    ensure!(status == 409 && again["detail"].as_str().is_some_and(|d| d.contains("already")), "{status} {again}");
    // Ben is as he was, and her name is free.
    let ben = stage.rollcall.api(&format!("/v1/identities/{other}")).await?;
    ensure!(ben["user_name"] == "ben" && ben["content"] == "open", "{ben}");
    let found = stage.rollcall.raw(Method::GET, &format!("/scim/v2/Users/{id}"), SOURCE_TOKEN, None).await?;
    ensure!(found.0 == 404, "{found:?}");
    stage.join("ZQANNA").await?;
    stage.rollcall.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_disk_nor_a_state_that_is_built_again_has_anything_of_who_was_erased() -> anyhow::Result<()> {
    let stage = stage().await?;
    let id = a_life(&stage).await?;
    let body = json!({ "reason": "they asked for it", "legal_basis": "GDPR Art. 17(1)(b)" });
    let (status, asked) = ask(&stage, &format!("/v1/identities/{id}/erase"), "ada-secret", &body).await?;
    ensure!(status == 202, "{status} {asked}");
    let approve = format!("/v1/approvals/{}/approve", asked["approval"].as_str().context("done by one person")?);
    ensure!(ask(&stage, &approve, "eva-secret", &json!({})).await?.0 == 202);
    let log = std::fs::read_to_string(stage.rollcall.log_file())?;
    ensure!(marked(log.as_bytes()).is_empty(), "in our own log: {:?}", marked(log.as_bytes()));
    until("the key is destroyed", || async {
        Ok(std::fs::read_to_string(stage.rollcall.log_file())?.contains("are destroyed").then_some(()))
    })
    .await?;
    let owed_before = owed(&stage).await?;
    stage.rollcall.stop().await?;
    let data = stage.rollcall.data_dir();
    let nats = marked_files(&data.join("nats"))?;
    ensure!(nats.is_empty(), "on the log's disk: {nats:?}");
    for service in ["gateway", "projector", "provisioner", "sla-monitor"] {
        std::fs::remove_dir_all(data.join(service))?;
    }
    stage.rollcall.start().await?;
    let identity = stage.rollcall.api(&format!("/v1/identities/{id}")).await?;
    ensure!(identity["content"] == "erased" && identity["lifecycle"] == "left", "{identity}");
    let after = said(&stage, &id).await?;
    ensure!(marked(after.as_bytes()).is_empty(), "{after}");
    ensure!(owed(&stage).await? == owed_before, "{:?} is not {owed_before:?}", owed(&stage).await?);
    stage.join("zqanna").await?;
    stage.rollcall.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_erased_who_has_access_or_of_whom_an_app_keeps_an_account() -> anyhow::Result<()> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let apps = [App { assign: "active eq true", ..App::usual(APP, app.base_url(APP)) }];
    let rollcall = Rollcall::new(&apps, PEOPLE)?;
    rollcall.start().await?;
    let stage = Stage { app, rollcall };
    let id = stage.join("anna").await?;
    stage.verified(&id).await?;
    let path = format!("/v1/identities/{id}/erase");
    let body = json!({ "reason": "they asked for it", "legal_basis": "GDPR Art. 17(1)(b)" });
    let refused = async |why: &str| -> anyhow::Result<()> {
        let (status, answer) = ask(&stage, &path, "ada-secret", &body).await?;
        ensure!(
            status == 409 && answer["detail"].as_str().is_some_and(|d| d.contains(why)),
            "{why}: {status} {answer}"
        );
        Ok(())
    };
    refused("they have not left").await?;
    for (token, body, wanted) in [
        ("ola-secret", body.clone(), 403),
        ("ada-secret", json!({ "reason": "", "legal_basis": "x" }), 400),
        ("ada-secret", json!({ "reason": "x" }), 400),
    ] {
        let (status, answer) = ask(&stage, &path, token, &body).await?;
        ensure!(status == wanted, "{token} {body}: {status} {answer}");
    }
    stage.leave(&id).await?;
    stage.verified(&id).await?;
    stage.all_ended().await?;
    refused("keeps an account of theirs").await?;
    // The same from the terminal; then somebody removes the account, and it is read.
    let by_command = async || -> anyhow::Result<String> {
        let mut erase = command();
        erase.args(["erase", &id, "--reason", "they asked for it", "--legal-basis", "GDPR Art. 17(1)(b)"]);
        let output = erase
            .env("ROLLCALL_SERVER", stage.rollcall.address())
            .env("ROLLCALL_API_TOKEN", "ada-secret")
            .output()
            .await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    let said = by_command().await?;
    ensure!(said.contains("keeps an account of theirs"), "{said}");
    stage.app.by_hand(APP, |users| users.clear());
    let (status, answer) = ask(&stage, "/v1/sync", "ola-secret", &json!({ "identity": id })).await?;
    ensure!(status == 202, "{status} {answer}");
    let said = until("it is seen that it is gone", || async {
        Ok(Some(by_command().await?).filter(|said| said.contains("another admin approves")))
    })
    .await?;
    ensure!(said.contains("/v1/approvals/"), "{said}");
    stage.rollcall.stop().await?;
    // The installation's key is replaced, and everything is as it was.
    let file = stage.rollcall.data_dir().join("installation-key");
    let new = command().args(["keys", "new"]).output().await?.stdout;
    let both = String::from_utf8_lossy(&new).into_owned() + &std::fs::read_to_string(&file)?;
    std::fs::write(&file, &both)?;
    let mut rotate = command();
    rotate.args(["keys", "rotate", "--config"]).arg(stage.rollcall.config_file());
    let output = rotate.arg("--data-dir").arg(stage.rollcall.data_dir()).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(&file, &new)?;
    stage.rollcall.start().await?;
    let anna = stage.rollcall.api(&format!("/v1/identities/{id}")).await?;
    ensure!(anna["user_name"] == "anna", "{anna}");
    stage.rollcall.stop().await
}

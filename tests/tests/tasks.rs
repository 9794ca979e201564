//! Apps that people change: what they have to do, what their word is worth, and who may give it.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::browser::Browser;
use rollcall_tests::stage::{APP, Stage, USER};
use rollcall_tests::{App, Faulty, Rollcall, Script, until};
use serde_json::{Value, json};

/// The token of an operator.
const OLA: &str = "ola-secret";

/// Whoever answers for the app of people, and sees no people otherwise.
const MO: &str = "mo-secret";

const TABLES: &str = r#"
[[apps]]
id = "workshop"
name = "Workshop"
kind = "manual"
instructions = "https://wiki.example/workshop"
owner = "mo"
assign = "active eq true"
sla = { joiner = "10m", mover = "10m", leaver = "2s" }
[[api_tokens]]
name = "ola"
role = "operator"
token = "ola-secret"
[[api_tokens]]
name = "mo"
role = "viewer"
token = "mo-secret"
[[api_tokens]]
name = "vic"
role = "viewer"
token = "vic-secret"
[[api_tokens]]
name = "ada-token"
role = "operator"
token = "ada-secret"
identity = "ada"
"#;

async fn stage() -> anyhow::Result<Stage> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let apps = [App { assign: "active eq true", ..App::usual(APP, app.base_url(APP)) }];
    let rollcall = Rollcall::new(&apps, TABLES)?;
    rollcall.start().await?;
    Ok(Stage { app, rollcall })
}

async fn tasks(stage: &Stage, token: &str, query: &str) -> anyhow::Result<Vec<Value>> {
    let (status, answer) = stage.rollcall.raw(Method::GET, &format!("/v1/tasks?{query}"), token, None).await?;
    ensure!(status == 200, "{status} {answer}");
    Ok(answer["items"].as_array().cloned().unwrap_or_default())
}

async fn only(stage: &Stage, token: &str) -> anyhow::Result<(String, Value)> {
    let mut found = tasks(stage, token, "").await?;
    ensure!(found.len() == 1, "{found:?}");
    let task = found.remove(0);
    Ok((task["id"].as_str().context("no id")?.to_owned(), task))
}

async fn done(stage: &Stage, token: &str, id: &str, body: Option<Value>) -> anyhow::Result<(u16, Value)> {
    let path = format!("/v1/tasks/{id}/done");
    let (status, answer) = stage.rollcall.raw(Method::POST, &path, token, body.map(|body| body.to_string())).await?;
    Ok((status.as_u16(), answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_is_complete_by_a_persons_word_and_is_not_called_gone() -> anyhow::Result<()> {
    let stage = stage().await?;
    let ada = stage.join("ada").await?;
    stage.verified(&ada).await?;
    let (id, task) = only(&stage, OLA).await?;
    ensure!(task["app"] == "workshop" && task["user_name"] == "ada" && task["target"] == "present", "{task}");
    ensure!(task["instructions"] == "https://wiki.example/workshop" && task["owner"] == "mo", "{task}");
    ensure!(task["to_do"][0].as_str().is_some_and(|text| text.starts_with("Create the account ada")), "{task}");
    ensure!(task["status"] == "open" && task["deadline"].is_string(), "{task}");
    let (status, said) = done(&stage, MO, &id, Some(json!({ "reference": "T-1" }))).await?;
    ensure!(status == 202, "{status} {said}");
    ensure!(tasks(&stage, OLA, "").await?.is_empty(), "it is still to do");
    let account = stage.rollcall.api(&format!("/v1/identities/{ada}")).await?["accounts"][1].clone();
    ensure!(account["app"] == "workshop" && account["verified"] == false, "a word is called verified: {account}");
    ensure!(account["attested_by"] == "mo" && account["attested_at"].is_string(), "{account}");
    let (status, said) = done(&stage, MO, &id, None).await?;
    ensure!(status == 409, "said twice: {status} {said}");

    stage.leave(&ada).await?;
    until("it is overdue", || async { Ok((tasks(&stage, OLA, "status=overdue").await?.len() == 1).then_some(())) })
        .await?;
    let (id, task) = only(&stage, OLA).await?;
    ensure!(task["to_do"][0].as_str().is_some_and(|text| text.contains("account ada off")), "{task}");
    until("gone from the app that is read", || async {
        Ok(stage.leaver(&ada).await?["open"].as_array().filter(|open| open.len() == 1).map(drop))
    })
    .await?;
    let leaver = stage.leaver(&ada).await?;
    ensure!(leaver["status"] == "overdue" && leaver["completed_at"].is_null(), "{leaver}");
    let (status, said) = done(&stage, OLA, &id, Some(json!({ "reference": "T-2" }))).await?;
    ensure!(status == 202, "{status} {said}");
    let leaver = stage.leaver(&ada).await?;
    ensure!(leaver["status"] == "attested" && leaver["attested"] == json!(["workshop"]), "{leaver}");
    ensure!(
        leaver["completed_at"].is_null() && leaver["attested_at"].is_string(),
        "a word is called complete: {leaver}"
    );
    ensure!(leaver["gone_at"].is_null() && leaver["clean_at"].is_null(), "a word is called gone: {leaver}");
    let owed = leaver["obligations"].as_array().and_then(|all| all.iter().find(|o| o["app"] == "workshop").cloned());
    let owed = owed.context("nothing was owed")?;
    ensure!(owed["status"] == "attested" && owed["attested_by"] == "ola" && owed["verified_at"].is_null(), "{owed}");
    let record = stage.seen("leaver.completed").await?;
    let text = record["summary"].as_str().unwrap_or_default();
    ensure!(text.contains("verified gone from 1 of 2 apps"), "{text}");
    ensure!(text.contains("by the word of ola") && text.contains("can't be read"), "{text}");
    let word = stage.seen("task.done").await?;
    ensure!(word["summary"] == "ola says that the account of ada in Workshop is gone, see T-2", "{word}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_can_be_taken_back_with_a_reason_by_who_may_give_one() -> anyhow::Result<()> {
    let stage = stage().await?;
    let ada = stage.join("ada").await?;
    let (id, before) = only(&stage, OLA).await?;
    let take_back = async |token: &str, reason: Value| {
        let path = format!("/v1/tasks/{id}/undone");
        let (status, answer) = stage.rollcall.raw(Method::POST, &path, token, Some(reason.to_string())).await?;
        anyhow::Ok((status.as_u16(), answer))
    };
    let because = json!({ "reason": "it was the other ada" });
    ensure!(take_back(OLA, because.clone()).await?.0 == 409, "nobody has said anything");
    ensure!(done(&stage, MO, &id, None).await?.0 == 202, "the word");
    let account = stage.rollcall.api(&format!("/v1/identities/{ada}")).await?["accounts"][1].clone();
    ensure!(account["attested_task"] == id.as_str(), "{account}");
    ensure!(take_back("vic-secret", because.clone()).await?.0 == 403, "somebody who has nothing to do with it");
    ensure!(take_back("ada-secret", because.clone()).await?.0 == 403, "whose account it is");
    ensure!(take_back(OLA, json!({ "reason": " " })).await?.0 == 400, "without a reason");
    let output = stage.terminal(OLA, &["tasks", "undone", &id, "--reason", "it was the other ada", "--yes"]).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = stage.seen("task.undone").await?;
    let words = "ola takes back what was said of the account of ada in Workshop: it was the other ada";
    ensure!(said["summary"] == words, "{said}");
    let (again, task) = only(&stage, OLA).await?;
    ensure!(again == id && task["status"] == "open" && task["deadline"] == before["deadline"], "{task}");
    ensure!(task["refuted"] == false, "no list has shown anything: {task}");
    ensure!(task["to_do"][0].as_str().is_some_and(|text| text.starts_with("Create the account ada")), "{task}");
    ensure!(take_back(OLA, because).await?.0 == 409, "taken back twice");
    ensure!(done(&stage, MO, &id, None).await?.0 == 202, "done after all");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_account_it_is_and_who_has_nothing_to_do_with_it_say_nothing_of_it() -> anyhow::Result<()> {
    let stage = stage().await?;
    let ada = stage.join("ada").await?;
    let (id, _) = only(&stage, OLA).await?;
    // Who answers for the app knows whom it is about; another viewer does not.
    let (_, seen) = only(&stage, MO).await?;
    ensure!(seen["user_name"] == "ada" && seen["to_do"].is_array(), "{seen}");
    let (_, seen) = only(&stage, "vic-secret").await?;
    ensure!(seen["user_name"].is_null() && seen["to_do"].is_null(), "{seen}");
    let long = json!({ "reference": "x".repeat(501) });
    let stale = id.replacen('t', "t9", 1);
    let elsewhere = id.replace("workshop", APP);
    let nobody = id.replace(&ada, "00000000-0000-0000-0000-000000000001");
    let cases: &[(&str, &str, Option<&Value>, u16, &str)] = &[
        ("vic-secret", &id, None, 403, "an operator, or who answers for the app"),
        ("vic-secret", &nobody, None, 403, "an operator, or who answers for the app"),
        ("ada-secret", &id, None, 403, "whose account it is"),
        (OLA, "t1", None, 404, "task"),
        (OLA, &nobody, None, 404, "task"),
        (OLA, &stale, None, 409, "what is desired has changed"),
        (OLA, &elsewhere, None, 409, "nothing to do"),
        (OLA, &id, Some(&long), 400, "500"),
        (OLA, &id, Some(&json!({ "verified": true })), 400, "verified"),
    ];
    for (token, id, body, wanted, text) in cases {
        let (status, answer) = done(&stage, token, id, body.cloned()).await?;
        let detail = answer["detail"].as_str().unwrap_or_default();
        ensure!(status == *wanted && detail.contains(text), "{token} {id} {body:?}: {status} {answer}");
    }
    ensure!(stage.events("task.done").await?.is_empty(), "something was said");
    // Nothing of it can be read, whoever asks for it.
    for (path, body) in [
        ("/v1/apps/workshop/reconcile", None),
        ("/v1/apps/workshop/drill", None),
        ("/v1/sync", Some(json!({ "app": "workshop" }))),
    ] {
        let body = body.map(|body| body.to_string());
        let (status, answer) = stage.rollcall.raw(Method::POST, path, OLA, body).await?;
        ensure!(status == 409, "{path}: {status} {answer}");
    }
    ensure!(stage.rollcall.api("/v1/apps/workshop").await?["kind"] == "manual", "another kind");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_done_on_a_page_and_in_a_terminal_many_at_once() -> anyhow::Result<()> {
    let stage = stage().await?;
    for name in ["bea", "cy", "dee", "eve"] {
        stage.join(name).await?;
    }
    let mo = Browser::signed_in(&stage.rollcall, MO).await?;
    let (status, page) = mo.page("/console/tasks").await?;
    ensure!(status == 200 && page.contains("Create the account bea") && page.contains("say that it is done"), "{page}");
    let all = tasks(&stage, OLA, "app=workshop&owner=MO&status=open").await?;
    let ids: Vec<&str> = all.iter().filter_map(|task| task["id"].as_str()).collect();
    ensure!(ids.len() == 4, "{all:?}");
    let (status, page) = mo.page(&format!("/console/act?do=done-task&id={}", ids[0])).await?;
    ensure!(status == 200 && page.contains("not as verified") && page.contains("number of a ticket"), "{page}");
    let fields = [("do", "done-task"), ("id", ids[0]), ("id", ids[1]), ("reference", "T-9")];
    let (status, to, page) = mo.act(&fields).await?;
    ensure!(status == 303 && to.contains("done="), "{status} {to} {page}");
    let shown = stage.terminal(OLA, &["tasks", "--app", "workshop"]).await?;
    let text = String::from_utf8_lossy(&shown.stdout);
    ensure!(shown.status.success() && text.contains(ids[2]) && !text.contains(ids[0]), "{shown:?}");
    let said = stage.terminal(OLA, &["tasks", "done", ids[2], ids[3], "--reference", "T-10", "--yes"]).await?;
    ensure!(said.status.success(), "{said:?}");
    ensure!(tasks(&stage, OLA, "").await?.is_empty(), "something is left to do");
    let again = stage.terminal(OLA, &["tasks", "done", ids[2], "--yes"]).await?;
    ensure!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("nothing to do"), "{again:?}");
    let (status, page) = mo.page("/console/apps/workshop").await?;
    ensure!(status == 200 && page.contains("nothing can be read") && !page.contains("Drill now"), "{page}");
    Ok(())
}

/// A word is no state of one process: all are killed, and it is as it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_outlives_every_process_and_is_read_once_the_app_can_be() -> anyhow::Result<()> {
    let stage = stage().await?;
    let bea = stage.join("bea").await?;
    stage.verified(&bea).await?;
    let (id, _) = only(&stage, OLA).await?;
    let (status, said) = done(&stage, OLA, &id, None).await?;
    ensure!(status == 202, "{status} {said}");
    stage.rollcall.kill().await?;
    stage.rollcall.start().await?;
    ensure!(tasks(&stage, OLA, "").await?.is_empty(), "it is to do again");
    let user = json!({ "schemas": [USER], "userName": "bea", "title": "Lead", "active": true });
    stage.rollcall.scim(Method::PUT, &format!("/Users/{bea}"), &user).await?;
    let (_, task) = only(&stage, OLA).await?;
    ensure!(task["to_do"] == json!(["Change the account bea: title: Lead"]), "{task}");
    Ok(())
}

//! Two of every service: when one dies or sleeps the other goes on, and nothing is done or told twice.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::SOURCE_TOKEN;
use rollcall_tests::{App, Faulty, Receiver, Rollcall, Script, until};
use rustix::process::Signal;
use serde_json::json;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const APP: &str = "liar";

fn app(server: &Faulty) -> App {
    App {
        id: APP,
        base_url: server.base_url(APP),
        assign: "active eq true",
        deprovision: "delete",
        leaver_sla: "2s",
        keys: "",
        tables: "",
    }
}

/// Someone joins, gets an account, and leaves.
async fn join_and_leave(rollcall: &Rollcall, name: &str) -> anyhow::Result<()> {
    let made = rollcall.scim(Method::POST, "/Users", &json!({ "schemas": [USER], "userName": name })).await?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    until("the joiner is verified", || async {
        let identity = rollcall.api(&format!("/v1/identities/{id}")).await?;
        Ok((identity["accounts"][0]["verified"] == true).then_some(()))
    })
    .await?;
    rollcall.raw(Method::DELETE, &format!("/scim/v2/Users/{id}"), SOURCE_TOKEN, None).await?;
    Ok(())
}

/// How often each alert about each person was told, as firing or as resolved.
fn told(hook: &Receiver) -> BTreeMap<(String, String), usize> {
    let mut told = BTreeMap::new();
    for message in hook.all() {
        let data = message.json()["data"].clone();
        let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        if data["alert"] == "LeaverOverdue" {
            *told.entry((word(&data["identity"]["userName"]), word(&data["status"]))).or_default() += 1;
        }
    }
    told
}

/// Waits until someone was told that a person is overdue, and that is on the log: a monitor that dies between the two is
/// rightly followed by one that tells it again.
async fn overdue_is_told(rollcall: &Rollcall, what: &str, name: &str) -> anyhow::Result<()> {
    until(what, || async {
        let fired = rollcall.items("/v1/timeline?type=alert.fired").await?;
        let says = |text: &str| text.contains(&format!("{name} left")) && text.contains("past the deadline");
        Ok(fired.iter().any(|e| e["summary"].as_str().is_some_and(says)).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_monitors_one_tells_and_the_other_takes_over() -> anyhow::Result<()> {
    let (server, hook) = (Faulty::start().await?, Receiver::start().await?);
    server.tell(APP, &Script { ignores_deletes: true, ..Script::default() }).await?;
    let sink = format!("[[alerts]]\nkind = \"webhook\"\nname = \"hook\"\nurl = \"{}\"\n", hook.url);
    let rollcall = Rollcall::apart(&[app(&server)], &sink).await?;
    rollcall.start().await?;
    rollcall.second("sla-monitor").await?;
    let is_over = |name: &'static str| {
        let told = told(&hook).contains_key(&(name.to_owned(), "resolved".to_owned()));
        async move { Ok(told.then_some(())) }
    };
    join_and_leave(&rollcall, "anna").await?;
    overdue_is_told(&rollcall, "one of them says that Anna is overdue", "anna").await?;
    // The one that has told dies.
    rollcall.kill_service("sla-monitor").await?;
    join_and_leave(&rollcall, "ben").await?;
    overdue_is_told(&rollcall, "the other one says that Ben is overdue", "ben").await?;
    // It stands by now, and is told nothing by whoever sleeps.
    rollcall.start_service("sla-monitor").await?;
    rollcall.signal("sla-monitor-2", Signal::STOP).await?;
    join_and_leave(&rollcall, "cleo").await?;
    overdue_is_told(&rollcall, "the first one says that Cleo is overdue", "cleo").await?;
    rollcall.signal("sla-monitor-2", Signal::CONT).await?;
    server.tell(APP, &Script::default()).await?;
    for name in ["anna", "ben", "cleo"] {
        until("everyone is gone in the end", || is_over(name)).await?;
    }
    // The next one would be told after whatever else there is to tell.
    until("everything is on the log", || async {
        let resolved = rollcall.items("/v1/timeline?type=alert.resolved").await?;
        Ok((resolved.len() >= 3).then_some(()))
    })
    .await?;
    let told = told(&hook);
    ensure!(told.len() == 6 && told.values().all(|times| *times == 1), "told more than once: {told:?}");
    let overdue = rollcall.items("/v1/timeline?type=obligation.overdue").await?;
    ensure!(overdue.len() == 3, "{overdue:?}");
    until("each of them is complete, once", || async {
        let completed = rollcall.items("/v1/timeline?type=leaver.completed").await?;
        ensure!(completed.len() <= 3, "{completed:?}");
        Ok((completed.len() == 3).then_some(()))
    })
    .await?;
    rollcall.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_projectors_the_one_that_lives_answers() -> anyhow::Result<()> {
    let server = Faulty::start().await?;
    server.tell(APP, &Script::default()).await?;
    let rollcall = Rollcall::apart(&[app(&server)], "").await?;
    rollcall.start().await?;
    rollcall.second("projector").await?;
    join_and_leave(&rollcall, "anna").await?;
    let complete = || async { Ok(rollcall.items("/v1/leavers?status=completed").await?.into_iter().next()) };
    let before = until("the leaver is complete", complete).await?;
    rollcall.kill_service("projector").await?;
    ensure!(complete().await?.as_ref() == Some(&before), "the second one knows something else");
    // One that sleeps takes connections and answers nothing.
    rollcall.start_service("projector").await?;
    rollcall.signal("projector-2", Signal::STOP).await?;
    ensure!(complete().await?.as_ref() == Some(&before), "the first one knows something else");
    rollcall.signal("projector-2", Signal::CONT).await?;
    rollcall.stop().await
}

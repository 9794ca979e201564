//! Drills: an account of Rollcall's own goes through apps, and finds by itself what they do not do. It touches nothing else, and
//! nothing is left of it.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::command;
use rollcall_tests::stage::{APP, Stage};
use rollcall_tests::{App, Maker, RealApp, Rollcall, Scim2Server, Scimmy, Script, until};
use serde_json::{Value, json};

/// What is configured of drills in these tests: an app that does not do it is not waited for long.
const DRILL: &str = "[apps.drill]\npatience = \"2s\"\n[[apps.entitlements]]\ngroup = \"eng\"\n";

/// What came of the drill that is wanted now.
async fn drilled(rollcall: &Rollcall, app: &str) -> anyhow::Result<Value> {
    let before = rollcall.api(&format!("/v1/apps/{app}/drills")).await?;
    let (status, said) =
        rollcall.raw(Method::POST, &format!("/v1/apps/{app}/drill"), "ola-secret", Some(String::new())).await?;
    ensure!(status == 202, "{status} {said}");
    let path = format!("/v1/apps/{app}/drills");
    until("the drill has ended", || async {
        let now = rollcall.api(&path).await?;
        let ended = now["ended_at"] != before["ended_at"];
        Ok(ended.then(|| now.clone()))
    })
    .await
}

/// How each step went: the step, with what it was tried, and the verdict.
fn verdicts(report: &Value) -> Vec<String> {
    let results = report["results"].as_array().cloned().unwrap_or_default();
    let text = |result: &Value, key: &str| result[key].as_str().unwrap_or_default().to_owned();
    let line = |r: &Value| format!("{} {} {}", text(r, "step"), text(r, "of"), text(r, "verdict")).replace("  ", " ");
    results.iter().map(line).collect()
}

fn failed(report: &Value) -> Vec<String> {
    verdicts(report).into_iter().filter_map(|line| line.strip_suffix(" failed").map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_does_what_it_is_asked_passes_and_nothing_else_in_it_is_touched() -> anyhow::Result<()> {
    let stage = Stage::set(Script::default(), "delete", "", DRILL).await?;
    stage.app.add_group(APP, "eng", &[]);
    let id = stage.join("anna").await?;
    stage.verified(&id).await?;
    let account = stage.app.users(APP)[0].clone();
    stage.app.add_member(APP, "eng", &account);
    let before = (stage.app.users(APP), stage.app.members(APP, "eng"));
    let drills = drilled(&stage.rollcall, APP).await?;
    ensure!(drills["state"] == "passed", "{drills:#}");
    let report = &drills["reports"][0];
    ensure!(report["score"] == 100 && report["left_behind"] == json!([]), "{report:#}");
    for step in
        ["create", "enter_group eng", "leave_group eng", "rename", "switch_off", "switch_on", "delete", "create_again"]
    {
        ensure!(verdicts(report).contains(&format!("{step} passed")), "{step}: {report:#}");
    }
    ensure!((stage.app.users(APP), stage.app.members(APP, "eng")) == before, "something else was touched");
    let last = stage.rollcall.items("/v1/drills?state=passed").await?;
    ensure!(last.len() == 1 && last[0]["app"] == APP && last[0]["score"] == 100, "{last:?}");
    ensure!(last[0]["event"] == report["event"] && last[0]["score_before"].is_null(), "{last:?}");
    ensure!(stage.rollcall.items("/v1/drills?state=failed").await?.is_empty(), "it has not failed");
    let (status, said) = stage.rollcall.raw(Method::GET, "/v1/drills?state=good", "ola-secret", None).await?;
    ensure!(status == 400 && said["detail"].as_str().is_some_and(|text| text.contains("none, wanted")), "{said}");
    until("the score is a figure", || async {
        let (_, metrics) = stage.rollcall.raw(Method::GET, "/metrics", "", None).await?;
        let text = metrics.as_str().unwrap_or_default();
        Ok(text.lines().any(|line| line.starts_with("rollcall_drill_score{") && line.ends_with(" 100")).then_some(()))
    })
    .await?;
    // It is nobody: no identity, no obligation, no drift, no latency.
    ensure!(stage.rollcall.items("/v1/identities").await?.len() == 1, "the canary is an identity");
    ensure!(stage.rollcall.items("/v1/drift").await?.is_empty(), "the canary is drift");
    stage.all_ended().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_does_not_do_is_found_by_the_drill_alone() -> anyhow::Result<()> {
    let liars = [
        (Script { ignores_deletes: true, ..Script::default() }, vec!["delete", "clean_up"]),
        (Script { ignores_deactivation: true, ..Script::default() }, vec!["switch_off"]),
        (Script { loses_memberships: true, ..Script::default() }, vec!["enter_group eng"]),
        (Script { blind_external_id: true, ..Script::default() }, vec!["find_by_external_id"]),
        (Script { refuses_deactivation: true, ..Script::default() }, vec!["switch_off"]),
        (Script { deletes_deactivate: true, ..Script::default() }, vec!["clean_up"]),
    ];
    for (script, wanted) in liars {
        let stage = Stage::set(script.clone(), "delete", "", DRILL).await?;
        stage.app.add_group(APP, "eng", &[]);
        let drills = drilled(&stage.rollcall, APP).await?;
        ensure!(drills["state"] == "failed", "{script:?}: {drills:#}");
        ensure!(failed(&drills["reports"][0]) == wanted, "{script:?}: {drills:#}");
        let left = drills["left_behind"].as_array().map_or(0, Vec::len);
        ensure!(stage.app.users(APP).len() == left, "{script:?}: {:?}", stage.app.users(APP));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_drill_has_left_is_removed_before_the_next_and_until_then_there_is_none() -> anyhow::Result<()> {
    let script = Script { ignores_deletes: true, ..Script::default() };
    let stage = Stage::set(script, "delete", "", DRILL).await?;
    let first = drilled(&stage.rollcall, APP).await?;
    ensure!(first["left_behind"].as_array().is_some_and(|left| left.len() == 1), "{first:#}");
    let second = drilled(&stage.rollcall, APP).await?;
    ensure!(second["state"] == "stopped" && stage.app.users(APP).len() == 1, "a second seat was taken: {second:#}");
    stage.app.tell(APP, &Script::default()).await?;
    let third = drilled(&stage.rollcall, APP).await?;
    ensure!(third["state"] == "passed" && stage.app.users(APP).is_empty(), "{third:#}");
    let delete = third["reports"][0]["results"].as_array().context("no results")?;
    let delete = delete.iter().find(|result| result["step"] == "delete").context("no delete")?;
    ensure!(delete["before"] == "failed", "what is otherwise than before is not said: {delete}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_is_killed_in_the_middle_is_cleaned_up_after() -> anyhow::Result<()> {
    let stage = Stage::set(Script { slow_ms: 150, ..Script::default() }, "delete", "", DRILL).await?;
    let (status, said) =
        stage.rollcall.raw(Method::POST, &format!("/v1/apps/{APP}/drill"), "ola-secret", Some(String::new())).await?;
    ensure!(status == 202, "{status} {said}");
    until("the canary is there", || async { Ok((!stage.app.users(APP).is_empty()).then_some(())) }).await?;
    stage.rollcall.kill().await?;
    ensure!(stage.app.users(APP).len() == 1, "the drill was over: nothing is tested");
    stage.app.tell(APP, &Script::default()).await?;
    stage.rollcall.start().await?;
    until("the canary is gone", || async { Ok(stage.app.users(APP).is_empty().then_some(())) }).await?;
    until("that it was cut off is said", || async {
        let drills = stage.rollcall.api(&format!("/v1/apps/{APP}/drills")).await?;
        Ok((drills["state"] == "stopped").then_some(()))
    })
    .await?;
    ensure!(stage.rollcall.items("/v1/drift").await?.is_empty(), "the canary is drift");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_without_deletion_keeps_one_account_that_is_switched_off() -> anyhow::Result<()> {
    let stage = Stage::set(Script { no_delete: true, ..Script::default() }, "deactivate", "", DRILL).await?;
    let first = drilled(&stage.rollcall, APP).await?;
    ensure!(first["state"] == "passed", "{first:#}");
    let users = stage.app.users(APP);
    ensure!(users.len() == 1 && users[0]["active"] == false, "{users:?}");
    let second = drilled(&stage.rollcall, APP).await?;
    ensure!(second["state"] == "stopped" && stage.app.users(APP).len() == 1, "{second:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_can_be_drilled_before_it_is_connected() -> anyhow::Result<()> {
    let stage = Stage::set(Script { ignores_deactivation: true, ..Script::default() }, "delete", "", DRILL).await?;
    let run = || async {
        let mut command = command();
        command.args(["drill", APP, "--json", "--config"]).arg(stage.rollcall.config_file());
        anyhow::Ok(command.output().await?)
    };
    let said = run().await?;
    ensure!(said.status.code() == Some(1), "{said:?}");
    let report: Value = serde_json::from_slice(&said.stdout)?;
    ensure!(failed(&report) == ["switch_off"], "{report:#}");
    stage.app.tell(APP, &Script::default()).await?;
    let said = run().await?;
    ensure!(said.status.code() == Some(0) && stage.app.users(APP).is_empty(), "{said:?}");
    stage.app.tell(APP, &Script { web_page: true, ..Script::default() }).await?;
    ensure!(run().await?.status.code() == Some(2), "what is no SCIM was drilled");
    // Nothing of it is on the log.
    ensure!(stage.events("drill.started").await?.is_empty(), "it is on the log");
    Ok(())
}

/// As those who run them have to map people.
const REAL: &str = "[apps.drill]\npatience = \"2s\"\n[apps.attributes]\ndisplayName = \"displayName\"\ntitle = \"title\"\n\
                    emails = \"emails\"\n\"name.givenName\" = \"name.givenName\"\n\"name.familyName\" = \"name.familyName\"\n\
                    \"name.formatted\" = { template = \"{name.givenName} {name.familyName}\" }\n";

/// The id of what was left may be somebody's by now, and a mapping may give the canary a name that somebody has.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_taken_for_the_canary() -> anyhow::Result<()> {
    let script = Script { ignores_deletes: true, ..Script::default() };
    let stage = Stage::set(script, "delete", "", DRILL).await?;
    drilled(&stage.rollcall, APP).await?;
    stage.app.by_hand(APP, |users| {
        for user in users.values_mut() {
            user.insert("userName".into(), "alice".into());
            user.insert("externalId".into(), "4711".into());
            user.insert("active".into(), true.into());
        }
    });
    stage.app.tell(APP, &Script::default()).await?;
    let second = drilled(&stage.rollcall, APP).await?;
    let users = stage.app.users(APP);
    ensure!(users.len() == 1 && users[0]["userName"] == "alice" && users[0]["active"] == true, "{users:?}");
    ensure!(second["state"] == "stopped", "{second:#}");

    let tables = "[apps.drill]\npatience = \"2s\"\n[apps.attributes]\nuserName = \"nickName\"\n";
    let stage = Stage::set(Script::default(), "delete", "", tables).await?;
    stage.app.fill(APP, std::iter::once(json!({ "userName": "Drill", "active": true })));
    let drills = drilled(&stage.rollcall, APP).await?;
    ensure!(drills["state"] == "stopped" && stage.app.users(APP).len() == 1, "{drills:#}");
    ensure!(stage.app.users(APP)[0]["active"] == true, "somebody was switched off");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_and_not_answered_is_removed_all_the_same() -> anyhow::Result<()> {
    for script in [
        Script { loses_creations: 1, ..Script::default() },
        Script { loses_creations: 1, no_filter: true, ..Script::default() },
        Script { loses_creations: 1, lag_ms: 600, ..Script::default() },
    ] {
        let stage = Stage::set(script.clone(), "delete", "", DRILL).await?;
        let drills = drilled(&stage.rollcall, APP).await?;
        ensure!(stage.app.users(APP).is_empty(), "{script:?}: it is still there: {drills:#}");
        ensure!(failed(&drills["reports"][0]) == ["create"], "{script:?}: {drills:#}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_is_wanted_and_read_from_a_terminal() -> anyhow::Result<()> {
    let stage = Stage::set(Script { ignores_deactivation: true, ..Script::default() }, "delete", "", DRILL).await?;
    let run = |arguments: &'static [&'static str]| {
        let mut command = command();
        command.arg("drill").args(arguments).args(["--server", &stage.rollcall.address()]);
        async move { anyhow::Ok(command.env("ROLLCALL_API_TOKEN", "ola-secret").output().await?) }
    };
    let none = run(&[APP, "--last"]).await?;
    ensure!(
        none.status.code() == Some(2) && String::from_utf8_lossy(&none.stderr).contains("never drilled"),
        "{none:?}"
    );
    let first = run(&[APP]).await?;
    let said = String::from_utf8_lossy(&first.stdout);
    ensure!(
        first.status.code() == Some(1) && said.contains("switch_off") && said.contains("still active"),
        "{first:?}"
    );
    stage.app.tell(APP, &Script::default()).await?;
    let all = run(&["--all", "--json"]).await?;
    let report: Value = serde_json::from_slice(&all.stdout)?;
    ensure!(all.status.code() == Some(0) && report["score"] == 100 && report["app"] == APP, "{all:?}");
    let last = run(&[APP, "--last"]).await?;
    ensure!(last.status.code() == Some(0), "{last:?}");
    let unknown = run(&["nothing"]).await?;
    ensure!(
        !unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("there is no app"),
        "{unknown:?}"
    );
    Ok(())
}

async fn with(base_url: String, deprovision: &'static str, tables: &'static str) -> anyhow::Result<Rollcall> {
    let assign = "userName eq \"nobody\"";
    let apps = [App { id: "wiki", base_url, assign, deprovision, leaver_sla: "10m", keys: "", tables }];
    let operator = "[[api_tokens]]\nname = \"ola\"\nrole = \"operator\"\ntoken = \"ola-secret\"\n";
    let rollcall = Rollcall::new(&apps, operator)?;
    rollcall.start().await?;
    Ok(rollcall)
}

/// What apps of other people do; docs/apps.md has the scores.
#[tokio::test(flavor = "multi_thread")]
async fn apps_of_other_people_are_drilled_and_nothing_is_left() -> anyhow::Result<()> {
    let scim2 = Scim2Server::start().await?;
    let rollcall = with(scim2.base_url.clone(), "delete", "[apps.drill]\npatience = \"2s\"\n").await?;
    let drills = drilled(&rollcall, "wiki").await?;
    println!("scim2-server: {drills:#}");
    ensure!(drills["reports"][0]["score"].as_u64() >= Some(90), "{drills:#}");
    ensure!(scim2.users().await?.is_empty(), "something is left");
    if let Some(scimmy) = Scimmy::start().await? {
        let rollcall = with(scimmy.base_url.clone(), "delete", "[apps.drill]\npatience = \"2s\"\n").await?;
        let drills = drilled(&rollcall, "wiki").await?;
        println!("SCIMMY: {drills:#}");
        ensure!(drills["reports"][0]["score"].as_u64() >= Some(90), "{drills:#}");
    }
    for maker in [Maker::DjangoScim2, Maker::Canaille] {
        let Some(app) = RealApp::start(maker).await? else { continue };
        let before = app.all("Users").await?;
        let rollcall = with(app.base_url.clone(), "delete", REAL).await?;
        let drills = drilled(&rollcall, "wiki").await?;
        println!("{maker:?}: {drills:#}");
        ensure!(drills["reports"][0]["score"].as_u64() >= Some(60), "{drills:#}");
        ensure!(app.all("Users").await? == before, "something is left: {drills:#}");
    }
    Ok(())
}

//! Whether it gets better: the figures are those that the log and the obligations say.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::API_TOKEN;
use rollcall_tests::stage::{APP, Stage, USER};
use rollcall_tests::{App, Faulty, Rollcall, Script, until};
use serde_json::{Value, json};

const MORE: &str = r#"
[[apps]]
id = "workshop"
name = "Workshop"
kind = "manual"
owner = "mo"
assign = "active eq true"
sla = { joiner = "10m", mover = "10m", leaver = "1s" }
[[api_tokens]]
name = "ola"
role = "operator"
token = "ola-secret"
[[api_tokens]]
name = "vic"
role = "viewer"
token = "vic-secret"
"#;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

async fn stage() -> anyhow::Result<Stage> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let apps = [App { assign: "active eq true", ..App::usual(APP, app.base_url(APP)) }];
    let rollcall = Rollcall::new(&apps, MORE)?;
    rollcall.start().await?;
    Ok(Stage { app, rollcall })
}

/// The last period of a group, or of everything.
async fn last(stage: &Stage, query: &str) -> anyhow::Result<Value> {
    let found = stage.rollcall.api(&format!("/v1/trends?{query}")).await?;
    let points = found["items"][0]["points"].as_array().with_context(|| format!("{query}: {found}"))?;
    points.last().cloned().with_context(|| format!("{query}: {found}"))
}

async fn compare(stage: &Stage) -> anyhow::Result<()> {
    let (status, said) = stage.decide(&format!("/v1/apps/{APP}/reconcile"), &json!({})).await?;
    ensure!(status == 202, "{status} {said}");
    Ok(())
}

async fn refused(stage: &Stage, query: &str, token: &str) -> anyhow::Result<(u16, String)> {
    let (status, answer) = stage.rollcall.raw(Method::GET, &format!("/v1/trends?{query}"), token, None).await?;
    Ok((status.as_u16(), answer["detail"].as_str().unwrap_or_default().to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_are_those_of_the_obligations() -> anyhow::Result<()> {
    let stage = stage().await?;
    let person = |name: &str, department: &str| json!({ "schemas": [USER, ENTERPRISE], "userName": name, "active": true, ENTERPRISE: { "department": department } });
    let mut ids = Vec::new();
    for (name, department) in [("ada", "R & D"), ("bea", "R & D"), ("cy", "Sales/EU")] {
        let made = stage.rollcall.scim(Method::POST, "/Users", &person(name, department)).await?;
        ids.push(made["id"].as_str().context("no id")?.to_owned());
    }
    for id in &ids {
        stage.verified(id).await?;
    }
    let ada = &ids[0];
    stage.leave(ada).await?;
    until("gone from the app that is read, and late in the other", || async {
        let leaver = stage.leaver(ada).await?;
        Ok((leaver["open"] == json!(["workshop"]) && leaver["overdue"] == json!(["workshop"])).then_some(()))
    })
    .await?;
    let tasks = stage.rollcall.api("/v1/tasks").await?;
    let tasks = tasks["items"].as_array().context("no tasks")?;
    ensure!(tasks.len() == 3, "{tasks:?}");
    for task in tasks {
        let id = task["id"].as_str().context("no id")?;
        if task["identity"] == ids[2].as_str() {
            continue;
        }
        let (status, said) = stage.decide(&format!("/v1/tasks/{id}/done"), &json!({})).await?;
        ensure!(status == 202, "{status} {said}");
    }
    let verified = stage.rollcall.api(&format!("/v1/latency?app={APP}")).await?["items"][0].clone();
    let shown = last(&stage, &format!("group_by=app&group={APP}&every=month")).await?;
    ensure!(shown["count"] == 4 && verified["count"] == 4, "{shown} {verified}");
    for quantile in ["p50", "p90"] {
        let (exact, ms) = (&verified["verified_seconds"][quantile], &shown[&format!("{quantile}_seconds")]);
        let apart = exact.as_f64().context("no quantile")? - ms.as_f64().context("no quantile")?;
        ensure!((0.0..0.001).contains(&apart), "{quantile}: {exact} and {ms}");
    }
    ensure!(shown["within_service_level"] == 1.0, "{shown}");

    // Three joiners and a leaver in each app: one leaver late, one joiner not yet met, and one overtaken by the departure.
    let all = last(&stage, "every=day").await?;
    let late = last(&stage, "change=leaver&every=day").await?;
    ensure!(all["count"] == 4 && late["count"] == 1 && late["within_service_level"] == 0.5, "{all} {late}");
    let by_word = last(&stage, "group_by=app&group=workshop").await?;
    ensure!(by_word["count"] == 0 && by_word["p90_seconds"].is_null(), "a word is called verified: {by_word}");
    let of_department = |name: &str| format!("group_by=department&group={name}&change=joiner");
    ensure!(last(&stage, &of_department("R+%26+D")).await?["count"] == 2, "by department");
    ensure!(last(&stage, &of_department("Sales%2FEU")).await?["count"] == 1, "by department");
    let groups = stage.rollcall.api("/v1/trends?group_by=source").await?;
    let names: Vec<&Value> = groups["items"].as_array().context("no groups")?.iter().map(|g| &g["group"]).collect();
    ensure!(names == [&json!("hr")], "{groups}");

    let leaver = stage.leaver(ada).await?;
    ensure!(leaver["status"] == "attested", "{leaver}");
    ensure!(last(&stage, "metric=leaver_completion").await?["count"] == 0, "a word is called complete");
    let work = last(&stage, "metric=tasks&group_by=owner&group=mo").await?;
    // What ada had to get there was overtaken by what had to go.
    ensure!(work["count"] == 2 && work["opened"] == 4 && work["closed"] == 3 && work["open"] == 1, "{work}");
    let beside = last(&stage, "metric=work_and_drift").await?;
    ensure!(beside["quadrant"] == "governed_by_hand" && beside["count"] == 2 && beside["open"] == 0, "{beside}");

    // Page by page it is the same.
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let page = stage.rollcall.api(&format!("/v1/trends?group_by=department&limit=1{cursor}")).await?;
        seen.extend(page["items"].as_array().context("no groups")?.iter().map(|group| group["group"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={}", next.replace('&', "%26"));
    }
    ensure!(seen == [json!("R & D"), json!("Sales/EU")], "{seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_that_is_found_and_ends_is_counted_and_so_is_what_people_leave_as_it_is() -> anyhow::Result<()> {
    let stage = stage().await?;
    let ada = stage.join("ada").await?;
    stage.verified(&ada).await?;
    stage.app.fill(APP, [json!({ "userName": "nobody-1", "active": true })].into_iter());
    compare(&stage).await?;
    stage.seen("drift.detected").await?;
    stage.seen("reconciliation.completed").await?;
    let drift = last(&stage, &format!("metric=drift&group_by=app&group={APP}")).await?;
    ensure!(drift["opened"] == 1 && drift["closed"] == 0 && drift["open"] == 1, "{drift}");
    ensure!(last(&stage, "metric=orphans").await?["mean"] == 1.0, "orphans");
    ensure!(last(&stage, "metric=work_and_drift").await?["quadrant"] == "automated_without_governance", "quadrant");
    stage.app.by_hand(APP, |users| users.retain(|_, user| user["userName"] != "nobody-1"));
    compare(&stage).await?;
    stage.seen("drift.cleared").await?;
    let drift = last(&stage, "metric=drift&group_by=owner").await?;
    ensure!(drift["opened"] == 1 && drift["closed"] == 1 && drift["open"] == 0, "{drift}");

    let task = stage.rollcall.api("/v1/tasks").await?["items"][0].clone();
    let owed = task["obligations"][0].as_str().context("nothing is owed")?;
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    let waiver = json!({ "reason": "on holiday", "expires_at": until.to_string() });
    let (status, said) = stage.decide(&format!("/v1/obligations/{owed}/waive"), &waiver).await?;
    ensure!(status == 202, "{status} {said}");
    let left = last(&stage, "metric=exceptions&group_by=app").await?;
    ensure!(left["opened"] == 1 && left["expired"] == 0, "{left}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_stays_so_while_an_app_is_away_and_goes_with_it_to_another_owner() -> anyhow::Result<()> {
    let mut stage = stage().await?;
    let ada = stage.join("ada").await?;
    stage.verified(&ada).await?;
    // Two changes of one account are one task.
    let moved = json!({ "schemas": [USER], "userName": "ada", "active": true, "title": "Lead" });
    stage.rollcall.scim(Method::PUT, &format!("/Users/{ada}"), &moved).await?;
    let of = |owner: &'static str| format!("metric=tasks&group_by=owner&group={owner}");
    ensure!(last(&stage, &of("mo")).await?["open"] == 1, "one task");
    let restarted = async |stage: &mut Stage, extra: String| -> anyhow::Result<()> {
        stage.rollcall.stop().await?;
        stage.rollcall.change_configuration(&extra);
        stage.rollcall.start().await
    };
    let without =
        MORE.split_once("[[api_tokens]]").map(|(_, tokens)| format!("[[api_tokens]]{tokens}")).context("tokens")?;
    restarted(&mut stage, without).await?;
    let there = stage.rollcall.api("/v1/tasks").await?["items"].as_array().map(Vec::len);
    let all = last(&stage, "metric=tasks").await?;
    ensure!(there == Some(1) && all["open"] == 1 && all["opened"] == 1, "{there:?} {all}");
    restarted(&mut stage, MORE.replace("owner = \"mo\"", "owner = \"ina\"")).await?;
    ensure!(last(&stage, &of("mo")).await?["open"] == 0, "it is not his any more");
    ensure!(last(&stage, &of("ina")).await?["open"] == 1, "it is hers");
    ensure!(last(&stage, "metric=tasks").await?["open"] == 1, "it is one");
    let task = stage.rollcall.api("/v1/tasks").await?["items"][0].clone();
    let id = task["id"].as_str().context("no task")?;
    let (status, said) = stage.decide(&format!("/v1/tasks/{id}/done"), &json!({})).await?;
    ensure!(status == 202, "{status} {said}");
    let all = last(&stage, "metric=tasks").await?;
    ensure!(all["open"] == 0 && all["count"] == 1 && all["closed"] == 1, "{all}");
    ensure!(last(&stage, &of("ina")).await?["count"] == 1, "done by her");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_go_together_is_said() -> anyhow::Result<()> {
    let stage = stage().await?;
    for (query, says) in [
        ("metric=speed", "metric"),
        ("group_by=month", "group_by"),
        ("metric=drift&group_by=department", "can't be told apart by department, but by app, owner"),
        ("metric=drift&change=leaver", "only change_to_access"),
        ("group=crm", "group_by"),
        ("every=year", "every"),
        ("every=day&from=2020-01-01T00:00:00Z", "more than 400 periods"),
        ("from=2030-01-01T00:00:00Z", "earlier"),
        ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "later than 'from'"),
        ("cursor=x&group_by=app", "cursor"),
        ("limit=0", "limit"),
        ("as_of=2026-01-01T00:00:00Z", "as_of"),
    ] {
        let (status, detail) = refused(&stage, query, API_TOKEN).await?;
        ensure!(status == 400 && detail.contains(says), "{query}: {status} {detail}");
    }
    let (status, _) = refused(&stage, "group_by=department", "vic-secret").await?;
    ensure!(status == 403, "a viewer sees departments: {status}");
    let (status, _) = refused(&stage, "group_by=app", "vic-secret").await?;
    ensure!(status == 200, "{status}");
    Ok(())
}

//! What is dangerous takes two people; API tokens that are made and revoked; what a configuration would do, and that it is told.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use rollcall_tests::rollcall::{API_TOKEN, command};
use rollcall_tests::stage::{APP, Stage};
use rollcall_tests::{App, Faulty, Rollcall, Script, until};
use serde_json::{Value, json};

const PEOPLE: &str = "[[api_tokens]]\nname = \"ola\"\nrole = \"operator\"\ntoken = \"ola-secret\"\n\
                      [[api_tokens]]\nname = \"omar\"\nrole = \"operator\"\ntoken = \"omar-secret\"\n\
                      [[api_tokens]]\nname = \"ada\"\nrole = \"admin\"\ntoken = \"ada-secret\"\n";

async fn stage(tables: &'static str) -> anyhow::Result<Stage> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    let apps = [App { tables, ..App::usual(APP, app.base_url(APP)) }];
    let rollcall = Rollcall::new(&apps, PEOPLE)?;
    rollcall.start().await?;
    Ok(Stage { app, rollcall })
}

async fn ask(stage: &Stage, method: Method, path: &str, token: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    let body = (method == Method::POST).then(|| body.to_string());
    let (status, answer) = stage.rollcall.raw(method, path, token, body).await?;
    Ok((status.as_u16(), answer))
}

fn in_days(days: i64) -> String {
    (Timestamp::now() + SignedDuration::from_hours(days * 24)).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_release_takes_two_people() -> anyhow::Result<()> {
    let stage = stage("[apps.guard]\nmax_removals = 3\n").await?;
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(stage.join(&format!("person{n}")).await?);
    }
    for id in &ids {
        stage.verified(id).await?;
    }
    stage.leave_until_held(&ids).await?;
    let hold = until("all that wait", || async {
        let hold = stage.rollcall.items("/v1/holds").await?.into_iter().next();
        Ok(hold.filter(|hold| hold["removals"] == 5))
    })
    .await?;
    let live = || stage.app.users(APP).iter().filter(|u| u["active"] == true).count();
    let body = json!({ "reason": "the office closes", "through": hold["through"] });
    let (status, asked) = ask(&stage, Method::POST, "/v1/holds/hr/release", "ola-secret", &body).await?;
    ensure!(status == 202, "{status} {asked}");
    let id = asked["approval"].as_str().context("it is done by one person")?.to_owned();
    let path = format!("/v1/approvals/{id}");
    // Nobody who may not decide sees it, and who asks does not approve it.
    ensure!(ask(&stage, Method::GET, "/v1/approvals", API_TOKEN, &Value::Null).await?.0 == 403);
    let (_, waiting) = ask(&stage, Method::GET, "/v1/approvals", "omar-secret", &Value::Null).await?;
    let item = &waiting["items"][0];
    ensure!(item["id"] == json!(id) && item["asked_by"] == "ola" && item["reason"] == "the office closes", "{waiting}");
    let approve = format!("{path}/approve");
    let (status, answer) = ask(&stage, Method::POST, &approve, "ola-secret", &json!({})).await?;
    ensure!(status == 403, "{status} {answer}");
    ensure!(ask(&stage, Method::POST, &approve, API_TOKEN, &json!({})).await?.0 == 403);
    ensure!(live() == 5 && stage.rollcall.items("/v1/holds").await?.len() == 1, "it was done without a second person");
    let (status, answer) = ask(&stage, Method::POST, &approve, "omar-secret", &json!({})).await?;
    ensure!(status == 202, "{status} {answer}");
    ensure!(ask(&stage, Method::POST, &approve, "omar-secret", &json!({})).await?.0 == 404, "it is decided once");
    for id in &ids {
        stage.verified(id).await?;
    }
    ensure!(live() == 0);
    let released = stage.seen("hold.released").await?;
    ensure!(released["actor"] == "ola" && released["reason"] == "the office closes", "{released}");
    ensure!(stage.seen("approval.approved").await?["actor"] == "omar");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_waiver_takes_two_people_and_neither_is_whom_it_is_about() -> anyhow::Result<()> {
    let stage = stage("").await?;
    // The one who may approve is a person here, too.
    let id = stage.join("Omar").await?;
    stage.verified(&id).await?;
    stage.app.tell(APP, &Script { refuses_deactivation: true, ..Script::default() }).await?;
    stage.leave(&id).await?;
    let owed = until("what is owed", || async {
        Ok(stage.rollcall.items("/v1/obligations?status=open").await?.into_iter().next())
    })
    .await?;
    let path = format!("/v1/obligations/{}/waive", owed["id"].as_str().context("no id")?);
    let (status, answer) = ask(
        &stage,
        Method::POST,
        &path,
        "ola-secret",
        &json!({ "reason": "court", "expires_at": "9999-12-30T00:00:00Z" }),
    )
    .await?;
    ensure!(status == 400, "for ever: {status} {answer}");
    let (status, asked) =
        ask(&stage, Method::POST, &path, "ola-secret", &json!({ "reason": "court", "expires_at": in_days(200) }))
            .await?;
    ensure!(status == 202, "{status} {asked}");
    let waived = || stage.rollcall.items("/v1/obligations?status=waived");
    ensure!(waived().await?.is_empty(), "one person was enough");
    let approve = format!("/v1/approvals/{}/approve", asked["approval"].as_str().context("no approval")?);
    let (status, answer) = ask(&stage, Method::POST, &approve, "omar-secret", &json!({})).await?;
    ensure!(status == 403, "it is about him: {status} {answer}");
    // Nor is it anyone whom the one who asks has made.
    let (_, made) =
        ask(&stage, Method::POST, "/v1/tokens", "ada-secret", &json!({ "name": "zoe", "role": "operator" })).await?;
    let zoe = made["token"].as_str().context("no token")?;
    let (_, hers) =
        ask(&stage, Method::POST, &path, "ada-secret", &json!({ "reason": "hers", "expires_at": in_days(201) }))
            .await?;
    let own = format!("/v1/approvals/{}/approve", hers["approval"].as_str().context("no approval")?);
    let (status, answer) = ask(&stage, Method::POST, &own, zoe, &json!({})).await?;
    ensure!(status == 403, "one admin is two people: {status} {answer}");
    ensure!(ask(&stage, Method::POST, &approve, "ada-secret", &json!({})).await?.0 == 202);
    ensure!(waived().await?.len() == 1);
    // One that is denied, even by who has asked, is over.
    let (_, asked) =
        ask(&stage, Method::POST, &path, "ada-secret", &json!({ "reason": "longer", "expires_at": in_days(300) }))
            .await?;
    let id = asked["approval"].as_str().context("no approval")?;
    ensure!(ask(&stage, Method::POST, &format!("/v1/approvals/{id}/deny"), "ada-secret", &json!({})).await?.0 == 202);
    ensure!(
        ask(&stage, Method::POST, &format!("/v1/approvals/{id}/approve"), "ola-secret", &json!({})).await?.0 == 404
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_limited_used_and_revoked_while_it_runs() -> anyhow::Result<()> {
    let stage = stage("").await?;
    let new = json!({ "name": "siem", "role": "operator", "apps": [APP] });
    ensure!(ask(&stage, Method::POST, "/v1/tokens", "ola-secret", &new).await?.0 == 403, "an operator makes tokens");
    for (wrong, body) in [
        ("name", json!({ "name": " ", "role": "viewer" })),
        ("name", json!({ "name": "identity:01890000-0000-7000-8000-000000000000", "role": "admin" })),
        ("name", json!({ "name": "Link: ola", "role": "viewer" })),
        ("role", json!({ "name": "x", "role": "root" })),
        ("apps", json!({ "name": "x", "role": "viewer", "apps": ["nowhere"] })),
        ("expires_at", json!({ "name": "x", "role": "viewer", "expires_at": in_days(4000) })),
    ] {
        let (status, answer) = ask(&stage, Method::POST, "/v1/tokens", "ada-secret", &body).await?;
        ensure!(status == 400 && answer["detail"].as_str().is_some_and(|d| d.contains(wrong)), "{status} {answer}");
    }
    ensure!(
        ask(&stage, Method::POST, "/v1/tokens", "ada-secret", &json!({ "name": "ola", "role": "admin" })).await?.0
            == 409
    );
    let (status, made) = ask(&stage, Method::POST, "/v1/tokens", "ada-secret", &new).await?;
    ensure!(status == 201, "{status} {made}");
    let (id, token) = (made["id"].as_str().context("no id")?, made["token"].as_str().context("no token")?);
    // What is about its app, and nothing else.
    for (method, path, expected) in [
        (Method::GET, format!("/v1/apps/{APP}"), 200),
        (Method::GET, format!("/v1/obligations?app={APP}"), 200),
        (Method::POST, format!("/v1/apps/{APP}/reconcile"), 202),
        (Method::GET, "/v1/obligations".to_owned(), 403),
        (Method::GET, format!("/v1/obligations?app={APP}&app=other"), 403),
        (Method::GET, "/v1/obligations?app=other".to_owned(), 403),
        (Method::GET, "/v1/identities".to_owned(), 403),
        (Method::GET, "/v1/export".to_owned(), 403),
        (Method::GET, "/v1/tokens".to_owned(), 403),
        (Method::POST, "/v1/policies/preview".to_owned(), 403),
        (Method::POST, "/v1/holds/hr/release".to_owned(), 403),
    ] {
        let (status, answer) = ask(&stage, method.clone(), &path, token, &json!({})).await?;
        ensure!(status == expected, "{method} {path}: {status} {answer}");
    }
    let (_, all) = ask(&stage, Method::GET, "/v1/tokens", "ada-secret", &Value::Null).await?;
    ensure!(all["items"][0]["used_at"].is_string() && all["items"][0]["issued_by"] == "ada", "{all}");
    // It is on no log, in whole or as what it can be found by.
    let export = stage.rollcall.raw(Method::GET, "/v1/export", API_TOKEN, None).await?.1.to_string();
    ensure!(!export.contains(token), "the token is in the export");
    ensure!(!std::fs::read_to_string(stage.rollcall.log_file())?.contains(token), "the token is in the log file");
    ensure!(ask(&stage, Method::DELETE, &format!("/v1/tokens/{id}"), "ada-secret", &Value::Null).await?.0 == 202);
    ensure!(
        ask(&stage, Method::GET, &format!("/v1/apps/{APP}"), token, &Value::Null).await?.0 == 401,
        "it still opens"
    );
    // What it has opened ends with it, once there is something to say.
    let (_, live) =
        ask(&stage, Method::POST, "/v1/tokens", "ada-secret", &json!({ "name": "live", "role": "auditor" })).await?;
    let (id, token) = (live["id"].as_str().context("no id")?, live["token"].as_str().context("no token")?);
    let address = format!("{}/v1/timeline/stream", stage.rollcall.address());
    let stream = reqwest::Client::new().get(address).bearer_auth(token).send().await?;
    ensure!(stream.status() == 200, "{stream:?}");
    stage.join("early").await?;
    ensure!(ask(&stage, Method::DELETE, &format!("/v1/tokens/{id}"), "ada-secret", &Value::Null).await?.0 == 202);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    stage.join("late").await?;
    let told =
        tokio::time::timeout(std::time::Duration::from_secs(20), stream.text()).await.context("it goes on")??;
    ensure!(told.contains("early") && !told.contains("late"), "{told}");
    // One that has expired opens nothing; one for everything may be used at the console until it is revoked.
    let soon = (Timestamp::now() + SignedDuration::from_secs(2)).to_string();
    let body = json!({ "name": "brief", "role": "viewer", "expires_at": soon });
    let (_, brief) = ask(&stage, Method::POST, "/v1/tokens", "ada-secret", &body).await?;
    let brief = brief["token"].as_str().context("no token")?;
    until("it ends", || async {
        Ok((ask(&stage, Method::GET, "/v1/apps", brief, &Value::Null).await?.0 == 401).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signed_in_with_a_token_is_out_when_it_is_revoked() -> anyhow::Result<()> {
    let stage = stage("").await?;
    let run = |arguments: &[&str]| {
        let mut command = command();
        command.args(arguments).args(["--server", &stage.rollcall.address()]).env("ROLLCALL_API_TOKEN", "ada-secret");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()
    };
    let made = run(&["token", "new", "vera", "--role", "viewer", "--expires", "12h"]).await?;
    ensure!(made.status.success(), "{made:?}");
    let token = String::from_utf8(made.stdout)?.trim().to_owned();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let signed_in = http
        .post(format!("{}/console/sign-in", stage.rollcall.address()))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .body(format!("token={token}"))
        .send()
        .await?;
    let cookie = signed_in.headers().get("set-cookie").context("not let in")?.to_str()?;
    let cookie = cookie.split(';').next().context("no cookie")?.to_owned();
    let page = || async {
        let asked = http.get(format!("{}/console/apps", stage.rollcall.address())).header("cookie", &cookie);
        anyhow::Ok(asked.send().await?.status().as_u16())
    };
    ensure!(page().await? == 200);
    let list = String::from_utf8(run(&["token", "list"]).await?.stdout)?;
    ensure!(list.contains("vera, viewer, all apps"), "{list}");
    ensure!(run(&["token", "revoke", "vera"]).await?.status.success());
    ensure!(page().await? == 303, "the session goes on");
    ensure!(!run(&["token", "revoke", "vera"]).await?.status.success(), "there is none any more");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_says_what_it_would_do_and_is_told_when_it_is_used() -> anyhow::Result<()> {
    let stage = stage("[apps.guard]\nmax_removals = 2\n").await?;
    for n in 0..4 {
        let id = stage.join(&format!("person{n}")).await?;
        stage.verified(&id).await?;
    }
    let text = std::fs::read_to_string(stage.rollcall.config_file())?;
    let file = stage.rollcall.config_file().with_file_name("new.toml");
    let plan = |text: String| {
        let file = file.clone();
        let server = stage.rollcall.address();
        async move {
            std::fs::write(&file, text)?;
            let mut command = command();
            command.args(["plan", "--config"]).arg(&file).args(["--server", &server]);
            command
                .env("ROLLCALL_API_TOKEN", API_TOKEN)
                .env("TEST_SOURCE", "x")
                .env("TEST_API", "y")
                .env("TEST_APP", "z");
            let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await?;
            anyhow::Ok((
                output.status.success(),
                String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?,
            ))
        }
    };
    let (is_fine, said) = plan(text.clone()).await?;
    ensure!(is_fine && said.contains("as it is configured now"), "{said}");
    let (is_fine, said) = plan(text.replace("active eq true", "userName eq \"person0\"")).await?;
    ensure!(!is_fine && said.contains("of 4 accounts 3 would be removed"), "{said}");
    ensure!(said.contains("would be removed: person3") && said.contains("wait for a decision"), "{said}");
    let configured = stage.seen("configuration.read").await?;
    let place = format!("apps.{APP}.assign");
    ensure!(configured.to_string().contains(&place), "{configured}");
    let whole = configured.to_string();
    for secret in ["ola-secret", "omar-secret", "ada-secret"] {
        ensure!(!whole.contains(secret), "{secret} is told");
    }
    ensure!(stage.app.users(APP).iter().filter(|u| u["active"] == true).count() == 4, "it was not only planned");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_taken_out_of_the_configuration_stays_governed_until_two_people_decide() -> anyhow::Result<()> {
    let app = Faulty::start().await?;
    let apps = [App::usual(APP, app.base_url(APP)), App::usual("other", app.base_url("other"))];
    let mut stage = Stage { rollcall: Rollcall::new(&apps, PEOPLE)?, app };
    stage.rollcall.start().await?;
    let (anna, bert) = (stage.join("anna").await?, stage.join("bert").await?);
    stage.verified(&anna).await?;
    stage.verified(&bert).await?;
    stage.rollcall.stop().await?;
    stage.rollcall.take_out(APP);
    stage.rollcall.start().await?;
    ensure!(stage.app_view().await?["connected"] == true, "one who writes the configuration has decided alone");
    // Who leaves is owed there, and it is said why nothing happens.
    stage.leave(&anna).await?;
    until("it is said", || async {
        let identity = stage.rollcall.api(&format!("/v1/identities/{anna}")).await?;
        let accounts = identity["accounts"].as_array().cloned().unwrap_or_default();
        let is_said = |a: &Value| a["app"] == APP && a["last_failure"]["cause"] == "not_connected";
        Ok(accounts.iter().any(is_said).then_some(()))
    })
    .await?;
    ensure!(stage.leaver(&anna).await?["gone_at"].is_null(), "an app that nobody asks proves nobody gone");
    let path = format!("/v1/apps/{APP}/remove");
    ensure!(ask(&stage, Method::POST, &path, "ola-secret", &json!({ "reason": "" })).await?.0 == 400);
    ensure!(ask(&stage, Method::POST, "/v1/apps/none/remove", "ola-secret", &json!({ "reason": "r" })).await?.0 == 404);
    ensure!(ask(&stage, Method::POST, &path, API_TOKEN, &json!({ "reason": "r" })).await?.0 == 403);
    let (status, asked) =
        ask(&stage, Method::POST, &path, "ola-secret", &json!({ "reason": "it is shut down" })).await?;
    let id = asked["approval"].as_str().with_context(|| format!("done by one person: {status} {asked}"))?;
    let approve = format!("/v1/approvals/{id}/approve");
    ensure!(ask(&stage, Method::POST, &approve, "ola-secret", &json!({})).await?.0 == 403);
    ensure!(stage.app_view().await?["connected"] == true);
    let (status, answer) = ask(&stage, Method::POST, &approve, "omar-secret", &json!({})).await?;
    ensure!(status == 202, "{status} {answer}");
    until("it is governed no more", || async { Ok((stage.app_view().await?["connected"] == false).then_some(())) })
        .await?;
    let removed = stage.seen("app.removed").await?;
    ensure!(removed["actor"] == "ola" && removed["reason"] == "it is shut down", "{removed}");
    ensure!(ask(&stage, Method::POST, &path, "ola-secret", &json!({ "reason": "r" })).await?.0 == 409);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn that_what_is_missing_is_gone_takes_two_people() -> anyhow::Result<()> {
    let stage = stage("").await?;
    let (anna, bert) = (stage.join("anna").await?, stage.join("bert").await?);
    stage.verified(&anna).await?;
    stage.verified(&bert).await?;
    stage.app.by_hand(APP, |users| users.clear());
    stage.leave(&anna).await?;
    stage.seen("app.quarantined").await?;
    let told = stage.app_view().await?["health"]["event"].clone();
    let body = json!({ "told": told, "reason": "it was emptied" });
    let (status, asked) = ask(&stage, Method::POST, &format!("/v1/apps/{APP}/gone"), "ola-secret", &body).await?;
    let id = asked["approval"].as_str().with_context(|| format!("done by one person: {status} {asked}"))?;
    let (_, waiting) = ask(&stage, Method::GET, "/v1/approvals", "omar-secret", &Value::Null).await?;
    ensure!(waiting["items"][0]["what"].as_str().is_some_and(|what| what.contains("are gone")), "{waiting}");
    ensure!(stage.leaver(&anna).await?["gone_at"].is_null(), "one person has said it");
    let (status, answer) =
        ask(&stage, Method::POST, &format!("/v1/approvals/{id}/approve"), "omar-secret", &json!({})).await?;
    ensure!(status == 202, "{status} {answer}");
    stage.verified(&anna).await?;
    stage.verified(&bert).await?;
    Ok(())
}

//! Separation of duties: what is refused as the second, what is found to be held together, and what two people accept.

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use rollcall_tests::browser::Browser;
use rollcall_tests::rollcall::command;
use rollcall_tests::stage::{APP, Stage, USER};
use rollcall_tests::{App, Faulty, Rollcall, Script, until};
use serde_json::{Value, json};

const TABLES: &str = r#"
[[api_tokens]]
name = "ola"
role = "operator"
token = "ola-secret"
[[api_tokens]]
name = "omar"
role = "operator"
token = "omar-secret"
[[api_tokens]]
name = "anna-token"
role = "operator"
token = "anna-secret"
identity = "anna"
[[api_tokens]]
name = "erp-team"
role = "viewer"
token = "team-secret"
[[roles]]
id = "clerk"
members = 'title eq "Clerk"'
entitlements = ["wiki:group:Payers"]
owner = "erp-team"
[[roles]]
id = "boss"
members = 'title eq "Boss" or userName eq "bea"'
entitlements = ["wiki:group:Signers"]
owner = "erp-team"
[[separations]]
id = "payments"
name = "Paying and signing"
owner = "cfo@example.com"
reason = "nobody pays what they have signed"
entitlements = ["wiki:group:Payers"]
never_with = ["wiki:group:Signers"]
"#;

const ENTITLEMENTS: &str = r#"
[[apps.entitlements]]
group = "Payers"
[[apps.entitlements]]
group = "Signers"
owner = "erp-team"
requestable = true
max_duration = "8h"
"#;

async fn stage() -> anyhow::Result<Stage> {
    let app = Faulty::start().await?;
    app.tell(APP, &Script::default()).await?;
    for group in ["Payers", "Signers"] {
        app.add_group(APP, group, &[]);
    }
    let apps = [App { assign: "userType eq \"Staff\"", tables: ENTITLEMENTS, ..App::usual(APP, app.base_url(APP)) }];
    let rollcall = Rollcall::new(&apps, TABLES)?;
    rollcall.start().await?;
    Ok(Stage { app, rollcall })
}

async fn join(stage: &Stage, name: &str, title: &str) -> anyhow::Result<String> {
    let user = json!({ "schemas": [USER], "userName": name, "title": title });
    let made = stage.rollcall.scim(Method::POST, "/Users", &user).await?;
    Ok(made["id"].as_str().context("no id")?.to_owned())
}

async fn post(stage: &Stage, path: &str, token: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    let (status, answer) = stage.rollcall.raw(Method::POST, path, token, Some(body.to_string())).await?;
    Ok((status.as_u16(), answer))
}

fn in_an_hour() -> String {
    (Timestamp::now() + SignedDuration::from_hours(1)).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_is_refused_with_the_rule_and_the_first() -> anyhow::Result<()> {
    let stage = stage().await?;
    let anna = join(&stage, "anna", "Clerk").await?;
    stage.verified(&anna).await?;
    let ask = json!({ "identity": "anna", "what": "wiki:group:Signers", "for": "1h", "reason": "holidays" });
    let (status, answer) = post(&stage, "/v1/grants", "ola-secret", &ask).await?;
    let said = answer["detail"].as_str().unwrap_or_default();
    ensure!(status == 409 && said.contains("separation payments, Paying and signing"), "{status} {answer}");
    ensure!(said.contains("nobody pays what they have signed") && said.contains("wiki:group:Payers"), "{answer}");
    let why = stage.rollcall.api(&format!("/v1/explain?identity={anna}&entitlement=wiki:group:Signers")).await?;
    let kinds: Vec<&str> =
        why["missing"].as_array().context("no list")?.iter().filter_map(|m| m["kind"].as_str()).collect();
    ensure!(kinds.contains(&"separated"), "{why}");
    // Who holds no first may ask; and whoever gets the first meanwhile does not get the second.
    let nina = join(&stage, "nina", "Writer").await?;
    let asked = json!({ "identity": "nina", "what": "wiki:group:Signers", "for": "1h", "reason": "holidays" });
    let (status, grant) = post(&stage, "/v1/grants", "ola-secret", &asked).await?;
    ensure!(status == 202, "{status} {grant}");
    let moved = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "title", "value": "Clerk" }] });
    stage.rollcall.scim(Method::PATCH, &format!("/Users/{nina}"), &moved).await?;
    let approve = format!("/v1/grants/{}/approve", grant["id"].as_str().context("no id")?);
    let (status, answer) = post(&stage, &approve, "team-secret", &json!({})).await?;
    ensure!(status == 409 && answer["detail"].as_str().is_some_and(|d| d.contains("payments")), "{status} {answer}");
    ensure!(stage.rollcall.items("/v1/violations").await?.is_empty());
    let separations = stage.rollcall.items("/v1/separations").await?;
    ensure!(separations.len() == 1 && separations[0]["never_with"] == json!(["wiki:group:Signers"]), "{separations:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_both_is_found_accepted_by_two_and_found_no_more_once_one_is_verified_gone() -> anyhow::Result<()> {
    let stage = stage().await?;
    let anna = join(&stage, "anna", "Writer").await?;
    let bea = join(&stage, "bea", "Clerk").await?;
    let found =
        until("it is found", || async { Ok(stage.rollcall.items("/v1/violations").await?.into_iter().next()) }).await?;
    let id = found["id"].as_str().context("no id")?;
    ensure!(id == format!("payments.{bea}") && found["owner"] == "cfo@example.com", "{found}");
    ensure!(found["user_name"] == "bea" && found["status"] == "open" && found["accepted"] == Value::Null, "{found}");
    ensure!(found["held"].as_array().is_some_and(|held| held.len() == 2), "{found}");
    counted(&stage, "open").await?;
    // Of then, also once it is another one.
    let then = stage.rollcall.api("/v1/violations").await?["as_of"]["instant"].clone();
    let then = then.as_str().context("no instant")?.replace('+', "%2B");
    for path in ["/v1/violations?", "/v1/separations?", &format!("/v1/explain?identity={bea}&entitlement=wiki&")] {
        let (status, past) =
            stage.rollcall.raw(Method::GET, &format!("{path}as_of={then}"), "ola-secret", None).await?;
        ensure!(status == 200, "{path}: {status} {past}");
    }

    // One person is not enough, and whom it is about is neither of them.
    let accept = format!("/v1/violations/{id}/accept");
    let body = json!({ "reason": "holidays", "control": "the CFO looks at each payment", "expires_at": in_an_hour() });
    for (token, body, status) in [
        ("team-secret", body.clone(), 403),
        ("ola-secret", json!({ "reason": "holidays", "control": " ", "expires_at": in_an_hour() }), 400),
        ("ola-secret", json!({ "reason": "", "control": "c", "expires_at": in_an_hour() }), 400),
        ("ola-secret", json!({ "reason": "r", "control": "c", "expires_at": "2026-01-01T00:00:00Z" }), 400),
        ("ola-secret", json!({ "reason": "r", "expires_at": in_an_hour() }), 400),
    ] {
        let answer = post(&stage, &accept, token, &body).await?;
        ensure!(answer.0 == status, "{body}: {answer:?}");
    }
    let nobody = format!("/v1/violations/payments.{anna}/accept");
    ensure!(post(&stage, &nobody, "ola-secret", &body).await?.0 == 404);
    let (status, asked) = post(&stage, &accept, "ola-secret", &body).await?;
    ensure!(status == 202, "{status} {asked}");
    let approve = format!("/v1/approvals/{}/approve", asked["approval"].as_str().context("it is done by one person")?);
    ensure!(post(&stage, &approve, "ola-secret", &json!({})).await?.0 == 403);
    ensure!(stage.rollcall.items("/v1/violations?status=accepted").await?.is_empty());
    let (status, answer) = post(&stage, &approve, "omar-secret", &json!({})).await?;
    ensure!(status == 202, "{status} {answer}");
    let accepted = stage.rollcall.items("/v1/violations?status=accepted").await?;
    ensure!(accepted.len() == 1 && accepted[0]["accepted"]["by"] == "ola", "{accepted:?}");
    ensure!(stage.rollcall.items("/v1/violations?status=open").await?.is_empty());
    let event = stage.seen("separation.violation_accepted").await?;
    ensure!(event["summary"].as_str().is_some_and(|s| s.contains("the CFO looks at each payment")), "{event}");
    counted(&stage, "accepted").await?;

    // The app does not take the removal: they hold both until it was read back without one.
    stage.verified(&bea).await?;
    stage.app.tell(APP, &Script { groups_fail: true, ..Script::default() }).await?;
    let moved = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "path": "title", "value": "Writer" }] });
    stage.rollcall.scim(Method::PATCH, &format!("/Users/{bea}"), &moved).await?;
    until("it is to be taken away", || async {
        let found = stage.rollcall.items("/v1/violations").await?;
        let held = found.first().and_then(|one| one["held"].as_array().cloned()).unwrap_or_default();
        Ok(held.iter().any(|one| one["reasons"] == json!([])).then_some(()))
    })
    .await?;
    stage.app.tell(APP, &Script::default()).await?;
    until("one is verified gone", || async {
        Ok(stage.rollcall.items("/v1/violations").await?.is_empty().then_some(()))
    })
    .await?;
    stage.verified(&bea).await?;
    let past = stage.rollcall.items(&format!("/v1/violations?as_of={then}")).await?;
    ensure!(past.len() == 1 && past[0]["status"] == "open" && past[0]["accepted"] == Value::Null, "{past:?}");
    Ok(())
}

/// Waits until the metric says that one is of this status.
async fn counted(stage: &Stage, status: &str) -> anyhow::Result<()> {
    let sample = format!("rollcall_separation_violations{{separation=\"payments\",status=\"{status}\"}} 1");
    until("it is counted", || async {
        let (_, metrics) = stage.rollcall.raw(Method::GET, "/metrics", "", None).await?;
        Ok(metrics.as_str().is_some_and(|text| text.lines().any(|line| line == sample)).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_and_the_terminal_show_it_and_ask_for_its_acceptance() -> anyhow::Result<()> {
    let stage = stage().await?;
    let bea = join(&stage, "bea", "Clerk").await?;
    stage.verified(&bea).await?;
    let ola = Browser::signed_in(&stage.rollcall, "ola-secret").await?;
    let (status, page) = ola.page("/console/violations").await?;
    ensure!(status == 200 && page.contains("Paying and signing") && page.contains("cfo@example.com"), "{page}");
    let id = format!("payments.{bea}");
    let (status, page) = ola.page(&format!("/console/act?do=accept-violation&id={id}")).await?;
    ensure!(status == 200 && page.contains("What is done instead"), "{page}");
    let act = |control: &'static str| {
        let id = id.clone();
        let ola = &ola;
        async move {
            let fields = [
                ("do", "accept-violation"),
                ("id", id.as_str()),
                ("reason", "holidays"),
                ("for", "24"),
                ("control", control),
            ];
            ola.act(&fields).await
        }
    };
    let (status, _, page) = act("").await?;
    ensure!(status == 400 && page.contains("what is done instead") && page.contains("holidays"), "{status} {page}");
    let (status, to, page) = act("each payment is looked at").await?;
    ensure!(status == 303 && to.contains("waits="), "{status} {to} {page}");

    let run = |args: Vec<String>| {
        let server = stage.rollcall.address();
        async move {
            let mut command = command();
            command.args(args).env("ROLLCALL_SERVER", server).env("ROLLCALL_API_TOKEN", "omar-secret");
            let output = command.output().await?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            anyhow::Ok((output.status.code(), said))
        }
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (code, said) = run(words("separations")).await?;
    ensure!(code == Some(0) && said.contains("Paying and signing") && said.contains("wiki:group:Signers"), "{said}");
    let (code, said) = run(words("violations --status open")).await?;
    ensure!(code == Some(0) && said.contains("bea") && said.contains(&id), "{said}");
    let accept = format!("violations accept {id} --control looked-at --for 1h --reason holidays");
    let (code, said) = run(words(&accept)).await?;
    ensure!(code == Some(1) && said.contains("--yes"), "{code:?} {said}");
    let (code, said) = run(words(&format!("{accept} --yes"))).await?;
    ensure!(code == Some(0), "{code:?} {said}");
    let waiting = stage.rollcall.raw(Method::GET, "/v1/approvals", "ola-secret", None).await?.1;
    ensure!(waiting["items"].as_array().is_some_and(|items| items.len() == 2), "{waiting}");
    Ok(())
}

//! An app that confirms a deletion and keeps the account is never believed.

use anyhow::ensure;
use axum::Router;
use axum::routing::post;
use reqwest::Method;
use rollcall_tests::rollcall::{API_TOKEN, APP_TOKEN, SOURCE_TOKEN};
use rollcall_tests::{App, Lying, Rollcall, until};
use serde_json::{Value, json};
use tokio::sync::watch;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

async fn webhook() -> anyhow::Result<(String, watch::Receiver<Vec<Value>>)> {
    let (sender, receiver) = watch::channel(Vec::new());
    let receive = |body: axum::body::Bytes| async move {
        let event: Value = serde_json::from_slice(&body).unwrap_or_default();
        sender.send_modify(|all: &mut Vec<Value>| all.push(event["data"].clone()));
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(receive))).await });
    Ok((url, receiver))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_deletion_that_did_not_happen_is_never_verified_and_stays_overdue() -> anyhow::Result<()> {
    let app = Lying::start().await?;
    let (hook, alerts) = webhook().await?;
    let apps = [App {
        id: "liar",
        base_url: app.base_url.clone(),
        assign: "userName pr",
        deprovision: "delete",
        leaver_sla: "1s",
        keys: "",
        tables: "",
    }];
    let rollcall = Rollcall::new(&apps, &format!("[[alerts]]\nkind = \"webhook\"\nurl = \"{hook}\""))?;
    rollcall.start().await?;
    let anna = rollcall.scim(Method::POST, "/Users", &json!({ "schemas": [USER], "userName": "anna" })).await?;
    let id = anna["id"].as_str().unwrap_or_default().to_owned();
    let account = || async { anyhow::Ok(rollcall.api(&format!("/v1/identities/{id}")).await?["accounts"][0].clone()) };
    until("the joiner verified", || async { Ok(account().await?["verified"].as_bool().filter(|v| *v)) }).await?;

    // One trace from the SCIM request to the app.
    let joined = &rollcall.items("/v1/timeline?type=identity.joined").await?[0];
    let trace = joined["trace_id"].as_str().unwrap_or_default().to_owned();
    ensure!(trace.len() == 32 && app.traceparents().iter().any(|t| t.contains(&trace)), "the trace was lost");

    rollcall.raw(Method::DELETE, &format!("/scim/v2/Users/{id}"), SOURCE_TOKEN, None).await?;
    let fired = |status: &'static str| {
        let alerts = alerts.clone();
        move || {
            let found =
                alerts.borrow().iter().find(|a| a["status"] == status && a["alert"] == "LeaverOverdue").cloned();
            async move { Ok(found) }
        }
    };
    let alert = until("the alert", fired("firing")).await?;
    ensure!(alert["apps"][0]["app"] == "liar", "{alert}");
    // It keeps trying, the app keeps confirming, and nothing is believed.
    let confirmed = app.deletes();
    until("more attempts", || async { Ok((app.deletes() >= confirmed + 3).then_some(())) }).await?;
    let leavers = rollcall.items("/v1/leavers?status=overdue").await?;
    ensure!(leavers.len() == 1 && leavers[0]["completed_at"].is_null(), "{leavers:?}");
    ensure!(rollcall.items("/v1/drift?kind=zombie").await?.len() == 1, "no zombie");
    ensure!(rollcall.items("/v1/timeline?type=account.verified").await?.len() == 1, "the leaver was called verified");

    // A restart neither forgets nor repeats.
    rollcall.kill().await?;
    rollcall.start().await?;
    ensure!(rollcall.items("/v1/leavers?status=overdue").await?.len() == 1, "forgotten");
    until("the metrics are there", || async {
        let (_, metrics) = rollcall.raw(Method::GET, "/metrics", "", None).await?;
        let metrics = metrics.as_str().unwrap_or_default().to_owned();
        let names = ["rollcall_projection_lag_events", "rollcall_downstream_requests_total"];
        Ok(names.iter().all(|name| metrics.contains(name)).then_some(()))
    })
    .await?;

    // The app does it at last: verified, complete, resolved.
    app.repent();
    until("the leaver completed", || async {
        Ok(rollcall.items("/v1/leavers?status=completed").await?.into_iter().next())
    })
    .await?;
    until("the alert resolved", fired("resolved")).await?;
    ensure!(
        alerts.borrow().iter().filter(|a| a["status"] == "firing" && a["alert"] == "LeaverOverdue").count() == 1,
        "the alert was repeated"
    );

    let log = std::fs::read_to_string(rollcall.log_file())?;
    let events = rollcall.api("/v1/timeline?limit=200").await?.to_string();
    let (_, metrics) = rollcall.raw(Method::GET, "/metrics", "", None).await?;
    for secret in [SOURCE_TOKEN, API_TOKEN, APP_TOKEN] {
        for place in [&log, &events, &metrics.to_string()] {
            ensure!(!place.contains(secret), "a secret is shown");
        }
    }
    for name in [
        "rollcall_change_to_access_seconds_bucket",
        "rollcall_leaver_completion_seconds_count",
        "rollcall_obligations_open{",
        "rollcall_obligations_overdue{",
        "rollcall_oldest_overdue_seconds",
        "rollcall_drift_items{",
        "rollcall_drift_debt_hours{",
        "rollcall_alerts_total{",
        "rollcall_events_appended_total{",
    ] {
        ensure!(metrics.to_string().contains(name), "{name} is missing");
    }
    rollcall.stop().await
}

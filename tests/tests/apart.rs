//! A process per service on a shared nats-server: the same flow, and one trace through all of it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_event_log::LEASE_TERM;
use rollcall_tests::rollcall::{API_TOKEN, SOURCE_TOKEN, command};
use rollcall_tests::{App, Collector, Faulty, NatsServer, Rollcall, Scim2Server, Script, until};
use rustix::process::Signal;
use serde_json::json;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

fn app(id: &'static str, base_url: String) -> App {
    App::usual(id, base_url)
}

#[tokio::test(flavor = "multi_thread")]
async fn services_apart_do_what_they_do_together_and_one_trace_leads_through_them() -> anyhow::Result<()> {
    let server = Scim2Server::start().await?;
    let collector = Collector::start().await?;
    let extra = format!("[telemetry]\notlp_endpoint = \"{}\"", collector.endpoint);
    let rollcall = Rollcall::apart(&[app("wiki", server.base_url.clone())], &extra).await?;
    rollcall.start().await?;

    let eve = json!({ "schemas": [USER], "userName": "eve@example.com", "title": "Dev" });
    let id = rollcall.scim(Method::POST, "/Users", &eve).await?["id"].as_str().context("no id")?.to_owned();
    // The gateway passes /v1 on to the projector.
    let verified = || async {
        let identity = rollcall.api(&format!("/v1/identities/{id}")).await?;
        Ok(identity["accounts"][0]["verified"].as_bool().filter(|v| *v))
    };
    until("the account is verified", verified).await?;
    ensure!(server.users().await?.iter().filter(|u| u["userName"] == "eve@example.com").count() == 1);

    let joined = &rollcall.items("/v1/timeline?type=identity.joined").await?[0];
    let trace = joined["trace_id"].as_str().context("no trace")?;
    let wanted = [
        ("rollcall-gateway", "POST /scim/v2/Users", None),
        ("rollcall-provisioner", "provision", Some(("app", "wiki"))),
        ("rollcall-provisioner", "downstream", Some(("operation", "create"))),
        ("rollcall-provisioner", "downstream", Some(("operation", "read"))),
    ];
    until("one trace from the request to the read-back", || async {
        let spans = collector.trace(trace);
        let all = wanted.iter().all(|(service, name, attribute)| {
            let fits = |a: &Option<(&str, &str)>, s: &rollcall_tests::SeenSpan| a.is_none_or(|(n, v)| s.says(n, v));
            spans.iter().any(|s| s.service == *service && s.name == *name && fits(attribute, s))
        });
        Ok(all.then_some(()))
    })
    .await?;

    // Killed and started again, each service goes on where it was.
    rollcall.kill().await?;
    rollcall.start().await?;
    rollcall.raw(Method::DELETE, &format!("/scim/v2/Users/{id}"), SOURCE_TOKEN, None).await?;
    until("the leaver is complete", || async {
        Ok(rollcall.items("/v1/leavers?status=completed").await?.into_iter().next())
    })
    .await?;
    let users = server.users().await?;
    ensure!(users.len() == 1 && users[0]["active"] == false, "{users:?}");
    rollcall.stop().await
}

#[tokio::test]
async fn a_gateway_without_a_projector_says_so() -> anyhow::Result<()> {
    let rollcall = Rollcall::apart(&[], "").await?;
    rollcall.start().await?;
    rollcall.stop_service("projector").await?;
    let (status, answer) = rollcall.raw(Method::GET, "/v1/timeline", API_TOKEN, None).await?;
    ensure!(status == 502 && answer["detail"].as_str().is_some_and(|d| d.contains("projector")), "{status} {answer}");
    let made =
        rollcall.scim(Method::POST, "/Users", &json!({ "schemas": [USER], "userName": "n@example.com" })).await?;
    ensure!(made["userName"] == "n@example.com", "the door depends on the projector: {made}");
    Ok(())
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_told_why_not() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "")?;
    rollcall.start().await?;
    let mut second = command();
    second.arg("up").arg("--config").arg(rollcall.config_file()).arg("--data-dir").arg(rollcall.data_dir());
    second.args(["--listen", "127.0.0.1:0"]).env("TEST_SOURCE", SOURCE_TOKEN).env("TEST_API", API_TOKEN);
    let output = second.output().await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let folder = rollcall.data_dir().display().to_string();
    ensure!(!output.status.success() && said.contains(&folder) && said.contains("another process"), "{said}");
    // The first one does not notice.
    rollcall.items("/v1/apps").await?;
    rollcall.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_gateways_one_gives_a_name_away_and_both_see_it() -> anyhow::Result<()> {
    let rollcall = Rollcall::apart(&[], "").await?;
    rollcall.start().await?;
    let addresses = [rollcall.address(), rollcall.second_gateway().await?];
    let client = reqwest::Client::new();
    for round in 0..10 {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..16 {
            // The same name to everybody but a computer.
            let name = [format!("zoë{round}"), format!("ZOË{round}"), format!("zoe\u{308}{round}")][n % 3].clone();
            let request = client.post(format!("{}/scim/v2/Users", addresses[n % 2])).bearer_auth(SOURCE_TOKEN);
            let body = json!({ "schemas": [USER], "userName": name }).to_string();
            tasks.spawn(async move { anyhow::Ok(request.body(body).send().await?.status().as_u16()) });
        }
        let mut statuses = Vec::new();
        while let Some(status) = tasks.join_next().await {
            statuses.push(status??);
        }
        statuses.sort_unstable();
        let taken = statuses.iter().filter(|s| **s == 409).count();
        ensure!(statuses[0] == 201 && taken == 15, "round {round}: {statuses:?}");
    }
    for address in addresses {
        let list = client.get(format!("{address}/scim/v2/Users")).bearer_auth(SOURCE_TOKEN).send().await?;
        let list: serde_json::Value = serde_json::from_str(&list.text().await?)?;
        ensure!(list["totalResults"] == 10, "{list}");
    }
    rollcall.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provisioner_that_was_stopped_for_longer_than_its_leases_goes_on_with_its_apps() -> anyhow::Result<()> {
    let server = Faulty::start().await?;
    server.tell("quirky", &Script::default()).await?;
    let rollcall = Rollcall::apart(&[app("quirky", server.base_url("quirky"))], "").await?;
    rollcall.start().await?;
    let accounts = |count: usize| {
        let server = &server;
        move || async move { Ok((server.users("quirky").len() == count).then_some(())) }
    };
    let join = |name: &'static str| json!({ "schemas": [USER], "userName": name });
    rollcall.scim(Method::POST, "/Users", &join("anna")).await?;
    until("Anna has an account", accounts(1)).await?;
    rollcall.signal("provisioner", Signal::STOP).await?;
    // Time is what it must notice when it goes on: its leases have run out, and nobody has taken them.
    tokio::time::sleep(LEASE_TERM + Duration::from_secs(1)).await;
    rollcall.signal("provisioner", Signal::CONT).await?;
    rollcall.scim(Method::POST, "/Users", &join("ben")).await?;
    until("Ben has an account", accounts(2)).await?;
    rollcall.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_server_that_was_started_again_has_forgotten_the_leases_and_work_goes_on() -> anyhow::Result<()> {
    let server = Faulty::start().await?;
    server.tell("quirky", &Script::default()).await?;
    let mut nats = NatsServer::start().await?;
    let settings = format!("url = \"{}\"\nmonitoring_url = \"{}\"\n", nats.url, nats.monitoring_url);
    let rollcall = Rollcall::on(settings, &[app("quirky", server.base_url("quirky"))], "")?;
    rollcall.start().await?;
    for (n, name) in ["anna", "ben"].into_iter().enumerate() {
        let user = json!({ "schemas": [USER], "userName": name }).to_string();
        until("the change is acknowledged", || async {
            let answer = rollcall.raw(Method::POST, "/scim/v2/Users", SOURCE_TOKEN, Some(user.clone())).await;
            Ok(answer.is_ok_and(|(status, _)| status == 201).then_some(()))
        })
        .await?;
        until("there is an account", || async { Ok((server.users("quirky").len() == n + 1).then_some(())) }).await?;
        nats.kill().await?;
        nats.run().await?;
    }
    rollcall.stop().await
}

//! The public address: who is told what, how often, and where health is asked.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::{API_TOKEN, SOURCE_TOKEN, free_port};
use rollcall_tests::{Rollcall, until};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const LOWER: &str = "stra\u{df}e@example.com";

fn named(name: &str) -> String {
    json!({ "schemas": [USER], "userName": name }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_keeps_an_answer_and_nobody_takes_part_in_anothers_story() -> anyhow::Result<()> {
    let other = "[[sources]]\nname = \"payroll\"\ntoken = \"payroll-secret\"\n";
    let rollcall = Rollcall::new(&[], other)?;
    rollcall.start().await?;
    let http = reqwest::Client::new();
    let make = |token: &str, name: &str| {
        http.post(format!("{}/scim/v2/Users", rollcall.address()))
            .bearer_auth(token)
            .header("content-type", "application/scim+json")
            .header("x-correlation-id", "ticket-1")
            .body(named(name))
            .send()
    };
    let mut stories = Vec::new();
    for (token, name) in [(SOURCE_TOKEN, "anna"), ("payroll-secret", "ben")] {
        let made = make(token, name).await?;
        ensure!(made.status() == 201, "{made:?}");
        ensure!(made.headers().get("cache-control").is_some_and(|v| v == "no-store"), "{made:?}");
        ensure!(made.headers().get("x-content-type-options").is_some_and(|v| v == "nosniff"), "{made:?}");
        stories.push(made.headers().get("x-correlation-id").context("no id")?.to_str()?.to_owned());
    }
    for story in stories {
        let told = until("the story", || async {
            let told = rollcall.items(&format!("/v1/timeline?type=identity.joined&correlation_id={story}")).await?;
            Ok((!told.is_empty()).then_some(told))
        })
        .await?;
        ensure!(told.len() == 1, "{told:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_one_when_case_is_folded_are_one() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "")?;
    rollcall.start().await?;
    for (name, status) in [(LOWER, 201), ("STRASSE@EXAMPLE.COM", 409), ("\u{3c3}\u{3c2}", 201), ("\u{3a3}\u{3a3}", 409)]
    {
        let (found, body) = rollcall.raw(Method::POST, "/scim/v2/Users", SOURCE_TOKEN, Some(named(name))).await?;
        ensure!(found == status, "{name}: {found} {body}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_is_told_to_wait_and_whoever_knows_is_let_in() -> anyhow::Result<()> {
    let bounds = "max_refusals_per_minute = 5\nmax_sign_ins_per_minute = 3\n";
    let rollcall = Rollcall::new(&[], "")?.with_server(bounds);
    rollcall.start().await?;
    for path in ["/v1/apps", "/scim/v2/Users"] {
        let mut statuses = Vec::new();
        for n in 0..8 {
            statuses.push(rollcall.raw(Method::GET, path, &format!("guess-{n}"), None).await?.0);
        }
        ensure!(statuses == [401, 401, 401, 401, 401, 429, 429, 429], "{path}: {statuses:?}");
    }
    ensure!(rollcall.raw(Method::GET, "/scim/v2/Users", SOURCE_TOKEN, None).await?.0 == 200);
    // Refused, and said.
    let refused = until("the refusals", || async {
        let found = rollcall.items("/v1/timeline?type=access.denied").await?;
        Ok((found.len() >= 5).then_some(found))
    })
    .await?;
    ensure!(refused.iter().all(|e| e["actor"] == "nobody"), "{refused:?}");
    let http = reqwest::Client::new();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let sent = http.post(format!("{}/console/sign-in", rollcall.address())).body("token=guess");
        statuses.push(
            sent.header("content-type", "application/x-www-form-urlencoded")
                .header("sec-fetch-site", "same-origin")
                .send()
                .await?
                .status()
                .as_u16(),
        );
    }
    ensure!(statuses == [401, 401, 401, 429, 429], "{statuses:?}");
    // Whoever may is let in all the same: they may have the address of a proxy.
    let sent = http.post(format!("{}/console/sign-in", rollcall.address())).body(format!("token={API_TOKEN}"));
    let sent = sent.header("content-type", "application/x-www-form-urlencoded");
    ensure!(sent.header("sec-fetch-site", "same-origin").send().await?.status().is_success(), "locked out");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_can_have_an_address_of_their_own() -> anyhow::Result<()> {
    let port = free_port();
    let rollcall = Rollcall::new(&[], "")?.with_server(&format!("management_listen = \"127.0.0.1:{port}\"\n"));
    rollcall.start().await?;
    let status = async |address: &str| anyhow::Ok(reqwest::get(address).await?.status().as_u16());
    for path in ["/metrics", "/healthz", "/readyz"] {
        ensure!(status(&format!("{}{path}", rollcall.address())).await? == 404, "{path} is open to all");
        ensure!(status(&format!("http://127.0.0.1:{port}{path}")).await? == 200, "{path} is nowhere");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_answers_nobody_is_not_ready() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "")?.with_server("max_requests_in_flight = 1\nbody_timeout = \"60s\"\n");
    rollcall.start().await?;
    let ready = || async {
        let answer = reqwest::get(format!("{}/readyz", rollcall.address())).await?;
        anyhow::Ok((answer.status().as_u16(), answer.json::<Value>().await?))
    };
    ensure!(ready().await?.0 == 200);
    // A body of a source that does not come: it has the only place.
    let address = rollcall.address().trim_start_matches("http://").to_owned();
    let mut connection = tokio::net::TcpStream::connect(&address).await?;
    let head = format!(
        "POST /scim/v2/Users HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {SOURCE_TOKEN}\r\n\
         content-type: application/scim+json\r\ncontent-length: 1000\r\n\r\n{{"
    );
    tokio::io::AsyncWriteExt::write_all(&mut connection, head.as_bytes()).await?;
    let said = until("it says so", || async {
        let (status, body) = ready().await?;
        Ok((status == 503).then_some(body))
    })
    .await?;
    let reason = said["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("/scim/v2/ServiceProviderConfig"), "{said}");
    drop(connection);
    until("it is ready again", || async { Ok((ready().await?.0 == 200).then_some(())) }).await
}

/// What is answered to a request as it stands: clients tidy up paths and headers.
async fn raw(rollcall: &Rollcall, head: &[u8]) -> anyhow::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(rollcall.address().trim_start_matches("http://")).await?;
    stream.write_all(head).await?;
    stream.write_all(b"Host: rollcall\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_can_not_be_read_is_one_and_dots_lead_nowhere() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "")?;
    rollcall.start().await?;
    let (status, made) = rollcall.raw(Method::POST, "/scim/v2/Users", SOURCE_TOKEN, Some(named("anna"))).await?;
    ensure!(status == 201, "{status} {made}");
    let id = made["id"].as_str().context("no id")?;
    let head = format!("DELETE /scim/v2/Users/{id} HTTP/1.1\r\nAuthorization: Bearer {SOURCE_TOKEN}\r\nIf-Match: ");
    let answer = raw(&rollcall, &[head.as_bytes(), b"\xff\r\n"].concat()).await?;
    ensure!(answer.starts_with("HTTP/1.1 412"), "{answer}");
    ensure!(rollcall.scim(Method::GET, &format!("/Users/{id}"), &Value::Null).await?["userName"] == "anna");
    for path in ["/v1/%2e%2e/metrics", "/console/%2E%2e/readyz", "/v1/../metrics", "/v1/.%2e/metrics"] {
        let head = format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer {API_TOKEN}\r\n");
        let answer = raw(&rollcall, head.as_bytes()).await?;
        let is_refused = ["400", "404"].iter().any(|status| answer.starts_with(&format!("HTTP/1.1 {status}")));
        ensure!(is_refused && answer.contains("application/problem+json"), "{path}: {answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_for_nobody_else_on_the_machine() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "")?;
    rollcall.start().await?;
    for service in ["gateway", "projector", "provisioner", "sla-monitor"] {
        let folder = rollcall.data_dir().join(service);
        let mode = std::fs::metadata(&folder).with_context(|| format!("{folder:?}"))?.permissions().mode();
        ensure!(mode & 0o077 == 0, "{folder:?}: {mode:o}");
    }
    Ok(())
}

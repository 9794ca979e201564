//! The console in a real browser: sign in, find the overdue leaver, open the timeline, watch it resolve.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use rollcall_tests::rollcall::API_TOKEN;
use rollcall_tests::{App, Lying, Rollcall, until};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_finds_the_overdue_leaver_and_sees_them_go() -> anyhow::Result<()> {
    // ./dev test gets Chromium where Debian's can be had.
    if std::env::var_os("ROLLCALL_CHROMIUM").is_none() {
        eprintln!("no Chromium: passed over");
        return Ok(());
    }
    let lying = Lying::start().await?;
    let app = App {
        id: "lying",
        base_url: lying.base_url.clone(),
        assign: "active eq true",
        deprovision: "delete",
        leaver_sla: "1s",
        // It is seen within seconds that the app gives in.
        keys: "retry_max = \"2s\"\n",
        tables: "",
    };
    let operator = "[[api_tokens]]\nname = \"ola\"\nrole = \"operator\"\ntoken = \"ola-secret\"\n";
    let rollcall = Rollcall::new(&[app], operator)?;
    rollcall.start().await?;
    for name in ["ada@example.com", "bob@example.com"] {
        let user = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name });
        let made = rollcall.scim(Method::POST, "/Users", &user).await?;
        let id = made["id"].as_str().context("no id")?;
        until("the account is verified", || async {
            let identity = rollcall.api(&format!("/v1/identities/{id}")).await?;
            Ok(identity["accounts"][0]["verified"].as_bool().filter(|v| *v).map(drop))
        })
        .await?;
        let operations = json!([{ "op": "replace", "path": "active", "value": false }]);
        let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations });
        rollcall.scim(Method::PATCH, &format!("/Users/{id}"), &patch).await?;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shots = here.join("../target/console");
    std::fs::create_dir_all(&shots)?;
    let python = std::env::var("ROLLCALL_PYTHON").context("ROLLCALL_PYTHON is not set: run ./dev test")?;
    let mut browser = Command::new(Path::new(&python).join("python"))
        .arg(here.join("apps/console.py"))
        .args([&rollcall.address(), API_TOKEN, "ada@example.com"])
        .arg(&shots)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut said = BufReader::new(browser.stdout.take().context("no output")?).lines();
    let mut tell = browser.stdin.take().context("no input")?;
    let mut trouble = browser.stderr.take().context("no errors")?;
    let walk = async {
        ensure!(said.next_line().await?.as_deref() == Some("overdue"), "it did not get that far");
        lying.repent();
        tell.write_all(b"resolved\n").await?;
        ensure!(said.next_line().await?.as_deref() == Some("done"), "it did not get to the end");
        Ok(())
    };
    if let Err(e) = walk.await {
        let mut text = String::new();
        trouble.read_to_string(&mut text).await?;
        return Err(anyhow::anyhow!("{e:#}\n{text}"));
    }
    ensure!(browser.wait().await?.success(), "the walk failed at its end");
    ensure!(shots.join("resolved.png").metadata()?.len() > 1000, "no screenshot");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_with_their_identity_provider_and_get_the_role_of_their_group() -> anyhow::Result<()> {
    if std::env::var_os("ROLLCALL_CHROMIUM").is_none() {
        eprintln!("no Chromium: passed over");
        return Ok(());
    }
    let python = std::env::var("ROLLCALL_PYTHON").context("ROLLCALL_PYTHON is not set: run ./dev test")?;
    let port = rollcall_tests::free_port();
    let issuer = format!("http://127.0.0.1:{port}");
    let _provider = Command::new(Path::new(&python).join("oidc-provider-mock"))
        .args(["--port", &port.to_string(), "--require-nonce", "true"])
        .args(["--user-claims", r#"{"sub": "ada", "email": "ada@example.com", "groups": ["staff", "iam-auditors"]}"#])
        .args(["--user-claims", r#"{"sub": "eve", "email": "eve@example.com", "groups": ["staff"]}"#])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let discovery = format!("{issuer}/.well-known/openid-configuration");
    until("the provider answers", || async { Ok(reqwest::get(&discovery).await.ok().map(drop)) }).await?;
    let extra = format!(
        "[oidc]\nname = \"the test provider\"\nissuer = \"{issuer}\"\nclient_id = \"rollcall\"\n\
         client_secret_env = \"TEST_SOURCE\"\n[oidc.roles]\niam-auditors = \"auditor\""
    );
    let rollcall = Rollcall::new(&[], &extra)?;
    rollcall.start().await?;
    let output = Command::new(Path::new(&python).join("python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/console_oidc.py"))
        .arg(rollcall.address())
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Whoever is woken follows a link, and has to sign in first.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_in_lands_on_the_page_that_they_wanted() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "")?;
    rollcall.start().await?;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let at = |path: &str| format!("{}{path}", rollcall.address());
    let header = |answer: &reqwest::Response, name: &str| {
        answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let wanted = "/console/leavers?status=overdue&tab=1";
    let land = async |asked: &str| {
        let answer = http.get(at(asked)).send().await?;
        ensure!(answer.status() == 303 && header(&answer, "location") == "/console/sign-in", "{answer:?}");
        let cookie = header(&answer, "set-cookie").split(';').next().unwrap_or_default().to_owned();
        let signs = http.post(at("/console/sign-in")).header("cookie", cookie);
        let signs =
            signs.header("content-type", "application/x-www-form-urlencoded").body(format!("token={API_TOKEN}"));
        anyhow::Ok(header(&signs.send().await?, "location"))
    };
    ensure!(land(wanted).await? == wanted, "{}", land(wanted).await?);
    ensure!(land("/").await? == "/");
    // On another site a browser keeps the cookie of a session back: the page is asked for once more, from here.
    let answer = http.get(at(wanted)).header("sec-fetch-site", "cross-site").send().await?;
    ensure!(answer.status() == 200 && header(&answer, "refresh") == format!("0; url={wanted}"), "{answer:?}");
    let page = answer.text().await?;
    ensure!(page.contains("status=overdue") && page.contains("tab=1\""), "{page}");
    Ok(())
}

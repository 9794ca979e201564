//! What operators do to a Rollcall that runs: docs/operations has a page for each.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use axum::http::StatusCode;
use reqwest::Method;
use rollcall_tests::rollcall::{API_TOKEN, SOURCE_TOKEN, command};
use rollcall_tests::{App, Faulty, NatsCluster, NatsServer, Receiver, Rollcall, Script, until};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const APP: &str = "wiki";

fn user(name: &str) -> Value {
    json!({ "schemas": [USER], "userName": name, "title": "Dev" })
}

fn app(server: &Faulty) -> App {
    App::usual(APP, server.base_url(APP))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_source_is_replaced_while_both_are_accepted_and_nobody_is_refused() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("token");
    std::fs::write(&file, "first-token-5b1c\n")?;
    let rollcall = Rollcall::new(&[], &format!("[[sources]]\nname = \"idp\"\ntoken_file = {file:?}\n"))?;
    rollcall.start().await?;
    let works = |token: &'static str| {
        let rollcall = &rollcall;
        async move { anyhow::Ok(rollcall.raw(Method::GET, "/scim/v2/Users?count=0", token, None).await?.0 == 200) }
    };
    let opens = |token: &'static str, wanted: bool| {
        let works = &works;
        until("the file is believed", move || async move { Ok((works(token).await? == wanted).then_some(())) })
    };
    ensure!(works("first-token-5b1c").await? && !works("second-token-e07a").await?, "not its token");
    std::fs::write(&file, "second-token-e07a\nfirst-token-5b1c\n")?;
    opens("second-token-e07a", true).await?;
    ensure!(works("first-token-5b1c").await?, "the old one is refused before its time");
    // A file that is being written, or gone, ends nothing.
    std::fs::write(&file, "")?;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    ensure!(works("first-token-5b1c").await? && works("second-token-e07a").await?, "an empty file was believed");
    std::fs::write(&file, "second-token-e07a")?;
    opens("first-token-5b1c", false).await?;
    ensure!(works("second-token-e07a").await?, "the new one is refused");
    let written = std::fs::read_to_string(rollcall.log_file())?;
    ensure!(!written.contains("second-token") && !written.contains("first-token"), "a token is in the log");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_an_app_is_replaced_without_a_restart() -> anyhow::Result<()> {
    let (folder, server) = (tempfile::tempdir()?, Receiver::start().await?);
    server.answer(StatusCode::OK);
    let file = folder.path().join("token");
    std::fs::write(&file, "first-token-5b1c")?;
    let text = format!(
        "[[apps]]\nid = \"hr\"\nbase_url = {:?}\nowner = \"o@example.com\"\nassign = 'active eq true'\nretry_min = \"100ms\"\n\
         retry_max = \"200ms\"\nprobe_every = \"200ms\"\ntoken_file = {file:?}\n",
        server.url
    );
    let rollcall = Rollcall::new(&[], &text)?;
    rollcall.start().await?;
    rollcall.scim(Method::POST, "/Users", &user("anna")).await?;
    let sent = |token: &'static str| {
        let last = server.all().last().and_then(|r| r.headers.get("authorization").cloned());
        async move { Ok(last.filter(|h| h.as_bytes() == format!("Bearer {token}").as_bytes()).map(drop)) }
    };
    until("the app is asked with its token", || sent("first-token-5b1c")).await?;
    std::fs::write(&file, "second-token-e07a")?;
    until("the app is asked with its new token", || sent("second-token-e07a")).await
}

/// An engine starts a check again and again: one that watches does for many.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_watches_goes_on_while_it_is_ready_and_is_brief_while_it_is_young() -> anyhow::Result<()> {
    let rollcall = Rollcall::new(&[], "")?;
    rollcall.start().await?;
    let address = rollcall.address().replace("http://", "");
    let check = |seconds: &str| command().args(["ready", "--address", &address, "--watch", seconds]).output();
    let brief = tokio::time::timeout(Duration::from_secs(60), check("3600")).await.context("it was watched")??;
    ensure!(brief.status.success(), "{brief:?}");
    until("it has been ready for a while", || async {
        let text = rollcall.raw(Method::GET, "/readyz", API_TOKEN, None).await?.1;
        Ok(text["since_seconds"].as_u64().filter(|seconds| *seconds >= 20))
    })
    .await?;
    let started = Instant::now();
    let watched = check("7").await?;
    ensure!(watched.status.success(), "{watched:?}");
    ensure!(started.elapsed() >= Duration::from_secs(5), "it asked only once");
    let watching = check("7");
    let (cut, killed) = tokio::join!(watching, rollcall.kill());
    killed?;
    ensure!(!cut?.status.success(), "what is gone is ready");
    Ok(())
}

/// `rollcall backup` or `restore`, as an operator runs it; what it said.
async fn operate(what: &str, file: &Path, rollcall: &Rollcall) -> anyhow::Result<(bool, String)> {
    let mut command = command();
    command.arg(what).arg(file).arg("--config").arg(rollcall.config_file());
    let output = command.arg("--data-dir").arg(rollcall.data_dir()).output().await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), said))
}

fn settings(nats: &NatsServer) -> String {
    format!("url = \"{}\"\nmonitoring_url = \"{}\"\n", nats.url, nats.monitoring_url)
}

/// What the API says about everyone, and what an auditor exports.
async fn story(rollcall: &Rollcall) -> anyhow::Result<(Vec<Value>, Vec<Value>)> {
    Ok((rollcall.items("/v1/identities").await?, rollcall.items("/v1/leavers").await?))
}

async fn verified(rollcall: &Rollcall, id: &str) -> anyhow::Result<()> {
    until("the account is verified", || async {
        let identity = rollcall.api(&format!("/v1/identities/{id}")).await?;
        Ok((identity["accounts"][0]["verified"] == true).then_some(()))
    })
    .await
}

async fn join(rollcall: &Rollcall, name: &str) -> anyhow::Result<String> {
    let id = rollcall.scim(Method::POST, "/Users", &user(name)).await?["id"].as_str().context("no id")?.to_owned();
    verified(rollcall, &id).await?;
    Ok(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_backed_up_is_restored_elsewhere_and_the_projections_rebuild_themselves() -> anyhow::Result<()> {
    let (server, folder) = (Faulty::start().await?, tempfile::tempdir()?);
    server.tell(APP, &Script::default()).await?;
    let rollcall = Rollcall::apart(&[app(&server)], "").await?;
    rollcall.start().await?;
    join(&rollcall, "anna").await?;
    let ben = join(&rollcall, "ben").await?;
    rollcall.raw(Method::DELETE, &format!("/scim/v2/Users/{ben}"), SOURCE_TOKEN, None).await?;
    until("the leaver is complete", || async {
        Ok(rollcall.items("/v1/leavers?status=completed").await?.into_iter().next())
    })
    .await?;
    let before = story(&rollcall).await?;
    // While it is used.
    let file = folder.path().join("log.backup");
    let (good, said) = operate("backup", &file, &rollcall).await?;
    ensure!(good && said.contains("events are saved"), "{said}");
    let (good, said) = operate("restore", &file, &rollcall).await?;
    ensure!(!good && said.contains("already"), "a log was restored over another: {said}");
    rollcall.stop().await?;

    // Another machine: the backup, and nothing else.
    let mut nats = NatsServer::at(folder.path().join("nats.conf"), &folder.path().join("store"), "")?;
    nats.run().await?;
    let elsewhere = Rollcall::on(settings(&nats), &[app(&server)], "")?;
    elsewhere.configure()?;
    std::fs::write(folder.path().join("other"), "{\"rollcall_backup\": 1}\n")?;
    let (good, said) = operate("restore", &folder.path().join("other"), &elsewhere).await?;
    ensure!(!good && said.contains("no backup"), "{said}");
    let (good, said) = operate("restore", &file, &elsewhere).await?;
    ensure!(good && said.contains("events are restored"), "{said}");
    elsewhere.start().await?;
    ensure!(story(&elsewhere).await? == before, "another story than before");
    join(&elsewhere, "cleo").await?;
    ensure!(server.creations(APP) == 3, "{} accounts were made for three people", server.creations(APP));
    elsewhere.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_log_is_backed_up_while_rollcall_is_stopped() -> anyhow::Result<()> {
    let (server, folder) = (Faulty::start().await?, tempfile::tempdir()?);
    server.tell(APP, &Script::default()).await?;
    let rollcall = Rollcall::new(&[app(&server)], "")?;
    rollcall.start().await?;
    join(&rollcall, "anna").await?;
    let before = story(&rollcall).await?;
    let file = folder.path().join("log.backup");
    let (good, said) = operate("backup", &file, &rollcall).await?;
    ensure!(!good && said.contains("in use by another process") && !file.exists(), "{said}");
    rollcall.stop().await?;
    let (good, said) = operate("backup", &file, &rollcall).await?;
    ensure!(good, "{said}");
    std::fs::remove_dir_all(rollcall.data_dir())?;
    std::fs::create_dir_all(rollcall.data_dir())?;
    let (good, said) = operate("restore", &file, &rollcall).await?;
    ensure!(good, "{said}");
    rollcall.start().await?;
    ensure!(story(&rollcall).await? == before, "another story than before");
    rollcall.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_has_lost_its_volume_reads_the_log_again() -> anyhow::Result<()> {
    let server = Faulty::start().await?;
    server.tell(APP, &Script::default()).await?;
    let rollcall = Rollcall::apart(&[app(&server)], "").await?;
    rollcall.start().await?;
    join(&rollcall, "anna").await?;
    let before = story(&rollcall).await?;
    for service in ["gateway", "projector", "provisioner", "sla-monitor"] {
        rollcall.kill_service(service).await?;
        std::fs::remove_dir_all(rollcall.data_dir().join(service))?;
        rollcall.start_service(service).await?;
    }
    ensure!(story(&rollcall).await? == before, "another story than before");
    let (status, _) = rollcall.raw(Method::GET, "/v1/checkpoints/latest", API_TOKEN, None).await?;
    ensure!(status == 200 || status == 404, "{status}");
    join(&rollcall, "ben").await?;
    ensure!(server.creations(APP) == 2, "{} accounts were made for two people", server.creations(APP));
    rollcall.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_becomes_three_and_keeps_its_events() -> anyhow::Result<()> {
    let server = Faulty::start().await?;
    server.tell(APP, &Script::default()).await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_owned();
    let mut alone = NatsServer::at(path.join("alone.conf"), &path.join("alone"), "")?;
    alone.run().await?;
    let rollcall = Rollcall::on(settings(&alone), &[app(&server)], "")?;
    rollcall.start().await?;
    join(&rollcall, "anna").await?;
    let before = story(&rollcall).await?;
    rollcall.stop().await?;
    let file = path.join("log.backup");
    let (good, said) = operate("backup", &file, &rollcall).await?;
    ensure!(good, "{said}");
    alone.stop().await?;

    let mut cluster = NatsCluster::at(folder, 3)?;
    let three =
        format!("url = \"{}\"\nmonitoring_url = \"{}\"\nreplicas = 3\n", cluster.url(), cluster.monitoring_url());
    let rollcall = Rollcall::on(three, &[app(&server)], "")?;
    rollcall.configure()?;
    // It waits for servers that start at the same time and have no leader yet.
    let (restored, together) = tokio::join!(operate("restore", &file, &rollcall), cluster.run());
    together?;
    let (good, said) = restored?;
    ensure!(good, "{said}");
    rollcall.start().await?;
    ensure!(story(&rollcall).await? == before, "another story than before");
    join(&rollcall, "ben").await?;
    rollcall.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_configuration_stops_the_process_for_its_restart_and_a_mistake_in_it_does_not() -> anyhow::Result<()>
{
    let rollcall = Rollcall::new(&[], "")?;
    rollcall.configure()?;
    let (file, log) = (rollcall.config_file(), rollcall.log_file());
    let mut child = command()
        .args(["up", "--stop-on-change", "--config"])
        .arg(&file)
        .arg("--data-dir")
        .arg(rollcall.data_dir())
        .envs([("TEST_SOURCE", SOURCE_TOKEN), ("TEST_API", API_TOKEN)])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log)?)
        .kill_on_drop(true)
        .spawn()?;
    let logged = |words: &'static str| {
        let log = &log;
        until(words, move || async move { Ok(std::fs::read_to_string(log)?.contains(words).then_some(())) })
    };
    logged("\"ready\"").await?;
    let good = std::fs::read_to_string(&file)?;
    std::fs::write(&file, format!("{good}[nonsense]\nkey = 1\n"))?;
    logged("is not taken").await?;
    ensure!(child.try_wait()?.is_none() && std::fs::read_to_string(&log)?.contains("nonsense"), "it is not named");
    std::fs::write(&file, format!("{good}[audit]\ncheckpoint_every = \"30s\"\n"))?;
    let ended = tokio::time::timeout(Duration::from_secs(60), child.wait()).await.context("it goes on")??;
    ensure!(ended.success(), "{ended}: {}", std::fs::read_to_string(&log)?);
    Ok(())
}

/// The pages promise that someone has tried what they say.
#[test]
fn every_page_names_tests_that_there_are() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut tests = String::new();
    for folder in ["tests/tests", "services/sla-monitor/tests", "crates/event-log/tests"] {
        for file in std::fs::read_dir(root.join(folder))? {
            let path = file?.path();
            if path.extension().is_some_and(|e| e == "rs") {
                tests.push_str(&std::fs::read_to_string(path)?);
            }
        }
    }
    let index = std::fs::read_to_string(root.join("docs/operations/README.md"))?;
    for page in std::fs::read_dir(root.join("docs/operations"))? {
        let (path, name) =
            (page.as_ref().map(std::fs::DirEntry::path), page.as_ref().map(std::fs::DirEntry::file_name));
        let (Ok(path), Ok(name)) = (path, name) else { continue };
        let (text, name) = (std::fs::read_to_string(path)?, name.to_string_lossy().into_owned());
        if name == "README.md" {
            continue;
        }
        ensure!(index.contains(&format!("]({name})")), "{name} is not in the list of pages");
        let (_, tried) = text.split_once("Tried by: ").with_context(|| format!("{name} does not say what tries it"))?;
        for test in tried.split('`').skip(1).step_by(2).filter(|t| !t.contains(' ')) {
            ensure!(tests.contains(&format!("async fn {test}(")), "{name}: there is no test {test}");
        }
    }
    Ok(())
}

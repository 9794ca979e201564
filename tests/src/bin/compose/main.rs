//! `./dev test-compose`: docker-compose.yml and deploy/compose.cluster.yml brought up for real, and looked at from outside.

mod deployment;
mod images;
mod mistakes;
mod secrets;
mod walk;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use deployment::{Deployment, Shape, say};
use reqwest::{Client, Method};
use rollcall_tests::rollcall::{APP_TOKEN, free_port};
use rollcall_tests::until;
use tokio::process::Command;
use walk::Outside;

const SINGLE: Shape = Shape {
    file: "docker-compose.yml",
    services: &["nats", "gateway", "projector", "provisioner", "sla-monitor"],
    cut: &["provisioner", "nats"],
    profile: None,
};

const DEMO: Shape = Shape { file: SINGLE.file, services: SINGLE.services, cut: &[], profile: Some("demo") };

/// Of its services those whose images can be had without a registry.
const OBSERVED: Shape = Shape {
    file: SINGLE.file,
    services: &["nats", "gateway", "projector", "provisioner", "sla-monitor", "prometheus", "alertmanager"],
    cut: &[],
    profile: Some("observability"),
};

const CLUSTER: Shape = Shape {
    file: "deploy/compose.cluster.yml",
    services: &[
        "nats-1",
        "nats-2",
        "nats-3",
        "gateway-1",
        "gateway-2",
        "projector-1",
        "projector-2",
        "provisioner-1",
        "provisioner-2",
        "sla-monitor-1",
        "sla-monitor-2",
        "address",
    ],
    cut: &["provisioner-1", "nats-2"],
    profile: None,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let shapes = match std::env::args().nth(1).as_deref() {
        None => vec![SINGLE, DEMO, OBSERVED, CLUSTER],
        Some("single") => vec![SINGLE],
        Some("demo") => vec![DEMO],
        Some("observability") => vec![OBSERVED],
        Some("cluster") => vec![CLUSTER],
        Some(other) => bail!("there is 'single', 'demo', 'observability' and 'cluster', and no '{other}'"),
    };
    let folder = tempfile::tempdir()?;
    say("making images …");
    images::images(folder.path()).await?;
    let watchers = images::watchers(folder.path()).await?;
    let mut version = Command::new("docker");
    let version = version.args(["compose", "version"]).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    let plugin = version.is_ok_and(|status| status.success());
    let compose: Vec<String> =
        if plugin { vec!["docker".into(), "compose".into()] } else { vec!["docker-compose".into()] };
    let mut passed = 0;
    for shape in shapes {
        if shape.profile == OBSERVED.profile && !watchers {
            say("*** no Prometheus and Alertmanager here: the profile 'observability' was not tried ***");
            continue;
        }
        let settings = folder.path().join(shape.file.replace('/', "-"));
        for service in ["gateway", "projector", "provisioner", "sla-monitor"] {
            std::fs::create_dir_all(settings.join("secrets").join(service))?;
        }
        one(shape, compose.clone(), &settings).await?;
        passed += 1;
    }
    say(&format!("{passed} passed, 0 failed"));
    Ok(())
}

async fn one(shape: Shape, compose: Vec<String>, settings: &Path) -> anyhow::Result<()> {
    say(&format!("{}{} …", shape.file, shape.profile.map(|p| format!(", profile {p}")).unwrap_or_default()));
    let port = free_port();
    let pairs = [
        ("ROLLCALL_IMAGE", "rollcall:test".to_owned()),
        ("NATS_IMAGE", "rollcall-test/nats".to_owned()),
        ("HAPROXY_IMAGE", "rollcall-test/haproxy".to_owned()),
        ("DEMO_APP_IMAGE", "rollcall-test/demo-app".to_owned()),
        ("PROMETHEUS_IMAGE", "rollcall-test/prometheus".to_owned()),
        ("ALERTMANAGER_IMAGE", "rollcall-test/prometheus-alertmanager".to_owned()),
        ("ROLLCALL_PUBLISH", format!("127.0.0.1:{port}")),
        ("ROLLCALL_CONFIG_DIR", settings.display().to_string()),
        ("ROLLCALL_SECRETS_DIR", settings.join("secrets").display().to_string()),
    ];
    let mut deployment = Deployment {
        shape,
        compose,
        environment: pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        address: format!("http://127.0.0.1:{port}"),
        source: String::new(),
        api: String::new(),
        http: Client::builder().timeout(Duration::from_secs(10)).build()?,
    };
    deployment.clear().await?;
    let outcome = match deployment.shape.profile {
        profile if profile == DEMO.profile => demo(&deployment).await,
        Some(_) => observed(&deployment).await,
        None => test(&mut deployment, settings).await,
    };
    if outcome.is_err() {
        for service in ["setup"].iter().chain(deployment.shape.services) {
            let log = deployment.compose(&["logs", "--tail=15", service]).await.unwrap_or_default();
            println!("{log}");
        }
    }
    deployment.clear().await?;
    outcome
}

/// The walk-through against what is deployed, from nothing; once.
async fn demo(deployment: &Deployment) -> anyhow::Result<()> {
    let started = Instant::now();
    for said in ["verified gone from every app", "was played before"] {
        deployment.compose(&["up", "-d", "--no-build"]).await?;
        let id = deployment.container("demo").await?;
        let code = deployment.docker(&["wait", &id]).await?;
        let log = deployment.compose(&["logs", "--tail=100", "demo"]).await?;
        ensure!(code.trim() == "0" && log.contains(said), "the demo ended with {}:\n{log}", code.trim());
        say(&format!("the demo ended after {:.0} s: {said}", started.elapsed().as_secs_f64()));
    }
    deployment.healthy().await
}

/// Prometheus finds every service and our rules, and its sign of life is at Alertmanager.
async fn observed(deployment: &Deployment) -> anyhow::Result<()> {
    let started = Instant::now();
    let up = [&["up", "-d", "--no-build"], deployment.shape.services].concat();
    deployment.compose(&up).await?;
    deployment.healthy().await?;
    let prometheus = deployment.inner_address("prometheus", 9090).await?;
    let alertmanager = deployment.inner_address("alertmanager", 9093).await?;
    let ask = |address: String| async move {
        let answer = deployment.http.get(&address).send().await.ok()?;
        answer.json::<serde_json::Value>().await.ok()
    };
    until("Prometheus reads every service", || async {
        let targets = ask(format!("{prometheus}/api/v1/targets")).await.unwrap_or_default();
        let all = targets["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
        let read = all.iter().filter(|t| t["labels"]["job"] == "rollcall" && t["health"] == "up").count();
        Ok((read == 4).then_some(()))
    })
    .await?;
    let rules = ask(format!("{prometheus}/api/v1/rules")).await.context("Prometheus tells no rules")?.to_string();
    for rule in ["LeaverOverdue", "LeaverAtRisk", "AppQuarantined", "ProjectionLagging", "SourceSilent"] {
        ensure!(rules.contains(rule), "Prometheus has no rule {rule}: {rules}");
    }
    until("the sign of life is at Alertmanager", || async {
        let alerts = ask(format!("{alertmanager}/api/v2/alerts")).await.unwrap_or_default();
        let alive = |alert: &serde_json::Value| alert["labels"]["alertname"] == "Watchdog";
        Ok(alerts.as_array().is_some_and(|all| all.iter().any(alive)).then_some(()))
    })
    .await?;
    let took = started.elapsed().as_secs_f64();
    say(&format!(
        "Prometheus reads every service and has our rules, and Alertmanager hears from it, after {took:.0} s"
    ));
    Ok(())
}

async fn test(deployment: &mut Deployment, settings: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    deployment.compose(&["up", "-d", "--no-build"]).await?;
    deployment.healthy().await?;
    say(&format!("without any configuration: healthy after {:.0} s", started.elapsed().as_secs_f64()));
    let show = |name: &'static str| ["run", "--rm", "setup", "setup", "--dir=/run/rollcall", name];
    deployment.source = deployment.compose(&show("--show=source-token")).await?.trim().to_owned();
    deployment.api = deployment.compose(&show("--show=api-token")).await?.trim().to_owned();
    until("the address answers", || async {
        let answer = deployment.ask(Method::GET, "/scim/v2/ServiceProviderConfig", &deployment.source, None).await;
        Ok(answer.ok().filter(|(status, _)| status.is_success()).map(drop))
    })
    .await?;
    let log = deployment.compose(&["logs"]).await?;
    ensure!(log.contains("connect an identity provider"), "the log does not say how to connect a source:\n{log}");
    ensure!(!log.contains(&deployment.source) && !log.contains(&deployment.api), "a secret is in the log");
    // A minute in which nothing is tested: for who wants to know.
    if std::env::var_os("ROLLCALL_MEASURE_IDLE").is_some() {
        say(&format!("idle: {}", deployment.idle().await?));
    }

    // A configuration of one's own, with apps outside.
    let outside = Outside::start(&deployment.host().await?).await?;
    let text = format!(
        "[[sources]]\nname = \"default\"\ntoken_file = \"/run/rollcall/secrets/source-token\"\n\
         [[api_tokens]]\nname = \"operator\"\nrole = \"operator\"\ntoken_file = \"/run/rollcall/secrets/api-token\"\n\
         [[signing_keys]]\nkey_file = \"/run/rollcall/secrets/signing-key\"\n{}",
        outside.configuration()
    );
    std::fs::write(settings.join("rollcall.toml"), &text)?;
    std::fs::write(settings.join("secrets/provisioner/app-token"), APP_TOKEN)?;
    let own = ("ROLLCALL_CONFIG_FILE".to_owned(), "/etc/rollcall/rollcall.toml".to_owned());
    deployment.environment.push(own);
    deployment.compose(&["up", "-d", "--no-build"]).await?;
    deployment.healthy().await?;
    walk::walk(deployment, &outside).await?;
    let key = deployment.compose(&show("--show=public-key")).await?;
    proved(deployment, key.trim()).await?;
    secrets::each_has_its_own(deployment).await?;
    mistakes::mistakes(deployment, settings).await
}

/// What the auditor sees, through the gateway: the log is signed by the key that setup made, and nobody has touched it.
async fn proved(deployment: &Deployment, key: &str) -> anyhow::Result<()> {
    until("the end of the log is signed", || async {
        let newest = deployment.ask(Method::GET, "/v1/timeline?limit=1", &deployment.api, None).await?.1;
        Ok((newest["items"][0]["type"] == "log.checkpoint").then_some(()))
    })
    .await?;
    let (status, export) = deployment.ask(Method::GET, "/v1/export", &deployment.api, None).await?;
    ensure!(status == 200, "{status} {export}");
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), export.as_str().context("no lines")?)?;
    let output =
        rollcall_tests::rollcall::command().arg("verify").arg(file.path()).args(["--key", key]).output().await?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    say(said.lines().next().unwrap_or_default());
    let (status, page) = deployment.ask(Method::GET, "/console/sign-in", "", None).await?;
    ensure!(status == 200 && page.to_string().contains("API token"), "{status} {page}");
    Ok(())
}

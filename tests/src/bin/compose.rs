//! `./dev test-compose`: docker-compose.yml brought up for real, and looked at from outside. The images are made here: a base
//! of a few libraries, the binary that was built, and the nats-server that the tests use.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use reqwest::{Client, Method, StatusCode};
use rollcall_tests::rollcall::{APP_TOKEN, free_port};
use rollcall_tests::until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::Command;

const PROJECT: &str = "rollcall-test";
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const SERVICES: [&str; 5] = ["nats", "gateway", "projector", "provisioner", "sla-monitor"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn say(text: &str) {
    println!("{text}");
}

async fn run(
    program: &str,
    arguments: &[&str],
    folder: &Path,
    environment: &[(String, String)],
) -> anyhow::Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.envs(environment.iter().map(|(k, v)| (k.as_str(), v.as_str())));
    let output = command.output().await.with_context(|| format!("{program} can't be run"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{program} {}:\n{text}{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

/// The deployment under test.
struct Deployment {
    compose: Vec<String>,
    environment: Vec<(String, String)>,
    address: String,
    source: String,
    api: String,
    http: Client,
}

impl Deployment {
    async fn compose(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let (program, first) = self.compose.split_first().context("no compose")?;
        let mut all: Vec<&str> = first.iter().map(String::as_str).collect();
        all.extend(["-p", PROJECT]);
        all.extend(arguments);
        run(program, &all, &root(), &self.environment).await
    }

    async fn docker(&self, arguments: &[&str]) -> anyhow::Result<String> {
        run("docker", arguments, &root(), &self.environment).await
    }

    async fn container(&self, service: &str) -> anyhow::Result<String> {
        let id = self.compose(&["ps", "-q", service]).await?;
        id.lines().next().map(str::to_owned).with_context(|| format!("there is no container of {service}"))
    }

    async fn healthy(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        'again: loop {
            ensure!(
                started.elapsed() < Duration::from_secs(180),
                "not healthy in time:\n{}",
                self.compose(&["ps"]).await?
            );
            for service in SERVICES {
                let Ok(id) = self.container(service).await else {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    continue 'again;
                };
                let state = self.docker(&["inspect", "-f", "{{.State.Health.Status}}", &id]).await?;
                if state.trim() != "healthy" {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    continue 'again;
                }
            }
            return Ok(());
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.address)).bearer_auth(token);
        if let Some(body) = body {
            request = request.header("content-type", "application/scim+json").body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Sends a change until it is acknowledged, as an identity provider does.
    async fn push(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let started = Instant::now();
        loop {
            match self.ask(method.clone(), path, &self.source, Some(body)).await {
                Ok((status, answer)) if status.is_success() => return Ok(answer),
                // Created before the answer was lost.
                Ok((StatusCode::CONFLICT, _)) => {
                    let name = body["userName"].as_str().unwrap_or_default();
                    let search = format!("/scim/v2/Users?filter=userName%20eq%20%22{name}%22");
                    if let Ok((StatusCode::OK, found)) = self.ask(Method::GET, &search, &self.source, None).await
                        && found["totalResults"] == 1
                    {
                        return Ok(found["Resources"][0].clone());
                    }
                }
                Ok((status, answer)) => ensure!(status.is_server_error(), "{path}: {status} {answer}"),
                Err(_) => {}
            }
            ensure!(started.elapsed() < Duration::from_secs(120), "{path} was not acknowledged in time");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn items(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        let separator = if path.contains('?') { '&' } else { '?' };
        loop {
            let (status, page) =
                self.ask(Method::GET, &format!("{path}{separator}limit=200{cursor}"), &self.api, None).await?;
            ensure!(status.is_success(), "{path}: {status} {page}");
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    /// Waits until nothing is open any more.
    async fn all_ended(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let mut open = 0;
            for status in ["open", "applied", "overdue"] {
                match self.items(&format!("/v1/obligations?status={status}")).await {
                    Ok(found) => open += found.len(),
                    Err(_) => open += 1,
                }
            }
            if open == 0 {
                return Ok(());
            }
            ensure!(started.elapsed() < Duration::from_secs(120), "{open} obligations are still open");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// The images, made without any that has to be pulled.
async fn images(folder: &Path) -> anyhow::Result<()> {
    let binary = root().join("target/release/rollcall");
    let nats = std::env::var("ROLLCALL_NATS_SERVER").context("ROLLCALL_NATS_SERVER: ./dev test-compose sets it")?;
    let base = folder.join("base");
    std::fs::create_dir_all(base.join("lib/x86_64-linux-gnu"))?;
    std::fs::create_dir_all(base.join("lib64"))?;
    for library in ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"] {
        std::fs::copy(
            Path::new("/lib/x86_64-linux-gnu").join(library),
            base.join("lib/x86_64-linux-gnu").join(library),
        )?;
    }
    std::fs::copy("/lib64/ld-linux-x86-64.so.2", base.join("lib64/ld-linux-x86-64.so.2"))?;
    std::fs::create_dir_all(base.join("etc/ssl/certs"))?;
    std::fs::create_dir_all(base.join("tmp"))?;
    std::fs::copy("/etc/ssl/certs/ca-certificates.crt", base.join("etc/ssl/certs/ca-certificates.crt"))?;
    std::fs::write(base.join("Dockerfile"), "FROM scratch\nCOPY lib /lib\nCOPY lib64 /lib64\nCOPY etc /etc\n")?;
    let empty: [(String, String); 0] = [];
    run("docker", &["build", "-q", "-t", "rollcall-test/base", "."], &base, &empty).await?;
    let prebuilt = folder.join("binary");
    std::fs::create_dir_all(&prebuilt)?;
    std::fs::copy(binary, prebuilt.join("rollcall"))?;
    std::fs::write(prebuilt.join("Dockerfile"), "FROM scratch\nCOPY rollcall /rollcall\n")?;
    run("docker", &["build", "-q", "-t", "rollcall-test/binary", "."], &prebuilt, &empty).await?;
    let buildkit = [("DOCKER_BUILDKIT".to_owned(), "1".to_owned())];
    let arguments = [
        "build",
        "-q",
        "-f",
        "deploy/Dockerfile",
        "-t",
        "rollcall:test",
        "--build-arg",
        "RUNTIME_IMAGE=rollcall-test/base",
        "--build-arg",
        "BINARY_IMAGE=rollcall-test/binary",
        ".",
    ];
    // A client that can't use BuildKit by itself needs a plug-in; Debian's own can.
    let plugin = run("docker", &["buildx", "version"], &root(), &empty).await.is_ok();
    let client = if !plugin && Path::new("/usr/bin/docker").exists() { "/usr/bin/docker" } else { "docker" };
    run(client, &arguments, &root(), &buildkit).await?;
    let server = folder.join("nats");
    std::fs::create_dir_all(&server)?;
    std::fs::copy(nats, server.join("nats-server"))?;
    std::fs::copy("/bin/busybox", server.join("busybox")).context("busybox: install busybox-static")?;
    std::fs::write(
        server.join("Dockerfile"),
        "FROM scratch\nCOPY nats-server /nats-server\nCOPY busybox /bin/wget\nENV PATH=/bin\nENTRYPOINT [\"/nats-server\"]\n",
    )?;
    run("docker", &["build", "-q", "-t", "rollcall-test/nats", "."], &server, &empty).await?;
    let size = run("docker", &["image", "inspect", "-f", "{{.Size}}", "rollcall:test"], &root(), &empty).await?;
    let megabytes = size.trim().parse::<f64>()? / 1e6;
    say(&format!("image: {megabytes:.0} MB"));
    Ok(())
}

async fn downstream(host: &str) -> anyhow::Result<(tokio::process::Child, String)> {
    let port = free_port();
    let binary = std::env::var("ROLLCALL_SCIM2_SERVER").context("ROLLCALL_SCIM2_SERVER: ./dev test-compose sets it")?;
    let child = Command::new(binary)
        .args(["--hostname", host, "--port", &port.to_string(), "--bearer-token", APP_TOKEN])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, format!("http://{host}:{port}/v2")))
}

async fn accounts(base: &str) -> anyhow::Result<Vec<Value>> {
    let http = Client::new();
    let mut all = Vec::new();
    loop {
        let address = format!("{base}/Users?startIndex={}&count=100", all.len() + 1);
        let page: Value = http.get(address).bearer_auth(APP_TOKEN).send().await?.json().await?;
        let found = page["Resources"].as_array().cloned().unwrap_or_default();
        if found.is_empty() {
            return Ok(all);
        }
        all.extend(found);
    }
}

async fn walk(deployment: &Deployment, app: &str) -> anyhow::Result<()> {
    // A joiner, a mover and a leaver.
    let user = |name: &str, title: &str, active: bool| json!({ "schemas": [USER], "userName": name, "title": title, "active": active });
    let made = deployment.push(Method::POST, "/scim/v2/Users", &user("anna", "Dev", true)).await?;
    let path = format!("/scim/v2/Users/{}", made["id"].as_str().context("no id")?);
    deployment.all_ended().await?;
    deployment.push(Method::PUT, &path, &user("anna", "Lead", true)).await?;
    deployment.all_ended().await?;
    ensure!(
        accounts(app).await?.iter().any(|u| u["userName"] == "anna" && u["title"] == "Lead"),
        "the mover did not arrive"
    );
    deployment.push(Method::PUT, &path, &user("anna", "Lead", false)).await?;
    deployment.all_ended().await?;
    ensure!(accounts(app).await?.iter().all(|u| u["active"] == false), "the leaver is still there");
    say("a joiner, a mover and a leaver: verified");

    // Changes flow while each container is killed in turn.
    let mut wanted: Vec<(String, String, bool)> = Vec::new();
    for (round, service) in SERVICES.iter().enumerate() {
        for n in 0..6 {
            let name = format!("person{round}-{n}");
            let made = deployment.push(Method::POST, "/scim/v2/Users", &user(&name, "Dev", true)).await?;
            wanted.push((name, made["id"].as_str().context("no id")?.to_owned(), true));
            if n == 2 {
                // From outside, as the kernel would: the engine restarts it by its policy.
                let id = deployment.container(service).await?;
                let pid = deployment.docker(&["inspect", "-f", "{{.State.Pid}}", &id]).await?;
                let pid = pid.trim().parse().ok().and_then(Pid::from_raw).context("it does not run")?;
                kill_process(pid, Signal::KILL)?;
            }
        }
        // Someone leaves while it comes back.
        if let Some((name, id, active)) = wanted.iter_mut().rev().nth(3) {
            *active = false;
            deployment.push(Method::PUT, &format!("/scim/v2/Users/{id}"), &user(name, "Dev", false)).await?;
        }
        deployment.healthy().await?;
        say(&format!("{service} was killed while changes flowed, and came back"));
    }
    deployment.all_ended().await?;
    let users = accounts(app).await?;
    for (name, id, active) in &wanted {
        let found: Vec<&Value> = users.iter().filter(|u| u["externalId"] == id.as_str()).collect();
        let right = match found.as_slice() {
            [user] => user["active"] == *active,
            // Who left before the account was made never had one.
            [] => !active,
            _ => false,
        };
        ensure!(right, "{name}: {found:?}");
    }
    let events = deployment.items("/v1/timeline").await?;
    let ids: std::collections::BTreeSet<&str> = events.iter().filter_map(|e| e["event_id"].as_str()).collect();
    ensure!(ids.len() == events.len(), "an event is on the log twice");
    let joined = events.iter().filter(|e| e["type"] == "identity.joined").count();
    ensure!(joined == wanted.len() + 1, "{joined} joiners on the log, {} acknowledged", wanted.len() + 1);
    say(&format!("{} changes acknowledged, none lost, none twice, every obligation ended", events.len()));
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    say("making images …");
    images(folder.path()).await?;
    let settings = folder.path().join("config");
    std::fs::create_dir_all(&settings)?;
    let compose = match Command::new("docker")
        .args(["compose", "version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await
    {
        Ok(status) if status.success() => vec!["docker".to_owned(), "compose".to_owned()],
        _ => vec!["docker-compose".to_owned()],
    };
    let port = free_port();
    let pairs = [
        ("ROLLCALL_IMAGE", "rollcall:test".to_owned()),
        ("NATS_IMAGE", "rollcall-test/nats".to_owned()),
        ("ROLLCALL_PUBLISH", format!("127.0.0.1:{port}")),
        ("ROLLCALL_CONFIG_DIR", settings.display().to_string()),
    ];
    let mut deployment = Deployment {
        compose,
        environment: pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        address: format!("http://127.0.0.1:{port}"),
        source: String::new(),
        api: String::new(),
        http: Client::builder().timeout(Duration::from_secs(10)).build()?,
    };
    deployment.compose(&["down", "-v", "--remove-orphans"]).await?;
    let outcome = test(&mut deployment, &settings).await;
    if outcome.is_err() {
        for service in ["setup", "nats", "gateway", "projector", "provisioner", "sla-monitor"] {
            let log = deployment.compose(&["logs", "--tail=15", service]).await.unwrap_or_default();
            println!("{log}");
        }
    }
    deployment.compose(&["down", "-v", "--remove-orphans"]).await?;
    outcome?;
    say("1 passed, 0 failed");
    Ok(())
}

async fn test(deployment: &mut Deployment, settings: &Path) -> anyhow::Result<()> {
    say("bringing it up without any configuration …");
    let started = Instant::now();
    deployment.compose(&["up", "-d", "--no-build"]).await?;
    deployment.healthy().await?;
    say(&format!("healthy after {:.0} s", started.elapsed().as_secs_f64()));
    let show = |name: &'static str| ["run", "--rm", "setup", "setup", "--dir=/run/rollcall", name];
    deployment.source = deployment.compose(&show("--show=source-token")).await?.trim().to_owned();
    deployment.api = deployment.compose(&show("--show=api-token")).await?.trim().to_owned();
    let (status, answer) =
        deployment.ask(Method::GET, "/scim/v2/ServiceProviderConfig", &deployment.source, None).await?;
    ensure!(status == 200, "{status} {answer}");
    let log = deployment.compose(&["logs", "gateway"]).await?;
    ensure!(log.contains("connect an identity provider"), "the log does not say how to connect a source:\n{log}");
    ensure!(!log.contains(&deployment.source) && !log.contains(&deployment.api), "a secret is in the log");

    // A configuration of one's own, with an app outside.
    let network = format!("{PROJECT}_default");
    let host = deployment.docker(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", &network]).await?;
    let (_app, base) = downstream(host.trim()).await?;
    let text = format!(
        "[[sources]]\nname = \"default\"\ntoken_file = \"/run/rollcall/secrets/source-token\"\n\
         [[api_tokens]]\nname = \"operator\"\nrole = \"operator\"\ntoken_file = \"/run/rollcall/secrets/api-token\"\n\
         [[signing_keys]]\nkey_file = \"/run/rollcall/secrets/signing-key\"\n\
         [[apps]]\nid = \"wiki\"\nbase_url = {base:?}\ntoken_file = \"/etc/rollcall/app-token\"\nowner = \"o@example.com\"\n\
         assign = 'active eq true'\nretry_min = \"200ms\"\nretry_max = \"1s\"\nprobe_every = \"1s\"\n"
    );
    std::fs::write(settings.join("rollcall.toml"), text)?;
    std::fs::write(settings.join("app-token"), APP_TOKEN)?;
    let own = ("ROLLCALL_CONFIG_FILE".to_owned(), "/etc/rollcall/rollcall.toml".to_owned());
    deployment.environment.push(own);
    deployment.compose(&["up", "-d", "--no-build"]).await?;
    deployment.healthy().await?;
    walk(deployment, &base).await?;
    let key = deployment.compose(&show("--show=public-key")).await?;
    proved(deployment, key.trim()).await
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

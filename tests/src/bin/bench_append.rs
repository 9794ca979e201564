//! `./dev bench append`: an event on disk, beside what the disk and a bare publisher can do; and many people from a file.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use rollcall_domain::identity::{IdentityKind, create};
use rollcall_domain::{Event, IdentityId, NewEvent};
use rollcall_event_log::{EventLog, Expect, PrivateServer, Unit, by_service, encode};
use rollcall_tests::bench::Figure;
use rollcall_tests::rollcall::command;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::task::JoinSet;
use uuid::Uuid;

/// What an event is about: someone new each time, so that no event waits for another.
fn event() -> anyhow::Result<NewEvent> {
    let id = IdentityId(Uuid::new_v4());
    let resource = json!({ "userName": format!("{id}@example.com"), "active": true, "title": "Engineer" });
    let resource = resource.as_object().context("no object")?.clone();
    let created = create(id, IdentityKind::User, resource, jiff::Timestamp::now());
    Ok(NewEvent { meta: by_service("bench", "", None), event: Event::Identity(created) })
}

/// Writes as many times as there are, each on disk before the next.
fn fdatasync(folder: &Path, bytes: &[u8], times: usize) -> anyhow::Result<f64> {
    let mut file = File::create(folder.join("synced"))?;
    let started = Instant::now();
    for _ in 0..times {
        file.write_all(bytes)?;
        file.sync_data()?;
    }
    Ok(times as f64 / started.elapsed().as_secs_f64())
}

/// Does something as often as said, by so many at once; how often in a second.
async fn by_many<F: Future<Output = anyhow::Result<()>> + Send + 'static>(
    writers: usize,
    times: usize,
    once: impl Fn() -> F + Send + Sync + 'static,
) -> anyhow::Result<f64> {
    let (next, once) = (Arc::new(AtomicUsize::new(0)), Arc::new(once));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let (next, once) = (Arc::clone(&next), Arc::clone(&once));
        tasks.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < times {
                once().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(times as f64 / started.elapsed().as_secs_f64())
}

/// What a bare publisher does of the same: a program of its own, which knows nothing of ours.
async fn publish(
    url: &str,
    user: &str,
    password: &str,
    writers: usize,
    times: usize,
    message: &[u8],
) -> anyhow::Result<f64> {
    let program = std::env::current_exe()?.with_file_name("examples").join("bare_publisher");
    let mut command = Command::new(&program);
    command.args([url, user, &writers.to_string(), &times.to_string()]).env("NATS_PASSWORD", password);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("./dev bench builds it")?;
    child.stdin.take().context("no input")?.write_all(message).await?;
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "{} failed", program.display());
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

async fn append(most: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let server = PrivateServer::start(&folder.path().join("nats")).await?;
    let connection = server.connection();
    let log = EventLog::connect(&connection).await?;
    let (user, password) = connection.credentials.clone().context("no credentials")?;
    let message = encode(&event()?).context("it is of no type")?.1;
    for writers in [1, 32, 256] {
        let times = (most / 256 * writers).max(most / 10);
        let disk = fdatasync(folder.path(), &message, times.min(2000))?;
        let published = publish(&connection.url, &user, password.expose_secret(), writers, times, &message).await?;
        let to = log.clone();
        let appended = by_many(writers, times, move || {
            let to = to.clone();
            async move {
                to.append(&Unit::one(event()?, Expect::Any)).await?;
                Ok(())
            }
        });
        let figure = Figure::of("durable append, so many at once", appended.await?, "events/s").at(writers);
        figure.beside("a bare publisher", published).beside("fdatasync, one by one", disk).show()?;
    }
    drop(log);
    server.stop().await;
    Ok(())
}

/// `rollcall import`, as its user sees it.
async fn import(people: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, config) = (folder.path().join("people.ndjson"), folder.path().join("rollcall.toml"));
    let mut text = String::new();
    for n in 0..people {
        let person = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": format!("p{n}@example.com"), "active": true,
            "title": "Engineer", "name": { "givenName": format!("Given{n}"), "familyName": format!("Family{n}") },
        });
        writeln!(text, "{person}")?;
    }
    std::fs::write(&file, text)?;
    std::fs::write(&config, "[[sources]]\nname = \"hr\"\ntoken = \"bench-source\"\n")?;
    // The second time everyone is there.
    for what in ["bulk load", "bulk load, the same file again"] {
        let mut command = command();
        command.arg("import").arg(&file).arg("--config").arg(&config).arg("--data-dir").arg(folder.path().join("data"));
        let output = command.output().await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let rate = said.lines().find_map(|l| l.rsplit("; ").next()?.strip_suffix(" lines/s")?.parse::<f64>().ok());
        Figure::of(what, rate.context("no rate")?, "people/s").at(people).show()?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let people: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    append(people.min(25_600)).await?;
    for people in [people / 100, people / 10, people] {
        import(people).await?;
    }
    Ok(())
}

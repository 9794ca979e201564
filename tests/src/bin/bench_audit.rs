//! `./dev bench audit [EVENTS]`: the timeline, the past, exports and proofs with a long log.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use rollcall_domain::identity::{IdentityKind, create, update};
use rollcall_domain::kv::Memory;
use rollcall_domain::{Event, IdentityId, NewEvent, Sequence};
use rollcall_event_log::{EventLog, Expect, PrivateServer, Unit, by_request};
use rollcall_proof::Tree;
use rollcall_tests::bench::{Figure, resident};
use rollcall_tests::{free_port, rollcall};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use tokio::process::Child;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Events per identity.
const EACH: usize = 10;
const BATCH: usize = 500;
const IN_FLIGHT: usize = 8;
const TOKEN: &str = "bench-token-0123456789";

fn resource(name: &str, title: &str) -> Map<String, Value> {
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": name,
        "displayName": name,
        "active": true,
        "title": title,
    });
    user.as_object().cloned().unwrap_or_default()
}

/// The events of one person: they join, and then their title changes again and again.
fn life(n: usize) -> (IdentityId, Vec<Event>) {
    let id = IdentityId(Uuid::now_v7());
    let name = format!("person{n:07}@example.com");
    let mut last = create(id, IdentityKind::User, resource(&name, "t0"), Timestamp::now());
    let mut events = vec![Event::Identity(last.clone())];
    for step in 1..EACH {
        let Some(next) = update(&last, resource(&name, &format!("t{step}")), Timestamp::now()) else { continue };
        events.push(Event::Identity(next.clone()));
        last = next;
    }
    (id, events)
}

async fn fill(log: &EventLog, people: usize) -> anyhow::Result<Vec<IdentityId>> {
    let source = "hr".parse()?;
    let mut ids = Vec::with_capacity(people);
    let mut tasks = JoinSet::new();
    let mut unit = Unit::default();
    for n in 0..people {
        let (id, events) = life(n);
        ids.push(id);
        for event in events {
            let meta = by_request(&source, "bench", &Uuid::now_v7().to_string());
            unit.push(NewEvent { meta, event }, Expect::Any);
        }
        if unit.len() >= BATCH || n + 1 == people {
            let (log, unit) = (log.clone(), std::mem::take(&mut unit));
            if tasks.len() >= IN_FLIGHT {
                tasks.join_next().await.context("no task")???;
            }
            tasks.spawn(async move { log.append(&unit).await.map(drop) });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(ids)
}

/// Shows the p99 of some times, and what else there is to say of them.
fn show(what: &str, size: usize, mut times: Vec<Duration>) -> anyhow::Result<()> {
    times.sort();
    let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).max(1) - 1).copied().unwrap_or_default();
    let millis = |d: Duration| d.as_secs_f64() * 1000.0;
    let note = format!("p50 {:.1} ms, max {:.1} ms", millis(at(50)), millis(at(100)));
    Figure::of(&format!("{what}, p99"), millis(at(99)), "ms").at(size).note(note).show()
}

/// Asks at a steady pace, whatever the answers take: what waits is counted as waiting.
async fn paced(
    http: &Client,
    per_second: u64,
    requests: usize,
    address: impl Fn(usize) -> String,
) -> anyhow::Result<Vec<Duration>> {
    let (started, mut tasks) = (Instant::now(), JoinSet::new());
    let mut times = Vec::with_capacity(requests);
    for n in 0..requests {
        let due = started + Duration::from_micros(n as u64 * 1_000_000 / per_second);
        tokio::time::sleep_until(due.into()).await;
        let request = http.get(address(n)).bearer_auth(TOKEN);
        tasks.spawn(async move {
            let answer = request.send().await?.error_for_status()?;
            answer.bytes().await?;
            anyhow::Ok(due.elapsed())
        });
        while let Some(done) = tasks.try_join_next() {
            times.push(done??);
        }
    }
    while let Some(done) = tasks.join_next().await {
        times.push(done??);
    }
    Ok(times)
}

struct Projector {
    child: Child,
    base: String,
}

async fn projector(
    folder: &std::path::Path,
    server: &PrivateServer,
    head: u64,
) -> anyhow::Result<(Projector, Duration)> {
    let (port, connection) = (free_port(), server.connection());
    let (user, password) = connection.credentials.context("no credentials")?;
    let config = folder.join("rollcall.toml");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\ndata_dir = \"{}\"\ncache_bytes = 536870912\nread_patience = \"60s\"\n\
         [nats]\nurl = \"{}\"\nuser = \"{user}\"\npassword_env = \"BENCH_NATS\"\ndurability = \"warn\"\n[audit]\ncheckpoint_every = \"1s\"\n\
         [[sources]]\nname = \"hr\"\ntoken = \"source-token-0123456789\"\n\
         [[api_tokens]]\nname = \"bench\"\nrole = \"admin\"\ntoken = \"{TOKEN}\"\n",
        folder.join("data").display(),
        connection.url,
    );
    std::fs::write(&config, text)?;
    let log = std::fs::File::create(folder.join("rollcall.log"))?;
    let started = Instant::now();
    let mut command = rollcall::command();
    let child = command
        .env("BENCH_NATS", password.expose_secret())
        .args(["run", "projector", "--config"])
        .arg(&config)
        .stdout(log.try_clone()?)
        .stderr(log);
    let mut child = child.kill_on_drop(true).spawn()?;
    let base = format!("http://127.0.0.1:{port}");
    let http = Client::new();
    loop {
        ensure!(child.try_wait()?.is_none(), "the projector ended: see its log");
        ensure!(started.elapsed().as_secs() < 1500 + head / 4000, "the projection is not built in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
        let answer = match http.get(format!("{base}/readyz")).send().await {
            Ok(answer) if answer.status().is_success() => {
                http.get(format!("{base}/v1/apps")).bearer_auth(TOKEN).send().await
            }
            _ => continue,
        };
        let Ok(answer) = answer else { continue };
        let Ok(body) = answer.json::<Value>().await else { continue };
        if body["as_of"]["sequence"].as_u64() >= Some(head) {
            return Ok((Projector { child, base }, started.elapsed()));
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let events: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let folder = tempfile::tempdir()?;
    let server = PrivateServer::start(&folder.path().join("nats")).await?;
    let log = EventLog::connect(&server.connection()).await?;
    let started = Instant::now();
    let ids = fill(&log, events / EACH).await?;
    let head = log.head().await?;
    let rate = |count: u64, took: Duration| count as f64 / took.as_secs_f64();
    let size = head.0 as usize;
    Figure::of("append in batches", rate(head.0, started.elapsed()), "events/s").at(size).show()?;

    // The limit beside it: reading the log and doing nothing.
    let started = Instant::now();
    let (mut tail, mut at, mut sample) = (log.tail(Sequence(0)), Sequence(0), Vec::new());
    while at < head {
        let read = tail.next(1000).await;
        at = read.last().map_or(at, |e| e.sequence);
        if sample.len() < 20_000 {
            sample.extend(read);
        }
    }
    let replay = rate(head.0, started.elapsed());

    let mut state = Memory::default();
    let started = Instant::now();
    for event in &sample {
        Tree::add(&mut state, event)?;
    }
    let each = started.elapsed().as_secs_f64() * 1e6 / sample.len() as f64;
    Figure::of("Merkle tree, in memory", each, "us/event").at(sample.len()).show()?;

    let (mut projector, took) = projector(folder.path(), &server, head.0).await?;
    let rebuilt = Figure::of("projection rebuild", rate(head.0, took), "events/s").at(size);
    rebuilt.beside("a bare replay", replay).show()?;
    let pid = projector.child.id().context("no process")?;
    Figure::of("memory of the projector", resident(pid)?, "MB").at(size).show()?;

    let http = Client::builder().pool_max_idle_per_host(256).build()?;
    // What was built is sealed afterwards, and questions meanwhile are answered beside that.
    let started = Instant::now();
    let latest = format!("{}/v1/checkpoints/latest", projector.base);
    loop {
        let answer = http.get(&latest).bearer_auth(TOKEN).send().await?;
        if answer.status().is_success() && answer.json::<Value>().await?["size"].as_u64() >= Some(head.0) {
            break;
        }
        ensure!(started.elapsed().as_secs() < 600, "the log is not sealed in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Figure::of("sealed after the rebuild", started.elapsed().as_secs_f64(), "s").at(size).show()?;

    let (base, count) = (projector.base.clone(), ids.len());
    // The same numbers every time; a large odd step visits people in no order.
    let person = move |n: usize| ids[(n * 7_919 + 13) % count];
    for per_second in [100u64, 1000] {
        let pages = paced(&http, per_second, 3 * per_second as usize, |n| {
            format!("{base}/v1/identities/{}/timeline?limit=50", person(n))
        });
        show(&format!("first timeline page at {per_second}/s"), size, pages.await?)?;
    }
    let began = {
        let first = http.get(format!("{base}/v1/timeline?order=oldest&limit=1")).bearer_auth(TOKEN).send().await?;
        let first: Value = first.json().await?;
        first["items"][0]["recorded_at"].as_str().context("no time")?.parse::<Timestamp>()?
    };
    let span = Timestamp::now().duration_since(began).as_millis() as i64;
    let then = |n: usize| began + SignedDuration::from_millis((n as i64 * 7_919 + 1) % span.max(1));
    let past = paced(&http, 100, 500, |n| format!("{base}/v1/identities?limit=50&as_of={}", then(n))).await?;
    show("50 identities as of an instant at 100/s", size, past)?;
    let one = paced(&http, 500, 1500, |n| {
        format!("{base}/v1/identities/{}?as_of={}", person(n), Timestamp::now() - SignedDuration::from_secs(1))
    });
    show("one identity as of an instant at 500/s", size, one.await?)?;
    // The steps are so long that hardly two are in one block of the log's server.
    for (per_second, asked) in [(20, 100), (200, 600)] {
        let proofs =
            paced(&http, per_second, asked, |n| format!("{base}/v1/events/{}/proof", 1 + (n * 7_919) % (events / 2)));
        show(&format!("proof of one event at {per_second}/s"), size, proofs.await?)?;
    }

    // From the append to the live timeline.
    let live = http.get(format!("{base}/v1/timeline/stream")).bearer_auth(TOKEN).send().await?.error_for_status()?;
    let mut live = live.bytes_stream();
    let mut times = Vec::new();
    for n in 0..300 {
        let (_, mut life) = life(usize::MAX - n);
        let event = life.swap_remove(0);
        let id = Uuid::now_v7().to_string();
        let unit = Unit::one(NewEvent { meta: by_request(&"hr".parse()?, "", &id), event }, Expect::Any);
        log.append(&unit).await?;
        let appended = Instant::now();
        while !std::str::from_utf8(&live.next().await.context("the stream ended")??)?.contains(&id) {}
        times.push(appended.elapsed());
    }
    show("visible live after its append", size, times)?;

    let before = resident(pid)?;
    for format in ["ndjson", "csv", "ocsf"] {
        let started = Instant::now();
        let answer = http.get(format!("{base}/v1/export?format={format}")).bearer_auth(TOKEN).send().await?;
        let (mut body, mut bytes) = (answer.error_for_status()?.bytes_stream(), 0u64);
        while let Some(piece) = body.next().await {
            bytes += piece?.len() as u64;
        }
        let took = started.elapsed();
        let figure = Figure::of(&format!("export as {format}"), rate(head.0, took), "events/s").at(size);
        figure.note(format!("{:.0} MB", bytes as f64 / 1e6)).show()?;
    }
    let after = Figure::of("memory after the exports", resident(pid)?, "MB").at(size);
    after.beside("before", before).show()?;
    projector.child.kill().await?;
    drop(log);
    server.stop().await;
    Ok(())
}

//! `./dev faults`: the whole program as processes, on one nats-server or three, under load; every second something goes
//! wrong. In the end everything that was acknowledged must be there, once, and the app must be as it should.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use reqwest::Method;
use rollcall_tests::rollcall::{API_TOKEN, SOURCE_TOKEN};
use rollcall_tests::{App, Dice, Faulty, NatsCluster, Rollcall, Script, Weather, Wire, until};
use rustix::process::Signal;
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const SERVICES: [&str; 4] = ["gateway", "projector", "provisioner", "sla-monitor"];
const APPS: [&str; 2] = ["one", "two"];

/// How many people there are, each changed by one sender after the other.
const PEOPLE: usize = 60;
const SENDERS: usize = 6;

/// How long each sender rests after a change.
const PACE: Duration = Duration::from_millis(50);

/// The whole program as processes, under load, while every second something goes wrong.
#[derive(Debug, Parser)]
#[command(name = "./dev faults")]
struct Arguments {
    /// On three nats-servers with three replicas each, and not on one.
    #[arg(long)]
    cluster: bool,
    /// On a disk of its own, which is filled; needs root.
    #[arg(long)]
    small_disk: bool,
    /// For how many seconds things go wrong.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The same seed makes the same choices; otherwise one is chosen, and printed.
    #[arg(long)]
    seed: Option<u64>,
}

/// What someone was last said to be, and was acknowledged.
#[derive(Debug, Clone, Default)]
struct Person {
    id: String,
    title: String,
    active: bool,
    /// Every title that was acknowledged.
    titles: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { cluster, small_disk, seconds, seed } = Arguments::parse();
    let nodes = if cluster { 3 } else { 1 };
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) * 2_654_435_761 + 1);
    println!("seed {seed}: {nodes} nats-server, {seconds} s of faults");

    let server = Faulty::start().await?;
    let apps: Vec<App> = APPS
        .into_iter()
        .map(|id| App {
            id,
            base_url: server.base_url(id),
            assign: "active eq true",
            deprovision: if id == "one" { "deactivate" } else { "delete" },
            leaver_sla: "10m",
            keys: "",
            tables: "[apps.guard]\nmax_removals = 1000000\nmax_percent = 100\n",
        })
        .collect();
    let disk = if small_disk { Some(SmallDisk::mount()?) } else { None };
    let mut cluster = match &disk {
        Some(disk) => NatsCluster::start_in(tempfile::tempdir_in(&disk.at)?, nodes).await?,
        None => NatsCluster::start(nodes).await?,
    };
    let mut wires = Vec::new();
    for node in &cluster.servers {
        wires.push(Wire::to(node.url.trim_start_matches("nats://")).await?);
    }
    let ways = wires.iter().map(|wire| format!("nats://{}", wire.address)).collect::<Vec<_>>().join(",");
    let settings = format!("url = \"{ways}\"\nmonitoring_url = \"{}\"\nreplicas = {nodes}\n", cluster.monitoring_url());
    let rollcall = Arc::new(Rollcall::on(settings, &apps, "")?);
    rollcall.start().await?;

    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> =
        (0..SENDERS).map(|n| tokio::spawn(send(Arc::clone(&rollcall), n, seed, Arc::clone(&stop)))).collect();
    let tried = match &disk {
        Some(disk) => disk.fill(&rollcall, &mut cluster).await?,
        None => trouble(&rollcall, &mut cluster, &wires, &server, Dice(seed), Duration::from_secs(seconds)).await?,
    };
    stop.store(true, Ordering::SeqCst);
    let mut people: Vec<Person> = Vec::new();
    for sender in senders {
        people.extend(sender.await??);
    }
    let acknowledged: usize = people.iter().map(|p| p.titles.len()).sum();
    println!("{acknowledged} changes acknowledged; now it is calm");
    let calm = Instant::now();
    if let Err(e) = settled(&rollcall).await {
        let open = rollcall.raw(Method::GET, "/v1/obligations?status=open&limit=5", API_TOKEN, None).await;
        let ready = rollcall.raw(Method::GET, "/readyz", API_TOKEN, None).await;
        let log = std::fs::read_to_string(rollcall.log_file()).unwrap_or_default();
        let of_work = |line: &&str| !line.contains("\"message\":\"answered\"");
        let last: Vec<&str> = log.lines().rev().filter(of_work).take(60).collect();
        bail!("{e}\nopen: {open:?}\nready: {ready:?}\n{}", last.join("\n"));
    }
    println!("every obligation had ended after {:.1} s", calm.elapsed().as_secs_f64());
    let events = laws(&rollcall, &server, &people).await?;
    println!();
    for (what, times) in tried {
        println!("{what:<58} {times:>6}");
    }
    println!("{:<58} {acknowledged:>6}", "changes acknowledged");
    println!("{:<58} {events:>6}", "events on the log");
    println!("{:<58} {:>6}", "lost, repeated, or not as it should be", 0);
    Ok(())
}

/// A file system of a few megabytes for the log; needs root.
struct SmallDisk {
    at: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> anyhow::Result<Self> {
        let at = tempfile::tempdir()?;
        run("mount", &["-t", "tmpfs", "-o", "size=6m", "tmpfs", &at.path().to_string_lossy()])?;
        Ok(Self { at })
    }

    /// Waits until the log can't be written any more, then gives it room.
    async fn fill(
        &self,
        rollcall: &Rollcall,
        cluster: &mut NatsCluster,
    ) -> anyhow::Result<BTreeMap<&'static str, u32>> {
        let probes = std::sync::atomic::AtomicUsize::new(0);
        until("the disk of the log is full, and nothing is acknowledged", || async {
            let name = format!("probe{}@example.com", probes.fetch_add(1, Ordering::SeqCst));
            let body = json!({ "schemas": [USER], "userName": name }).to_string();
            let answer = rollcall.raw(Method::POST, "/scim/v2/Users", SOURCE_TOKEN, Some(body)).await;
            Ok(answer.is_ok_and(|(status, _)| status == 503).then_some(()))
        })
        .await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        run("mount", &["-o", "remount,size=600m", &self.at.path().to_string_lossy()])?;
        // A server that could not write has given its store up until it is started again.
        for server in &mut cluster.servers {
            server.kill().await?;
            server.run().await?;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok([("disks of the log that were full", 1)].into())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = run("umount", &["--lazy", &self.at.path().to_string_lossy()]);
    }
}

fn run(command: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = std::process::Command::new(command).args(arguments).output().context(command.to_owned())?;
    ensure!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Changes its own people, one after the other, each until it is acknowledged.
async fn send(rollcall: Arc<Rollcall>, n: usize, seed: u64, stop: Arc<AtomicBool>) -> anyhow::Result<Vec<Person>> {
    let mut dice = Dice(seed.wrapping_mul(n as u64 * 2 + 3) | 1);
    let mut people = vec![Person::default(); PEOPLE / SENDERS];
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        let at = dice.roll(people.len());
        let Some(person) = people.get_mut(at) else { continue };
        count += 1;
        let (title, active) = (format!("title {n} {count}"), person.id.is_empty() || dice.roll(3) > 0);
        let name = format!("person{n}-{at}@example.com");
        let body = json!({ "schemas": [USER], "userName": name, "title": title, "active": active }).to_string();
        // However long it takes: a source does not give up.
        loop {
            let answer = if person.id.is_empty() {
                rollcall.raw(Method::POST, "/scim/v2/Users", SOURCE_TOKEN, Some(body.clone())).await
            } else {
                let path = format!("/scim/v2/Users/{}", person.id);
                rollcall.raw(Method::PUT, &path, SOURCE_TOKEN, Some(body.clone())).await
            };
            match answer {
                Ok((status, answer)) if status.is_success() => {
                    person.id = answer["id"].as_str().context("no id")?.to_owned();
                    break;
                }
                // A creation that was made and not answered.
                Ok((status, _)) if status == 409 && person.id.is_empty() => {
                    let path = format!("/scim/v2/Users?filter=userName%20eq%20%22{name}%22");
                    if let Ok((_, found)) = rollcall.raw(Method::GET, &path, SOURCE_TOKEN, None).await {
                        person.id = found["Resources"][0]["id"].as_str().unwrap_or_default().to_owned();
                    }
                }
                Ok((status, answer)) => ensure!(status.is_server_error(), "{status} {answer}"),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        (person.title, person.active) = (title.clone(), active);
        person.titles.push(title);
        // People change less often than a program can say so.
        tokio::time::sleep(PACE).await;
    }
    people.retain(|p| !p.id.is_empty());
    Ok(people)
}

/// Something every second.
async fn trouble(
    rollcall: &Rollcall,
    cluster: &mut NatsCluster,
    wires: &[Wire],
    server: &Faulty,
    mut dice: Dice,
    time: Duration,
) -> anyhow::Result<BTreeMap<&'static str, u32>> {
    let started = Instant::now();
    let mut tried: BTreeMap<&'static str, u32> = BTreeMap::new();
    let mut count = |what: &'static str| *tried.entry(what).or_default() += 1;
    while started.elapsed() < time {
        let service = SERVICES.get(dice.roll(SERVICES.len())).copied().unwrap_or("gateway");
        let pause = Duration::from_millis(100 + dice.roll(900) as u64);
        match dice.roll(12) {
            0..4 => {
                count("processes killed (SIGKILL), and started again");
                rollcall.kill_service(service).await?;
                tokio::time::sleep(pause).await;
                rollcall.start_service(service).await?;
            }
            4 => {
                count("processes killed, and their state lost");
                rollcall.kill_service(service).await?;
                std::fs::remove_dir_all(rollcall.data_dir().join(service).join("state"))?;
                rollcall.start_service(service).await?;
            }
            5 | 6 => {
                count("processes stopped for up to four seconds (SIGSTOP)");
                rollcall.signal(service, Signal::STOP).await?;
                tokio::time::sleep(pause * 4).await;
                rollcall.signal(service, Signal::CONT).await?;
            }
            7 => {
                count("nats-servers killed (SIGKILL), and started again");
                let at = dice.roll(cluster.servers.len());
                let node = cluster.servers.get_mut(at).context("no such server")?;
                node.kill().await?;
                tokio::time::sleep(pause * 2).await;
                node.run().await?;
            }
            8 => {
                count("nats-servers stopped for up to two seconds (SIGSTOP)");
                let at = dice.roll(cluster.servers.len());
                let node = cluster.servers.get(at).context("no such server")?;
                node.signal(Signal::STOP)?;
                tokio::time::sleep(pause * 2).await;
                node.signal(Signal::CONT)?;
            }
            9 | 10 => {
                let weather = match dice.roll(3) {
                    0 => Weather::Cut,
                    1 => Weather::Held,
                    _ => Weather::Slow(Duration::from_millis(100)),
                };
                count(match weather {
                    Weather::Cut => "connections to the log cut for up to four seconds",
                    Weather::Held => "connections to the log held back for up to four seconds",
                    _ => "connections to the log slowed by 0.1 s each way",
                });
                // All of them, or the way to one server of several.
                let all = dice.roll(2) == 0;
                let at = dice.roll(wires.len());
                let struck = || wires.iter().enumerate().filter(move |(n, _)| all || *n == at);
                struck().for_each(|(_, wire)| wire.set(weather));
                tokio::time::sleep(pause * 4).await;
                struck().for_each(|(_, wire)| wire.set(Weather::Clear));
            }
            _ => {
                count("apps that close connections, fail, or are slow");
                let app = APPS.get(dice.roll(APPS.len())).copied().unwrap_or("one");
                let script = match dice.roll(3) {
                    0 => Script { closes: 20, ..Script::default() },
                    1 => Script { fails: 20, ..Script::default() },
                    _ => Script { slow_ms: 300, ..Script::default() },
                };
                server.tell(app, &script).await?;
                tokio::time::sleep(pause * 2).await;
                server.tell(app, &Script::default()).await?;
            }
        }
        tokio::time::sleep(pause).await;
    }
    Ok(tried)
}

async fn settled(rollcall: &Rollcall) -> anyhow::Result<()> {
    until("every obligation has ended", || async {
        for status in ["open", "applied", "overdue"] {
            // Behind what was just said, it answers 503.
            match rollcall.items(&format!("/v1/obligations?status={status}")).await {
                Ok(open) if open.is_empty() => {}
                _ => return Ok(None),
            }
        }
        Ok(Some(()))
    })
    .await
}

/// Looks from outside whether everything is as it should; returns how many events there are.
async fn laws(rollcall: &Rollcall, server: &Faulty, people: &[Person]) -> anyhow::Result<usize> {
    let events = rollcall.items("/v1/timeline").await?;
    let mut ids: Vec<&str> = events.iter().filter_map(|e| e["event_id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ensure!(ids.len() == events.len(), "an event is on the log twice");
    let mut said: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for event in events.iter().filter(|e| e["type"].as_str().is_some_and(|t| t.starts_with("identity."))) {
        let who = event["identity"].as_str().unwrap_or_default();
        for change in event["changes"].as_array().into_iter().flatten().filter(|c| c["path"] == "title") {
            *said.entry((who, change["after"].as_str().unwrap_or_default())).or_default() += 1;
        }
    }
    for person in people {
        for title in &person.titles {
            let times = said.get(&(person.id.as_str(), title.as_str())).copied().unwrap_or_default();
            if times != 1 {
                bail!("'{title}' of {} was acknowledged and is on the log {times} times", person.id);
            }
        }
        let identity = rollcall.api(&format!("/v1/identities/{}", person.id)).await?;
        ensure!(identity["resource"]["title"] == person.title.as_str(), "{person:?} is {identity}");
    }
    for app in APPS {
        let users = server.users(app);
        let live: Vec<&Value> = users.iter().filter(|u| u["active"] != false).collect();
        for person in people {
            let theirs: Vec<&&Value> = live.iter().filter(|u| u["externalId"] == person.id.as_str()).collect();
            ensure!(theirs.len() == usize::from(person.active), "{app}: {person:?} has {theirs:?}");
            ensure!(theirs.iter().all(|u| u["title"] == person.title.as_str()), "{app}: {person:?} has {theirs:?}");
            let accounts = users.iter().filter(|u| u["externalId"] == person.id.as_str()).count();
            ensure!(accounts <= 1, "{app}: {person:?} has {accounts} accounts");
        }
    }
    Ok(events.len())
}

//! `./dev bench million`: many people in an empty installation with no app: adding them, building all states from nothing, starting again,
//! memory, disk, and finding people among them.

use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rollcall_tests::bench::{Figure, Peer, load, once, peak, request, resident};
use rollcall_tests::free_port;
use rollcall_tests::rollcall::{SOURCE_TOKEN, command};
use serde_json::json;
use tokio::process::{Child, Command};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(3600);

const STATES: [&str; 4] = ["gateway", "projector", "provisioner", "sla-monitor"];

/// How many in a group of the same title, and of the same family name.
const ALIKE: usize = 20;

struct Installation {
    folder: tempfile::TempDir,
    port: u16,
}

impl Installation {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = format!(
            "[[sources]]\nname = \"hr\"\ntoken = \"{SOURCE_TOKEN}\"\nmax_requests_per_second = 1000000\n\
             [[api_tokens]]\nname = \"a\"\nrole = \"admin\"\ntoken = \"bench-token-3f77\"\n"
        );
        std::fs::write(folder.path().join("rollcall.toml"), config)?;
        Ok(Self { folder, port: free_port() })
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, arguments: &[&str]) -> Command {
        let mut run = command();
        run.args(arguments).arg("--config").arg(self.folder.path().join("rollcall.toml"));
        run.arg("--data-dir").arg(self.data());
        run.kill_on_drop(true);
        run
    }

    fn peer(&self) -> Peer {
        let address = format!("127.0.0.1:{}", self.port);
        Peer { name: "rollcall", address, base: "/scim/v2", token: SOURCE_TOKEN.into() }
    }

    fn people(&self, count: usize) -> anyhow::Result<std::path::PathBuf> {
        let file = self.folder.path().join("people.ndjson");
        let mut out = BufWriter::new(std::fs::File::create(&file)?);
        for n in 0..count {
            let person = json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": format!("user{n}@example.com"),
                "externalId": format!("e{n}"), "active": true, "title": format!("Title {}", n / ALIKE),
                "displayName": format!("Given{n} Family{}", n % (count / ALIKE)),
                "name": { "givenName": format!("Given{n}"), "familyName": format!("Family{}", n % (count / ALIKE)) },
                "emails": [{ "value": format!("user{n}@example.com"), "type": "work", "primary": true }],
            });
            writeln!(out, "{person}")?;
        }
        out.flush()?;
        Ok(file)
    }

    /// Adds people, as its user does; people a second, and the most memory of it in megabytes.
    async fn import(&self, file: &Path) -> anyhow::Result<(f64, f64)> {
        let mut import = self.run(&["import"]);
        let mut child = import.arg(file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let pid = child.id().context("no process")?;
        let mut most = 0.0_f64;
        while child.try_wait()?.is_none() {
            most = most.max(peak(pid).unwrap_or_default());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let output = child.wait_with_output().await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let rate = said.lines().find_map(|l| l.rsplit("; ").next()?.strip_suffix(" lines/s")?.parse().ok());
        Ok((rate.context("no rate")?, most))
    }

    /// Starts it, and gives how many seconds it took until it was ready.
    async fn start(&self) -> anyhow::Result<(Child, f64)> {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        let started = Instant::now();
        let mut up = self.run(&["up", "--listen", &format!("127.0.0.1:{}", self.port)]);
        let mut child = up.stdout(Stdio::null()).stderr(log).spawn()?;
        let client = reqwest::Client::new();
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        while started.elapsed() < PATIENCE {
            if let Some(status) = child.try_wait()? {
                bail!("it has stopped: {status}: {}", std::fs::read_to_string(self.folder.path().join("log"))?);
            }
            if client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok((child, started.elapsed().as_secs_f64()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("it was not ready in time")
    }

    async fn stop(mut child: Child) -> anyhow::Result<()> {
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.context("no process")?, rustix::process::Signal::TERM)?;
        child.wait().await?;
        Ok(())
    }
}

/// How much is in a folder, in megabytes.
fn size_of(folder: &Path) -> anyhow::Result<f64> {
    let (mut open, mut bytes) = (vec![folder.to_owned()], 0);
    while let Some(next) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        for entry in entries {
            let entry = entry?;
            let found = entry.metadata()?;
            if found.is_dir() { open.push(entry.path()) } else { bytes += found.len() }
        }
    }
    Ok(bytes as f64 / 1e6)
}

/// How long an answer takes, in milliseconds: the middle of so many.
async fn answer(peer: &Peer, path: &str, times: usize) -> anyhow::Result<f64> {
    let mut took = Vec::new();
    for _ in 0..times {
        let started = Instant::now();
        once(peer, &request(peer, "GET", path, "")).await.with_context(|| path.to_owned())?;
        took.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    took.sort_by(f64::total_cmp);
    took.get(times / 2).copied().context("nothing was asked")
}

async fn found(peer: &Peer, people: usize) -> anyhow::Result<()> {
    let by = peer.clone();
    let path = move |n: usize| {
        let who = n.wrapping_mul(7919) % people;
        format!("/Users?filter=userName%20eq%20%22user{who}%40example.com%22")
    };
    let rate = load(peer, 32, 20_000, 200, "userName", move |n| request(&by, "GET", &path(n), "")).await?;
    Figure::of("userName eq, 32 at once", rate.per_second(), "/s").at(people).show()?;
    let some = people / ALIKE / 2;
    for (what, path) in [
        ("title eq", format!("/Users?filter=title%20eq%20%22Title%20{some}%22")),
        ("name.familyName eq", format!("/Users?filter=name.familyName%20eq%20%22Family{some}%22")),
        ("emails.value eq", format!("/Users?filter=emails.value%20eq%20%22user{some}%40example.com%22")),
        ("active eq true, 10 of them", "/Users?filter=active%20eq%20true&count=10".to_owned()),
        ("sortBy=userName&count=10", "/Users?sortBy=userName&count=10".to_owned()),
        ("startIndex near the end", format!("/Users?startIndex={}&count=10", people / 10 * 9 + 1)),
    ] {
        Figure::of(what, answer(peer, &path, 21).await?, "ms").at(people).show()?;
    }
    Ok(())
}

async fn measure(people: usize) -> anyhow::Result<()> {
    let installation = Installation::new()?;
    let file = installation.people(people)?;
    let (rate, memory) = installation.import(&file).await?;
    Figure::of("import", rate, "people/s").at(people).note(format!("{memory:.0} MB at most")).show()?;
    std::fs::remove_file(&file)?;
    let log = size_of(&installation.data().join("nats"))?;
    Figure::of("the log on disk", log, "MB").at(people).show()?;
    for state in STATES {
        let _ = std::fs::remove_dir_all(installation.data().join(state));
    }
    let (child, took) = installation.start().await?;
    Figure::of("ready after all states are built from nothing", took, "s").at(people).show()?;
    let pid = child.id().context("no process")?;
    Figure::of("resident, one process", resident(pid)?, "MB")
        .at(people)
        .note(format!("{:.0} MB at most", peak(pid)?))
        .show()?;
    Installation::stop(child).await?;
    let (mut all, mut each) = (0.0, String::new());
    for state in STATES {
        let size = size_of(&installation.data().join(state))?;
        all += size;
        write!(each, "{state} {size:.0}  ")?;
    }
    Figure::of("states on disk", all, "MB").at(people).beside("the log", log).note(each).show()?;
    let (child, took) = installation.start().await?;
    Figure::of("ready after a restart", took, "s").at(people).show()?;
    found(&installation.peer(), people).await?;
    let pid = child.id().context("no process")?;
    Figure::of("resident after that", resident(pid)?, "MB").at(people).show()?;
    Installation::stop(child).await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut sizes: Vec<usize> = std::env::args().skip(1).map(|n| n.parse()).collect::<Result<_, _>>()?;
    if sizes.is_empty() {
        sizes = vec![10_000, 100_000, 1_000_000];
    }
    for people in sizes {
        measure(people).await?;
    }
    Ok(())
}

//! `./dev bench provision`: how fast changes reach apps, beside the apps' own answers.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use reqwest::Method;
use rollcall_tests::bench::Figure;
use rollcall_tests::rollcall::SOURCE_TOKEN;
use rollcall_tests::{App, Faulty, Rollcall, Script, until};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

const GUARD: &str = "[apps.guard]\nmax_removals = 10000000\nmax_percent = 100\n";

fn app(server: &Faulty, id: &str, keys: &'static str) -> App {
    // As long as the program: a bench has few.
    let id: &'static str = Box::leak(id.to_owned().into_boxed_str());
    App {
        id,
        base_url: server.base_url(id),
        assign: "active eq true",
        deprovision: "deactivate",
        leaver_sla: "10m",
        keys,
        tables: GUARD,
    }
}

async fn join(rollcall: &Rollcall, name: &str) -> anyhow::Result<String> {
    let made = rollcall.scim(Method::POST, "/Users", &json!({ "schemas": [USER], "userName": name })).await?;
    Ok(made["id"].as_str().context("no id")?.to_owned())
}

async fn all_verified(rollcall: &Rollcall, id: &str, apps: usize) -> anyhow::Result<()> {
    until("every account is verified", || async {
        let identity = rollcall.api(&format!("/v1/identities/{id}")).await?;
        let accounts = identity["accounts"].as_array().cloned().unwrap_or_default();
        let verified = accounts.iter().filter(|a| a["verified"] == true).count();
        Ok((verified == apps).then_some(()))
    })
    .await
}

async fn leave(rollcall: &Rollcall, id: &str) -> anyhow::Result<()> {
    rollcall.raw(Method::DELETE, &format!("/scim/v2/Users/{id}"), SOURCE_TOKEN, None).await?;
    Ok(())
}

fn time(event: &Value, name: &str) -> anyhow::Result<jiff::Timestamp> {
    Ok(event[name].as_str().with_context(|| format!("no {name} in {event}"))?.parse()?)
}

/// From the change on the log to verified, in milliseconds.
fn to_verified(obligation: &Value) -> anyhow::Result<f64> {
    Ok(time(obligation, "verified_at")?.duration_since(time(obligation, "opened_at")?).as_secs_f64() * 1000.0)
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = ((sorted.len() as f64 - 1.0) * q).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

/// One leaver with an account in so many apps: from the acknowledged departure to the last verified account, on the
/// log's own clock.
async fn leaver(apps: usize, slow_ms: u64) -> anyhow::Result<()> {
    let server = Faulty::start().await?;
    let mut all = Vec::new();
    for n in 0..apps {
        let id = format!("app{n}");
        server.tell(&id, &Script { slow_ms, ..Script::default() }).await?;
        all.push(app(&server, &id, ""));
    }
    let rollcall = Rollcall::new(&all, "")?;
    rollcall.start().await?;
    let pid = rollcall.processes().await.first().map(|(_, pid)| *pid).context("no process")?;
    let id = join(&rollcall, "leaver@example.com").await?;
    all_verified(&rollcall, &id, apps).await?;
    let memory = rollcall_tests::bench::resident(pid)?;
    leave(&rollcall, &id).await?;
    let done = until("the leaver is complete", || async {
        Ok(rollcall.items("/v1/leavers?status=completed").await?.into_iter().next())
    })
    .await?;
    let took = time(&done, "completed_at")?.duration_since(time(&done, "left_at")?).as_secs_f64();
    let figure = Figure::of("a leaver gone from all apps", took, "s").at(apps);
    figure.note(format!("of {slow_ms} ms each")).show()?;
    Figure::of("memory with apps of one account", memory, "MB").at(apps).show()?;
    Ok(())
}

/// From the change on the log to its account verified, joiners one after the other, beside what the app itself takes.
async fn overhead(count: usize) -> anyhow::Result<()> {
    let server = Faulty::start().await?;
    let rollcall = Rollcall::new(&[app(&server, "one", "")], "")?;
    rollcall.start().await?;
    let asked = Instant::now();
    let http = reqwest::Client::new();
    for _ in 0..100 {
        http.get(format!("{}/Users?count=1", server.base_url("other"))).send().await?.bytes().await?;
    }
    let one = asked.elapsed().as_secs_f64() * 10.0;
    for n in 0..count {
        let id = join(&rollcall, &format!("person{n}@example.com")).await?;
        all_verified(&rollcall, &id, 1).await?;
    }
    let mut millis: Vec<f64> = rollcall
        .items("/v1/obligations?status=verified")
        .await?
        .iter()
        .map(to_verified)
        .collect::<anyhow::Result<_>>()?;
    millis.sort_by(f64::total_cmp);
    let requests = server.requests("one").iter().filter(|r| r.contains("/Users") || r.contains("Users")).count();
    let each = requests as f64 / count as f64;
    let own = |q| (quantile(&millis, q) - each * one).max(0.0);
    let note = format!("{each:.1} requests of {one:.2} ms each to the app left out");
    Figure::of("change to access, own time, median", own(0.5), "ms").at(count).note(note).show()?;
    Figure::of("change to access, own time, p99", own(0.99), "ms").at(count).show()?;
    Ok(())
}

/// Ten apps beside an eleventh that works, and beside one that hangs: two programs side by side, which take turns, so that
/// whatever else the machine does concerns both.
async fn beside_a_hanging_one(count: usize) -> anyhow::Result<()> {
    let server = Faulty::start().await?;
    server.tell("bad", &Script { hangs: u32::MAX, ..Script::default() }).await?;
    let eleven = |which: &str, last: &str| {
        let ten = (0..10).map(|n| app(&server, &format!("{which}{n}"), ""));
        ten.chain([app(&server, last, "")]).collect::<Vec<_>>()
    };
    let works = Rollcall::new(&eleven("works", "eleventh"), "")?;
    let hangs = Rollcall::new(&eleven("hangs", "bad"), "")?;
    works.start().await?;
    hangs.start().await?;
    for n in 0..count {
        let turn = if n % 2 == 0 { [&works, &hangs] } else { [&hangs, &works] };
        for rollcall in turn {
            let id = join(rollcall, &format!("person{n}@example.com")).await?;
            until("the good apps are verified", || async {
                let identity = rollcall.api(&format!("/v1/identities/{id}")).await?;
                let accounts = identity["accounts"].as_array().cloned().unwrap_or_default();
                let good = accounts.iter().filter(|a| a["verified"] == true && is_one_of_ten(a)).count();
                Ok((good == 10).then_some(()))
            })
            .await?;
        }
    }
    let mut times = Vec::new();
    for rollcall in [&works, &hangs] {
        let verified = rollcall.items("/v1/obligations?status=verified").await?;
        let mut millis =
            verified.iter().filter(|o| is_one_of_ten(o)).map(to_verified).collect::<Result<Vec<_>, _>>()?;
        millis.sort_by(f64::total_cmp);
        times.push((quantile(&millis, 0.5), quantile(&millis, 0.99), millis.len()));
    }
    let ((median, p99, samples), (median_beside, p99_beside, _)) = (times[0], times[1]);
    let beside = |what: &str, ours: f64, other: f64| {
        Figure::of(what, ours, "ms").at(samples).beside("one that works", other).show()
    };
    beside("ten apps beside one that hangs, median", median_beside, median)?;
    beside("ten apps beside one that hangs, p99", p99_beside, p99)?;
    Ok(())
}

fn is_one_of_ten(of: &Value) -> bool {
    of["app"] != "bad" && of["app"] != "eleventh"
}

/// What apps cost in which nobody has an account.
async fn idle(apps: usize) -> anyhow::Result<()> {
    let server = Faulty::start().await?;
    let mut all: Vec<App> = (0..apps).map(|n| app(&server, &format!("idle{n}"), "")).collect();
    all.iter_mut().for_each(|app| app.assign = "userName eq \"nobody\"");
    let rollcall = Rollcall::new(&all, "")?;
    rollcall.start().await?;
    let id = join(&rollcall, "someone@example.com").await?;
    all_verified(&rollcall, &id, 0).await?;
    until("every app was looked at", || async {
        Ok((0..apps).all(|n| !server.requests(&format!("idle{n}")).is_empty()).then_some(()))
    })
    .await?;
    let pid = rollcall.processes().await.first().map(|(_, pid)| *pid).context("no process")?;
    let at_start = rollcall_tests::bench::resident(pid)?;
    // What was needed to start is given back after a while.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let idle = rollcall_tests::bench::resident(pid)?;
    Figure::of("memory with idle apps", idle, "MB").at(apps).note(format!("just started {at_start:.0} MB")).show()?;
    Ok(())
}

/// Comparing a whole app in which everything is as it should be.
async fn reconcile(accounts: usize) -> anyhow::Result<()> {
    let server = Faulty::start().await?;
    let keys = "reconcile_every = \"1d\"\n";
    let mut one = app(&server, "big", keys);
    one.tables = "[apps.guard]\nmax_removals = 10000000\n[apps.capabilities]\npage_size = 1000\n";
    let operator = "[[api_tokens]]\nname = \"ola\"\nrole = \"operator\"\ntoken = \"ola-secret\"\n";
    let rollcall = Rollcall::new(&[one], operator)?;
    rollcall.start().await?;
    let mut from = 0;
    while from < accounts {
        let to = (from + 1000).min(accounts);
        let mut operations = String::new();
        for n in from..to {
            let comma = if n == from { "" } else { "," };
            write!(
                operations,
                r#"{comma}{{"method":"POST","path":"/Users","bulkId":"b{n}","data":{{"schemas":["{USER}"],"userName":"p{n}@example.com"}}}}"#
            )?;
        }
        let body = format!(
            r#"{{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{operations}]}}"#
        );
        rollcall.raw(Method::POST, "/scim/v2/Bulk", SOURCE_TOKEN, Some(body)).await?;
        from = to;
    }
    let started = Instant::now();
    loop {
        let view = rollcall.api("/v1/apps/big").await?;
        if view["obligations_open"] == 0 && server.users("big").len() == accounts {
            break;
        }
        anyhow::ensure!(started.elapsed() < Duration::from_secs(1200), "the accounts were not made in time: {view}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let body = Some("{}".to_owned());
    rollcall.raw(Method::POST, "/v1/apps/big/reconcile", "ola-secret", body).await?;
    let asked = rollcall.items("/v1/timeline?type=reconciliation.requested").await?;
    let asked = asked.iter().filter_map(|e| e["sequence"].as_u64()).max().context("nothing was asked for")?;
    // It may have been compared on its own before that.
    let done = until("it was compared", || async {
        let done = rollcall.items("/v1/timeline?type=reconciliation.completed").await?;
        let after = |e: &Value| e["sequence"].as_u64().filter(|at| *at > asked);
        Ok(done.into_iter().filter(|e| after(e).is_some()).min_by_key(after))
    })
    .await?;
    let begun = rollcall.items("/v1/timeline?type=reconciliation.started").await?;
    let begun = begun.iter().filter(|e| e["sequence"].as_u64() < done["sequence"].as_u64());
    let begun = begun.max_by_key(|e| e["sequence"].as_u64()).context("it did not begin")?;
    let took = time(&done, "recorded_at")?.duration_since(time(begun, "recorded_at")?).as_secs_f64();
    let view = rollcall.api("/v1/apps/big").await?;
    let note = format!("{} findings", view["reconciliation"]["last"]["findings"]);
    Figure::of("reconciliation", accounts as f64 / took, "accounts/s").at(accounts).note(note).show()?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|a| a == "--quick");
    // With a word: that part alone.
    let only = arguments.iter().find(|a| !a.starts_with("--"));
    let wanted = |part: &str| only.is_none_or(|only| only == part);
    println!("the apps are one process of our own beside Rollcall; every event is on disk before it counts\n");
    if wanted("overhead") {
        overhead(if quick { 100 } else { 500 }).await?;
    }
    if wanted("hanging") {
        beside_a_hanging_one(if quick { 50 } else { 1000 }).await?;
    }
    for apps in if quick { vec![13, 130] } else { vec![13, 130, 1300] } {
        if wanted("idle") {
            idle(apps).await?;
        }
        if wanted("leaver") {
            leaver(apps, 20).await?;
        }
    }
    for accounts in if quick { vec![300, 1000] } else { vec![1000, 10_000, 100_000] } {
        if wanted("reconcile") {
            reconcile(accounts).await?;
        }
    }
    Ok(())
}

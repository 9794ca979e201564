//! `./dev bench monitor [APPS]`: a thousand leavers who still have access to a thousand apps, and nobody who removes it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use reqwest::Method;
use rollcall_tests::bench::{Figure, resident};
use rollcall_tests::rollcall::SOURCE_TOKEN;
use rollcall_tests::{App, Rollcall, until};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const LEAVERS: usize = 1000;

fn time(event: &Value, name: &str) -> anyhow::Result<jiff::Timestamp> {
    Ok(event[name].as_str().with_context(|| format!("no {name} in {event}"))?.parse()?)
}

/// Waits until the monitor has read everything.
async fn caught_up(rollcall: &Rollcall) -> anyhow::Result<()> {
    let started = Instant::now();
    // Answers are refused while the projector is behind.
    let wanted = loop {
        if let Ok(newest) = rollcall.api("/v1/timeline?limit=1").await {
            break newest["items"][0]["sequence"].as_u64().unwrap_or_default();
        }
        anyhow::ensure!(started.elapsed().as_secs() < 900, "the projector did not catch up in time");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    rollcall.monitor_reached(wanted).await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let apps: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1000);
    // One app is due once everything is read, so that it is seen how late a deadline rings among all the others.
    let due = Duration::from_secs(60 + apps as u64 / 2);
    let leaver_sla: &'static str = Box::leak(format!("{}s", due.as_secs()).into_boxed_str());
    let all: Vec<App> = (0..apps)
        .map(|n| App {
            id: Box::leak(format!("app{n}").into_boxed_str()),
            base_url: "http://127.0.0.1:9/scim".into(),
            assign: "active eq true",
            deprovision: "deactivate",
            leaver_sla: if n == 0 { leaver_sla } else { "30d" },
            keys: "",
            tables: "[apps.guard]\nmax_removals = 10000000\nmax_percent = 100\n",
        })
        .collect();
    let rollcall = Rollcall::without_provisioner(&all, "").await?;
    rollcall.start().await?;
    let started = Instant::now();
    let mut ids = Vec::new();
    for n in 0..LEAVERS {
        let user = json!({ "schemas": [USER], "userName": format!("p{n}@example.com") });
        let made = rollcall.scim(Method::POST, "/Users", &user).await?;
        ids.push(made["id"].as_str().context("no id")?.to_owned());
    }
    for id in &ids {
        rollcall.raw(Method::DELETE, &format!("/scim/v2/Users/{id}"), SOURCE_TOKEN, None).await?;
    }
    let deleted = Instant::now();
    caught_up(&rollcall).await?;
    let took = started.elapsed().as_secs_f64();
    let open = LEAVERS * apps;
    Figure::of("an obligation through three services", took * 1e6 / (3 * open) as f64, "us").at(open).show()?;
    anyhow::ensure!(deleted.elapsed() < due, "everything was read only after the first deadlines; ask for fewer apps");
    tokio::time::sleep(due - deleted.elapsed()).await;
    let overdue = until("the first deadlines have rung", || async {
        let found = rollcall.items("/v1/timeline?type=obligation.overdue").await?;
        Ok((found.len() >= LEAVERS).then_some(found))
    })
    .await?;
    let mut late: Vec<f64> = overdue
        .iter()
        .map(|o| {
            let deadline: jiff::Timestamp = o["details"]["deadline"].as_str().context("no deadline")?.parse()?;
            Ok(time(o, "recorded_at")?.duration_since(deadline).as_secs_f64())
        })
        .collect::<anyhow::Result<_>>()?;
    late.sort_by(f64::total_cmp);
    let note = format!("of {}, median {:.2} s", late.len(), late[late.len() / 2]);
    Figure::of("the latest deadline rang after", *late.last().context("none")?, "s").at(open).note(note).show()?;
    for (name, pid) in rollcall.processes().await {
        Figure::of(&format!("memory of {name} with open obligations"), resident(pid)?, "MB").at(open).show()?;
    }
    rollcall.stop_service("sla-monitor").await?;
    let started = Instant::now();
    rollcall.start_service("sla-monitor").await?;
    Figure::of("the monitor is ready again after", started.elapsed().as_secs_f64(), "s").at(open).show()
}

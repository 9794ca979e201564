//! `rollcall drill`: an account of Rollcall's own goes through apps, and shows what they do of what they are asked.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::Method;
use rollcall_domain::AppId;
use rollcall_domain::app::drill::{DrillReport, DrillVerdict};
use serde_json::{Value, json};

use crate::operator::{Api, ServerArgs, run};
use crate::terminal::{Column, Shown, column, escaped, print};

/// `rollcall drill`
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// The apps
    #[arg(required_unless_present = "all")]
    apps: Vec<String>,
    /// All apps that are connected
    #[arg(long, conflicts_with = "apps")]
    all: bool,
    /// Drill apps of a configuration that is not used yet, from here: no running Rollcall is asked, and nothing is recorded
    #[arg(long)]
    config: Option<PathBuf>,
    /// Show what came of the last drills, and begin none
    #[arg(long, conflicts_with = "config")]
    last: bool,
    /// The reports as JSON, one a line
    #[arg(long)]
    json: bool,
    /// How long to wait for a drill, in seconds
    #[arg(long, default_value_t = 600)]
    wait: u64,
    #[command(flatten)]
    server: ServerArgs,
}

const RESULTS: [Column; 6] = [
    column("STEP", "/step", Shown::Text),
    column("OF", "/of", Shown::Text),
    column("", "/verdict", Shown::Text),
    column("BEFORE", "/before", Shown::Text),
    column("AFTER S", "/visible_after_seconds", Shown::Number),
    column("WHAT WAS SEEN", "/detail", Shown::Text),
];

/// How often a drill that runs is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Exits with 0 when every step of every app passed, with 1 when one did not, and with 2 when an app could not be drilled.
pub fn drill(args: &DrillArgs) -> anyhow::Result<ExitCode> {
    let mut worst = 0;
    if let Some(file) = &args.config {
        let config = rollcall_config::load(file, &|name| std::env::var(name).ok())?;
        let known = config.apps.iter().filter(|app| !app.spec.kind.is_by_people()).map(|app| app.spec.id.to_string());
        let apps: Vec<String> = if args.all { known.collect() } else { args.apps.clone() };
        for id in &apps {
            let app: AppId = id.parse()?;
            let app = config.app(&app).with_context(|| format!("there is no app '{id}' in {}", file.display()))?;
            eprintln!("{id}: {} goes through it", app.drill.user_name);
            let outcome = run(async { Ok(rollcall_provisioner::rehearse(app).await) })?;
            worst = worst.max(show(args, id, outcome.map(|report| rehearsed(&report)))?);
        }
        return Ok(ExitCode::from(worst));
    }
    let apps = match args.all {
        false => args.apps.clone(),
        true => run(async {
            let api = Api::new(&args.server)?;
            let all = crate::terminal::all(&api, "/v1/apps", &[], u64::MAX).await?;
            let is = |app: &Value, key: &str, value: &Value| app.get(key) == Some(value);
            let scim = Value::from("scim");
            let connected = all.iter().filter(|app| is(app, "connected", &Value::Bool(true)) && is(app, "kind", &scim));
            Ok(connected.filter_map(|app| Some(app.get("id")?.as_str()?.to_owned())).collect())
        })?,
    };
    let mut refused = Vec::new();
    for id in apps.iter().filter(|_| !args.last) {
        let wanted = run(async {
            let path = format!("/v1/apps/{}/drill", escaped(id));
            let said = Api::new(&args.server)?.ask(Method::POST, &path, &[], None).await?;
            said.map(drop).with_context(|| format!("there is no app '{id}'"))
        });
        if let Err(why) = wanted {
            worst = worst.max(show(args, id, Err(format!("{why:#}")))?);
            refused.push(id);
        }
    }
    for id in apps.iter().filter(|id| !refused.contains(id)) {
        let outcome = run(async { Ok(ended(args, id).await) })?;
        worst = worst.max(show(args, id, outcome.map_err(|e| format!("{e:#}")))?);
    }
    Ok(ExitCode::from(worst))
}

/// The report of the drill of an app that was wanted; the last one, where none was.
async fn ended(args: &DrillArgs, id: &str) -> anyhow::Result<Value> {
    let api = Api::new(&args.server)?;
    let until = Instant::now() + Duration::from_secs(args.wait);
    loop {
        let answer = api.ask(Method::GET, &format!("/v1/apps/{}/drills", escaped(id)), &[], None).await?;
        let item = answer.with_context(|| format!("there is no app '{id}'"))?;
        let state = item.get("state").and_then(Value::as_str).unwrap_or_default();
        match state {
            "wanted" | "running" if Instant::now() < until && !args.last => tokio::time::sleep(LOOK_EVERY).await,
            "wanted" | "running" => bail!("its drill has not ended: see rollcall drill {id} --last"),
            "stopped" => bail!("{}", item.get("failure").and_then(Value::as_str).unwrap_or("it was stopped")),
            "none" => bail!("it was never drilled"),
            _ => return item.pointer("/reports/0").cloned().context("there is no report"),
        }
    }
}

/// A report of a drill from here, as the API shows one.
fn rehearsed(report: &DrillReport) -> Value {
    let result = |result: &rollcall_domain::app::drill::DrillResult| {
        json!({
            "step": result.step.name(), "of": result.of, "verdict": result.verdict.name(), "detail": result.detail,
            "visible_after_seconds": result.visible_after.map(|took| took.as_secs_f64()),
        })
    };
    json!({
        "at": report.at, "score": report.score(), "left_behind": report.left_behind,
        "results": report.results.iter().map(result).collect::<Vec<_>>(),
    })
}

/// Shows what came of a drill; the exit code that it stands for.
fn show(args: &DrillArgs, id: &str, outcome: Result<Value, String>) -> anyhow::Result<u8> {
    let mut report = match outcome {
        Ok(report) => report,
        Err(why) if args.json => {
            println!("{}", json!({ "app": id, "failure": why }));
            return Ok(2);
        }
        Err(why) => {
            eprintln!("{id}: it could not be drilled: {why}");
            return Ok(2);
        }
    };
    let results = report.get("results").and_then(Value::as_array).cloned().unwrap_or_default();
    let failed = DrillVerdict::Failed.name();
    let count = results.iter().filter(|result| result.get("verdict").and_then(Value::as_str) == Some(failed)).count();
    if args.json {
        report.as_object_mut().map(|fields| fields.insert("app".into(), id.into()));
        println!("{report}");
    } else {
        print(&results, &RESULTS);
        let score = report.get("score").and_then(Value::as_u64).unwrap_or_default();
        println!("{id}: {score} of 100; {count} of {} steps failed", results.len());
        let left = report.get("left_behind").and_then(Value::as_array).cloned().unwrap_or_default();
        for account in left.iter().filter_map(Value::as_str) {
            println!("{id}: the account {account} is left there: remove it by hand");
        }
    }
    Ok(u8::from(count > 0))
}

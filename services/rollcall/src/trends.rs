//! Whether it gets better: in a terminal.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::operator::{Api, ServerArgs, run};
use crate::terminal::{Column, Shown, all, column, print};

/// `rollcall trends`
#[derive(Debug, Args)]
pub struct TrendsArgs {
    /// What is measured
    #[arg(default_value = "change_to_access", value_parser = [
        "change_to_access", "leaver_completion", "drift", "orphans", "tasks", "exceptions", "drill_score", "work_and_drift",
    ])]
    metric: String,
    /// Told apart by
    #[arg(long, value_parser = ["app", "owner", "source", "department"])]
    by: Option<String>,
    /// Only this group of those
    #[arg(long, requires = "by")]
    group: Option<String>,
    /// Only this kind of change, such as leaver
    #[arg(long)]
    change: Option<String>,
    /// How long each period is
    #[arg(long, default_value = "week", value_parser = ["day", "week", "month"])]
    every: String,
    /// From this RFC 3339 time; without it, of the last twelve weeks
    #[arg(long)]
    from: Option<String>,
    /// Until before this RFC 3339 time
    #[arg(long)]
    to: Option<String>,
    /// As JSON, one group a line, for programs
    #[arg(long)]
    json: bool,
    /// How many groups at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    limit: u64,
    #[command(flatten)]
    server: ServerArgs,
}

const FIGURES: [Column; 12] = [
    column("GROUP", "/group", Shown::Text),
    column("FROM", "/day", Shown::Text),
    column("COUNT", "/count", Shown::Number),
    column("HALF WITHIN", "/p50", Shown::Number),
    column("NINE OF TEN", "/p90", Shown::Number),
    column("IN TIME", "/share", Shown::Number),
    column("OPENED", "/opened", Shown::Number),
    column("ENDED", "/closed", Shown::Number),
    column("OPEN", "/open", Shown::Number),
    column("RAN OUT", "/expired", Shown::Number),
    column("MEAN", "/rounded", Shown::Number),
    column("WHICH IS", "/quadrant", Shown::Text),
];

/// A figure as people read it: a second has three digits, and a share is not rounded up.
fn readable(point: &Value, group: &Value) -> Value {
    let mut shown = point.clone();
    let number = |name: &str| point.get(name).and_then(Value::as_f64);
    let seconds = |name: &str| number(name).map(|value| format!("{value:.3} s"));
    let day = point.get("from").and_then(Value::as_str).map(|from| from.chars().take(10).collect::<String>());
    if let Some(fields) = shown.as_object_mut() {
        let share = number("within_service_level").map(|share| format!("{:.1} %", (share * 1000.0).floor() / 10.0));
        let mean = number("mean").map(|mean| format!("{mean:.1}"));
        let more = [("day", day), ("p50", seconds("p50_seconds")), ("p90", seconds("p90_seconds")), ("share", share)];
        let more = more.into_iter().chain([("rounded", mean)]);
        fields.extend(more.filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?)))));
        let group = match group {
            Value::Null => json!("all"),
            Value::String(name) if name.is_empty() => json!("none"),
            name => name.clone(),
        };
        fields.insert("group".into(), group);
    }
    shown
}

/// `rollcall trends`
pub fn trends(args: &TrendsArgs) -> anyhow::Result<ExitCode> {
    let pairs = [
        ("metric", Some(&args.metric)),
        ("group_by", args.by.as_ref()),
        ("group", args.group.as_ref()),
        ("change", args.change.as_ref()),
        ("every", Some(&args.every)),
        ("from", args.from.as_ref()),
        ("to", args.to.as_ref()),
    ];
    let query: Vec<(&str, &str)> =
        pairs.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?.as_str()))).collect();
    let groups = run(async { all(&Api::new(&args.server)?, "/v1/trends", &query, args.limit).await })?;
    if args.json {
        groups.iter().for_each(|group| println!("{group}"));
        return Ok(ExitCode::SUCCESS);
    }
    let points = |group: &Value| -> Vec<Value> {
        let points = group.get("points").and_then(Value::as_array).into_iter().flatten();
        points.map(|point| readable(point, group.get("group").unwrap_or(&Value::Null))).collect()
    };
    let rows: Vec<Value> = groups.iter().flat_map(points).collect();
    // What a metric does not have is no column.
    let has = |column: &&Column| rows.iter().any(|row| row.pointer(column.pointer).is_some());
    let columns: Vec<Column> = FIGURES.iter().filter(has).copied().collect();
    print(&rows, &columns);
    println!("{} shown", groups.len());
    Ok(ExitCode::SUCCESS)
}

//! `rollcall timeline`: what happened to someone, in the terminal.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use jiff::{Span, SpanRelativeTo, Timestamp};
use reqwest::Method;
use serde_json::Value;

use crate::operator::{Api, ServerArgs, Target, run};
use crate::terminal::harmless;

#[derive(Debug, Args)]
pub struct TimelineArgs {
    /// A user name, an identity's id, or an app's id
    target: String,
    /// How far back, such as 7d or 12h, or an RFC 3339 time
    #[arg(long, default_value = "7d")]
    since: String,
    /// Until this RFC 3339 time
    #[arg(long)]
    until: Option<Timestamp>,
    /// One entry a line as JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

fn since(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let wrong = || format!("--since '{text}' is neither a time span such as 7d or 12h nor an RFC 3339 time");
    let span: Span = text.parse().with_context(wrong)?;
    let back = span.abs().to_duration(SpanRelativeTo::days_are_24_hours()).with_context(wrong)?;
    Timestamp::now().checked_sub(back).with_context(wrong)
}

/// Shows what happened, oldest first.
///
/// # Errors
/// When Rollcall can't be asked, or knows no such thing.
pub fn timeline(args: &TimelineArgs) -> anyhow::Result<ExitCode> {
    let from = since(&args.since)?.to_string();
    run(async {
        let api = Api::new(&args.server)?;
        let (path, app) = match api.find(&args.target).await? {
            Target::Identity(id) => (format!("/v1/identities/{id}/timeline"), None),
            Target::App(id) => ("/v1/timeline".to_owned(), Some(id)),
        };
        let until = args.until.map(|at| at.to_string());
        let (mut cursor, mut count): (Option<String>, usize) = (None, 0);
        loop {
            let mut query = vec![("order", "oldest"), ("limit", "200"), ("from", from.as_str())];
            query.extend(until.as_deref().map(|to| ("to", to)));
            query.extend(app.as_deref().map(|app| ("app", app)));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = api.ask(Method::GET, &path, &query, None).await?;
            let page = page.with_context(|| format!("there is no '{}'", args.target))?;
            for entry in page.get("items").and_then(Value::as_array).into_iter().flatten() {
                count += 1;
                if args.json { println!("{entry}") } else { show(entry) }
            }
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        if count == 0 && !args.json {
            println!("nothing happened to {} since {from}", args.target);
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn show(entry: &Value) {
    let text = |name: &str| harmless(entry.get(name).and_then(Value::as_str).unwrap_or_default());
    let at: String = text("recorded_at").chars().take(19).collect();
    println!("{at}Z  {:<24} {}", text("type"), text("summary"));
    for change in entry.get("changes").and_then(Value::as_array).into_iter().flatten() {
        let value = |name: &str| change.get(name).map_or_else(|| "nothing".to_owned(), Value::to_string);
        let path = harmless(change.get("path").and_then(Value::as_str).unwrap_or_default());
        println!("                        {path}: {} → {}", value("before"), value("after"));
    }
    let (actor, reason) = (text("actor"), text("reason"));
    let reason = if reason.is_empty() { String::new() } else { format!(", because: {reason}") };
    let cause = entry.get("caused_by").and_then(Value::as_u64).map(|s| format!(", caused by event {s}"));
    let due = if text("deadline").is_empty() { String::new() } else { format!(", due {}", text("deadline")) };
    let sequence = entry.get("sequence").and_then(Value::as_u64).unwrap_or_default();
    println!("                        event {sequence} by {actor}{}{due}{reason}", cause.unwrap_or_default());
}

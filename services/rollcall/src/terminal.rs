//! Lists in a terminal, and what is asked before something is done.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::Value;

use crate::operator::{Api, ServerArgs, run};

/// How often a list is asked for again with `--watch`.
pub const AGAIN: Duration = Duration::from_secs(2);

/// How often more of the timeline is asked for where little matches: each time 20,000 events are looked at.
const MOST_PAGES: u32 = 50;

/// How a list is shown.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// As JSON, one object a line, for programs
    #[arg(long)]
    pub json: bool,
    /// Again every two seconds, until it is stopped
    #[arg(long)]
    pub watch: bool,
    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub limit: u64,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// How something is decided.
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// Why: it is on the log for ever, with the name of the token
    #[arg(long)]
    pub reason: String,
    /// Do not ask whether it is meant
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// A span of time as people write it: 90m, 8h, 7d.
pub fn span(text: &str) -> Result<SignedDuration, String> {
    let span: jiff::Span = text.parse().map_err(|_| format!("'{text}' is no span of time, such as 90m, 8h or 7d"))?;
    let hours = jiff::SpanRelativeTo::days_are_24_hours();
    span.to_duration(hours)
        .ok()
        .filter(SignedDuration::is_positive)
        .ok_or_else(|| format!("'{text}' must be longer than nothing"))
}

/// How a field is shown.
#[derive(Debug, Clone, Copy)]
pub enum Shown {
    Text,
    Number,
    Ago,
}

#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub head: &'static str,
    pub pointer: &'static str,
    pub shown: Shown,
}

pub const fn column(head: &'static str, pointer: &'static str, shown: Shown) -> Column {
    Column { head, pointer, shown }
}

/// Every item of a list, up to a limit.
pub async fn all(api: &Api, path: &str, query: &[(&str, &str)], limit: u64) -> anyhow::Result<Vec<Value>> {
    let mut items = Vec::new();
    let (mut cursor, mut pages) = (None::<String>, 0);
    loop {
        let left = limit.saturating_sub(items.len() as u64).min(100).to_string();
        let mut query = query.to_vec();
        // A list that is never long has no pages.
        if path != "/v1/approvals" {
            query.push(("limit", &left));
        }
        query.extend(cursor.iter().map(|cursor| ("cursor", cursor.as_str())));
        let page =
            api.ask(Method::GET, path, &query, None).await?.with_context(|| format!("this Rollcall has no {path}"))?;
        items.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        pages += 1;
        if cursor.is_none() || items.len() as u64 >= limit || path == "/v1/timeline" && pages >= MOST_PAGES {
            return Ok(items);
        }
    }
}

pub fn list(
    args: &ListArgs,
    path: &str,
    query: &[(&str, Option<&String>)],
    columns: &[Column],
) -> anyhow::Result<ExitCode> {
    let query: Vec<(&str, &str)> =
        query.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?.as_str()))).collect();
    loop {
        let items = run(async { all(&Api::new(&args.server)?, path, &query, args.limit).await })?;
        if args.json {
            items.iter().for_each(|item| println!("{item}"));
        } else {
            let now = Timestamp::now();
            if args.watch && std::io::stdout().is_terminal() {
                // To the top, and nothing of before.
                print!("\u{1b}[2J\u{1b}[H");
            }
            println!("{}", table(&items, columns, now));
            let shown = items.len() as u64;
            // A search shows as many as a page has, and no more.
            let may_be_more = shown >= args.limit || path == "/v1/identities" && shown > 0 && shown.is_multiple_of(100);
            println!("{shown} shown{}", if may_be_more { ": there may be more" } else { "" });
        }
        if !args.watch {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(AGAIN);
    }
}

/// Shows items as a table.
pub fn print(items: &[Value], columns: &[Column]) {
    println!("{}", table(items, columns, Timestamp::now()));
}

fn table(items: &[Value], columns: &[Column], now: Timestamp) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    let is_terminal = std::io::stdout().is_terminal();
    if let Some((terminal_size::Width(width), _)) = terminal_size::terminal_size().filter(|_| is_terminal) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(columns.iter().map(|column| column.head));
    for item in items {
        table.add_row(columns.iter().map(|column| {
            let cell = Cell::new(field(item, column, now));
            if matches!(column.shown, Shown::Number) { cell.set_alignment(CellAlignment::Right) } else { cell }
        }));
    }
    table
}

fn field(item: &Value, column: &Column, now: Timestamp) -> String {
    let value = item.pointer(column.pointer).unwrap_or(&Value::Null);
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let text = match value {
        Value::Null => String::new(),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::String(text) => match (&column.shown, text.parse::<Timestamp>()) {
            (Shown::Ago, Ok(time)) => ago(time, now),
            _ => text.clone(),
        },
        other => other.to_string(),
    };
    harmless(&text)
}

/// What an app or a source has said must not move the cursor.
pub fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How far a time is from now, in its two largest units.
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    let apart = now.duration_since(time);
    let seconds = apart.abs().as_secs();
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let shown = parts.iter().skip(first).take(2).filter(|(count, _)| *count > 0);
    let text = shown.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ");
    match (text.is_empty(), apart.is_negative()) {
        (true, _) => "now".to_owned(),
        (false, true) => format!("in {text}"),
        (false, false) => format!("{text} ago"),
    }
}

pub fn until(lasting: SignedDuration) -> anyhow::Result<Timestamp> {
    Timestamp::now().checked_add(lasting).context("that is too long")
}

/// A part of a path.
pub fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Asks whether it is meant; whoever is no person says so with `--yes`.
pub fn confirm(yes: bool, question: &str) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    ensure!(std::io::stdin().is_terminal(), "{question} Nothing was done: say --yes where nobody can be asked");
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    ensure!(matches!(answer.trim(), "y" | "Y" | "yes"), "nothing was done");
    Ok(())
}

pub fn say(server: &ServerArgs, all: &[(String, Value)]) -> anyhow::Result<ExitCode> {
    run(async {
        let api = Api::new(server)?;
        for (done, (path, body)) in all.iter().enumerate() {
            let answer = api.ask(Method::POST, path, &[], Some(body.clone())).await;
            let answer = answer.with_context(|| format!("{done} of {} done", all.len()))?;
            let Some(answer) = answer else { bail!("{path}: there is no such thing; {done} of {} done", all.len()) };
            match answer.get("approval").and_then(Value::as_str) {
                Some(id) => println!("event {}: it waits for a second person, as '{id}'", answer["sequence"]),
                None => println!("event {}", answer["sequence"]),
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_shown_as_people_read_it_and_moves_no_cursor() {
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let item = json!({
            "who": "a\u{1b}[2Jb", "due": "2026-11-28T13:30:00Z", "left": "2026-11-26T11:00:00Z", "open": ["wiki", "crm"], "n": 7,
        });
        let shown = |pointer, shown| field(&item, &column("", pointer, shown), now);
        assert_eq!(shown("/who", Shown::Text), "a [2Jb");
        assert_eq!(shown("/due", Shown::Ago), "in 1 h 30 min");
        assert_eq!(shown("/left", Shown::Ago), "2 d 1 h ago");
        assert_eq!(shown("/open", Shown::Text), "wiki, crm");
        assert_eq!((shown("/n", Shown::Number), shown("/none", Shown::Text)), ("7".to_owned(), String::new()));
    }

    #[test]
    fn a_span_of_time_is_read_and_nonsense_is_not() {
        assert_eq!(span("8h"), Ok(SignedDuration::from_hours(8)));
        assert_eq!(span("7d"), Ok(SignedDuration::from_hours(168)));
        assert!(span("soon").is_err() && span("0s").is_err() && span("-1h").is_err());
    }
}

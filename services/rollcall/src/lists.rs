//! What the console shows, in a terminal: lists of a running Rollcall, and what can be done with what stands in them.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::operator::{Api, ServerArgs, run};

/// How often a list is asked for again with `--watch`.
const AGAIN: Duration = Duration::from_secs(2);

/// How often more of the timeline is asked for where little matches: each time 20,000 events are looked at.
const MOST_PAGES: u32 = 50;

/// How a list is shown.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// As JSON, one object a line, for programs
    #[arg(long)]
    json: bool,
    /// Again every two seconds, until it is stopped
    #[arg(long)]
    watch: bool,
    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    limit: u64,
    #[command(flatten)]
    server: ServerArgs,
}

/// How something is decided.
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// Why: it is on the log for ever, with the name of the token
    #[arg(long)]
    reason: String,
    /// Do not ask whether it is meant
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// `rollcall status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    /// Again every two seconds, until it is stopped
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// `rollcall leavers`
#[derive(Debug, Args)]
pub struct LeaversArgs {
    /// open, overdue or completed
    #[arg(long, default_value = "open", value_parser = ["open", "overdue", "completed"])]
    status: String,
    #[command(flatten)]
    list: ListArgs,
}

/// `rollcall identities`
#[derive(Debug, Args)]
pub struct IdentitiesArgs {
    /// Part of a name
    name: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// `rollcall drift`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DriftArgs {
    #[command(subcommand)]
    act: Option<DriftAct>,
    /// In one app
    #[arg(long)]
    app: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum DriftAct {
    /// Leave items as they are for a while
    Accept {
        /// Their ids, as the list shows them
        #[arg(required = true)]
        ids: Vec<String>,
        /// For how long, such as 8h or 7d
        #[arg(long = "for", value_parser = span)]
        lasting: SignedDuration,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

/// `rollcall obligations`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ObligationsArgs {
    #[command(subcommand)]
    act: Option<ObligationAct>,
    /// open, applied, overdue, waived, verified or superseded
    #[arg(long, default_value = "open", value_parser = ["open", "applied", "overdue", "waived", "verified", "superseded"])]
    status: String,
    /// In one app
    #[arg(long)]
    app: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum ObligationAct {
    /// Leave obligations unmet for a while
    Waive {
        /// Their ids, as the list shows them
        #[arg(required = true)]
        ids: Vec<String>,
        /// For how long, such as 8h or 7d
        #[arg(long = "for", value_parser = span)]
        lasting: SignedDuration,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

/// `rollcall holds`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct HoldsArgs {
    #[command(subcommand)]
    act: Option<HoldAct>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum HoldAct {
    /// Let the removals that a hold shows go on
    Release {
        /// The cause, as the list shows it
        cause: String,
        /// The last change that is meant; without it all that the hold shows now
        #[arg(long)]
        through: Option<u64>,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Call them a mistake for a while
    Reject {
        /// The cause, as the list shows it
        cause: String,
        /// The last change that is meant; without it all that the hold shows now
        #[arg(long)]
        through: Option<u64>,
        /// For how long, such as 8h or 7d
        #[arg(long = "for", value_parser = span)]
        lasting: SignedDuration,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

/// `rollcall events`
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Of one type, such as account.rejected
    #[arg(long = "type")]
    kind: Option<String>,
    /// In one app
    #[arg(long)]
    app: Option<String>,
    /// By somebody
    #[arg(long)]
    actor: Option<String>,
    /// By a source
    #[arg(long)]
    source: Option<String>,
    /// With part of what they say
    #[arg(long)]
    text: Option<String>,
    /// From a time on, such as 2026-11-28T12:00:00Z
    #[arg(long)]
    from: Option<String>,
    /// Until a time
    #[arg(long)]
    to: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// `rollcall alerts`
#[derive(Debug, Args)]
pub struct AlertsArgs {
    #[command(flatten)]
    list: ListArgs,
}

/// `rollcall approvals`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ApprovalsArgs {
    #[command(subcommand)]
    act: Option<ApprovalAct>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum ApprovalAct {
    /// Approve what another person has asked for: it is done now
    Approve {
        /// The id, as the list shows it
        id: String,
        /// Do not ask whether it is meant
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Deny it, or take back what one has asked for oneself
    Deny {
        /// The id, as the list shows it
        id: String,
        /// Do not ask whether it is meant
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// A span of time as people write it: 90m, 8h, 7d.
fn span(text: &str) -> Result<SignedDuration, String> {
    let span: jiff::Span = text.parse().map_err(|_| format!("'{text}' is no span of time, such as 90m, 8h or 7d"))?;
    let hours = jiff::SpanRelativeTo::days_are_24_hours();
    span.to_duration(hours)
        .ok()
        .filter(SignedDuration::is_positive)
        .ok_or_else(|| format!("'{text}' must be longer than nothing"))
}

/// How a field is shown.
enum Shown {
    Text,
    Number,
    Ago,
}

struct Column {
    head: &'static str,
    pointer: &'static str,
    shown: Shown,
}

const fn column(head: &'static str, pointer: &'static str, shown: Shown) -> Column {
    Column { head, pointer, shown }
}

const LEAVERS: [Column; 6] = [
    column("WHO", "/user_name", Shown::Text),
    column("STATUS", "/status", Shown::Text),
    column("LEFT", "/left_at", Shown::Ago),
    column("OPEN IN", "/open", Shown::Text),
    column("OVERDUE IN", "/overdue", Shown::Text),
    column("ID", "/identity", Shown::Text),
];
const IDENTITIES: [Column; 5] = [
    column("USER NAME", "/user_name", Shown::Text),
    column("NAME", "/display_name", Shown::Text),
    column("LIFECYCLE", "/lifecycle", Shown::Text),
    column("CHANGED", "/changed_at", Shown::Ago),
    column("ID", "/id", Shown::Text),
];
const APPS: [Column; 7] = [
    column("APP", "/id", Shown::Text),
    column("HEALTH", "/health/state", Shown::Text),
    column("OPEN", "/obligations_open", Shown::Number),
    column("OVERDUE", "/obligations_overdue", Shown::Number),
    column("DRIFT", "/drift_items", Shown::Number),
    column("FINDINGS", "/conformance/findings", Shown::Text),
    column("OWNER", "/owner", Shown::Text),
];
const DRIFT: [Column; 6] = [
    column("WHOSE", "/user_name", Shown::Text),
    column("KIND", "/kind", Shown::Text),
    column("APP", "/app", Shown::Text),
    column("SINCE", "/detected_at", Shown::Ago),
    column("ACCEPTED BY", "/accepted/by", Shown::Text),
    column("ID", "/id", Shown::Text),
];
const OBLIGATIONS: [Column; 6] = [
    column("STATUS", "/status", Shown::Text),
    column("CHANGE", "/change", Shown::Text),
    column("APP", "/app", Shown::Text),
    column("OPENED", "/opened_at", Shown::Ago),
    column("DUE", "/deadline", Shown::Ago),
    column("ID", "/id", Shown::Text),
];
const HOLDS: [Column; 5] = [
    column("CAUSE", "/source", Shown::Text),
    column("APP", "/app", Shown::Text),
    column("REMOVALS", "/removals", Shown::Number),
    column("SINCE", "/since", Shown::Ago),
    column("THROUGH", "/through", Shown::Number),
];
const EVENTS: [Column; 5] = [
    column("EVENT", "/sequence", Shown::Number),
    column("RECORDED", "/recorded_at", Shown::Ago),
    column("TYPE", "/type", Shown::Text),
    column("WHAT", "/summary", Shown::Text),
    column("BY", "/actor", Shown::Text),
];
const APPROVALS: [Column; 5] = [
    column("WHAT", "/what", Shown::Text),
    column("ASKED BY", "/asked_by", Shown::Text),
    column("BECAUSE", "/reason", Shown::Text),
    column("EXPIRES", "/expires_at", Shown::Ago),
    column("ID", "/id", Shown::Text),
];

/// `rollcall leavers`
pub fn leavers(args: &LeaversArgs) -> anyhow::Result<ExitCode> {
    list(&args.list, "/v1/leavers", &[("status", Some(&args.status))], &LEAVERS)
}

/// `rollcall identities`
pub fn identities(args: &IdentitiesArgs) -> anyhow::Result<ExitCode> {
    list(&args.list, "/v1/identities", &[("name", args.name.as_ref())], &IDENTITIES)
}

/// `rollcall apps`
pub fn apps(args: &ListArgs) -> anyhow::Result<ExitCode> {
    list(args, "/v1/apps", &[], &APPS)
}

/// `rollcall drift`
pub fn drift(args: &DriftArgs) -> anyhow::Result<ExitCode> {
    match &args.act {
        None => list(&args.list, "/v1/drift", &[("app", args.app.as_ref())], &DRIFT),
        Some(DriftAct::Accept { ids, lasting, decide }) => {
            let all: Vec<_> = ids.iter().map(|id| format!("/v1/drift/{}/accept", escaped(id))).collect();
            exception(decide, &all, *lasting, "to be left as it is")
        }
    }
}

/// `rollcall obligations`
pub fn obligations(args: &ObligationsArgs) -> anyhow::Result<ExitCode> {
    match &args.act {
        None => {
            let query = [("status", Some(&args.status)), ("app", args.app.as_ref())];
            list(&args.list, "/v1/obligations", &query, &OBLIGATIONS)
        }
        Some(ObligationAct::Waive { ids, lasting, decide }) => {
            let all: Vec<_> = ids.iter().map(|id| format!("/v1/obligations/{}/waive", escaped(id))).collect();
            exception(decide, &all, *lasting, "to be left unmet")
        }
    }
}

/// `rollcall holds`
pub fn holds(args: &HoldsArgs) -> anyhow::Result<ExitCode> {
    let (cause, through, decide, lasting) = match &args.act {
        None => return list(&args.list, "/v1/holds", &[], &HOLDS),
        Some(HoldAct::Release { cause, through, decide }) => (cause, through, decide, None),
        Some(HoldAct::Reject { cause, through, decide, lasting }) => (cause, through, decide, Some(*lasting)),
    };
    let found = run(async {
        let api = Api::new(&decide.server)?;
        let all = api.ask(Method::GET, "/v1/holds", &[("limit", "200")], None).await?.unwrap_or_default();
        let items = all.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let found = items.into_iter().find(|hold| hold.get("source").and_then(Value::as_str) == Some(cause.as_str()));
        found.with_context(|| format!("nothing waits by '{cause}': `rollcall holds` lists what does"))
    })?;
    let through =
        through.or_else(|| found.get("through").and_then(Value::as_u64)).context("the hold says no change")?;
    let (removals, app) = (&found["removals"], &found["app"]);
    let (word, path, body) = match lasting {
        None => ("let go on", "release", json!({ "reason": decide.reason, "through": through })),
        Some(lasting) => {
            let body = json!({ "reason": decide.reason, "through": through, "expires_at": until(lasting)? });
            ("call a mistake", "reject", body)
        }
    };
    confirm(decide.yes, &format!("{word} {removals} removals by {cause}, first in {app}, up to event {through}?"))?;
    say(&decide.server, &[(format!("/v1/holds/{}/{path}", escaped(cause)), body)])
}

/// `rollcall events`
pub fn events(args: &EventsArgs) -> anyhow::Result<ExitCode> {
    let query = [
        ("type", args.kind.as_ref()),
        ("app", args.app.as_ref()),
        ("actor", args.actor.as_ref()),
        ("source", args.source.as_ref()),
        ("text", args.text.as_ref()),
        ("from", args.from.as_ref()),
        ("to", args.to.as_ref()),
    ];
    list(&args.list, "/v1/timeline", &query, &EVENTS)
}

/// `rollcall alerts`: what the monitor has said, the newest first.
pub fn alerts(args: &AlertsArgs) -> anyhow::Result<ExitCode> {
    let kind = "alert.fired".to_owned();
    list(&args.list, "/v1/timeline", &[("type", Some(&kind))], &EVENTS)
}

/// `rollcall approvals`
pub fn approvals(args: &ApprovalsArgs) -> anyhow::Result<ExitCode> {
    let (id, yes, server, word) = match &args.act {
        None => return list(&args.list, "/v1/approvals", &[], &APPROVALS),
        Some(ApprovalAct::Approve { id, yes, server }) => (id, *yes, server, "approve"),
        Some(ApprovalAct::Deny { id, yes, server }) => (id, *yes, server, "deny"),
    };
    confirm(yes, &format!("{word} '{id}'?"))?;
    say(server, &[(format!("/v1/approvals/{}/{word}", escaped(id)), json!({}))])
}

/// `rollcall status`: 0 when nothing needs a person, 1 when something does, 2 when it can't be told.
pub fn status(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    loop {
        let seen = run(async {
            let api = Api::new(&args.server)?;
            let overdue = all(&api, "/v1/leavers", &[("status", "overdue")], u64::MAX).await?;
            let open = all(&api, "/v1/leavers", &[("status", "open")], u64::MAX).await?;
            let holds = all(&api, "/v1/holds", &[], u64::MAX).await?;
            let apps = all(&api, "/v1/apps", &[], u64::MAX).await?;
            anyhow::Ok((overdue, open, holds, apps))
        });
        let (overdue, open, holds, apps) = match seen {
            Ok(seen) => seen,
            // What needs someone is not known: that is neither yes nor no.
            Err(error) => {
                eprintln!("rollcall: {error:#}");
                return Ok(ExitCode::from(2));
            }
        };
        let number = |app: &Value, key: &str| app.get(key).and_then(Value::as_u64).unwrap_or_default();
        let sum = |key: &str| apps.iter().map(|app| number(app, key)).sum::<u64>();
        let is_sick = |app: &&Value| app.pointer("/health/state").and_then(Value::as_str) != Some("working");
        let sick: Vec<&str> = apps.iter().filter(is_sick).filter_map(|app| app.get("id")?.as_str()).collect();
        let (owed, drift) = (sum("obligations_overdue"), sum("drift_items"));
        let needs = !overdue.is_empty() || !holds.is_empty() || owed > 0 || !sick.is_empty();
        if args.json {
            println!(
                "{}",
                json!({
                    "needs_someone": needs, "leavers_overdue": overdue.len(), "leavers_open": open.len(),
                    "obligations_overdue": owed, "holds": holds.len(), "drift_items": drift, "apps": apps.len(), "apps_left_alone": sick,
                })
            );
        } else {
            println!("leavers       {} overdue, {} open", overdue.len(), open.len());
            println!("obligations   {owed} overdue");
            println!("holds         {} wait for a decision", holds.len());
            println!("drift         {drift} items");
            let alone =
                if sick.is_empty() { "none left alone".to_owned() } else { format!("left alone: {}", sick.join(", ")) };
            println!("apps          {}, {alone}", apps.len());
            println!("{}", if needs { "something needs a person" } else { "nothing needs a person" });
        }
        if !args.watch {
            return Ok(if needs { ExitCode::from(1) } else { ExitCode::SUCCESS });
        }
        std::thread::sleep(AGAIN);
        println!();
    }
}

/// Every item of a list, up to a limit.
async fn all(api: &Api, path: &str, query: &[(&str, &str)], limit: u64) -> anyhow::Result<Vec<Value>> {
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

fn list(
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
    // What an app or a source has said must not move the cursor.
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How far a time is from now, in its two largest units.
fn ago(time: Timestamp, now: Timestamp) -> String {
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

fn until(lasting: SignedDuration) -> anyhow::Result<Timestamp> {
    Timestamp::now().checked_add(lasting).context("that is too long")
}

/// A part of a path.
fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

fn exception(decide: &DecideArgs, paths: &[String], lasting: SignedDuration, what: &str) -> anyhow::Result<ExitCode> {
    let expires_at = until(lasting)?;
    confirm(decide.yes, &format!("{} {what} until {expires_at:.0}?", paths.len()))?;
    let body = json!({ "reason": decide.reason, "expires_at": expires_at });
    let all: Vec<_> = paths.iter().map(|path| (path.clone(), body.clone())).collect();
    say(&decide.server, &all)
}

/// Asks whether it is meant; whoever is no person says so with `--yes`.
fn confirm(yes: bool, question: &str) -> anyhow::Result<()> {
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

fn say(server: &ServerArgs, all: &[(String, Value)]) -> anyhow::Result<ExitCode> {
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

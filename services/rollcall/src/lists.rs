//! What the console shows, in a terminal: lists of a running Rollcall, and what can be done with what stands in them.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::operator::{Api, ServerArgs, run};
use crate::terminal::{
    AGAIN, Column, DecideArgs, ListArgs, Shown, all, column, confirm, escaped, list, say, span, until,
};

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
    /// open, overdue, completed, or attested: done, and some of it is somebody's word
    #[arg(long, default_value = "open", value_parser = ["open", "overdue", "completed", "attested"])]
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
    /// open, applied, overdue, waived, verified, superseded or attested
    #[arg(long, default_value = "open", value_parser = ["open", "applied", "overdue", "waived", "verified", "superseded", "attested"])]
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
        let items = all(&api, "/v1/holds", &[], u64::MAX).await?;
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

fn exception(decide: &DecideArgs, paths: &[String], lasting: SignedDuration, what: &str) -> anyhow::Result<ExitCode> {
    let expires_at = until(lasting)?;
    confirm(decide.yes, &format!("{} {what} until {expires_at:.0}?", paths.len()))?;
    let body = json!({ "reason": decide.reason, "expires_at": expires_at });
    let all: Vec<_> = paths.iter().map(|path| (path.clone(), body.clone())).collect();
    say(&decide.server, &all)
}

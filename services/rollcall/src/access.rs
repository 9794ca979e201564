//! Who holds what and why, requests for more, and switching somebody off: in a terminal.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::operator::{Api, ServerArgs, Target, run};
use crate::terminal::{Column, DecideArgs, ListArgs, Shown, column, confirm, escaped, list, print, say, span};

/// `rollcall access`
#[derive(Debug, Args)]
pub struct AccessArgs {
    /// A user name, or an identity's id
    who: String,
    /// As it was at a time (RFC 3339)
    #[arg(long)]
    as_of: Option<String>,
    /// The answer as JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// `rollcall explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A user name, or an identity's id
    who: String,
    /// What: APP for an account there, APP:group:NAME for a group in it
    entitlement: String,
    /// As it was at a time (RFC 3339)
    #[arg(long)]
    as_of: Option<String>,
    /// The answer as JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// `rollcall entitlements`
#[derive(Debug, Args)]
pub struct EntitlementsArgs {
    /// Who holds this one: APP, or APP:group:NAME
    #[arg(long)]
    holders: Option<String>,
    /// In one app
    #[arg(long, conflicts_with = "holders")]
    app: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// `rollcall roles`
#[derive(Debug, Args)]
pub struct RolesArgs {
    #[command(flatten)]
    list: ListArgs,
}

/// `rollcall disable`, `rollcall enable`
#[derive(Debug, Args)]
pub struct SwitchArgs {
    /// A user name, or an identity's id
    who: String,
    #[command(flatten)]
    decide: DecideArgs,
}

/// `rollcall grant`
#[derive(Debug, Subcommand)]
pub enum Grants {
    /// What was asked for, what is granted, or what has ended
    List {
        /// requested, active or ended
        #[arg(long, default_value = "requested", value_parser = ["requested", "active", "ended"])]
        status: String,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Ask for something for someone, for a time
    Request {
        /// For whom: a user name, or an identity's id
        who: String,
        /// What: APP, APP:group:NAME, or role:ID
        what: String,
        /// For how long from its approval, such as 90m, 8h or 7d; without it, without an end, where that is allowed
        #[arg(long = "for", value_parser = span)]
        lasting: Option<SignedDuration>,
        /// Where it is talked about
        #[arg(long)]
        ticket: Option<String>,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Approve what somebody has asked for
    Approve {
        /// The id, as the list shows it
        id: String,
        /// Do not ask whether it is meant
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Deny it
    Deny(GrantActArgs),
    /// Take back what one has asked for
    Withdraw(GrantActArgs),
    /// End a grant before its time
    End(GrantActArgs),
    /// Ask for more time for a grant
    Extend {
        /// The id, as the list shows it
        id: String,
        /// For how long from its approval, such as 90m, 8h or 7d
        #[arg(long = "for", value_parser = span)]
        lasting: SignedDuration,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

/// Which grant, and why.
#[derive(Debug, Args)]
pub struct GrantActArgs {
    /// The id, as the list shows it
    id: String,
    #[command(flatten)]
    decide: DecideArgs,
}

const HELD: [Column; 7] = [
    column("ENTITLEMENT", "/entitlement", Shown::Text),
    column("NAME", "/name", Shown::Text),
    column("RISK", "/risk", Shown::Text),
    column("SINCE", "/since", Shown::Ago),
    column("UNTIL", "/until", Shown::Ago),
    column("STATE", "/state", Shown::Text),
    column("BECAUSE", "/because", Shown::Text),
];
const ENTITLEMENTS: [Column; 6] = [
    column("ENTITLEMENT", "/id", Shown::Text),
    column("NAME", "/name", Shown::Text),
    column("OWNER", "/owner", Shown::Text),
    column("RISK", "/terms/risk", Shown::Text),
    column("CAN BE ASKED FOR", "/terms/requestable", Shown::Text),
    column("ROLES", "/roles", Shown::Text),
];
const HOLDERS: [Column; 4] = [
    column("WHO", "/user_name", Shown::Text),
    column("SINCE", "/since", Shown::Ago),
    column("STATE", "/state", Shown::Text),
    column("ID", "/identity", Shown::Text),
];
const ROLES: [Column; 6] = [
    column("ROLE", "/id", Shown::Text),
    column("NAME", "/name", Shown::Text),
    column("MEMBERS", "/members", Shown::Text),
    column("ENTITLEMENTS", "/entitlements", Shown::Text),
    column("OWNER", "/owner", Shown::Text),
    column("CAN BE ASKED FOR", "/requestable", Shown::Text),
];
const GRANTS: [Column; 7] = [
    column("STATUS", "/status", Shown::Text),
    column("WHO", "/user_name", Shown::Text),
    column("WHAT", "/what", Shown::Text),
    column("ASKED BY", "/requested_by", Shown::Text),
    column("BECAUSE", "/reason", Shown::Text),
    column("UNTIL", "/until", Shown::Ago),
    column("ID", "/id", Shown::Text),
];

async fn identity(api: &Api, who: &str) -> anyhow::Result<String> {
    match api.find(who).await? {
        Target::Identity(id) => Ok(id),
        Target::App(app) => bail!("'{app}' is an app, and no identity"),
    }
}

/// `rollcall access`
pub fn access(args: &AccessArgs) -> anyhow::Result<ExitCode> {
    let answer = run(async {
        let api = Api::new(&args.server)?;
        let id = identity(&api, &args.who).await?;
        let query: Vec<_> = args.as_of.iter().map(|at| ("as_of", at.as_str())).collect();
        let answer = api.ask(Method::GET, &format!("/v1/identities/{id}/access"), &query, None).await?;
        answer.with_context(|| format!("there is no identity '{id}'"))
    })?;
    if args.json {
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(off) = answer.get("disabled").filter(|off| !off.is_null()) {
        let text = |key: &str| off.get(key).and_then(Value::as_str).unwrap_or_default();
        println!("switched off in every app by {} at {}", text("by"), text("since"));
    }
    let items: Vec<Value> = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    print(&items.into_iter().map(with_reasons).collect::<Vec<_>>(), &HELD);
    Ok(ExitCode::SUCCESS)
}

/// An item with its reasons in one text.
fn with_reasons(mut item: Value) -> Value {
    let reasons = item.get("reasons").and_then(Value::as_array).cloned().unwrap_or_default();
    let texts = reasons.iter().filter_map(|reason| reason.get("text")?.as_str());
    let because = texts.collect::<Vec<_>>().join("; ");
    if let Some(fields) = item.as_object_mut() {
        fields.insert("because".into(), because.into());
    }
    item
}

/// `rollcall explain`: 0 when it is held, 1 when it is not.
pub fn explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let answer = run(async {
        let api = Api::new(&args.server)?;
        let id = identity(&api, &args.who).await?;
        let mut query = vec![("identity", id.as_str()), ("entitlement", args.entitlement.as_str())];
        query.extend(args.as_of.iter().map(|at| ("as_of", at.as_str())));
        let answer = api.ask(Method::GET, "/v1/explain", &query, None).await?;
        answer.with_context(|| format!("there is no entitlement '{}'", args.entitlement))
    })?;
    let held = answer.get("held").and_then(Value::as_bool) == Some(true);
    if args.json {
        println!("{answer}");
    } else {
        println!("{} {} {}", args.who, if held { "holds" } else { "does not hold" }, args.entitlement);
        let texts = |pointer: &str| {
            let all = answer.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
            all.iter().filter_map(|one| one.get("text")?.as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        texts("/holding/reasons").iter().for_each(|text| println!("  because: {text}"));
        texts("/missing").iter().for_each(|text| println!("  not, because: {text}"));
    }
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// `rollcall entitlements`
pub fn entitlements(args: &EntitlementsArgs) -> anyhow::Result<ExitCode> {
    match &args.holders {
        Some(id) => list(&args.list, &format!("/v1/entitlements/{}/holders", escaped(id)), &[], &HOLDERS),
        None => list(&args.list, "/v1/entitlements", &[("app", args.app.as_ref())], &ENTITLEMENTS),
    }
}

/// `rollcall roles`
pub fn roles(args: &RolesArgs) -> anyhow::Result<ExitCode> {
    list(&args.list, "/v1/roles", &[], &ROLES)
}

/// `rollcall disable`, `rollcall enable`: `word` is the one of both.
pub fn switch(args: &SwitchArgs, word: &str) -> anyhow::Result<ExitCode> {
    let id = run(async { identity(&Api::new(&args.decide.server)?, &args.who).await })?;
    confirm(args.decide.yes, &format!("{word} {} in every app, now?", args.who))?;
    say(&args.decide.server, &[(format!("/v1/identities/{id}/{word}"), json!({ "reason": args.decide.reason }))])
}

/// `rollcall grant`
pub fn grant(grants: &Grants) -> anyhow::Result<ExitCode> {
    match grants {
        Grants::List { status, list: args } => list(args, "/v1/grants", &[("status", Some(status))], &GRANTS),
        Grants::Request { who, what, lasting, ticket, decide } => {
            let mut body = Map::from_iter([
                ("identity".to_owned(), json!(who)),
                ("what".to_owned(), json!(what)),
                ("reason".to_owned(), json!(decide.reason)),
            ]);
            body.extend(lasting.map(|time| ("for".to_owned(), json!(format!("{}s", time.as_secs())))));
            body.extend(ticket.as_ref().map(|ticket| ("ticket".to_owned(), json!(ticket))));
            let asks = match lasting {
                Some(time) => format!("ask for {what} for {who}, for {time:#} from its approval?"),
                None => format!("ask for {what} for {who}, without an end?"),
            };
            confirm(decide.yes, &asks)?;
            let made = run(async {
                let api = Api::new(&decide.server)?;
                let made = api.ask(Method::POST, "/v1/grants", &[], Some(Value::Object(body))).await?;
                made.with_context(|| format!("there is no identity '{who}', or nothing such as '{what}'"))
            })?;
            println!("grant {}: it waits for its approval", made.get("id").and_then(Value::as_str).unwrap_or_default());
            Ok(ExitCode::SUCCESS)
        }
        Grants::Approve { id, yes, server } => {
            confirm(*yes, &format!("approve '{id}'?"))?;
            say(server, &[(format!("/v1/grants/{}/approve", escaped(id)), json!({}))])
        }
        Grants::Deny(args) => act(args, "deny"),
        Grants::Withdraw(args) => act(args, "withdraw"),
        Grants::End(args) => act(args, "end"),
        Grants::Extend { id, lasting, decide } => {
            confirm(decide.yes, &format!("ask that '{id}' goes on for {lasting:#} from its approval?"))?;
            let body = json!({ "reason": decide.reason, "for": format!("{}s", lasting.as_secs()) });
            say(&decide.server, &[(format!("/v1/grants/{}/extend", escaped(id)), body)])
        }
    }
}

fn act(GrantActArgs { id, decide }: &GrantActArgs, word: &str) -> anyhow::Result<ExitCode> {
    confirm(decide.yes, &format!("{word} '{id}'?"))?;
    say(&decide.server, &[(format!("/v1/grants/{}/{word}", escaped(id)), json!({ "reason": decide.reason }))])
}

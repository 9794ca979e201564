//! `rollcall token`: API tokens that are made and revoked while Rollcall runs.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::operator::{Api, ServerArgs, run};

/// What to do with API tokens. It needs the token of an admin.
#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make one: it is written to standard output, once, and kept nowhere
    New {
        /// Whose it is: what they do is told by this name
        name: String,
        /// What they may do: viewer, auditor, operator or admin
        #[arg(long)]
        role: String,
        /// An app that it is for; may be given again; without, it is for all
        #[arg(long = "app")]
        apps: Vec<String>,
        /// How long it lasts, such as 12h or 90d; at most 366d
        #[arg(long, default_value = "90d")]
        expires: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show them: whose they are, what they may do, until when, and when they were used last
    List {
        /// The answer as JSON, for programs
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Revoke one: it opens nothing any more, and what was signed in with it ends
    Revoke {
        /// Its name or its id
        token: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

const PATH: &str = "/v1/tokens";

/// Makes, shows or revokes API tokens.
///
/// # Errors
/// When Rollcall can't be asked, or refuses.
pub fn token(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        TokenCommand::New { name, role, apps, expires, server } => {
            let expires_at = Timestamp::now() + span(expires)?;
            let body = json!({ "name": name, "role": role, "apps": apps, "expires_at": expires_at });
            let made = run(async { Api::new(server)?.ask(Method::POST, PATH, &[], Some(body)).await })?;
            let made = made.context("this Rollcall has no API tokens of its own")?;
            let token = made.get("token").and_then(Value::as_str).context("the answer has no token")?;
            eprintln!("the token of {name}, {role} until {expires_at}; it is shown once:");
            println!("{token}");
        }
        TokenCommand::List { json, server } => {
            let all = run(async { Api::new(server)?.ask(Method::GET, PATH, &[], None).await })?.unwrap_or_default();
            if *json {
                println!("{all}");
                return Ok(ExitCode::SUCCESS);
            }
            let items = all.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            if items.is_empty() {
                println!("none was made; those of the configuration are not listed here");
            }
            items.iter().for_each(show);
        }
        TokenCommand::Revoke { token, server } => run(async {
            let api = Api::new(server)?;
            let all = api.ask(Method::GET, PATH, &[], None).await?.unwrap_or_default();
            let items = all.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            let is_it = |item: &&Value| {
                let is_live = item["revoked_at"].is_null();
                item["id"] == json!(token) || (is_live && item["name"] == json!(token))
            };
            let Some(id) = items.iter().find(is_it).and_then(|item| item["id"].as_str()) else {
                bail!("there is no API token '{token}': `rollcall token list` shows those there are")
            };
            api.ask(Method::DELETE, &format!("{PATH}/{id}"), &[], None).await?;
            println!("API token {token} is revoked");
            Ok(())
        })?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(item: &Value) {
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or("never").to_owned();
    let apps = item.get("apps").and_then(Value::as_array).cloned().unwrap_or_default();
    let apps: Vec<&str> = apps.iter().filter_map(Value::as_str).collect();
    let scope = if apps.is_empty() { "all apps".to_owned() } else { apps.join(", ") };
    let end = match item.get("revoked_at").and_then(Value::as_str) {
        Some(at) => format!("revoked at {at}"),
        None => format!("until {}", text("expires_at")),
    };
    println!("{}  {}, {}, {scope}, {end}, used last: {}", text("id"), text("name"), text("role"), text("used_at"));
}

/// A time span such as 12h or 90d.
fn span(text: &str) -> anyhow::Result<SignedDuration> {
    let span: Span =
        text.parse().with_context(|| format!("--expires: '{text}' is no time span, such as 12h or 90d"))?;
    Ok(span.to_duration(SpanRelativeTo::days_are_24_hours())?)
}

//! Credentials and inventories: in a terminal.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use reqwest::Client;
use serde_json::{Value, json};

use crate::terminal::{Column, DecideArgs, ListArgs, Shown, column, confirm, escaped, list, say};

/// How long an answer to a list may take.
const AT_LENGTH: Duration = Duration::from_secs(3600);

/// `rollcall credentials`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CredentialsArgs {
    #[command(subcommand)]
    act: Option<CredentialAct>,
    /// Those of this person or machine: a user name, or an identity's id
    #[arg(long)]
    holder: Option<String>,
    /// Those that this inventory lists
    #[arg(long)]
    inventory: Option<String>,
    /// Those that are so
    #[arg(long, value_parser = ["to_revoke", "compromised", "of_nobody", "expired", "over_age", "unused", "gone"])]
    is: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum CredentialAct {
    /// Report that others may know their secrets: they are to be revoked within the shortest time
    Compromised {
        /// Their ids, as the list shows them
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

/// `rollcall inventories`
#[derive(Debug, Args)]
pub struct InventoriesArgs {
    #[command(flatten)]
    list: ListArgs,
}

/// `rollcall inventory`
#[derive(Debug, Args)]
pub struct InventoryArgs {
    /// Its name, as in `[[inventories]]`
    name: String,
    /// The whole list: a table (.csv), a JSON object a line (.ndjson, .jsonl), or a JSON document (.json)
    file: PathBuf,
    /// How the file is written; without it by its name
    #[arg(long)]
    format: Option<Format>,
    /// When the list was begun to be taken, such as 2026-03-01T09:00:00Z, or @ and the seconds since 1970 (date +@%s): what it lacks
    /// was gone then
    #[arg(long, value_parser = instant)]
    taken_at: Timestamp,
    /// So many are missing that were listed, and that is so: the number that a refusal names
    #[arg(long)]
    confirm_missing: Option<u64>,
    /// The answer as JSON, for programs
    #[arg(long)]
    json: bool,
    /// The address of the running Rollcall
    #[arg(long, env = "ROLLCALL_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// The environment variable that holds the token of the inventory's source
    #[arg(long, default_value = "ROLLCALL_SOURCE_TOKEN")]
    token_env: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Ndjson,
    Json,
}

const CREDENTIALS: [Column; 9] = [
    column("ID", "/id", Shown::Text),
    column("INVENTORY", "/inventory", Shown::Text),
    column("KIND", "/kind", Shown::Text),
    column("NAME", "/name", Shown::Text),
    column("HOLDER", "/holder/user_name", Shown::Text),
    column("ACTIVE HOLDER", "/holder/active", Shown::Text),
    column("USED", "/used_at", Shown::Ago),
    column("EXPIRES", "/expires_at", Shown::Ago),
    column("REVOKE BY", "/obligations/0/deadline", Shown::Ago),
];

const INVENTORIES: [Column; 6] = [
    column("NAME", "/name", Shown::Text),
    column("TAKEN", "/taken_at", Shown::Ago),
    column("LISTED", "/listed", Shown::Text),
    column("OF NOBODY", "/of_nobody", Shown::Text),
    column("NEW", "/added", Shown::Text),
    column("GONE", "/gone", Shown::Text),
];

/// `rollcall credentials`
pub fn credentials(args: &CredentialsArgs) -> anyhow::Result<ExitCode> {
    let Some(CredentialAct::Compromised { ids, decide }) = &args.act else {
        let query =
            [("holder", args.holder.as_ref()), ("inventory", args.inventory.as_ref()), ("is", args.is.as_ref())];
        return list(&args.list, "/v1/credentials", &query, &CREDENTIALS);
    };
    confirm(decide.yes, &format!("report {} as compromised?", ids.join(", ")))?;
    let body = json!({ "reason": decide.reason });
    let path = |id: &String| (format!("/v1/credentials/{}/compromised", escaped(id)), body.clone());
    say(&decide.server, &ids.iter().map(path).collect::<Vec<_>>())
}

/// `rollcall inventories`
pub fn inventories(args: &InventoriesArgs) -> anyhow::Result<ExitCode> {
    list(&args.list, "/v1/inventories", &[], &INVENTORIES)
}

/// Sends the list of an inventory.
///
/// # Errors
/// When the file can't be read, or the list is refused: nothing has changed then.
pub fn send(args: &InventoryArgs) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(send_list(args))
}

async fn send_list(args: &InventoryArgs) -> anyhow::Result<ExitCode> {
    let named = args.file.display();
    let kind = content_type(args)?;
    let body = std::fs::read(&args.file).with_context(|| format!("reading {named}"))?;
    let taken_at = args.taken_at;
    let token = std::env::var(&args.token_env).ok().filter(|token| !token.is_empty());
    let token = token.with_context(|| {
        format!("set {} to the token of the inventory's source, or name another --token-env", args.token_env)
    })?;
    let base = args.server.trim_end_matches('/');
    let taken = taken_at.to_string();
    let missing = args.confirm_missing.map(|missing| missing.to_string());
    let query = [("taken_at", Some(taken)), ("confirm_missing", missing)];
    let query: Vec<(&str, String)> = query.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let http = Client::builder().timeout(AT_LENGTH).build().context("no HTTP client")?;
    let request = http.put(format!("{base}/inventories/{}", escaped(&args.name))).bearer_auth(token).query(&query);
    let answer = request.header("content-type", kind).body(body).send().await;
    let answer = answer.with_context(|| format!("{base} can't be reached"))?;
    let status = answer.status();
    let text = answer.text().await.context("the answer broke off")?;
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    if !status.is_success() {
        let detail = said.get("detail").and_then(Value::as_str).unwrap_or(&text);
        bail!("{named} was refused ({status}): {detail}");
    }
    if args.json {
        println!("{said}");
        return Ok(ExitCode::SUCCESS);
    }
    let count = |name: &str| said.get(name).and_then(Value::as_u64).unwrap_or_default();
    println!(
        "{}: {} listed as of {taken_at}, {} new, {} changed, {} gone",
        args.name,
        count("listed"),
        count("added"),
        count("changed"),
        count("gone")
    );
    let nobodys = said.get("nobodys").and_then(Value::as_array).cloned().unwrap_or_default();
    if count("ofNobody") > 0 {
        let names: Vec<&str> = nobodys.iter().filter_map(Value::as_str).collect();
        println!("of nobody that is known: {}, such as {}", count("ofNobody"), names.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let seconds = text.strip_prefix('@').and_then(|seconds| Timestamp::from_second(seconds.parse().ok()?).ok());
    seconds
        .or_else(|| text.parse().ok())
        .ok_or_else(|| "it is no time as in 2026-03-01T09:00:00Z, nor @ and seconds".into())
}

fn content_type(args: &InventoryArgs) -> anyhow::Result<&'static str> {
    let extension = args.file.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let format = match (args.format, extension.as_str()) {
        (Some(format), _) => format,
        (None, "csv") => Format::Csv,
        (None, "ndjson" | "jsonl") => Format::Ndjson,
        (None, "json") => Format::Json,
        (None, _) => bail!("say with --format how {} is written: csv, ndjson or json", args.file.display()),
    };
    Ok(match format {
        Format::Csv => "text/csv",
        Format::Ndjson => "application/x-ndjson",
        Format::Json => "application/json",
    })
}

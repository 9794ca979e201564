//! `rollcall export`: all that is held about one person, in one readable file.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use crate::operator::{Api, ServerArgs, Target, run as run_async};

/// How many entries of the timeline are asked for at once.
const PAGE: &str = "100";

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A user name, or an identity's id
    #[arg(long)]
    identity: String,
    /// The file, for its owner alone; without it, standard output
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Writes what is known of somebody now, and everything that happened, as JSON.
///
/// # Errors
/// When Rollcall can't be asked, knows no such person, or the file can't be written.
pub fn run(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let bundle = run_async(async {
        let api = Api::new(&args.server)?;
        let id = match api.find(&args.identity).await? {
            Target::Identity(id) => id,
            Target::App(id) => bail!("'{id}' is an app: this is about people and agents"),
        };
        let known = api.ask(Method::GET, &format!("/v1/identities/{id}"), &[], None).await?;
        let known = known.with_context(|| format!("there is no '{}'", args.identity))?;
        let (mut timeline, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = vec![("limit", PAGE), ("order", "oldest")];
            query.extend(cursor.iter().map(|cursor| ("cursor", cursor.as_str())));
            let path = format!("/v1/identities/{id}/timeline");
            let mut page = api.ask(Method::GET, &path, &query, None).await?.unwrap_or_default();
            if let Some(items) = page.get_mut("items").and_then(Value::as_array_mut) {
                timeline.append(items);
            }
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        anyhow::Ok(json!({ "known_now": known, "timeline": timeline }))
    })?;
    let text = serde_json::to_string_pretty(&bundle)? + "\n";
    match &args.out {
        None => std::io::stdout().write_all(text.as_bytes())?,
        Some(path) => {
            let place = || format!("{} can't be written", path.display());
            let open = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
            open.with_context(place)?.write_all(text.as_bytes()).with_context(place)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

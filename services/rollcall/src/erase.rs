//! `rollcall erase`: what is personal about somebody who has left is destroyed, for ever.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use crate::operator::{Api, ServerArgs, Target, run as run_async};

#[derive(Debug, Args)]
pub struct EraseArgs {
    /// A user name, or an identity's id
    target: String,
    /// Why; it stays on the log for ever, and must name nobody
    #[arg(long)]
    reason: String,
    /// What allows it, such as "GDPR Art. 17(1)(a)"; it stays, too
    #[arg(long)]
    legal_basis: String,
    /// The answer as JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Asks for the erasure of somebody, or erases them where one person may.
///
/// # Errors
/// When Rollcall can't be asked, knows no such person, or says what stands in the way.
pub fn run(args: &EraseArgs) -> anyhow::Result<ExitCode> {
    let answer = run_async(async {
        let api = Api::new(&args.server)?;
        let id = match api.find(&args.target).await? {
            Target::Identity(id) => id,
            Target::App(id) => bail!("'{id}' is an app: only people and agents are erased"),
        };
        let body = json!({ "reason": args.reason, "legal_basis": args.legal_basis });
        let answer = api.ask(Method::POST, &format!("/v1/identities/{id}/erase"), &[], Some(body)).await?;
        answer.with_context(|| format!("there is no '{}'", args.target))
    })?;
    if args.json {
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    match answer.get("approval").and_then(Value::as_str) {
        Some(id) => {
            println!("asked for: another admin approves it by POST /v1/approvals/{id}/approve, or in the console")
        }
        None => println!("erased, as event {}: the keys to what was personal are destroyed", answer["sequence"]),
    }
    Ok(ExitCode::SUCCESS)
}

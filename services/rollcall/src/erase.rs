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
    #[arg(required_unless_present = "list")]
    target: Option<String>,
    /// Why; it stays on the log for ever, and must name nobody
    #[arg(long, required_unless_present = "list", default_value = "", hide_default_value = true)]
    reason: String,
    /// What allows it, such as "GDPR Art. 17(1)(a)"; it stays, too
    #[arg(long, required_unless_present = "list", default_value = "", hide_default_value = true)]
    legal_basis: String,
    /// Say who is to be erased, and who will be within 30 days because they left long enough ago
    #[arg(long, conflicts_with_all = ["target", "reason", "legal_basis"])]
    list: bool,
    /// The answer as JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Asks for the erasure of somebody, or erases them where one person may; or says who is to be erased.
///
/// # Errors
/// When Rollcall can't be asked, knows no such person, or says what stands in the way.
pub fn run(args: &EraseArgs) -> anyhow::Result<ExitCode> {
    let answer = run_async(async {
        let api = Api::new(&args.server)?;
        if args.list {
            let answer = api.ask(Method::GET, "/v1/erasures", &[], None).await?;
            return answer.context("this version of Rollcall can't say who is to be erased");
        }
        let target = args.target.as_deref().unwrap_or_default();
        let id = match api.find(target).await? {
            Target::Identity(id) => id,
            Target::App(id) => bail!("'{id}' is an app: only people and agents are erased"),
        };
        let body = json!({ "reason": args.reason, "legal_basis": args.legal_basis });
        let answer = api.ask(Method::POST, &format!("/v1/identities/{id}/erase"), &[], Some(body)).await?;
        answer.with_context(|| format!("there is no '{target}'"))
    })?;
    if args.json {
        println!("{answer}");
    } else if args.list {
        list(&answer);
    } else {
        say(&answer);
    }
    Ok(ExitCode::SUCCESS)
}

/// What has to happen first.
fn waits_for(answer: &Value) -> String {
    let all = answer["waits_for"].as_array().into_iter().flatten();
    all.filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
}

fn say(answer: &Value) {
    let waits_for = waits_for(answer);
    let sequence = &answer["sequence"];
    match (answer.get("approval").and_then(Value::as_str), waits_for.is_empty()) {
        (Some(id), _) => {
            println!("asked for: another admin approves it by POST /v1/approvals/{id}/approve, or in the console")
        }
        (None, true) => println!("erased, as event {sequence}: the keys to what was personal are destroyed"),
        (None, false) => {
            println!("to be erased, by event {sequence}: it happens by itself once this is gone. {waits_for}")
        }
    }
}

fn list(answer: &Value) {
    let rows = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let (ordered, due) = (rows("ordered"), rows("due"));
    if ordered.is_empty() && due.is_empty() {
        println!("nobody is to be erased, and nobody is due within 30 days");
    }
    for (word, row) in ordered.iter().map(|row| ("ordered", row)).chain(due.iter().map(|row| ("due    ", row))) {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        println!("{word}  {}  {}  {}", text("at"), text("identity"), waits_for(row));
    }
    if !answer["next_cursor"].is_null() {
        println!("and more: GET /v1/erasures?cursor={}", answer["next_cursor"].as_str().unwrap_or_default());
    }
}

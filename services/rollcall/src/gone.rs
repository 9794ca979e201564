//! `rollcall gone`, `rollcall same`: what is missing in an app is gone, or the app is the one that is known all the same, by the word of people.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use crate::operator::{Api, run};
use crate::terminal::{DecideArgs, confirm, say};

/// What `gone` is about.
#[derive(Debug, Args)]
pub struct GoneArgs {
    /// The app's id
    app: String,
    /// The event that says what is missing; without it the one that the app shows now
    #[arg(long)]
    told: Option<u64>,
    #[command(flatten)]
    decide: DecideArgs,
}

/// `rollcall gone`: of an app that is left alone because accounts are missing there, a person says that they are gone.
///
/// # Errors
/// When Rollcall can't be asked, or nothing is missing there.
pub fn gone(args: &GoneArgs) -> anyhow::Result<ExitCode> {
    answer(args, "gone", "Are they gone?")
}

/// `rollcall same`: of such an app a person says that it is the one that is known, with accounts that have other names by now.
///
/// # Errors
/// The same.
pub fn same(args: &GoneArgs) -> anyhow::Result<ExitCode> {
    answer(args, "same", "Is it the app that is known, with the same ids?")
}

fn answer(args: &GoneArgs, what: &str, question: &str) -> anyhow::Result<ExitCode> {
    let path = format!("/v1/apps/{}", args.app);
    let shown = run(async {
        let api = Api::new(&args.decide.server)?;
        api.ask(Method::GET, &path, &[], None).await?.with_context(|| format!("there is no app '{}'", args.app))
    })?;
    let missing = shown.pointer("/health/reason/detail").and_then(Value::as_str).unwrap_or("it is not left alone");
    let told = args.told.or_else(|| shown.pointer("/health/event").and_then(Value::as_u64));
    let told =
        told.with_context(|| format!("nothing that must be there is missing in '{}': it is not left alone", args.app))?;
    confirm(args.decide.yes, &format!("{missing}\n{question}"))?;
    say(&args.decide.server, &[(format!("{path}/{what}"), json!({ "told": told, "reason": args.decide.reason }))])
}

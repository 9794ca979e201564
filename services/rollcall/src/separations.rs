//! Separations of duties, who violates them, and leaving that so for a time: in a terminal.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use serde_json::json;

use crate::terminal::{Column, DecideArgs, ListArgs, Shown, column, confirm, escaped, list, say, span, until};

/// `rollcall separations`
#[derive(Debug, Args)]
pub struct SeparationsArgs {
    #[command(flatten)]
    list: ListArgs,
}

/// `rollcall violations`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ViolationsArgs {
    #[command(subcommand)]
    act: Option<ViolationAct>,
    /// open or accepted
    #[arg(long, value_parser = ["open", "accepted"])]
    status: Option<String>,
    /// Of one separation
    #[arg(long)]
    separation: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum ViolationAct {
    /// Ask that violations are left as they are for a while: a second person approves it
    Accept {
        /// Their ids, as the list shows them
        #[arg(required = true)]
        ids: Vec<String>,
        /// What is done instead: the compensating control
        #[arg(long)]
        control: String,
        /// For how long, such as 8h or 7d
        #[arg(long = "for", value_parser = span)]
        lasting: SignedDuration,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

const SEPARATIONS: [Column; 5] = [
    column("SEPARATION", "/id", Shown::Text),
    column("NAME", "/name", Shown::Text),
    column("NOBODY HOLDS", "/entitlements", Shown::Text),
    column("TOGETHER WITH", "/never_with", Shown::Text),
    column("OWNER", "/owner", Shown::Text),
];
const VIOLATIONS: [Column; 6] = [
    column("STATUS", "/status", Shown::Text),
    column("WHO", "/user_name", Shown::Text),
    column("SEPARATION", "/separation", Shown::Text),
    column("SINCE", "/since", Shown::Ago),
    column("OWNER", "/owner", Shown::Text),
    column("ID", "/id", Shown::Text),
];

/// `rollcall separations`
pub fn separations(args: &SeparationsArgs) -> anyhow::Result<ExitCode> {
    list(&args.list, "/v1/separations", &[], &SEPARATIONS)
}

/// `rollcall violations`
pub fn violations(args: &ViolationsArgs) -> anyhow::Result<ExitCode> {
    match &args.act {
        None => {
            let query = [("status", args.status.as_ref()), ("separation", args.separation.as_ref())];
            list(&args.list, "/v1/violations", &query, &VIOLATIONS)
        }
        Some(ViolationAct::Accept { ids, control, lasting, decide }) => {
            let expires_at = until(*lasting)?;
            confirm(decide.yes, &format!("ask that {} violations are accepted until {expires_at:.0}?", ids.len()))?;
            let body = json!({ "reason": decide.reason, "control": control, "expires_at": expires_at });
            let all: Vec<_> =
                ids.iter().map(|id| (format!("/v1/violations/{}/accept", escaped(id)), body.clone())).collect();
            say(&decide.server, &all)
        }
    }
}

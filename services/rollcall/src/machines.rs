//! Machines, who answers for them, and their hand-overs: in a terminal.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, json};

use crate::terminal::{Column, DecideArgs, ListArgs, Shown, column, confirm, escaped, list, say};

/// `rollcall machines`
#[derive(Debug, Args)]
pub struct MachinesArgs {
    /// Those for which this person answers: a user name, or an identity's id
    #[arg(long)]
    owner: Option<String>,
    /// Those that are so: without_owner, handed_over or ending (within 30 days)
    #[arg(long, value_parser = ["without_owner", "handed_over", "ending"])]
    is: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// `rollcall handovers`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct HandoversArgs {
    #[command(subcommand)]
    act: Option<HandoverAct>,
    /// open, retiring, accepted, reassigned, retired or returned
    #[arg(long, default_value = "open", value_parser = ["open", "retiring", "accepted", "reassigned", "retired", "returned"])]
    status: String,
    /// Of one person who leaves: a user name, or an identity's id
    #[arg(long)]
    owner: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum HandoverAct {
    /// Take machines over: whoever does answers for them from now on
    Accept {
        /// Their ids, as the list shows them
        #[arg(required = true)]
        ids: Vec<String>,
        /// Who takes them: a user name, or an identity's id; without it, oneself
        #[arg(long)]
        owner: Option<String>,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Ask somebody to take machines over
    Pass {
        /// Their ids, as the list shows them
        #[arg(required = true)]
        ids: Vec<String>,
        /// Who is asked: a user name, or an identity's id
        #[arg(long)]
        to: String,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// End machines: they are switched off in every app
    Retire {
        /// Their ids, as the list shows them
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

const MACHINES: [Column; 8] = [
    column("NAME", "/name", Shown::Text),
    column("KIND", "/kind", Shown::Text),
    column("LIFECYCLE", "/lifecycle", Shown::Text),
    column("OWNER", "/owner/user_name", Shown::Text),
    column("WITHOUT OWNER", "/without_owner", Shown::Text),
    column("ENVIRONMENT", "/environment", Shown::Text),
    column("ENDS", "/expires_at", Shown::Ago),
    column("ID", "/id", Shown::Text),
];
const HANDOVERS: [Column; 6] = [
    column("MACHINE", "/machine_name", Shown::Text),
    column("BY", "/owner/user_name", Shown::Text),
    column("STATUS", "/status", Shown::Text),
    column("DUE", "/deadline", Shown::Ago),
    column("PROPOSED", "/proposed/0/user_name", Shown::Text),
    column("ID", "/id", Shown::Text),
];

/// `rollcall machines`
pub fn machines(args: &MachinesArgs) -> anyhow::Result<ExitCode> {
    let query = [("owner", args.owner.as_ref()), ("is", args.is.as_ref())];
    list(&args.list, "/v1/machines", &query, &MACHINES)
}

/// `rollcall handovers`
pub fn handovers(args: &HandoversArgs) -> anyhow::Result<ExitCode> {
    let (ids, decide, word, more) = match &args.act {
        None => {
            let query = [("status", Some(&args.status)), ("owner", args.owner.as_ref())];
            return list(&args.list, "/v1/handovers", &query, &HANDOVERS);
        }
        Some(HandoverAct::Accept { ids, owner, decide }) => {
            (ids, decide, "accept", owner.as_ref().map(|owner| ("owner", owner)))
        }
        Some(HandoverAct::Pass { ids, to, decide }) => (ids, decide, "pass", Some(("to", to))),
        Some(HandoverAct::Retire { ids, decide }) => (ids, decide, "retire", None),
    };
    let whom = more.map(|(word, who)| format!(" ({word}: {who})")).unwrap_or_default();
    confirm(decide.yes, &format!("{word} {}{whom}?", ids.join(", ")))?;
    let mut body = Map::from_iter([("reason".to_owned(), json!(decide.reason))]);
    body.extend(more.map(|(word, who)| (word.to_owned(), json!(who))));
    let path = |id: &String| (format!("/v1/handovers/{}/{word}", escaped(id)), json!(body));
    say(&decide.server, &ids.iter().map(path).collect::<Vec<_>>())
}

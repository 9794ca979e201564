//! What people have to do in apps that Rollcall does not change itself: in a terminal.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::operator::ServerArgs;
use crate::terminal::{Column, DecideArgs, ListArgs, Shown, column, confirm, escaped, list, say};

/// `rollcall tasks`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct TasksArgs {
    #[command(subcommand)]
    act: Option<TaskAct>,
    /// In one app
    #[arg(long)]
    app: Option<String>,
    /// In the apps that this owner answers for
    #[arg(long)]
    owner: Option<String>,
    /// open, overdue, waits or attested
    #[arg(long, value_parser = ["open", "overdue", "waits", "attested"])]
    status: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum TaskAct {
    /// Say that they are done: it is on the log for ever, with the name of the token, and shown as your word
    Done {
        /// Their ids, as the list shows them
        #[arg(required = true)]
        ids: Vec<String>,
        /// Where it can be looked up, such as the number of a ticket
        #[arg(long, default_value = "")]
        reference: String,
        /// Do not ask whether it is meant
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Take back what was said of them: they are not done, and owed anew
    Undone {
        /// Their ids, as `attested_task` of an account has them
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

const TASKS: [Column; 7] = [
    column("ID", "/id", Shown::Text),
    column("STATUS", "/status", Shown::Text),
    column("APP", "/app", Shown::Text),
    column("WHO", "/user_name", Shown::Text),
    column("DEADLINE", "/deadline", Shown::Ago),
    column("OWNER", "/owner", Shown::Text),
    column("TO DO", "/to_do", Shown::Text),
];

/// `rollcall tasks`
pub fn tasks(args: &TasksArgs) -> anyhow::Result<ExitCode> {
    let paths = |ids: &[String], step: &str, body: Value| -> Vec<(String, Value)> {
        ids.iter().map(|id| (format!("/v1/tasks/{}/{step}", escaped(id)), body.clone())).collect()
    };
    match &args.act {
        None => {
            let query = [("app", args.app.as_ref()), ("owner", args.owner.as_ref()), ("status", args.status.as_ref())];
            list(&args.list, "/v1/tasks", &query, &TASKS)
        }
        Some(TaskAct::Done { ids, reference, yes, server }) => {
            confirm(*yes, &format!("say that {} is done?", ids.join(", ")))?;
            say(server, &paths(ids, "done", json!({ "reference": reference })))
        }
        Some(TaskAct::Undone { ids, decide }) => {
            confirm(decide.yes, &format!("take back what was said of {}?", ids.join(", ")))?;
            say(&decide.server, &paths(ids, "undone", json!({ "reason": decide.reason })))
        }
    }
}

//! `rollcall apps`: the health of each app, and what is known of apps before one is connected.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::lists;
use crate::terminal::{DecideArgs, ListArgs, confirm, escaped, say};

/// What to show.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AppsArgs {
    #[command(subcommand)]
    what: Option<Apps>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Apps {
    /// List the presets, with what each one's documentation says and where that is; or show the settings of one
    Presets {
        /// The preset whose settings are shown
        name: Option<String>,
    },
    /// Govern an app no more, after it was taken out of the configuration; a second person approves it
    Remove {
        /// The app's id
        app: String,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

pub fn apps(args: &AppsArgs) -> anyhow::Result<ExitCode> {
    let name = match &args.what {
        Some(Apps::Presets { name }) => name,
        Some(Apps::Remove { app, decide }) => {
            confirm(
                decide.yes,
                &format!("govern '{app}' no more? Nothing is removed there, and nobody is followed there"),
            )?;
            let body = json!({ "reason": decide.reason });
            return say(&decide.server, &[(format!("/v1/apps/{}/remove", escaped(app)), body)]);
        }
        None => return lists::apps(&args.list),
    };
    let all = rollcall_config::presets();
    let Some(name) = name else {
        for (name, preset) in &all {
            println!("{name:<26}{} (documentation of {})", preset.name, preset.checked);
            preset.notes.iter().for_each(|note| println!("{:<26}- {note}", ""));
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some(preset) = all.get(name.as_str()) else {
        anyhow::bail!("there is no preset '{name}': `rollcall apps presets` lists them");
    };
    println!("# {}, by its documentation of {}:", preset.name, preset.checked);
    preset.sources.iter().for_each(|source| println!("#   {source}"));
    preset.notes.iter().for_each(|note| println!("# - {note}"));
    print!("{}", toml::to_string(&preset.settings)?);
    Ok(ExitCode::SUCCESS)
}

//! What is written for people from the commands themselves: the page about the command line, man pages, completions.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Command, Subcommand};
use clap_complete::Shell;

/// What to write.
#[derive(Debug, Subcommand)]
pub enum Reference {
    /// docs/cli.md, to standard output
    Cli,
    /// docs/configuration.md, to standard output
    Configuration,
    /// A man page for each command
    Man {
        /// The folder that they are written to; it is made when it is not there
        #[arg(long)]
        dir: PathBuf,
    },
}

/// Writes it.
///
/// # Errors
/// When a file can't be written.
pub fn run(reference: &Reference, command: Command) -> anyhow::Result<ExitCode> {
    match reference {
        Reference::Configuration => print!("{}", rollcall_config::reference()),
        Reference::Cli => print!("{}", markdown(command)?),
        Reference::Man { dir } => {
            let place = || format!("man pages can't be written to {}", dir.display());
            std::fs::create_dir_all(dir).with_context(place)?;
            clap_mangen::generate_to(command, dir).with_context(place)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes completions for a shell to standard output.
pub fn completions(shell: Shell, mut command: Command) -> ExitCode {
    clap_complete::generate(shell, &mut command, "rollcall", &mut std::io::stdout());
    ExitCode::SUCCESS
}

fn markdown(command: Command) -> anyhow::Result<String> {
    // What the environment holds where the page is made has no place in it.
    let mut command = without_values(command).term_width(100);
    command.build();
    let mut page =
        "# The command line\n\nThis page is made from the program: `./dev reference` writes it, and a test fails \
                    when it is not what the program says.\n"
            .to_owned();
    section(&mut page, &mut command, "")?;
    Ok(page)
}

fn without_values(command: Command) -> Command {
    command.mut_args(|argument| argument.hide_env_values(true)).mut_subcommands(without_values)
}

fn section(page: &mut String, command: &mut Command, before: &str) -> anyhow::Result<()> {
    let name = format!("{before}{}", command.get_name());
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(page, "\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end())?;
    for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        section(page, sub, &format!("{name} "))?;
    }
    Ok(())
}

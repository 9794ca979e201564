//! The demo.

use std::process::ExitCode;

/// How to play.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Stop when the walk-through has succeeded
    #[arg(long)]
    once: bool,
}

/// Plays.
pub fn run(_args: DemoArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("later")
}

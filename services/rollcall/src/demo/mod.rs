//! The demo: an identity provider, three apps that nobody here wrote, and what Rollcall knows about them.

mod apps;
mod play;
mod rollcall;
mod show;
mod webhook;

use std::process::ExitCode;

use anyhow::Context as _;

/// How to play.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Stop when the walk-through has succeeded; otherwise everything stays up until Ctrl-C
    #[arg(long)]
    once: bool,
}

/// Plays.
///
/// # Errors
/// With the step that did not come true.
pub fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no async runtime")?;
    runtime.block_on(async {
        tokio::select! {
            done = demo(&args) => done.map(|()| ExitCode::SUCCESS),
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
        }
    })
}

async fn demo(args: &DemoArgs) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("rollcall-demo-").tempdir().context("no temporary folder")?;
    let apps = apps::start(folder.path()).await?;
    let alerts = webhook::Receiver::start().await?;
    let rollcall = rollcall::Rollcall::start(folder.path(), &apps, &alerts.url).await?;
    let leaver = play::walk(&rollcall, &apps, &alerts).await?;
    show::timeline(&rollcall, &leaver).await?;
    show::latencies(&rollcall).await?;
    show::where_to_look(&rollcall, &leaver, folder.path());
    if !args.once {
        println!("\nEverything stays up until Ctrl-C.");
        tokio::signal::ctrl_c().await.context("Ctrl-C can't be caught")?;
    }
    rollcall.stop().await
}

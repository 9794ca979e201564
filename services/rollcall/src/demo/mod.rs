//! The demo: an identity provider, apps that nobody here wrote, and what Rollcall knows about them.

mod apps;
mod asking;
mod by_hand;
mod careless;
mod composing;
mod deployed;
mod drilling;
mod handing_over;
mod play;
mod rollcall;
mod show;
mod webhook;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

/// How to play.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Stop when the walk-through has succeeded; otherwise everything stays up until Ctrl-C
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    deployed: Option<DeployedArgs>,
}

/// Where to play, when it is not here; all of it, or nothing.
#[derive(Debug, clap::Args)]
struct DeployedArgs {
    /// Play against a deployment instead, whose settings `rollcall setup` made in this folder: connects two apps that run
    /// already, and changes nothing when it was played before
    #[arg(long, required = false, requires_all = ["address", "chat", "crm"])]
    settings: PathBuf,
    /// Where the deployment is
    #[arg(long, required = false, requires = "settings")]
    address: String,
    /// Where a SCIM app for everyone is
    #[arg(long, required = false, requires = "settings")]
    chat: String,
    /// Where a SCIM app for Sales is
    #[arg(long, required = false, requires = "settings")]
    crm: String,
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
    if let Some(deployed) = &args.deployed {
        return deployed::demo(deployed).await;
    }
    let folder = tempfile::Builder::new().prefix("rollcall-demo-").tempdir().context("no temporary folder")?;
    let apps = apps::start(folder.path()).await?;
    let alerts = webhook::Receiver::start().await?;
    let mut rollcall = rollcall::Rollcall::start(folder.path(), &apps, &alerts.url).await?;
    drilling::every_app(&rollcall, &apps).await?;
    let cast = play::walk(&rollcall, &apps).await?;
    asking::for_a_while(&rollcall, &apps, &cast.asks, &cast.manager).await?;
    handing_over::machines(&rollcall, &apps, &cast.leaver, &cast.manager).await?;
    careless::policy(&mut rollcall, &apps).await?;
    let overdue = cast.next;
    play::leave_while_down(&rollcall, &apps, &alerts, &overdue).await?;
    by_hand::badges(&rollcall, &alerts).await?;
    show::timeline(&rollcall, &overdue).await?;
    show::trends(&rollcall).await?;
    show::where_to_look(&rollcall, &overdue, folder.path());
    if !args.once {
        println!("\nEverything stays up until Ctrl-C.");
        tokio::signal::ctrl_c().await.context("Ctrl-C can't be caught")?;
    }
    rollcall.stop().await
}

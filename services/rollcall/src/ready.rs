//! `rollcall ready`: whether the process at an address is ready; for health checks of images without a shell.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

#[derive(Debug, Args)]
pub struct ReadyArgs {
    /// The address of the process
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: SocketAddr,
}

/// Exits with 0 when it is, and says why when it is not.
///
/// # Errors
/// When there is no answer.
pub fn run(args: &ReadyArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
    runtime.block_on(async {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(4)).build().context("no HTTP client")?;
        let answer = http.get(format!("http://{}/readyz", args.address)).send().await;
        let answer = answer.with_context(|| format!("nothing answers at {}", args.address))?;
        let ready = answer.status().is_success();
        println!("{}", answer.text().await.unwrap_or_default());
        Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

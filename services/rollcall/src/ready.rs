//! `rollcall ready`: whether the process at an address is ready; for health checks of images without a shell.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

#[derive(Debug, Args)]
pub struct ReadyArgs {
    /// The address of the process, such as 127.0.0.1:8080, or https://projector-1:8080 when it speaks TLS itself
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: String,
    /// The authority that is believed, as a PEM file; without, the public ones
    #[arg(long)]
    ca_file: Option<PathBuf>,
}

/// Exits with 0 when it is, and says why when it is not.
///
/// # Errors
/// When there is no answer.
pub fn run(args: &ReadyArgs) -> anyhow::Result<ExitCode> {
    let address = if args.address.contains("://") { args.address.clone() } else { format!("http://{}", args.address) };
    let mut http = reqwest::Client::builder().timeout(Duration::from_secs(4));
    if let Some(file) = &args.ca_file {
        let text = std::fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
        let certificate = reqwest::Certificate::from_pem(&text);
        http = http.tls_certs_only([certificate.with_context(|| format!("{} is no certificate", file.display()))?]);
    } else if address.starts_with("http://") {
        // To read the public authorities would be most of the work, in each container every few seconds.
        http = http.tls_certs_only([]);
    }
    let http = http.build().context("no HTTP client")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
    runtime.block_on(async {
        let answer = http.get(format!("{}/readyz", address.trim_end_matches('/'))).send().await;
        let answer = answer.with_context(|| format!("nothing answers at {address}"))?;
        let ready = answer.status().is_success();
        println!("{}", answer.text().await.unwrap_or_default());
        Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

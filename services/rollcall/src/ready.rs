//! `rollcall ready`: whether the process at an address is ready; for health checks of images without a shell.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;

#[derive(Debug, Args)]
pub struct ReadyArgs {
    /// The address of the process, such as 127.0.0.1:8080, or https://projector-1:8080 when it speaks TLS itself
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: String,
    /// The authority that is believed, as a PEM file; without, the public ones
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// Go on asking for so many seconds, once it has been ready for 20, and end as soon as it is not: to start a check costs
    /// an engine more than the check itself
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=3600))]
    watch: u64,
}

/// How often it is asked meanwhile.
const EVERY: Duration = Duration::from_secs(5);

/// Whoever waits for it to be ready is told at once.
const YOUNG_SECONDS: u64 = 20;

/// Of what a process says of itself.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    /// Since when it has been ready; an older one does not say.
    since_seconds: Option<u64>,
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
    let path = format!("{}/readyz", address.trim_end_matches('/'));
    let watch = Duration::from_secs(args.watch);
    runtime.block_on(async {
        let started = Instant::now();
        loop {
            let answer = http.get(&path).send().await.with_context(|| format!("nothing answers at {address}"))?;
            let ready = answer.status().is_success();
            let text = answer.text().await.unwrap_or_default();
            let since = serde_json::from_str::<Answer>(&text).unwrap_or_default().since_seconds;
            let is_young = since.is_none_or(|seconds| seconds < YOUNG_SECONDS);
            if !ready || is_young || started.elapsed() + EVERY > watch {
                println!("{text}");
                return Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            tokio::time::sleep(EVERY).await;
        }
    })
}

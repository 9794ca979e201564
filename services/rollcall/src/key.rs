//! `rollcall key`: a new pair of keys for the log's checkpoints.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The name of the log, such as rollcall.example.com/log; no space and no plus sign
    name: String,
    /// Where the private key is written; must not exist yet
    #[arg(long)]
    out: PathBuf,
}

/// Writes the private key, for its owner alone, and prints the public one.
///
/// # Errors
/// When the name can't be one, or the file is there or can't be written.
pub fn run(args: &KeyArgs) -> anyhow::Result<ExitCode> {
    let (private, public) = rollcall_proof::generate_key(&args.name)?;
    let place = || format!("{} can't be made", args.out.display());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.out).with_context(place)?;
    file.write_all(format!("{private}\n").as_bytes()).and_then(|()| file.sync_all()).with_context(place)?;
    println!("{public}");
    Ok(ExitCode::SUCCESS)
}

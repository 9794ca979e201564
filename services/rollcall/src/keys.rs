//! `rollcall keys`: the installation's key, which wraps the keys of people.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use rollcall_event_log::EventLog;
use rollcall_privacy::InstallationKey;

use crate::{backup, process};

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Print a new installation key: put it first in the file that [privacy] key_file names, before the one that is there
    New,
    /// Print a new key pair for backups, to keep apart from them: the public key is for --recipient or [privacy] backup_recipients
    Backup,
    /// Wrap the keys of people anew with the first of the installation's keys; the log is not touched. Afterwards the others can go
    Rotate(RotateArgs),
}

#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// Where the private server's data is kept; overrides server.data_dir
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// When the log's server can't be used, or a key is missing.
pub fn run(keys: &Keys) -> anyhow::Result<ExitCode> {
    let args = match keys {
        Keys::New => {
            println!("{}", InstallationKey::generate()?.text());
            return Ok(ExitCode::SUCCESS);
        }
        Keys::Backup => {
            println!("{}", backup::encryption::new_pair());
            return Ok(ExitCode::SUCCESS);
        }
        Keys::Rotate(args) => args,
    };
    let config = process::configuration(&args.config, args.data_dir.as_deref())?;
    process::with_server(&config, async |connection| {
        let log = EventLog::connect(&connection).await?;
        let ring = log.keys().context("nothing is sealed on this log: name an installation key under [privacy]")?;
        let rotated = ring.rotate().await?;
        println!("{rotated} pages of keys are wrapped anew; all of them are by the first key now");
        Ok(ExitCode::SUCCESS)
    })
}

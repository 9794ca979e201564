//! `rollcall backup` and `rollcall restore`: the log as one file, and back.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use rollcall_event_log::{Connection, Volume};

use crate::process;

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file
    file: PathBuf,
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// Where the private server's data is kept; overrides server.data_dir
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

/// Saves the log, while it is used, unless its server is private.
///
/// # Errors
/// When it can't be had or written; no half of a file is left under its name.
pub fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    with_server(args, async |connection| {
        let part = args.file.with_extension("part");
        let written = |path: &Path| format!("{} can't be written", path.display());
        let mut file = BufWriter::new(File::create(&part).with_context(|| written(&part))?);
        let saved = rollcall_event_log::backup(&connection, &mut file).await;
        let kept = saved.map_err(anyhow::Error::from).and_then(|volume| {
            file.flush().and_then(|()| file.get_ref().sync_all()).with_context(|| written(&part))?;
            std::fs::rename(&part, &args.file).with_context(|| written(&args.file))?;
            Ok(volume)
        });
        if kept.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        let Volume { events, bytes } = kept?;
        println!("{events} events are saved in {} ({bytes} bytes)", args.file.display());
        Ok(ExitCode::SUCCESS)
    })
}

/// Restores a log that was saved, on a server that has none.
///
/// # Errors
/// When the file can't be read or is no backup, or the server has a log.
pub fn restore(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let file = File::open(&args.file).with_context(|| format!("{} can't be read", args.file.display()))?;
    with_server(args, async |connection| {
        let Volume { events, .. } = rollcall_event_log::restore(&connection, &mut BufReader::new(file)).await?;
        println!(
            "{events} events are restored from {}; the services read them at their next start",
            args.file.display()
        );
        Ok(ExitCode::SUCCESS)
    })
}

fn with_server(
    args: &BackupArgs,
    work: impl AsyncFnOnce(Connection) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let config = process::configuration(&args.config, args.data_dir.as_deref())?;
    process::with_server(&config, work)
}

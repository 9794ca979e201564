//! `rollcall backup` and `rollcall restore`: the log as one file, its keys as another, and back.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use rollcall_config::Config;
use rollcall_event_log::{Connection, Part, Volume};
use serde::{Deserialize, Serialize};

use crate::process;

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file
    file: PathBuf,
    /// The file of the keys to what is personal in it; without it FILE.keys
    #[arg(long)]
    keys: Option<PathBuf>,
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// Where the private server's data is kept; overrides server.data_dir
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

/// What stands before the keys.
#[derive(Debug, Serialize, Deserialize)]
struct KeysHeader {
    rollcall_keys: u32,
    /// The key of an installation that has made it itself.
    installation_key: Option<String>,
}

/// The longest first line of the keys.
const MAX_HEADER: u64 = 4096;

impl BackupArgs {
    /// Where the keys are.
    fn keys(&self) -> PathBuf {
        self.keys.clone().unwrap_or_else(|| {
            let mut name = self.file.clone().into_os_string();
            name.push(".keys");
            name.into()
        })
    }
}

/// Saves the log, and its keys apart from it, while it is used, unless its server is private.
///
/// # Errors
/// When it can't be had or written; no half of a file is left under its name.
pub fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    with_server(args, async |config, connection| {
        let saved =
            save(&args.file, 0o644, async |file| Ok(rollcall_event_log::backup(&connection, Part::Log, file).await?));
        let Volume { events, bytes } = saved.await?;
        println!("{events} events are saved in {} ({bytes} bytes)", args.file.display());
        if !rollcall_event_log::has_keys(&connection).await? {
            return Ok(ExitCode::SUCCESS);
        }
        let keys = args.keys();
        let header = KeysHeader { rollcall_keys: 1, installation_key: process::own_key_text(config)? };
        let saved = save(&keys, 0o600, async |file| {
            serde_json::to_writer(&mut *file, &header)?;
            file.write_all(b"\n")?;
            Ok(rollcall_event_log::backup(&connection, Part::Keys, file).await?)
        });
        saved.await?;
        println!("the keys to what is personal in it are saved in {}: keep them apart from it", keys.display());
        if header.installation_key.is_none() {
            println!("they are wrapped by the installation key of [privacy], which is not in it: back that up, too");
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Writes a file under its name when it is whole.
async fn save(
    path: &Path,
    mode: u32,
    write: impl AsyncFnOnce(&mut BufWriter<File>) -> anyhow::Result<Volume>,
) -> anyhow::Result<Volume> {
    let part = path.with_extension("part");
    let written = |path: &Path| format!("{} can't be written", path.display());
    let open = OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(&part);
    let mut file = BufWriter::new(open.with_context(|| written(&part))?);
    let kept = match write(&mut file).await {
        Ok(volume) => file
            .flush()
            .and_then(|()| file.get_ref().sync_all())
            .and_then(|()| std::fs::rename(&part, path))
            .with_context(|| written(path))
            .map(|()| volume),
        Err(e) => Err(e),
    };
    if kept.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    kept
}

/// Restores a log that was saved, and its keys, on a server that has none.
///
/// # Errors
/// When a file can't be read or is no backup, or the server has a log.
pub fn restore(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let open = |path: &Path| {
        let file = File::open(path).with_context(|| format!("{} can't be read", path.display()))?;
        anyhow::Ok(BufReader::new(file))
    };
    let mut log = open(&args.file)?;
    let path = args.keys();
    let mut keys = if args.keys.is_some() || path.exists() { Some(open(&path)?) } else { None };
    if let Some(keys) = &mut keys {
        let mut line = Vec::new();
        keys.take(MAX_HEADER).read_until(b'\n', &mut line)?;
        let bad = || format!("{} is no backup of keys", path.display());
        let header: KeysHeader = serde_json::from_slice(&line).with_context(bad)?;
        anyhow::ensure!(header.rollcall_keys == 1, "{} that this version knows", bad());
        if let Some(key) = header.installation_key {
            let config = process::configuration(&args.config, args.data_dir.as_deref())?;
            process::keep_own_key(&config, &key)?;
        }
    }
    with_server(args, async |_, connection| {
        // The keys first: a log without them would be given new ones.
        if let Some(mut keys) = keys {
            rollcall_event_log::restore(&connection, Part::Keys, &mut keys).await?;
            println!("the keys are restored from {}", path.display());
        }
        let Volume { events, .. } = rollcall_event_log::restore(&connection, Part::Log, &mut log).await?;
        println!(
            "{events} events are restored from {}; the services read them at their next start",
            args.file.display()
        );
        Ok(ExitCode::SUCCESS)
    })
}

fn with_server(
    args: &BackupArgs,
    work: impl AsyncFnOnce(&Config, Connection) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let config = process::configuration(&args.config, args.data_dir.as_deref())?;
    process::with_server(&config, async |connection| work(&config, connection).await)
}

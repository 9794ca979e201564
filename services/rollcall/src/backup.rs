//! `rollcall backup` and `rollcall restore`: the log as one file, its keys as another, and back.

mod check;
pub mod encryption;
mod erasures;

use std::fs::OpenOptions;
use std::io::{BufRead, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use age::x25519::Recipient;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use rollcall_event_log::{Part, Volume};
use serde::{Deserialize, Serialize};

use crate::backup::encryption::{IdentityArgs, Writing, recipients};
use crate::process;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct BackupArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    place: Option<PlaceArgs>,
    /// A public key to encrypt to, besides those of [privacy] backup_recipients; `rollcall keys backup` makes one
    #[arg(long = "recipient")]
    recipients: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try whether a backup can be restored, on a server that is thrown away afterwards
    Verify(check::VerifyArgs),
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// The register of erasures: whoever is in it is erased again; without it, that of [privacy] erasure_register, where it is there
    #[arg(long)]
    erasures: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct PlaceArgs {
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

/// Where the keys are of the log in a file.
fn keys_beside(file: &Path, keys: Option<&PathBuf>) -> PathBuf {
    keys.cloned().unwrap_or_else(|| {
        let mut name = file.to_owned().into_os_string();
        name.push(".keys");
        name.into()
    })
}

fn keys_header(keys: &mut impl BufRead, path: &Path) -> anyhow::Result<KeysHeader> {
    let mut line = Vec::new();
    keys.take(MAX_HEADER).read_until(b'\n', &mut line)?;
    let bad = || format!("{} is no backup of keys", path.display());
    let header: KeysHeader = serde_json::from_slice(&line).with_context(bad)?;
    anyhow::ensure!(header.rollcall_keys == 1, "{} that this version knows", bad());
    Ok(header)
}

/// Saves the log, or tries what was saved.
///
/// # Errors
/// When it can't be had or written, or what was saved can't be restored.
pub fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    match (&args.command, &args.place) {
        (Some(Command::Verify(args)), _) => check::run(args),
        (None, Some(place)) => save_all(place, &args.recipients),
        (None, None) => anyhow::bail!("name the file to write"),
    }
}

/// Saves the log, and its keys apart from it, while it is used, unless its server is private. No half of a file is left under its name.
fn save_all(place: &PlaceArgs, to: &[String]) -> anyhow::Result<ExitCode> {
    let config = process::configuration(&place.config, place.data_dir.as_deref())?;
    let to = recipients(config.privacy.backup_recipients.iter().chain(to))?;
    process::with_server(&config, async |connection| {
        let saved = save(&place.file, 0o644, &to, async |file| {
            Ok(rollcall_event_log::backup(&connection, Part::Log, file).await?)
        });
        let Volume { events, bytes } = saved.await?;
        println!("{events} events are saved in {} ({bytes} bytes)", place.file.display());
        if !rollcall_event_log::has_keys(&connection).await? {
            return Ok(ExitCode::SUCCESS);
        }
        let keys = keys_beside(&place.file, place.keys.as_ref());
        let header = KeysHeader { rollcall_keys: 1, installation_key: process::own_key_text(&config)? };
        let saved = save(&keys, 0o600, &to, async |file| {
            serde_json::to_writer(&mut *file, &header)?;
            file.write_all(b"\n")?;
            Ok(rollcall_event_log::backup(&connection, Part::Keys, file).await?)
        });
        saved.await?;
        println!("the keys to what is personal in it are saved in {}: keep them apart from it", keys.display());
        if header.installation_key.is_none() {
            println!("they are wrapped by the installation key of [privacy], which is not in it: back that up, too");
        }
        if to.is_empty() {
            println!("neither is encrypted: `rollcall keys backup` makes a key to encrypt to, --recipient names it");
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Writes a file under its name when it is whole.
async fn save(
    path: &Path,
    mode: u32,
    to: &[Recipient],
    write: impl AsyncFnOnce(&mut Writing) -> anyhow::Result<Volume>,
) -> anyhow::Result<Volume> {
    let part = path.with_extension("part");
    let written = |path: &Path| format!("{} can't be written", path.display());
    let open = OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(&part);
    let mut file = Writing::new(open.with_context(|| written(&part))?, to)?;
    let kept = match write(&mut file).await {
        Ok(volume) => {
            file.finish().and_then(|()| std::fs::rename(&part, path)).with_context(|| written(path)).map(|()| volume)
        }
        Err(e) => Err(e),
    };
    if kept.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    kept
}

/// Restores a log that was saved, and its keys, on a server that has none, and erases again who was erased since.
///
/// # Errors
/// When a file can't be read or is no backup, or the server has a log.
pub fn restore(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let place = &args.place;
    let config = process::configuration(&place.config, place.data_dir.as_deref())?;
    let mut log = args.identity.open(&place.file)?;
    let path = keys_beside(&place.file, place.keys.as_ref());
    let mut keys = if place.keys.is_some() || path.exists() { Some(args.identity.open(&path)?) } else { None };
    if let Some(keys) = &mut keys
        && let Some(key) = keys_header(keys, &path)?.installation_key
    {
        process::keep_own_key(&config, &key)?;
    }
    let register = args.erasures.clone().or_else(|| config.privacy.register.clone().filter(|file| file.exists()));
    process::with_server(&config, async |connection| {
        // The keys first: a log without them would be given new ones.
        if let Some(mut keys) = keys {
            rollcall_event_log::restore(&connection, Part::Keys, &mut keys).await?;
            println!("the keys are restored from {}", path.display());
        }
        let Volume { events, .. } = rollcall_event_log::restore(&connection, Part::Log, &mut log).await?;
        println!(
            "{events} events are restored from {}; the services read them at their next start",
            place.file.display()
        );
        match register {
            Some(file) => say_erased(&file, &erasures::erase_again(&connection, &file).await?),
            None => println!("nobody is erased again: no register of erasures was named, --erasures FILE"),
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn say_erased(file: &Path, again: &erasures::Again) {
    let erasures::Again { registered, erased } = again;
    println!("of {registered} in {}, {erased} were not erased in the backup, and are now", file.display());
}

#[derive(Debug, Args)]
pub struct EraseAgainArgs {
    /// The register of erasures
    register: PathBuf,
    /// The configuration file
    #[arg(long)]
    config: PathBuf,
    /// Where the private server's data is kept; overrides server.data_dir
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

/// Erases again who is in a register, where a restore could not.
///
/// # Errors
/// When the register can't be read, or the log's server refuses.
pub fn erase_again(args: &EraseAgainArgs) -> anyhow::Result<ExitCode> {
    let config = process::configuration(&args.config, args.data_dir.as_deref())?;
    process::with_server(&config, async |connection| {
        say_erased(&args.register, &erasures::erase_again(&connection, &args.register).await?);
        Ok(ExitCode::SUCCESS)
    })
}

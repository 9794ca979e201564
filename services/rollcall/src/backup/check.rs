//! `rollcall backup verify`: whether a backup can be restored, tried on a server of its own that is thrown away.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Args;
use rollcall_domain::Sequence;
use rollcall_event_log::{EventLog, Part, PrivateServer, Tail};
use rollcall_privacy::InstallationKeys;

use crate::backup::encryption::IdentityArgs;
use crate::backup::{keys_beside, keys_header};
use crate::process;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The file
    file: PathBuf,
    /// The file of the keys to what is personal in it; without it FILE.keys, where that is there
    #[arg(long)]
    keys: Option<PathBuf>,
    /// The configuration that names the installation's key; not needed where the installation has made its own
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// What is in a backup.
#[derive(Default)]
struct Found {
    events: u64,
    opened: u64,
    closed: u64,
}

/// Restores it on a server of its own, and reads every event.
///
/// # Errors
/// With what is wrong with it.
pub fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let configured = match &args.config {
        Some(config) => process::installation_keys(&process::configuration(config, None)?)?,
        None => None,
    };
    let path = keys_beside(&args.file, args.keys.as_ref());
    let mut keys = if args.keys.is_some() || path.exists() { Some(args.identity.open(&path)?) } else { None };
    let own = match &mut keys {
        Some(keys) => keys_header(keys, &path)?.installation_key,
        None => None,
    };
    let own = own.map(|text| process::keys_in(&text)).transpose()?.flatten();
    let installation: Option<InstallationKeys> = configured.or(own);
    ensure!(
        keys.is_none() || installation.is_some(),
        "{} is wrapped by the installation key of [privacy]: name the configuration, --config",
        path.display()
    );
    let mut log = args.identity.open(&args.file)?;
    let folder = tempfile::tempdir().context("no folder to try it in")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no async runtime")?;
    let (found, whole) = runtime.block_on(async {
        let server = PrivateServer::start(&folder.path().join("nats")).await?;
        let connection =
            rollcall_event_log::Connection { keys: installation.filter(|_| keys.is_some()), ..server.connection() };
        let tried = async {
            if let Some(keys) = &mut keys {
                rollcall_event_log::restore(&connection, Part::Keys, keys).await.context(path.display().to_string())?;
            }
            let at = || args.file.display().to_string();
            let volume = rollcall_event_log::restore(&connection, Part::Log, &mut log).await.with_context(at)?;
            let log = EventLog::connect(&connection).await?;
            let head = log.head().await?;
            let found = read(log.tail(Sequence(0)), head).await;
            anyhow::Ok((found, volume.events))
        };
        let tried = tried.await;
        server.stop().await;
        tried
    })?;
    ensure!(
        found.events == whole,
        "{}: it says that it has {whole} events, and {} could be read",
        args.file.display(),
        found.events
    );
    let Found { events, opened, closed } = found;
    println!("{} can be restored: {events} events are in it, and every one could be read", args.file.display());
    match (keys.is_some(), closed) {
        (true, 0) => println!("what is personal in {opened} of them opens with the keys in {}", path.display()),
        (true, _) => println!(
            "what is personal in {opened} of them opens with the keys in {}; in {closed} it does not: they are about people who were erased",
            path.display()
        ),
        (false, 0) => {}
        (false, _) => println!("what is personal in {closed} of them needs keys, and there is no {}", path.display()),
    }
    Ok(ExitCode::SUCCESS)
}

async fn read(mut tail: Tail, head: Sequence) -> Found {
    let mut found = Found::default();
    while found.events < head.0 {
        for event in tail.next(1000).await {
            found.events += 1;
            found.opened += u64::from(event.seal.key().is_some() && !event.seal.is_closed());
            found.closed += u64::from(event.seal.is_closed());
        }
    }
    found
}

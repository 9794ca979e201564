//! One process from start to stop: lock, log, services, address; then the same backwards.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rollcall_config::{Config, DurabilityChoice, NatsPlace, ServerConfig};
use rollcall_event_log::{Connection, Durability, EventLog, Limits, PrivateServer, SyncKnowledge, Tls};
use rollcall_privacy::{InstallationKey, InstallationKeys};
use rollcall_projection::FolderLock;
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::assemble::Part;
use crate::health::{self, Fronts, Health, Watched};
use crate::service::Service;
use crate::{configuration_event, server};

/// How long services may take after that.
const SETTLE: Duration = Duration::from_secs(15);

type Open = fn(Service, &[Service], &Config, &EventLog, &CancellationToken) -> anyhow::Result<Part>;

/// Runs the services until SIGTERM or SIGINT, until `told`, or until one of them fails.
///
/// # Errors
/// When the process can't start, or a service fails.
pub async fn run(
    config: &Config,
    name: &str,
    services: &[Service],
    open: Open,
    told: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut told = std::pin::pin!(told);
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be caught")?;
    let everything = services.len() > 1;
    // One service alone locks its own folder; all of them also share the private server's.
    let _lock = if everything { Some(FolderLock::take(&config.server.data_dir)?) } else { None };
    let (connection, private) = connection(config, everything).await?;
    let log = EventLog::connect(&connection).await?;
    let stop_http = CancellationToken::new();
    let parts = services.iter().map(|s| open(*s, services, config, &log, &stop_http));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    configuration_event::say(&log, config, name).await;
    let head = log.head().await?;
    let listener = TcpListener::bind(config.server.listen)
        .await
        .with_context(|| format!("can't listen on {}", config.server.listen))?;
    let address = listener.local_addr().context("the listener has no address")?;

    let stop_services = CancellationToken::new();
    let mut running: JoinSet<(&'static str, anyhow::Result<()>)> = JoinSet::new();
    let mut routers = Vec::new();
    let mut probes = Vec::new();
    let mut watched = Vec::new();
    for part in parts {
        let began = (part.store.cursor(), Instant::now());
        watched.push(Watched { name: part.name, store: part.store, condition: part.condition, began });
        for front in part.fronts {
            probes.extend(front.probe);
            routers.push((front.router, front.bodies));
        }
        let (name, work) = (part.name, (part.run)(stop_services.child_token()));
        running.spawn(async move { (name, work.await) });
    }
    let front = server::router(routers, &config.server);
    let fronts = Fronts { router: front.clone(), probes };
    let health = Arc::new(Health { log: log.clone(), head, ready_since: OnceLock::new(), services: watched, fronts });
    let condition = health::router(Arc::clone(&health));
    let (front, management) = match config.server.management_listen {
        None => (front.merge(condition), None),
        Some(place) => {
            let apart = TcpListener::bind(place).await;
            let apart = apart.with_context(|| format!("server.management_listen: can't listen on {place}"))?;
            let plain = ServerConfig { tls: None, ..config.server.clone() };
            (front, Some(server::serve(apart, &plain, condition, stop_http.clone()).await?))
        }
    };
    let http = server::serve(listener, &config.server, front, stop_http.clone()).await?;
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };

    let mut announced = false;
    let mut failure = None;
    loop {
        tokio::select! {
            () = health.wait(), if !announced => {
                announced = true;
                println!("ready {scheme}://{address}");
                // A pipe keeps what is not flushed.
                let _ = std::io::stdout().flush();
                info!(%address, "ready");
                if services.contains(&Service::Gateway) {
                    let public = config.server.public_url.as_ref().map_or_else(|| format!("{scheme}://{address}"), ToString::to_string);
                    let scim = format!("{}/scim/v2", public.trim_end_matches('/'));
                    let sources: Vec<String> = config.sources.iter().map(|s| s.name.to_string()).collect();
                    info!(scim, sources = sources.join(", "), "connect an identity provider to this SCIM address, with the token of its source");
                }
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = &mut told => break,
            Some(ended) = running.join_next() => {
                failure = Some(match ended {
                    Ok((name, Ok(()))) => format!("{name} stopped unexpectedly"),
                    Ok((name, Err(e))) => format!("{name} failed: {e:#}"),
                    Err(e) => format!("a service stopped unexpectedly: {e}"),
                });
                break;
            }
        }
    }
    info!("stopping");
    stop_http.cancel();
    if tokio::time::timeout(server::DRAIN, http).await.is_err() {
        error!("some requests were still open and are cut off");
    }
    if let Some(management) = management {
        management.abort();
    }
    stop_services.cancel();
    let settle = async {
        while let Some(ended) = running.join_next().await {
            if let Ok((name, Err(e))) = ended {
                error!(service = name, error = format!("{e:#}"), "failed while stopping");
            }
        }
    };
    if tokio::time::timeout(SETTLE, settle).await.is_err() {
        error!("some services did not stop in time");
    }
    drop(log);
    if let Some(server) = private {
        server.stop().await;
    }
    match failure {
        Some(reason) => bail!(reason),
        None => Ok(()),
    }
}

/// The configuration in a file, for a command that may say where the data is.
///
/// # Errors
/// With every mistake in it.
pub fn configuration(file: &Path, data_dir: Option<&Path>) -> anyhow::Result<Config> {
    let mut config = rollcall_config::load(file, &|name| std::env::var(name).ok())?;
    if let Some(dir) = data_dir {
        dir.clone_into(&mut config.server.data_dir);
    }
    Ok(config)
}

/// Does something with the log's server; a private one is started for that, and stopped afterwards.
///
/// # Errors
/// When another process has the private server, there is no server, or the work fails.
pub fn with_server(
    config: &Config,
    work: impl AsyncFnOnce(Connection) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no async runtime")?;
    runtime.block_on(async {
        // A private server is that of who runs it.
        let private = matches!(config.nats.place, NatsPlace::Private);
        let _lock = if private { Some(FolderLock::take(&config.server.data_dir)?) } else { None };
        let (connection, private) = connection(config, true).await?;
        let outcome = work(connection).await;
        if let Some(server) = private {
            server.stop().await;
        }
        outcome
    })
}

/// How the log is reached; where its server is our own, it is started, when `everything` is here.
///
/// # Errors
/// When there is no server, or it can't be started.
async fn connection(config: &Config, everything: bool) -> anyhow::Result<(Connection, Option<PrivateServer>)> {
    if let Some(shared) = shared_server(config)? {
        if shared.keys.is_none() {
            warn!(
                "what is personal is readable on the log: name an installation key under [privacy], the same for every service"
            );
        }
        return Ok((shared, None));
    }
    if !everything {
        bail!("{}: [nats] url is missing: a service that runs alone needs a server that all share", config.file)
    }
    let server = PrivateServer::start(&config.server.data_dir.join("nats")).await?;
    let keys = match installation_keys(config)? {
        Some(keys) => keys,
        None => own_keys(&config.server.data_dir)?,
    };
    let connection = Connection {
        replicas: config.nats.replicas,
        durability: durability(config),
        keys: Some(keys),
        ..server.connection()
    };
    Ok((connection, Some(server)))
}

/// The installation's keys, where they are configured.
///
/// # Errors
/// When it is none, or can't be had.
pub fn installation_keys(config: &Config) -> anyhow::Result<Option<InstallationKeys>> {
    let Some(token) = &config.privacy.key else { return Ok(None) };
    let place = || format!("{}: the key under [privacy]", config.file);
    let text: Vec<String> = token.to_send().iter().map(|line| line.expose_secret().to_owned()).collect();
    let keys = keys_in(&text.join("\n")).with_context(place)?;
    Ok(Some(keys.with_context(|| format!("{} can't be had", place()))?))
}

/// Keys as a file has them, one a line.
///
/// # Errors
/// When one is none.
pub fn keys_in(text: &str) -> anyhow::Result<Option<InstallationKeys>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut all = lines.map(InstallationKey::parse).collect::<Result<Vec<_>, _>>()?.into_iter();
    Ok(all.next().map(|first| InstallationKeys { first, former: all.collect() }))
}

/// The keys of an installation whose server is private: one is made, once, in the data directory.
fn own_keys(data_dir: &Path) -> anyhow::Result<InstallationKeys> {
    let file = own_key_file(data_dir);
    let place = || file.display().to_string();
    match fs::read_to_string(&file) {
        Ok(text) => keys_in(&text).with_context(place)?.with_context(|| format!("{} is empty", place())),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let key = InstallationKey::generate()?;
            write_private(&file, &key.text()).with_context(|| format!("{} can't be written", place()))?;
            info!(file = place(), "the key of this installation is made: back it up, apart from the log");
            Ok(key.into())
        }
        Err(e) => Err(e).with_context(|| format!("{} can't be read", place())),
    }
}

fn own_key_file(data_dir: &Path) -> PathBuf {
    data_dir.join("installation-key")
}

/// The key that an installation has made itself, as its file has it; `None`: it is configured.
///
/// # Errors
/// When it can't be read.
pub fn own_key_text(config: &Config) -> anyhow::Result<Option<String>> {
    let is_own = matches!(config.nats.place, NatsPlace::Private) && config.privacy.key.is_none();
    is_own.then(|| own_keys(&config.server.data_dir).map(|keys| keys.first.text())).transpose()
}

/// Keeps a key that was backed up, where it would be made.
///
/// # Errors
/// When it is none, there is another one, or it can't be written.
pub fn keep_own_key(config: &Config, text: &str) -> anyhow::Result<()> {
    let (key, file) = (InstallationKey::parse(text)?, own_key_file(&config.server.data_dir));
    if config.privacy.key.is_some() {
        return Ok(());
    }
    match fs::read_to_string(&file) {
        Ok(there) if keys_in(&there).is_ok_and(|keys| keys.is_some_and(|keys| keys.first == key)) => Ok(()),
        Ok(_) => bail!("{} is another key than that of the backup: move it away", file.display()),
        Err(_) => write_private(&file, &key.text()).with_context(|| format!("{} can't be written", file.display())),
    }
}

/// Writes a file that its owner alone may read, and no half of it.
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    let part = file.with_extension("part");
    let mut open = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&part)?;
    open.write_all(format!("{text}\n").as_bytes())?;
    open.sync_all()?;
    fs::rename(part, file)
}

/// How a server that someone else runs is reached; `None`: it is our own.
///
/// # Errors
/// When the installation's key is none.
pub fn shared_server(config: &Config) -> anyhow::Result<Option<Connection>> {
    let NatsPlace::Server { url, monitoring_urls, tls, .. } = &config.nats.place else { return Ok(None) };
    Ok(Some(Connection {
        keys: installation_keys(config)?,
        url: url.clone(),
        credentials: config.nats.place.credentials(),
        tls: Tls { ca_file: tls.ca_file.clone(), identity: tls.identity.clone() },
        replicas: config.nats.replicas,
        durability: durability(config),
        sync: match monitoring_urls.as_slice() {
            [] => SyncKnowledge::Unknown,
            all => SyncKnowledge::Monitoring(all.to_vec()),
        },
        limits: Limits::default(),
    }))
}

fn durability(config: &Config) -> Durability {
    match config.nats.durability {
        DurabilityChoice::Refuse => Durability::Refuse,
        DurabilityChoice::Warn => Durability::Warn,
    }
}

//! Signing what the log is, again and again, and giving it to others to keep.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rollcall_config::{AuditConfig, Config};
use rollcall_domain::governance::checkpoint::Checkpoint;
use rollcall_domain::ids::Sequence;
use rollcall_domain::{Event, NewEvent};
use rollcall_event_log::{EventLog, Expect, LogError, Unit, by_service};
use rollcall_projection::Store;
use rollcall_proof::{Key, Tree, generate_key, sign};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error::ProjectorError;
use crate::proof::checkpoints::{self, CheckpointView};
use crate::state::answers::NAME;

/// The most events that one checkpoint adds: it carries a hash of each, and is one message.
const MOST: u64 = 8192;

const PATIENCE: Duration = Duration::from_secs(10);

const KEY_FILE: &str = "signing.key";

/// The keys that sign.
///
/// # Errors
/// When one is no key.
pub fn keys(secrets: &[SecretString]) -> Result<Vec<Key>, ProjectorError> {
    Ok(secrets.iter().map(|secret| Key::parse(secret.expose_secret())).collect::<Result<_, _>>()?)
}

/// The private signing keys: those of the configuration, or one that is made once and kept in the data folder; at least one.
///
/// # Errors
/// When the one that is made can't be kept, or read again.
pub fn secrets(config: &Config) -> Result<Vec<SecretString>, ProjectorError> {
    let secrets: Vec<SecretString> =
        config.audit.signing_keys.iter().filter_map(|token| token.secret().cloned()).collect();
    if !secrets.is_empty() {
        return Ok(secrets);
    }
    let path = config.server.data_dir.join(NAME).join(KEY_FILE);
    let failed = |e: std::io::Error| ProjectorError::Key { path: path.clone(), reason: e.to_string() };
    match fs::read_to_string(&path) {
        Ok(text) => Ok(vec![text.into()]),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let (private, public) = generate_key(&config.audit.log_name)?;
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
            file.write_all(format!("{private}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
            info!(public, path = %path.display(), "a key to sign checkpoints with was made: give its public part to your auditors");
            Ok(vec![private.into()])
        }
        Err(e) => Err(failed(e)),
    }
}

/// What signs.
#[derive(Debug)]
pub struct Sealer {
    log: EventLog,
    store: Arc<Store>,
    keys: Arc<Vec<Key>>,
    audit: AuditConfig,
    http: reqwest::Client,
    published: Sequence,
    /// Someone wants what there is signed now.
    asked: Arc<Notify>,
}

impl Sealer {
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(
        log: EventLog,
        store: Arc<Store>,
        keys: Arc<Vec<Key>>,
        audit: AuditConfig,
    ) -> Result<Self, ProjectorError> {
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(|e| ProjectorError::Client(e.to_string()))?;
        Ok(Self { log, store, keys, audit, http, published: Sequence(0), asked: Arc::default() })
    }

    /// Who wants what there is signed now says so here.
    #[must_use]
    pub fn asked(&self) -> Arc<Notify> {
        Arc::clone(&self.asked)
    }

    /// Signs and publishes until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut every = tokio::time::interval(self.audit.checkpoint_every);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
                () = self.asked.notified() => {}
            }
            let work = async {
                while let Sealed::More = self.seal().await? {}
                self.publish().await
            };
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = work => done,
            };
            if let Err(error) = done {
                warn!(%error, "the log's checkpoint is late, trying again");
            }
        }
    }

    /// Signs what was not signed yet.
    async fn seal(&self) -> Result<Sealed, ProjectorError> {
        // One that is behind knows neither the tree nor the last checkpoint.
        self.store.wait_for(self.log.head().await?, PATIENCE).await?;
        let view = self.store.view();
        let tree = Tree(&view);
        let (held, last) = (tree.size()?, checkpoints::latest(&view)?);
        let (from, by) = last.map_or((Sequence(0), Sequence(0)), |last| (last.size, last.sequence));
        // A checkpoint of nothing but the last checkpoint would never end.
        if held == from || (held == by && from.0 + 1 == by.0) {
            return Ok(Sealed::All);
        }
        let size = Sequence(held.0.min(from.0 + MOST));
        let note = sign(&self.keys, size, tree.root(size)?)?;
        let leaves = tree.leaves(from, size)?.iter().flat_map(|hash| hash.0).collect();
        let event = Event::Checkpoint(Checkpoint { from, size, note, leaves });
        let unit = Unit::one(NewEvent { meta: by_service(NAME, "", None), event }, Expect::Last(by));
        match self.log.append(&unit).await {
            Ok(appended) => self.store.wait_for(appended.last, PATIENCE).await?,
            // Another projector has signed meanwhile.
            Err(LogError::Conflict { .. }) => return Ok(Sealed::All),
            Err(e) => return Err(e.into()),
        }
        Ok(if size < held { Sealed::More } else { Sealed::All })
    }

    /// Gives the newest checkpoint to whoever keeps it elsewhere.
    async fn publish(&mut self) -> Result<(), ProjectorError> {
        let Some(CheckpointView { size, note, .. }) = checkpoints::latest(&self.store.view())? else { return Ok(()) };
        if size <= self.published {
            return Ok(());
        }
        if let Some(path) = &self.audit.publish_file {
            write(path, &note)
                .map_err(|e| ProjectorError::Publish { place: path.display().to_string(), reason: e.to_string() })?;
        }
        if let Some(url) = &self.audit.publish_url {
            let failed = |reason: String| ProjectorError::Publish { place: url.to_string(), reason };
            let sent = self.http.post(url.clone()).header("content-type", "text/plain; charset=utf-8").body(note);
            let answer = sent.send().await.map_err(|e| failed(e.to_string()))?;
            answer.error_for_status().map_err(|e| failed(e.to_string()))?;
        }
        self.published = size;
        Ok(())
    }
}

enum Sealed {
    All,
    More,
}

/// A reader sees the old checkpoint or the new one, never a part.
fn write(path: &Path, note: &str) -> std::io::Result<()> {
    let part = path.with_extension("part");
    fs::write(&part, note)?;
    fs::rename(part, path)
}

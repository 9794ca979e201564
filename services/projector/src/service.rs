//! The service: directory, ledger and timeline in one projection.

use std::num::NonZeroU32;
use std::sync::{Arc, Weak};

use axum::Router;
use governor::{Quota, RateLimiter};
use rollcall_config::Config;
use rollcall_event_log::EventLog;
use rollcall_projection::{Runner, Store};
use rollcall_scim::Catalogue;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::api::context::Api;
use crate::api::disclosure::Record;
use crate::api::streams::Streams;
use crate::api::{openapi, router};
use crate::as_of::HISTORY;
use crate::console::{self, Provider, Sessions};
use crate::erasure::destruction::Eraser;
use crate::erasure::progress::Progress;
use crate::error::ProjectorError;
use crate::proof::seal::{self, Sealer};
use crate::state::answers::{Answers, NAME, STAMP};

/// How many questions about trends are answered at once.
const TRENDS: usize = 2;

/// How often in a second a token that is not known here yet is looked for on the log.
const LOOKS: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// The projector.
#[derive(Debug)]
pub struct Projector {
    log: EventLog,
    store: Arc<Store>,
    api: Arc<Api>,
    catalogue: Catalogue,
    sealer: Sealer,
    progress: Progress,
    eraser: Eraser,
}

fn is_https(config: &Config) -> bool {
    config.server.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
}

impl Projector {
    /// Opens its state; what it streams ends with `closing`.
    ///
    /// # Errors
    /// When the folder is taken or damaged.
    pub fn open(config: &Config, log: EventLog, closing: CancellationToken) -> Result<Self, ProjectorError> {
        let folder = config.server.data_dir.join(NAME);
        let store = Store::open(NAME, &folder, STAMP, config.server.cache_bytes, HISTORY)?;
        let known: Weak<Store> = Arc::downgrade(&store);
        let log = log.knowing(known);
        let secrets = seal::secrets(config)?;
        let keys = Arc::new(seal::keys(&secrets)?);
        let sealer = Sealer::new(log.clone(), Arc::clone(&store), Arc::clone(&keys), config.audit.clone())?;
        let provider = match (&config.oidc, &config.server.public_url) {
            (Some(oidc), Some(public)) => Some(Provider::new(oidc.clone(), public).map_err(ProjectorError::Client)?),
            _ => None,
        };
        let eraser = Eraser::new(log.clone(), Arc::clone(&store), config.privacy.register.clone());
        let progress = Progress::new(
            log.clone(),
            Arc::clone(&store),
            config.privacy.retention.clone(),
            config.api_tokens.clone(),
            config.server.read_patience,
        );
        let api = Arc::new(Api {
            log: log.clone(),
            store: Arc::clone(&store),
            tokens: config.api_tokens.clone(),
            keys,
            provider,
            sessions: Sessions::new(&secrets, is_https(config)),
            record: Record::new(log.clone(), config.audit.reads, &config.server),
            sealing: sealer.asked(),
            max_exception: config.audit.max_exception,
            max_approved_exception: config.audit.max_approved_exception,
            approvals: config.approvals,
            roles_of_groups: config.oidc.iter().flat_map(|oidc| oidc.roles.values().copied()).collect(),
            retention: config.privacy.retention.clone(),
            previews: Arc::new(Semaphore::new(1)),
            trends: Semaphore::new(TRENDS),
            looks: RateLimiter::direct(Quota::per_second(LOOKS)),
            rate: RateLimiter::keyed(Quota::per_second(config.server.max_api_requests_per_second)),
            max_page: config.server.max_page,
            max_credential_age: config.machines.max_credential_age,
            link_key: config.tasks.link_key.as_ref().and_then(|key| key.secret()).cloned(),
            catalogue: config.scim.catalogue,
            patience: config.server.read_patience,
            closing,
            streams: Streams::new(config.server.max_streams, config.server.max_streams_per_person),
        });
        Ok(Self { log, store, api, catalogue: config.scim.catalogue, sealer, progress, eraser })
    }

    /// Its state, for readiness.
    #[must_use]
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// What it serves under `/v1`, and its description.
    pub fn api_router(&self) -> Router {
        router::router(Arc::clone(&self.api)).merge(openapi::router())
    }

    /// The console.
    pub fn console_router(&self) -> Router {
        console::router(Arc::clone(&self.api))
    }

    /// The forms by which people sign in to it, and say by a link that a task is done.
    pub fn door_router(&self) -> Router {
        console::door(Arc::clone(&self.api))
    }

    /// Keeps its state up to date until `stop`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ProjectorError> {
        let erasing = tokio::spawn(self.eraser.run(stop.clone()));
        let progress = tokio::spawn(self.progress.run(stop.clone()));
        let runner = Runner::new(self.log, self.store);
        let sealing = tokio::spawn(self.sealer.run(stop.clone()));
        let ended = runner.run(Answers::new(self.catalogue), stop).await;
        sealing.abort();
        erasing.abort();
        progress.abort();
        Ok(ended?)
    }
}

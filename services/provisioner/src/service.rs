//! The service: a projection of the ledger, and one worker per app.

use std::sync::Arc;
use std::time::Duration;

use rollcall_config::{AppConfig, Config};
use rollcall_domain::app::{App, Connection};
use rollcall_domain::kv::KvError;
use rollcall_domain::ledger::Ledger;
use rollcall_domain::{Recorded, directory};
use rollcall_event_log::EventLog;
use rollcall_projection::{Projection, Runner, Store, Transaction};
use rollcall_scim::Catalogue;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::client::ScimClient;
use crate::error::ProvisionerError;
use crate::step::Desk;
use crate::worker::Worker;

/// The name in events, metrics and folders.
pub const NAME: &str = "provisioner";

/// Changes whenever the state would be derived otherwise than before.
const STAMP: u32 = 4;

/// The provisioner.
#[derive(Debug)]
pub struct Provisioner {
    log: EventLog,
    store: Arc<Store>,
    apps: Vec<AppConfig>,
    catalogue: Catalogue,
}

struct LedgerProjection(Ledger);

impl Projection for LedgerProjection {
    fn apply(&mut self, state: &mut Transaction, event: &Recorded) -> Result<(), KvError> {
        self.0.evolve(state, event).map(|_| ())
    }
}

impl Provisioner {
    /// Opens its state.
    ///
    /// # Errors
    /// When the folder is taken or damaged.
    pub fn open(config: &Config, log: EventLog) -> Result<Self, ProvisionerError> {
        let folder = config.server.data_dir.join(NAME);
        let store = Store::open(NAME, &folder, STAMP, config.server.cache_bytes)?;
        Ok(Self { log, store, apps: config.apps.clone(), catalogue: config.scim.catalogue })
    }

    /// Its state, for readiness.
    #[must_use]
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// Runs until `stop`.
    ///
    /// # Errors
    /// When its own state or the log fails for good; an app's failures are events.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ProvisionerError> {
        let runner = Runner::new(self.log.clone(), Arc::clone(&self.store));
        let projection = runner.run(LedgerProjection(Ledger::new(self.catalogue)), stop.clone());
        let effects = self.effects(stop.clone());
        let (projected, worked) = tokio::join!(
            async {
                let ended = projection.await;
                stop.cancel();
                ended
            },
            effects
        );
        projected?;
        worked
    }

    async fn effects(&self, stop: CancellationToken) -> Result<(), ProvisionerError> {
        // Nothing is done on stale knowledge: what was verified before a restart is not done again.
        let head = self.log.head().await?;
        let mut caught_up = self.store.watch();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = caught_up.wait_for(|at| *at >= head) => {}
        }
        let mut workers = JoinSet::new();
        for app in &self.apps {
            workers.spawn(self.worker(app)?.run(stop.clone()));
        }
        for app in directory::apps(&self.store.view())? {
            if app.connection == Connection::Removed && !self.apps.iter().any(|a| a.spec.id == app.spec.id) {
                workers.spawn(self.disconnected(app).run(stop.clone()));
            }
        }
        info!(apps = workers.len(), "provisioning");
        while workers.join_next().await.is_some() {}
        stop.cancelled().await;
        Ok(())
    }

    fn worker(&self, app: &AppConfig) -> Result<Worker, ProvisionerError> {
        let desk = Desk {
            log: self.log.clone(),
            store: Arc::clone(&self.store),
            client: Some(ScimClient::new(app)?),
            config: Some(app.clone()),
        };
        Ok(Worker {
            app: app.spec.id.clone(),
            desk: Arc::new(desk),
            max_in_flight: usize::try_from(app.spec.max_in_flight).unwrap_or(1),
            retry_min: app.retry_min,
            retry_max: app.retry_max,
        })
    }

    /// An app that is not in the configuration any more still owes what it owed: that is said, not forgotten.
    fn disconnected(&self, app: App) -> Worker {
        let desk = Desk { log: self.log.clone(), store: Arc::clone(&self.store), client: None, config: None };
        Worker {
            app: app.spec.id,
            desk: Arc::new(desk),
            max_in_flight: 1,
            retry_min: Duration::from_secs(60),
            retry_max: Duration::from_secs(3600),
        }
    }
}

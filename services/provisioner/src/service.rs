//! The service: a projection of the ledger, and one worker per app.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use rollcall_config::{AccountListConfig, AppConfig, Config, Reach};
use rollcall_domain::kv::KvError;
use rollcall_domain::ledger::{Ledger, List, Remembered};
use rollcall_domain::{AppId, Recorded, directory};
use rollcall_event_log::{Clock, EventLog, LEASE_TURN, Lease, Leases, Log, SharedTicks, holder_name};
use rollcall_projection::{History, Projection, Runner, Store, Transaction};
use rollcall_scim::Catalogue;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::app_client::client::ScimClient;
use crate::app_client::memberships::Memberships;
use crate::app_client::transport::{Http, Transport, Way};
use crate::app_leases::{AppLeases, Slot};
use crate::error::ProvisionerError;
use crate::list::listed::ListedApp;
use crate::list::source::{Source, source_of};
use crate::search::controls::Controls;
use crate::work::claims::Claims;
use crate::work::connector::{Connector, Link, NAME};
use crate::work::left_groups::LeftGroups;
use crate::work::settled::Settled;
use crate::work::unanswered::Unanswered;
use crate::work::worker::Worker;

/// Changes whenever the state would be derived otherwise than before.
const STAMP: u32 = 32;

/// The provisioner.
#[derive(Debug)]
pub struct Provisioner {
    log: EventLog,
    store: Arc<Store>,
    name: String,
    http: Http,
    apps: BTreeMap<AppId, AppConfig>,
    catalogue: Catalogue,
}

/// The projection that the workers act on.
#[derive(Debug)]
pub struct Accounts(Ledger);

impl Accounts {
    fn new(catalogue: Catalogue) -> Self {
        Self(
            Ledger::new(catalogue)
                .keeping(&[List::Pending, List::Stories, List::Holders, List::Links])
                .remembering(Remembered::None),
        )
    }
}

impl Default for Accounts {
    fn default() -> Self {
        Self::new(Catalogue::default())
    }
}

impl Projection for Accounts {
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
        let store = Store::open(NAME, &folder, STAMP, config.server.cache_bytes, History::NONE)?;
        let known: Weak<Store> = Arc::downgrade(&store);
        let log = log.knowing(known);
        let name = holder_name(&folder).map_err(|e| ProvisionerError::Name { reason: e.to_string() })?;
        let apps = config.apps.iter().map(|app| (app.spec.id.clone(), app.clone())).collect();
        let http = Http::new()?;
        Ok(Self { log, store, name, http, apps, catalogue: config.scim.catalogue })
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
        let projection = runner.run(Accounts::new(self.catalogue), stop.clone());
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
        let mut apps: BTreeMap<Slot, Vec<AppId>> = BTreeMap::new();
        // Those that are not in the configuration any more, whatever was decided about them: what they owe is said to be owed.
        let known = directory::apps(&self.store.view())?.into_iter().map(|app| app.spec.id);
        let ids: BTreeSet<AppId> = self.apps.keys().cloned().chain(known).collect();
        for id in ids {
            apps.entry(Slot::of(&id)).or_default().push(id);
        }
        let leases = self.log.leases(&self.name).await?;
        let mut leases = AppLeases::new(leases, self.name.clone(), apps.keys().copied().collect());
        let mut working: BTreeMap<Slot, Working> = BTreeMap::new();
        let mut turns = SharedTicks::every(LEASE_TURN);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = turns.turn() => {}
            }
            // First what is lost, then what is gained: it may be the same.
            for slot in leases.expired() {
                give_up(slot, &mut working, &mut leases).await;
            }
            match leases.turn().await {
                Ok(turn) => {
                    for slot in turn.lost {
                        give_up(slot, &mut working, &mut leases).await;
                    }
                    for (slot, lease) in turn.gained {
                        let ids = apps.get(&slot).map(Vec::as_slice).unwrap_or_default();
                        info!(apps = ids.len(), ?slot, "provisioning");
                        working.insert(slot, self.start(ids, &lease, &stop));
                    }
                }
                Err(e) => warn!(error = %e, "the leases on the apps can't be renewed, trying again"),
            }
        }
        for (_, working) in working {
            working.stop().await;
        }
        leases.leave().await;
        Ok(())
    }

    fn start(&self, ids: &[AppId], lease: &Arc<Lease>, stop: &CancellationToken) -> Working {
        let stop = stop.child_token();
        let mut workers = JoinSet::new();
        for id in ids {
            workers.spawn(self.worker(id, lease).run(stop.clone()));
        }
        Working { stop, workers }
    }

    fn worker(&self, id: &AppId, lease: &Arc<Lease>) -> Worker {
        // An app that is not in the configuration any more still owes what it owed: that is said, not forgotten. So is
        // that one can't be used as it is configured.
        let mut unreachable =
            "the app is not in the configuration: connect it again, or close its accounts by hand".to_owned();
        let (log, store) = (Arc::new(self.log.clone()), Arc::clone(&self.store));
        let clock: Clock = Arc::new(Timestamp::now);
        let asked = self.apps.get(id).filter(|config| config.spec.kind.is_readable());
        let link = asked.and_then(|config| match Link::to(&self.http, config, lease, &store, &clock) {
            Ok(link) => Some(link),
            Err(e) => {
                error!(app = %id, error = %e, "the app can't be used");
                unreachable = e.to_string();
                None
            }
        });
        Worker::new((log, clock, store), (id.clone(), self.apps.get(id)), link, unreachable)
    }
}

/// What stands in for the world around one worker.
pub struct Surroundings {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The time.
    pub clock: Clock,
    /// The state, which someone keeps up to date with the log.
    pub store: Arc<Store>,
    /// The way to the app.
    pub way: SimulatedWay,
}

/// The way to an app within a simulation.
pub enum SimulatedWay {
    /// Requests are answered by this.
    App(Arc<dyn Transport>),
    /// Its lists are found there.
    List(Box<dyn Source>),
}

impl Worker {
    /// The worker of one app within a simulation; nobody else works on the app.
    #[must_use]
    pub fn simulated(config: &AppConfig, around: Surroundings) -> Self {
        let Surroundings { log, clock, store, way } = around;
        let lease = Arc::new(Lease::unlimited());
        let link = match (way, &config.reach) {
            (SimulatedWay::App(transport), Reach::Scim(base)) => {
                Some(Link::new(config, lease, Way { base: base.clone(), transport }))
            }
            (SimulatedWay::List(source), Reach::List(list)) => {
                Link::listed(config, lease, list, source, (&store, &clock)).ok()
            }
            _ => None,
        };
        Self::new((log, clock, store), (config.spec.id.clone(), Some(config)), link, String::new())
    }

    /// The worker of an app that is reached by a link, or can't be, and why.
    fn new(
        (log, clock, store): (Arc<dyn Log>, Clock, Arc<Store>),
        (app, config): (AppId, Option<&AppConfig>),
        link: Option<Link>,
        unreachable: String,
    ) -> Self {
        let (settled, claims, controls) = (Settled::default(), Claims::default(), Controls::default());
        let unanswered = Unanswered::default();
        let left_groups = LeftGroups::default();
        let connector =
            Connector { log, clock, store, app, settled, left_groups, claims, unanswered, controls, link, unreachable };
        let seconds = Duration::from_secs;
        Self {
            app: connector.app.clone(),
            kind: config.map(|c| c.spec.kind),
            connector: Arc::new(connector),
            max_in_flight: config.map_or(1, |c| usize::try_from(c.spec.max_in_flight).unwrap_or(1)),
            retry_min: config.map_or(seconds(60), |c| c.retry_min),
            retry_max: config.map_or(seconds(3600), |c| c.retry_max),
            quarantine_after: config.map_or(u32::MAX, |c| c.quarantine_after),
            probe_every: config.map_or(seconds(60), |c| c.probe_every),
            reconcile_every: config.map_or(seconds(86_400), |c| c.spec.reconcile_every),
        }
    }
}

impl Link {
    /// The way to an app over the network, or to its list.
    fn to(
        http: &Http,
        config: &AppConfig,
        lease: &Arc<Lease>,
        store: &Arc<Store>,
        clock: &Clock,
    ) -> Result<Self, ProvisionerError> {
        let list = match &config.reach {
            Reach::List(list) => list,
            Reach::Scim(_) | Reach::People => return Ok(Self::new(config, Arc::clone(lease), http.to(config)?)),
        };
        let source = source_of(http, config, list)?;
        Self::listed(config, Arc::clone(lease), list, source, (store, clock))
    }

    /// The way to a list.
    fn listed(
        config: &AppConfig,
        lease: Arc<Lease>,
        list: &AccountListConfig,
        source: Box<dyn Source>,
        (store, clock): (&Arc<Store>, &Clock),
    ) -> Result<Self, ProvisionerError> {
        let app = config.spec.id.clone();
        let base =
            ListedApp::base().map_err(|e| ProvisionerError::Client { app: app.to_string(), reason: e.to_string() })?;
        let listed = Arc::new(ListedApp::new(app, list.clone(), source, Arc::clone(store), Arc::clone(clock)));
        let way = Way { base, transport: Arc::clone(&listed) as Arc<dyn Transport> };
        Ok(Self { list: Some(listed), ..Self::new(config, lease, way) })
    }

    fn new(config: &AppConfig, lease: Arc<Lease>, way: Way) -> Self {
        let client = ScimClient::new(config, lease, way);
        Self { config: config.clone(), client, memberships: Memberships::default(), list: None }
    }
}

async fn give_up(slot: Slot, working: &mut BTreeMap<Slot, Working>, leases: &mut AppLeases<Leases>) {
    info!(?slot, "another provisioner may go on with these apps");
    if let Some(working) = working.remove(&slot) {
        working.stop().await;
    }
    leases.release(slot).await;
}

/// The workers of one slot.
#[derive(Debug)]
struct Working {
    stop: CancellationToken,
    workers: JoinSet<()>,
}

impl Working {
    async fn stop(mut self) {
        self.stop.cancel();
        while self.workers.join_next().await.is_some() {}
    }
}

//! The service: a projection of the directory, and the paths under `/scim/v2`.

use std::sync::Arc;
use std::time::Duration;

use axum::routing::{any, get, post};
use axum::{Router, middleware};
use rollcall_config::Config;
use rollcall_domain::app::AppSpec;
use rollcall_domain::identity::authority::Authority;
use rollcall_domain::kv::KvError;
use rollcall_domain::{Recorded, directory};
use rollcall_event_log::EventLog;
use rollcall_projection::{History, Projection, Runner, Store, Transaction, View};
use rollcall_scim::Catalogue;
use rollcall_tokens::Attempts;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use crate::auth::{self, KnownSource};
use crate::caller::Origin;
use crate::error::{GatewayError, Refusal};
use crate::query::Bounds;
use crate::refusals::Refusals;
use crate::register::register_apps;
use crate::search::Amount;
use crate::{discovery, http, names, scope};

/// The name in metrics and folders.
pub const NAME: &str = "gateway";

/// Changes whenever the state would be derived otherwise than before.
const STAMP: u32 = 6;

/// What the paths need.
#[derive(Debug)]
pub struct Door {
    pub log: EventLog,
    pub store: Arc<Store>,
    pub sources: Vec<KnownSource>,
    pub catalogue: Catalogue,
    pub authority: Authority,
    pub origin: Origin,
    pub max_body_bytes: usize,
    pub max_resource_bytes: usize,
    pub refusals: Refusals,
    /// Tokens that are no source's.
    pub guesses: Attempts,
    pub bounds: Bounds,
    /// How many answers about many resources are made at once: each can be as large as a page.
    pub heavy: Semaphore,
    pub max_bulk_operations: usize,
    pub max_members: usize,
    pub max_members_shown: usize,
    pub patience: Duration,
    pub registered: watch::Sender<bool>,
}

impl Door {
    /// A place for an answer that may be large; it is kept until the answer is written.
    pub async fn place(&self, amount: Amount) -> Option<SemaphorePermit<'_>> {
        match amount {
            Amount::Few => None,
            Amount::Many => self.heavy.acquire().await.ok(),
        }
    }

    /// The directory with everything in it that the log had when the request came in.
    pub async fn fresh(&self) -> Result<View, Refusal> {
        self.store.wait_for(self.log.head().await?, self.patience).await?;
        Ok(self.store.view())
    }
}

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    door: Arc<Door>,
    apps: Vec<AppSpec>,
}

struct DirectoryProjection;

impl Projection for DirectoryProjection {
    fn apply(&mut self, state: &mut Transaction, event: &Recorded) -> Result<(), KvError> {
        directory::evolve(state, event)?;
        scope::evolve(state, event);
        names::evolve(state, event)
    }
}

impl Gateway {
    /// Opens its state.
    ///
    /// # Errors
    /// When the folder is taken or damaged.
    pub fn open(config: &Config, log: EventLog) -> Result<Self, GatewayError> {
        let folder = config.server.data_dir.join(NAME);
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(|e| GatewayError::Client(e.to_string()))?;
        let door = Door {
            log,
            store: Store::open(NAME, &folder, STAMP, config.server.cache_bytes, History::NONE)?,
            sources: config.sources.iter().cloned().map(|source| KnownSource::new(source, &http)).collect(),
            catalogue: config.scim.catalogue,
            authority: config.authority.clone(),
            origin: Origin::of(&config.server),
            max_body_bytes: config.server.max_body_bytes,
            max_resource_bytes: config.scim.max_resource_bytes,
            refusals: Refusals::default(),
            guesses: Attempts::new(config.server.max_refusals_per_minute),
            bounds: Bounds {
                max_page: config.server.max_page,
                max_filter_bytes: config.scim.max_filter_bytes,
                max_members: config.scim.max_members_shown,
            },
            heavy: Semaphore::new(config.scim.max_heavy_reads),
            max_bulk_operations: config.scim.max_bulk_operations,
            max_members: config.scim.max_members_per_request,
            max_members_shown: config.scim.max_members_shown,
            patience: config.server.read_patience,
            registered: watch::Sender::new(false),
        };
        let apps = config.apps.iter().map(|app| app.spec.clone()).collect();
        Ok(Self { door: Arc::new(door), apps })
    }

    /// Its state, for readiness.
    #[must_use]
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.door.store)
    }

    /// Whether the configured apps are on the log, without which no change should be accepted.
    #[must_use]
    pub fn registered(&self) -> watch::Receiver<bool> {
        self.door.registered.subscribe()
    }

    /// What it serves, under `/scim/v2`.
    pub fn router(&self) -> Router {
        let door = Arc::clone(&self.door);
        let fixed = Router::new()
            .route("/", get(http::list_everything))
            .route("/.search", post(http::search_everything))
            .route("/Bulk", post(http::bulk))
            .route("/ServiceProviderConfig", get(discovery::config))
            .route("/Schemas", get(discovery::schemas))
            .route("/Schemas/{id}", get(discovery::schema))
            .route("/ResourceTypes", get(discovery::resource_types))
            .route("/ResourceTypes/{id}", get(discovery::resource_type))
            .route("/Me", any(discovery::me))
            .route("/{*path}", any(discovery::nothing_here));
        let secured = |router: Router<Arc<Door>>| {
            router
                .method_not_allowed_fallback(discovery::wrong_method)
                .layer(middleware::from_fn_with_state(Arc::clone(&door), auth::authenticate))
                .with_state(Arc::clone(&door))
        };
        let scim = door.catalogue.types().iter().fold(fixed, |router, kind| router.merge(http::routes(kind)));
        // A nested router does not answer at its own address with a slash.
        let root = Router::new().route("/scim/v2/", get(http::list_everything));
        Router::new().nest("/scim/v2", secured(scim)).merge(secured(root))
    }

    /// Registers the apps, then keeps its state up to date until `stop`.
    ///
    /// # Errors
    /// When the storage fails, or the apps can't be registered.
    pub async fn run(self, stop: CancellationToken) -> Result<(), GatewayError> {
        let runner = Runner::new(self.door.log.clone(), Arc::clone(&self.door.store));
        let projected = async {
            let ended = runner.run(DirectoryProjection, stop.clone()).await;
            stop.cancel();
            ended
        };
        let registered = async {
            tokio::select! {
                () = stop.cancelled() => Ok(()),
                done = register_apps(&self.door.log, &self.door.store, &self.apps) => {
                    if done.is_err() {
                        stop.cancel();
                    } else {
                        self.door.registered.send_replace(true);
                    }
                    done
                }
            }
        };
        let (projected, registered) = tokio::join!(projected, registered);
        projected?;
        registered
    }
}

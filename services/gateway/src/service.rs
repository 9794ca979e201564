//! The service: a projection of the directory, and the paths under `/scim/v2`.

use std::sync::{Arc, Weak};

use axum::routing::{any, get, post, put};
use axum::{Router, middleware};
use rollcall_config::{Config, Role, deciders};
use rollcall_domain::decision::access_rules::AccessSpec;
use rollcall_domain::kv::KvError;
use rollcall_domain::{Event, Recorded, directory};
use rollcall_event_log::EventLog;
use rollcall_projection::{History, Idle, Projection, Runner, Store, Transaction};
use rollcall_tokens::Attempts;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::auth::authenticate;
use crate::auth::caller::Origin;
use crate::auth::refusals::Refusals;
use crate::auth::source::{KnownSource, Places};
use crate::change::{names, scope};
use crate::error::GatewayError;
use crate::http::{discovery, inventories, path_form, routes};
use crate::index::indexer::Indexer;
use crate::index::names::Indexes;
use crate::read::query::Bounds;
use crate::register::{Policies, Removals, register};
use crate::state::{GatewayState, NAME};

/// Changes whenever the state would be derived otherwise than before.
const STAMP: u32 = 16;

/// How many lists of inventories are held and compared at once: each may be large.
const LISTS_AT_ONCE: usize = 2;

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    state: Arc<GatewayState>,
    configured: AccessSpec,
    policies: Policies,
}

struct DirectoryProjection(Indexer);

impl Projection for DirectoryProjection {
    fn apply(&mut self, state: &mut Transaction, event: &Recorded) -> Result<(), KvError> {
        let whose = match &event.event {
            Event::Identity(changed) => Some(changed.id),
            Event::IdentityErased(erased) => Some(erased.id),
            _ => None,
        };
        let known = |state: &Transaction| whose.map_or(Ok(None), |id| directory::identity(state, id));
        let before = known(state)?;
        directory::evolve(state, event)?;
        self.0.changed(state, before.as_ref(), known(state)?.as_ref())?;
        scope::evolve(state, event)?;
        names::evolve(state, event)
    }

    fn idle(&mut self, state: &mut Transaction) -> Result<Idle, KvError> {
        self.0.idle(state)
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
        let store = Store::open(NAME, &folder, STAMP, config.server.cache_bytes, History::NONE)?;
        let known: Weak<Store> = Arc::downgrade(&store);
        let places = Places {
            requests: config.server.max_requests_in_flight_per_source,
            heavy: (config.scim.max_heavy_reads / 2).max(1),
        };
        let state = GatewayState {
            log: log.knowing(known),
            store,
            sources: config.sources.iter().cloned().map(|source| KnownSource::new(source, places, &http)).collect(),
            catalogue: config.scim.catalogue,
            authority: config.authority.clone(),
            without_owner: config.machines.without_owner,
            origin: Origin::of(&config.server),
            max_body_bytes: config.server.max_body_bytes,
            inventories: config.inventories.iter().cloned().map(Arc::new).collect(),
            max_inventory_bytes: config.server.max_inventory_bytes,
            lists: Semaphore::new(LISTS_AT_ONCE),
            max_resource_bytes: config.scim.max_resource_bytes,
            refusals: Refusals::default(),
            guesses: Attempts::new(config.server.max_refusals_per_minute),
            bounds: Bounds {
                max_page: config.server.max_page,
                max_filter_bytes: config.scim.max_filter_bytes,
                max_members: config.scim.max_members_shown,
            },
            indexes: Indexes::new(config.scim.catalogue, &config.scim.indexed),
            max_scan: config.scim.max_scan_time,
            heavy: Semaphore::new(config.scim.max_heavy_reads),
            max_bulk_operations: config.scim.max_bulk_operations,
            max_members: config.scim.max_members_per_request,
            max_members_shown: config.scim.max_members_shown,
            patience: config.server.read_patience,
            registered: watch::Sender::new(false),
        };
        let groups = config.oidc.iter().flat_map(|oidc| oidc.roles.values());
        let deciders = deciders(&config.api_tokens, groups, Role::Operator);
        let removals = match config.approvals.two_people.applies(deciders) {
            true => Removals::TwoPeople,
            false => Removals::Configuration,
        };
        let policies = Policies { machines: config.machines.policy, reevaluation: config.reevaluation, removals };
        Ok(Self { state: Arc::new(state), configured: config.access_spec(), policies })
    }

    /// Its state, for readiness.
    #[must_use]
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.state.store)
    }

    /// Whether the configured apps are on the log, without which no change should be accepted.
    #[must_use]
    pub fn registered(&self) -> watch::Receiver<bool> {
        self.state.registered.subscribe()
    }

    /// What it serves, under `/scim/v2`.
    pub fn router(&self) -> Router {
        let state = Arc::clone(&self.state);
        let fixed = Router::new()
            .route("/", get(routes::list_everything))
            .route("/.search", post(routes::search_everything))
            .route("/Bulk", post(routes::bulk))
            .route("/ServiceProviderConfig", get(discovery::config))
            .route("/Schemas", get(discovery::schemas))
            .route("/Schemas/{id}", get(discovery::schema))
            .route("/ResourceTypes", get(discovery::resource_types))
            .route("/ResourceTypes/{id}", get(discovery::resource_type))
            .route("/Me", any(discovery::me));
        let secured = |router: Router<Arc<GatewayState>>| {
            router
                .method_not_allowed_fallback(discovery::wrong_method)
                .layer(middleware::from_fn_with_state(Arc::clone(&state), authenticate::authenticate))
                .with_state(Arc::clone(&state))
        };
        let types = state.catalogue.types().iter();
        let scim = types.clone().fold(fixed, |router, kind| router.merge(routes::routes(kind)));
        let whole = secured(scim.clone().route("/{*path}", any(discovery::nothing_here)));
        let own = ["Bulk", "ServiceProviderConfig", "Schemas", "ResourceTypes", "Me"].map(str::to_owned);
        let names = own.into_iter().chain(types.map(|kind| kind.endpoint.trim_start_matches('/').to_owned()));
        let names: Arc<[String]> = names.collect();
        let odd = move |request| path_form::answer(request, Arc::clone(&names), whole.clone());
        let scim = secured(scim).fallback(odd);
        // A nested router does not answer at its own address with a slash.
        let root = Router::new().route("/scim/v2/", get(routes::list_everything));
        let lists = secured(Router::new().route("/inventories/{name}", put(inventories::put)));
        let lists = lists.layer(middleware::from_fn(inventories::as_problem));
        Router::new().nest("/scim/v2", scim).merge(secured(root)).merge(lists)
    }

    /// Registers the apps, then keeps its state up to date until `stop`.
    ///
    /// # Errors
    /// When the storage fails, or the apps can't be registered.
    pub async fn run(self, stop: CancellationToken) -> Result<(), GatewayError> {
        let runner = Runner::new(self.state.log.clone(), Arc::clone(&self.state.store));
        let projected = async {
            let ended = runner.run(DirectoryProjection(Indexer::new(self.state.indexes.clone())), stop.clone()).await;
            stop.cancel();
            ended
        };
        let registered = async {
            tokio::select! {
                () = stop.cancelled() => Ok(()),
                done = register(&self.state.log, &self.state.store, &self.configured, self.policies) => {
                    if done.is_err() {
                        stop.cancel();
                    } else {
                        self.state.registered.send_replace(true);
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

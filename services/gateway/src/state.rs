//! What every request needs: the log, the directory, who may ask, and the limits.

use std::sync::Arc;
use std::time::Duration;

use rollcall_config::{InventoryConfig, WithoutOwner};
use rollcall_domain::identity::authority::Authority;
use rollcall_event_log::EventLog;
use rollcall_projection::{Store, View};
use rollcall_scim::Catalogue;
use rollcall_tokens::Attempts;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::auth::caller::{Caller, Origin};
use crate::auth::refusals::Refusals;
use crate::auth::source::KnownSource;
use crate::error::Refusal;
use crate::index::names::Indexes;
use crate::read::query::Bounds;
use crate::read::search::Amount;

/// The name in metrics and folders.
pub const NAME: &str = "gateway";

/// What the paths need.
#[derive(Debug)]
pub struct GatewayState {
    pub log: EventLog,
    pub store: Arc<Store>,
    pub sources: Vec<KnownSource>,
    pub catalogue: Catalogue,
    pub authority: Authority,
    pub without_owner: WithoutOwner,
    pub origin: Origin,
    pub max_body_bytes: usize,
    pub inventories: Vec<Arc<InventoryConfig>>,
    pub max_inventory_bytes: usize,
    /// How many lists of inventories are held and compared at once.
    pub lists: Semaphore,
    pub max_resource_bytes: usize,
    pub refusals: Refusals,
    /// Tokens that are no source's.
    pub guesses: Attempts,
    pub bounds: Bounds,
    pub indexes: Indexes,
    /// How long everybody may be looked at for one answer.
    pub max_scan: Duration,
    /// How many answers about many resources are made at once: each can be as large as a page.
    pub heavy: Semaphore,
    pub max_bulk_operations: usize,
    pub max_members: usize,
    pub max_members_shown: usize,
    pub patience: Duration,
    pub registered: watch::Sender<bool>,
}

impl GatewayState {
    /// A place for an answer that may be large, one of those that its source can have; it is kept until the answer is made.
    pub async fn place(&self, caller: &Caller, amount: Amount) -> Option<(SemaphorePermit<'_>, SemaphorePermit<'_>)> {
        match amount {
            Amount::Few => None,
            Amount::Many => {
                let of_the_source = self.source(caller)?.heavy.acquire().await.ok()?;
                Some((of_the_source, self.heavy.acquire().await.ok()?))
            }
        }
    }

    /// The source that asks.
    pub fn source(&self, caller: &Caller) -> Option<&KnownSource> {
        self.sources.iter().find(|source| source.config.name == caller.source.name)
    }

    /// The directory with everything in it that the log had when the request came in.
    pub async fn fresh(&self) -> Result<View, Refusal> {
        self.store.wait_for(self.log.head().await?, self.patience).await?;
        Ok(self.store.view())
    }
}

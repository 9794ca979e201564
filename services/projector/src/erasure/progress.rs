//! What happens of itself: whoever is to be erased is, as soon as no app keeps an account of theirs, and whoever has left long enough ago
//! is to be.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rollcall_config::{ApiToken, Retention};
use rollcall_domain::governance::erasure::ErasureOrdered;
use rollcall_domain::ids::{IdentityId, Sequence};
use rollcall_domain::kv::KvError;
use rollcall_domain::{Event, EventMeta, ledger};
use rollcall_event_log::{EventLog, LogError, Unit, by_service};
use rollcall_projection::{Store, View};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::erasure::decision;
use crate::error::ApiError;
use crate::state::answers::NAME;
use crate::state::departed::{self, Departed};

/// How often it is looked whether there is something to do.
const EVERY: Duration = Duration::from_secs(2);

/// How many who have left long enough ago are looked at in one round.
const ROUND: usize = 100;

/// Carries out what was ordered, and what the configuration says of those who have left.
#[derive(Debug)]
pub struct Progress {
    log: EventLog,
    store: Arc<Store>,
    retention: Option<Retention>,
    tokens: Vec<ApiToken>,
    patience: Duration,
}

impl Progress {
    pub const fn new(
        log: EventLog,
        store: Arc<Store>,
        retention: Option<Retention>,
        tokens: Vec<ApiToken>,
        patience: Duration,
    ) -> Self {
        Self { log, store, retention, tokens, patience }
    }

    /// Carries it out until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        if self.log.keys().is_none() {
            return;
        }
        let mut rounds = tokio::time::interval(EVERY);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut place) = (Sequence(0), None);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = rounds.tick() => {}
            }
            let cursor = self.store.cursor();
            if cursor > seen {
                match self.carry_out().await {
                    Ok(()) => seen = cursor,
                    Err(e) => warn!(error = %e, "who is to be erased can't be erased yet"),
                }
            }
            if let Some(retention) = &self.retention {
                place = self.keep_to(retention, place).await.unwrap_or_else(|e| {
                    warn!(error = %e, "who has left long enough ago can't be erased yet");
                    None
                });
            }
        }
    }

    async fn fresh(&self) -> Result<View, ApiError> {
        self.store.wait_for(self.log.head().await?, self.patience).await?;
        Ok(self.store.view())
    }

    /// Erases those of whom no app keeps an account any more.
    async fn carry_out(&self) -> Result<(), ApiError> {
        // What was ordered once may have been taken back since: nothing is concluded from a state that is behind.
        let view = self.fresh().await?;
        for (id, order) in ledger::all_ordered(&view)? {
            if !ledger::obstacles(&view, id)?.is_empty() {
                continue;
            }
            let Some(recorded) = self.log.event(order.sequence).await? else { continue };
            let Event::ErasureOrdered(wanted) = recorded.event else { continue };
            let actor = &recorded.meta.actor;
            let meta = by_service(actor, &recorded.meta.correlation_id, Some(recorded.meta.event_id));
            self.erase(wanted, meta, |view, id| {
                Ok(ledger::ordered(view, id)?.is_some_and(|now| now.sequence == order.sequence))
            })
            .await?;
        }
        Ok(())
    }

    /// Erases, or orders the erasure of, those who have left long enough ago, after a place; where to go on after.
    async fn keep_to(&self, retention: &Retention, place: Option<String>) -> Result<Option<String>, ApiError> {
        let since = due_since(retention, Timestamp::now());
        let view = self.fresh().await?;
        let (due, next) = departed::before(&view, since, place.as_deref(), ROUND)?;
        for Departed { identity: id, .. } in due {
            if ledger::ordered(&view, id)?.is_some() || !self.may_be_erased(&view, id)? {
                continue;
            }
            let order = ErasureOrdered {
                id,
                reason: format!("[privacy] erase_left_after: they left more than {:#} ago", retention.after()),
                legal_basis: retention.legal_basis.clone(),
                approved_by: None,
            };
            let meta = by_service(NAME, &Uuid::now_v7().to_string(), None);
            self.erase(order, meta, |view, id| Ok(departed::left_at(view, id)?.is_some_and(|left_at| left_at < since)))
                .await?;
        }
        Ok(next)
    }

    /// Whether anybody could erase them: what stands in the way is shown with those who are due.
    fn may_be_erased(&self, view: &View, id: IdentityId) -> Result<bool, ApiError> {
        match decision::erasable(&self.tokens, view, id) {
            Ok(_) => Ok(true),
            Err(ApiError::Conflict(_) | ApiError::NotFound(_)) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Erases someone, where that is `still` so in all that the log has.
    async fn erase(
        &self,
        order: ErasureOrdered,
        meta: EventMeta,
        still: impl Fn(&View, IdentityId) -> Result<bool, KvError>,
    ) -> Result<(), ApiError> {
        let view = self.fresh().await?;
        if !still(&view, order.id)? {
            return Ok(());
        }
        let mut unit = Unit::default();
        let appended = match decision::push(&self.log, (&self.tokens, &view), &mut unit, meta, order).await {
            Ok(()) => self.log.append(&unit).await,
            // Something has happened since it was looked: it is looked again.
            Err(ApiError::Conflict(reason)) => {
                info!(reason, "an erasure has to wait");
                return Ok(());
            }
            Err(trouble) => return Err(trouble),
        };
        match appended {
            Ok(appended) => self.store.wait_for(appended.last, self.patience).await?,
            Err(LogError::Conflict { .. }) => info!("whoever was to be erased has just been changed"),
            Err(trouble) => return Err(trouble.into()),
        }
        Ok(())
    }
}

/// Who has left before this is due.
pub fn due_since(retention: &Retention, now: Timestamp) -> Timestamp {
    now.checked_sub(retention.after()).unwrap_or(Timestamp::MIN)
}

/// When someone who left at a time is due.
pub fn due_at(retention: &Retention, left_at: Timestamp) -> Timestamp {
    left_at.checked_add(retention.after()).unwrap_or(Timestamp::MAX)
}

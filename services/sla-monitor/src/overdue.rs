//! Deadlines that pass without proof.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use rollcall_domain::obligation::{Obligation, Overdue};
use rollcall_domain::{Event, EventMeta, NewEvent, TraceContext, ledger};
use rollcall_event_log::{EventLog, Expect, Unit, by_service};
use rollcall_projection::Store;
use tracing::warn;
use uuid::Uuid;

use crate::error::MonitorError;
use crate::service::NAME;

/// The most obligations that are called overdue in one go.
const BATCH: usize = 500;

/// Calls every obligation overdue whose deadline has passed; returns how many.
pub async fn call_overdue(log: &EventLog, store: &Store, now: Timestamp) -> Result<usize, MonitorError> {
    if ledger::due(&store.view(), now, 1)?.is_empty() {
        return Ok(0);
    }
    // Proof that is in the log already must not be overlooked.
    store.wait_for(log.head().await?, Duration::from_secs(60)).await?;
    let due = ledger::due(&store.view(), now, BATCH)?;
    let mut last = None;
    for obligation in &due {
        warn!(obligation = %obligation.id, deadline = %obligation.deadline, "overdue");
        let event = Event::ObligationOverdue(Overdue {
            id: obligation.id.clone(),
            change: obligation.change,
            deadline: obligation.rings_at(),
        });
        let meta = meta(store, obligation)?;
        last = Some(log.append(&Unit::one(NewEvent { meta, event }, Expect::Any)).await?.last);
    }
    if let Some(last) = last {
        store.wait_for(last, Duration::from_secs(60)).await?;
    }
    Ok(due.len())
}

/// Says which sources' removals wait, once for each time; that they wait follows from the removals themselves.
pub async fn say_holds(log: &EventLog, store: &Store, said: &mut BTreeSet<Uuid>) -> Result<(), MonitorError> {
    for hold in ledger::holds(&store.view())? {
        let name = format!("hold {} {}", hold.source, hold.by);
        let event_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        if said.contains(&event_id) || ledger::is_hold_said(&store.view(), &hold)? {
            continue;
        }
        warn!(source = %hold.source, app = %hold.app, removals = hold.removals, "removals wait for a decision");
        let meta = EventMeta { event_id, ..by_service(NAME, "", None) };
        log.append(&Unit::one(NewEvent { meta, event: Event::HoldPlaced(hold) }, Expect::Any)).await?;
        said.insert(event_id);
    }
    Ok(())
}

/// The event's id follows from the obligation's: saying it twice says it once.
fn meta(store: &Store, obligation: &Obligation) -> Result<EventMeta, MonitorError> {
    let id = &obligation.id;
    let account = ledger::account(&store.view(), id.identity, &id.app)?;
    let (correlation, cause, trace) = account.map_or_else(
        || (String::new(), None, TraceContext::default()),
        |a| (a.correlation_id, Some(a.caused_by), a.trace),
    );
    Ok(EventMeta {
        quirks: Vec::new(),
        event_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("overdue {id} {}", obligation.rings_at()).as_bytes()),
        trace,
        ..by_service(NAME, &correlation, cause)
    })
}

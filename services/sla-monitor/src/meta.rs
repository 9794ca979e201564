//! Who says what the monitor says, and why.

use rollcall_domain::access::account::Account;
use rollcall_domain::access::obligation::{AtRisk, Overdue};
use rollcall_domain::access::subject::Subject;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{Event, EventMeta, ledger};
use rollcall_event_log::by_service;
use rollcall_projection::Store;
use uuid::Uuid;

use crate::deadlines::DueEvent;
use crate::error::MonitorError;

/// The name in events, metrics and folders.
pub const NAME: &str = "sla-monitor";

/// The envelope of what the monitor says: part of the story of the change that an account owes.
///
/// # Errors
/// When the state can't be read.
pub fn meta_for(state: &impl Read, account: Option<Account>, otherwise: &str) -> Result<EventMeta, KvError> {
    let story = account.map(|account| ledger::causation_of(state, &account)).transpose()?.flatten();
    let Some(story) = story else { return Ok(by_service(NAME, otherwise, None)) };
    Ok(EventMeta { trace: story.trace, ..by_service(NAME, &story.correlation_id, Some(story.caused_by)) })
}

pub(crate) fn meta(store: &Store, word: &DueEvent) -> Result<EventMeta, MonitorError> {
    let view = store.view();
    let account = match &word.event {
        Event::ObligationOverdue(Overdue { id, .. }) | Event::ObligationAtRisk(AtRisk { id, .. }) => {
            match &id.subject {
                Subject::Account { app, identity } => ledger::account(&view, *identity, app)?,
                Subject::Handover { .. } | Subject::Credential { .. } => None,
            }
        }
        Event::LeaverCompleted(done) => ledger::account_of_leaver(&view, done.identity, done.opened_by)?,
        _ => None,
    };
    let event_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, word.name.as_bytes());
    Ok(EventMeta { event_id, ..meta_for(&view, account, "")? })
}

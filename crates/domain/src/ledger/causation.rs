//! What the changes that opened obligations belong to: once for each, however many apps it is about.

use super::lists::List;
use crate::access::account::{Account, Causation};
use crate::event::Recorded;
use crate::ids::Sequence;
use crate::kv::{KvError, Read, Write, load, store};

fn key(event: Sequence) -> String {
    format!("{}{:020}", List::Stories.prefix(), event.0)
}

/// Keeps the story of an event that opened obligations.
pub fn keep(state: &mut impl Write, event: &Recorded) {
    let meta = &event.meta;
    let (correlation_id, trace) = (meta.correlation_id.clone(), meta.trace.clone());
    store(state, key(event.sequence), &Causation { caused_by: meta.event_id, correlation_id, trace });
}

/// What the change that an account follows belongs to.
///
/// # Errors
/// When the state can't be read.
pub fn causation_of(state: &(impl Read + ?Sized), account: &Account) -> Result<Option<Causation>, KvError> {
    load(state, &key(account.story))
}

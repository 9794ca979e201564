//! What was said and has yet to take effect, and when each source was heard last.

use jiff::Timestamp;

use super::read::micros;
use crate::event::{Event, Recorded};
use crate::identity::{IdentityChanged, effective_at, is_scheduled};
use crate::ids::{IdentityId, SourceName};
use crate::kv::{KvError, Read, Write, load, load_all, store};

fn place_key(id: IdentityId) -> String {
    format!("scheduled-of/{id}")
}

/// Keeps the list of what has yet to take effect.
pub fn keep(state: &mut impl Write, changed: &IdentityChanged) -> Result<(), KvError> {
    if let Some(place) = load::<String>(state, &place_key(changed.id))? {
        state.delete(&place);
        state.delete(&place_key(changed.id));
    }
    let ahead = !changed.deleted && is_scheduled(changed.after, &changed.resource);
    if let Some(at) = effective_at(&changed.resource).filter(|_| ahead) {
        let place = format!("scheduled/{:020}/{}", micros(at), changed.id);
        store(state, place.clone(), &(changed.id, at));
        store(state, place_key(changed.id), &place);
    }
    Ok(())
}

/// Whose word takes effect at or before `now`, after a place and at most `limit`; and the place to go on after, when there
/// may be more. What can't take effect stands before nobody.
///
/// # Errors
/// When the state can't be read.
pub fn taking_effect(
    state: &(impl Read + ?Sized),
    now: Timestamp,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<IdentityId>, Option<String>), KvError> {
    let found: Vec<(String, (IdentityId, Timestamp))> = load_all(state, "scheduled/", after, limit)?;
    let is_full = found.len() == limit;
    let due: Vec<(String, (IdentityId, Timestamp))> = found.into_iter().filter(|(_, (_, at))| *at <= now).collect();
    let next = due.last().filter(|_| is_full && due.len() == limit).map(|(place, _)| place.clone());
    Ok((due.into_iter().map(|(_, (id, _))| id).collect(), next))
}

fn heard_key(source: &SourceName) -> String {
    format!("heard/{source}")
}

/// Notes when a source was heard.
pub fn heard(state: &mut impl Write, event: &Recorded) {
    let said =
        matches!(event.event, Event::Identity(_) | Event::Group(_) | Event::Resource(_) | Event::ChangeRefused(_));
    if let (true, Some(source)) = (said, &event.meta.source) {
        store(state, heard_key(source), &event.recorded_at);
    }
}

/// When a source was heard last.
///
/// # Errors
/// When the state can't be read.
pub fn last_heard(state: &(impl Read + ?Sized), source: &SourceName) -> Result<Option<Timestamp>, KvError> {
    load(state, &heard_key(source))
}

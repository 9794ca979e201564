//! What was said and has yet to take effect, and when each source was heard last.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::read::micros;
use crate::event::{Event, Recorded};
use crate::identity::{EffectFailed, IdentityChanged, effective_at, takes_effect_at};
use crate::ids::{IdentityId, Sequence, SourceName};
use crate::kv::{KvError, Read, Write, load, load_all, store, values};

const SCHEDULED: &str = "scheduled/";

const STUCK: &str = "stuck-effect/";

/// Something that was said, and takes effect later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// Of whom.
    pub identity: IdentityId,
    /// When it takes effect.
    pub at: Timestamp,
    /// The statement.
    pub version: Sequence,
}

fn stuck_key(id: IdentityId) -> String {
    format!("{STUCK}{id}")
}

fn place_key(id: IdentityId) -> String {
    format!("scheduled-of/{id}")
}

/// Keeps the list of what has yet to take effect.
pub fn keep(state: &mut impl Write, changed: &IdentityChanged, event: &Recorded) -> Result<(), KvError> {
    let version = event.sequence;
    if let Some(place) = load::<String>(state, &place_key(changed.id))? {
        state.delete(&place);
        state.delete(&place_key(changed.id));
    }
    // What could not take effect is said anew.
    state.delete(&stuck_key(changed.id));
    // When it takes effect is readable, also where the resource is not: it can't be brought into effect then, and somebody is told.
    let said = if event.seal.is_closed() { changed.effective_at } else { effective_at(&changed.resource) };
    if let Some(at) = takes_effect_at(changed, said, event.recorded_at) {
        let place = format!("{SCHEDULED}{:020}/{}", micros(at), changed.id);
        store(state, place.clone(), &Scheduled { identity: changed.id, at, version });
        store(state, place_key(changed.id), &place);
    }
    Ok(())
}

/// Drops what was said to take effect, and what could not.
pub fn forget(state: &mut impl Write, id: IdentityId) -> Result<(), KvError> {
    if let Some(place) = load::<String>(state, &place_key(id))? {
        state.delete(&place);
        state.delete(&place_key(id));
    }
    state.delete(&stuck_key(id));
    Ok(())
}

/// Takes out of the list what can't take effect.
pub fn failed(state: &mut impl Write, failed: &EffectFailed) -> Result<(), KvError> {
    let Some(place) = load::<String>(state, &place_key(failed.id))? else { return Ok(()) };
    let scheduled: Option<Scheduled> = load(state, &place)?;
    if scheduled.is_some_and(|scheduled| scheduled.version == failed.version) {
        state.delete(&place);
        state.delete(&place_key(failed.id));
        store(state, stuck_key(failed.id), failed);
    }
    Ok(())
}

/// What could not take effect, until something else is said.
///
/// # Errors
/// When the state can't be read.
pub fn stuck(state: &(impl Read + ?Sized)) -> Result<Vec<EffectFailed>, KvError> {
    values(state, STUCK)
}

/// What was said to take effect after a time, the soonest first, at most `limit`.
///
/// # Errors
/// When the state can't be read.
pub fn far_ahead(state: &(impl Read + ?Sized), after: Timestamp, limit: usize) -> Result<Vec<Scheduled>, KvError> {
    let from = format!("{SCHEDULED}{:020}/~", micros(after));
    Ok(load_all(state, SCHEDULED, Some(&from), limit)?.into_iter().map(|(_, scheduled)| scheduled).collect())
}

/// What was said of somebody and takes effect later.
///
/// # Errors
/// When the state can't be read.
pub fn scheduled(state: &(impl Read + ?Sized), identity: IdentityId) -> Result<Option<Scheduled>, KvError> {
    match load::<String>(state, &place_key(identity))? {
        Some(place) => load(state, &place),
        None => Ok(None),
    }
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
) -> Result<(Vec<Scheduled>, Option<String>), KvError> {
    let mut due: Vec<(String, Scheduled)> = load_all(state, SCHEDULED, after, limit)?;
    due.retain(|(_, scheduled)| scheduled.at <= now);
    let next = due.last().filter(|_| due.len() == limit).map(|(place, _)| place.clone());
    Ok((due.into_iter().map(|(_, scheduled)| scheduled).collect(), next))
}

fn heard_key(source: &SourceName) -> String {
    format!("heard/{source}")
}

fn listed_key(source: &SourceName) -> String {
    format!("heard-lists/{source}")
}

fn refused_key(source: &SourceName) -> String {
    format!("heard-refused/{source}")
}

/// Notes when a source was heard. The lists of its inventories say nothing of who comes and goes.
pub fn heard(state: &mut impl Write, event: &Recorded) {
    let key = match event.event {
        Event::Identity(_) | Event::Group(_) | Event::Resource(_) => heard_key,
        Event::ChangeRefused(_) => refused_key,
        Event::CredentialListed(_) | Event::CredentialUnlisted(_) | Event::InventoryRead(_) => listed_key,
        _ => return,
    };
    if let Some(source) = &event.meta.source {
        store(state, key(source), &event.recorded_at);
    }
}

/// When a source was heard last; one that sends lists of credentials alone, when it has sent the last one. That something else of it was
/// refused once makes it no source of people.
///
/// # Errors
/// When the state can't be read.
pub fn last_heard(state: &(impl Read + ?Sized), source: &SourceName) -> Result<Option<Timestamp>, KvError> {
    let [people, listed, refused]: [Option<Timestamp>; 3] =
        [load(state, &heard_key(source))?, load(state, &listed_key(source))?, load(state, &refused_key(source))?];
    Ok(match (people, listed) {
        (None, Some(listed)) => Some(listed),
        (people, _) => people.max(refused),
    })
}

//! Who has left and is verified gone everywhere, by when they left. Keys: `departed/<micros>/<identity>`, and
//! `departed-of/<identity>`: where that is.

use jiff::Timestamp;
use rollcall_domain::kv::{KvError, Read, Write, load, store};
use rollcall_domain::ledger::Fact;
use rollcall_domain::{Event, IdentityId, Recorded};

const DEPARTED: &str = "departed/";

/// Somebody who has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departed {
    pub identity: IdentityId,
    pub left_at: Timestamp,
}

fn place_key(id: IdentityId) -> String {
    format!("departed-of/{id}")
}

/// A time as a key sorts it.
fn micros(at: Timestamp) -> i64 {
    at.as_microsecond().max(0)
}

fn forget(state: &mut impl Write, id: IdentityId) -> Result<(), KvError> {
    if let Some(place) = load::<String>(state, &place_key(id))? {
        state.delete(&place);
        state.delete(&place_key(id));
    }
    Ok(())
}

/// Keeps the list.
pub fn add(state: &mut impl Write, event: &Recorded, facts: &[Fact]) -> Result<(), KvError> {
    match &event.event {
        Event::Identity(changed) if changed.after.has_access() && !changed.deleted => forget(state, changed.id)?,
        Event::IdentityErased(erased) => forget(state, erased.id)?,
        _ => {}
    }
    for fact in facts {
        let Fact::LeaverCompleted(case) = fact else { continue };
        // Of whom that is somebody's word only it is not known.
        if case.completed_at.is_none() {
            continue;
        }
        forget(state, case.identity)?;
        let place = format!("{DEPARTED}{:020}/{}", micros(case.opened_at), case.identity);
        store(state, place.clone(), &());
        store(state, place_key(case.identity), &place);
    }
    Ok(())
}

/// When someone left, who is verified gone everywhere and has not come back.
///
/// # Errors
/// When the state can't be read.
pub fn left_at(state: &impl Read, id: IdentityId) -> Result<Option<Timestamp>, KvError> {
    let place: Option<String> = load(state, &place_key(id))?;
    Ok(place.and_then(|place| time_of(place.strip_prefix(DEPARTED)?.split_once('/')?.0)))
}

fn time_of(text: &str) -> Option<Timestamp> {
    text.parse().ok().and_then(|at| Timestamp::from_microsecond(at).ok())
}

/// Those who left before a time, the longest ago first, after a place and at most `limit`; and the place to go on after, when there may
/// be more.
///
/// # Errors
/// When the state can't be read.
pub fn before(
    state: &impl Read,
    until: Timestamp,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<Departed>, Option<String>), KvError> {
    let after = after.map(|place| format!("{DEPARTED}{place}"));
    let mut all = Vec::new();
    let found = state.scan(DEPARTED, after.as_deref(), limit)?;
    let more = found.len() == limit;
    let mut last = None;
    for (key, _) in found {
        let Some(place) = key.strip_prefix(DEPARTED) else { continue };
        let Some((at, id)) = place.split_once('/') else { continue };
        let left_at = time_of(at);
        let (Some(left_at), Ok(identity)) = (left_at, id.parse()) else { continue };
        if left_at >= until {
            return Ok((all, None));
        }
        last = Some(place.to_owned());
        all.push(Departed { identity, left_at });
    }
    Ok((all, last.filter(|_| more)))
}

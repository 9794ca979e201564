//! Whose access is still to be decided anew after a change that concerns many.
//!
//! Keys: `reevaluation/<since>/access` and `reevaluation/<since>/separations`, `reevaluating/<since>/<identity>`: whom it concerns, where
//! that is not everybody.

use std::collections::BTreeSet;

use crate::access::account::Causation;
use crate::access::reevaluation::{Pass, People, Reevaluated, Reevaluation};
use crate::directory;
use crate::event::Recorded;
use crate::ids::{AppId, IdentityId, Sequence};
use crate::kv::{KvError, Read, Write, load, store, values};

const PREFIX: &str = "reevaluation/";

/// How many are read at once.
const CHUNK: usize = 256;

fn key(since: Sequence, pass: Pass) -> String {
    let of = match pass {
        Pass::Losses | Pass::Access => "access",
        Pass::Separations => "separations",
    };
    format!("{PREFIX}{:020}/{of}", since.0)
}

fn people_prefix(since: Sequence) -> String {
    format!("reevaluating/{:020}/", since.0)
}

/// What is to be decided anew for many.
#[derive(Debug)]
pub struct Begun {
    /// In which apps; `None`: in any.
    pub apps: Option<BTreeSet<AppId>>,
    /// What is decided first.
    pub pass: Pass,
}

/// For how many people at once something is decided. Before a log says it that is for all of them, as it was when that was written.
pub fn people_at_once(state: &(impl Read + ?Sized)) -> Result<usize, KvError> {
    Ok(directory::reevaluation_policy(state)?.map_or(usize::MAX, |policy| policy.people_at_once.max(1)))
}

/// Whether there are more people than are decided for at once.
pub fn are_many(state: &impl Read) -> Result<bool, KvError> {
    let at_once = people_at_once(state)?;
    Ok(at_once < usize::MAX && state.scan(directory::IDENTITIES, None, at_once + 1)?.len() > at_once)
}

/// Notes that people are to be decided for in pieces: these, or everybody.
pub fn begin(state: &mut impl Write, begun: Begun, people: Option<&BTreeSet<IdentityId>>, event: &Recorded) {
    let prefix = people_prefix(event.sequence);
    people.into_iter().flatten().for_each(|id| store(state, format!("{prefix}{id}"), &()));
    let Begun { apps, pass } = begun;
    let (correlation_id, trace) = (event.meta.correlation_id.clone(), event.meta.trace.clone());
    let running = Reevaluation {
        since: event.sequence,
        changed_at: event.recorded_at,
        source: event.meta.source.clone(),
        story: Causation { caused_by: event.meta.event_id, correlation_id, trace },
        apps,
        people: if people.is_some() { People::Listed } else { People::Everybody },
        pass,
        after: None,
    };
    store(state, key(running.since, pass), &running);
}

/// Every one that has not ended, those first that take something away.
///
/// # Errors
/// When the state can't be read.
pub fn reevaluations(state: &(impl Read + ?Sized)) -> Result<Vec<Reevaluation>, KvError> {
    let mut all: Vec<Reevaluation> = values(state, PREFIX)?;
    all.sort_by_key(|running| (running.pass, running.since));
    Ok(all)
}

/// The next piece of one.
///
/// # Errors
/// When the state can't be read.
pub fn next_piece(state: &impl Read, running: &Reevaluation) -> Result<Reevaluated, KvError> {
    let at_once = people_at_once(state)?;
    let found = people(state, running, running.after, at_once.saturating_add(1))?;
    let through = if found.len() <= at_once { None } else { found.get(at_once - 1).copied() };
    Ok(Reevaluated { since: running.since, pass: running.pass, through })
}

/// Those who come next after someone, at most `limit`.
fn people(
    state: &impl Read,
    running: &Reevaluation,
    after: Option<IdentityId>,
    limit: usize,
) -> Result<Vec<IdentityId>, KvError> {
    let prefix = match running.people {
        People::Everybody => directory::IDENTITIES.to_owned(),
        People::Listed => people_prefix(running.since),
    };
    let after = after.map(|id| format!("{prefix}{id}"));
    let found = state.scan(&prefix, after.as_deref(), limit)?;
    Ok(found.iter().filter_map(|(key, _)| key.strip_prefix(&prefix)?.parse().ok()).collect())
}

/// Whom a piece is about: where it ends is said by it, and not by how many there are until there.
fn in_piece(state: &impl Read, running: &Reevaluation, piece: Reevaluated) -> Result<Vec<IdentityId>, KvError> {
    let (mut all, mut after) = (Vec::new(), running.after);
    loop {
        let found = people(state, running, after, CHUNK)?;
        after = found.last().copied();
        let is_over = found.len() < CHUNK || after.zip(piece.through).is_some_and(|(last, through)| last >= through);
        all.extend(found.into_iter().filter(|id| piece.through.is_none_or(|through| *id <= through)));
        if is_over {
            return Ok(all);
        }
    }
}

/// Whom a piece is about, with what it belongs to; `None`: it was decided before.
pub fn take(state: &mut impl Write, piece: Reevaluated) -> Result<Option<(Reevaluation, Vec<IdentityId>)>, KvError> {
    let running: Option<Reevaluation> = load(state, &key(piece.since, piece.pass))?;
    let Some(running) = running.filter(|running| running.pass == piece.pass) else { return Ok(None) };
    if piece.through.is_some_and(|through| running.after.is_some_and(|after| through <= after)) {
        return Ok(None);
    }
    let ids = in_piece(state, &running, piece)?;
    match (piece.through, running.pass) {
        (Some(through), _) => {
            store(state, key(running.since, running.pass), &Reevaluation { after: Some(through), ..running.clone() });
        }
        (None, Pass::Losses) => {
            let next = Reevaluation { pass: Pass::Access, after: None, ..running.clone() };
            store(state, key(running.since, next.pass), &next);
        }
        (None, Pass::Access | Pass::Separations) => {
            state.delete(&key(running.since, running.pass));
            if running.people == People::Listed {
                let prefix = people_prefix(running.since);
                let listed = state.scan(&prefix, None, usize::MAX)?;
                listed.iter().for_each(|(key, _)| state.delete(key));
            }
        }
    }
    Ok(Some((running, ids)))
}

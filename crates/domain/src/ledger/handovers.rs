//! Where hand-overs are kept, and how they are read.
//!
//! Keys: `handover/<owner>/<machine>`, `handover-of/<machine>/<owner>`: those that are open, and `late-handovers/<owner>/<opened_by>`: how
//! many of a departure are late.

use super::late::{self, Late};
use crate::access::handover::Handover;
use crate::ids::{IdentityId, Sequence};
use crate::kv::{KeyPage, KvError, Read, decode, load, suffixes, values};

/// The key prefix of hand-overs.
pub const HANDOVERS: &str = "handover/";

pub(super) const LATE: &str = "late-handovers/";

pub(super) fn handovers_prefix(owner: IdentityId) -> String {
    format!("{HANDOVERS}{owner}/")
}

pub(super) fn handover_key(owner: IdentityId, machine: IdentityId) -> String {
    format!("{}{machine}", handovers_prefix(owner))
}

fn open_of_prefix(machine: IdentityId) -> String {
    format!("handover-of/{machine}/")
}

pub(super) fn open_key(machine: IdentityId, owner: IdentityId) -> String {
    format!("{}{owner}", open_of_prefix(machine))
}

/// The departures of which hand-overs are late, at most `limit`.
///
/// # Errors
/// When the state can't be read.
pub fn late_handovers(state: &(impl Read + ?Sized), limit: usize) -> Result<Vec<Late>, KvError> {
    late::read(state, LATE, limit)
}

/// Whether hand-overs of one departure are late.
///
/// # Errors
/// When the state can't be read.
pub fn has_late_handovers(
    state: &(impl Read + ?Sized),
    owner: IdentityId,
    opened_by: Sequence,
) -> Result<bool, KvError> {
    late::is_any(state, LATE, owner, opened_by)
}

/// The hand-over of a machine by somebody, open or ended.
///
/// # Errors
/// When the state can't be read.
pub fn handover(
    state: &(impl Read + ?Sized),
    owner: IdentityId,
    machine: IdentityId,
) -> Result<Option<Handover>, KvError> {
    load(state, &handover_key(owner, machine))
}

/// Every hand-over of somebody, ended ones included.
///
/// # Errors
/// When the state can't be read.
pub fn handovers_of(state: &(impl Read + ?Sized), owner: IdentityId) -> Result<Vec<Handover>, KvError> {
    values(state, &handovers_prefix(owner))
}

/// The open hand-overs of a machine.
///
/// # Errors
/// When the state can't be read.
pub fn handovers_of_machine(state: &(impl Read + ?Sized), id: IdentityId) -> Result<Vec<Handover>, KvError> {
    let owners = suffixes(state, &open_of_prefix(id))?;
    let found = owners.iter().filter_map(|owner| owner.parse().ok()).map(|owner| handover(state, owner, id));
    Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Hand-overs by owner and machine, after a key; those among the next `look`.
///
/// # Errors
/// When the state can't be read.
pub fn handovers_after(
    state: &(impl Read + ?Sized),
    after: Option<&str>,
    look: usize,
) -> Result<KeyPage<Handover>, KvError> {
    let KeyPage { pairs, next } = state.scan_some(HANDOVERS, after, look)?;
    let pairs = pairs.into_iter().map(|(key, value)| Ok((key.clone(), decode(&key, &value)?)));
    Ok(KeyPage { pairs: pairs.collect::<Result<_, KvError>>()?, next })
}

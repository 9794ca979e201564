//! Grants as they are asked for, begin and end.
//!
//! Keys: `grant/<id>`, `grant-of/<identity>/<id>`, `grant-held/<identity>/<id>` while it is held, `grant-in/<status>/<id>`, `grant-rings/<micros>/<id>`.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::read::micros;
use crate::access::entitlement::Grantable;
use crate::access::grant::{Ended, Grant, GrantChanged, GrantEnd, GrantRequested, GrantStatus, GrantStep};
use crate::directory;
use crate::event::Recorded;
use crate::ids::{GrantId, IdentityId, Sequence};
use crate::kv::{KvError, Read, Write, load, load_all, store, suffixes};

const OF: &str = "grant-of/";
/// How many are read at once.
const CHUNK: usize = 500;

const RINGS: &str = "grant-rings/";

fn key(id: GrantId) -> String {
    format!("grant/{id}")
}

fn of_prefix(identity: IdentityId) -> String {
    format!("{OF}{identity}/")
}

fn held_prefix(identity: IdentityId) -> String {
    format!("grant-held/{identity}/")
}

fn in_prefix(status: GrantStatus) -> String {
    format!("grant-in/{}/", status.name())
}

fn rings_key(at: Timestamp, id: GrantId) -> String {
    format!("{RINGS}{:020}/{id}", micros(at))
}

/// The grant with this id.
///
/// # Errors
/// When the state can't be read.
pub fn grant(state: &(impl Read + ?Sized), id: GrantId) -> Result<Option<Grant>, KvError> {
    load(state, &key(id))
}

/// Every grant of someone, those that have ended and those that were only asked for included.
///
/// # Errors
/// When the state can't be read.
pub fn grants_of(state: &(impl Read + ?Sized), identity: IdentityId) -> Result<Vec<Grant>, KvError> {
    let ids = suffixes(state, &of_prefix(identity))?;
    let found = ids.iter().filter_map(|id| id.parse().ok()).map(|id| grant(state, id));
    Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// What someone holds by a grant now.
///
/// # Errors
/// When the state can't be read.
pub fn active_grants_of(state: &(impl Read + ?Sized), identity: IdentityId) -> Result<Vec<Grant>, KvError> {
    // Decided about again and again: what has ended costs nothing.
    let ids = suffixes(state, &held_prefix(identity))?;
    let found = ids.iter().filter_map(|id| id.parse().ok()).map(|id| grant(state, id));
    Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Grants of a status, in the order in which they were asked for, after one and at most `limit`.
///
/// # Errors
/// When the state can't be read.
pub fn grants_in(
    state: &(impl Read + ?Sized),
    status: GrantStatus,
    after: Option<GrantId>,
    limit: usize,
) -> Result<Vec<Grant>, KvError> {
    let prefix = in_prefix(status);
    let after = after.map(|id| format!("{prefix}{id}"));
    let keys: Vec<(String, ())> = load_all(state, &prefix, after.as_deref(), limit)?;
    let ids = keys.iter().filter_map(|(key, ())| key.strip_prefix(&prefix)?.parse().ok());
    Ok(ids.map(|id| grant(state, id)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// How many grants are of a status.
///
/// # Errors
/// When the state can't be read.
pub fn count_grants(state: &(impl Read + ?Sized), status: GrantStatus) -> Result<usize, KvError> {
    Ok(load(state, &count_key(status))?.unwrap_or_default())
}

fn count_key(status: GrantStatus) -> String {
    format!("grant-count/{}", status.name())
}

/// The grants that end, and the requests that expire, at or before a time; at most `limit`, the earliest first.
///
/// # Errors
/// When the state can't be read.
pub fn grants_ringing(
    state: &(impl Read + ?Sized),
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(Timestamp, Grant)>, KvError> {
    let due = ringing(state, now, limit, |_| true)?;
    Ok(due.into_iter().filter_map(|grant| Some((grant.rings_at()?, grant))).collect())
}

/// The grants whose end people are reminded of, the earliest first and at most `limit`: `before` the end, and where they are
/// short at the last tenth.
///
/// # Errors
/// When the state can't be read.
pub fn grants_ending(
    state: &(impl Read + ?Sized),
    now: Timestamp,
    before: Duration,
    limit: usize,
) -> Result<Vec<Grant>, KvError> {
    let ahead = SignedDuration::try_from(before).unwrap_or(SignedDuration::MAX);
    let horizon = now.checked_add(ahead).unwrap_or(Timestamp::MAX);
    ringing(state, horizon, limit, |grant| grant.reminds_at(ahead).is_some_and(|at| at <= now))
}

/// Whether people are reminded by now that a grant ends, which was asked for in an event, with [`grants_ending`]'s `before`.
///
/// # Errors
/// When the state can't be read.
pub fn is_grant_ending(
    state: &(impl Read + ?Sized),
    (identity, requested_in): (IdentityId, Sequence),
    now: Timestamp,
    before: Duration,
) -> Result<bool, KvError> {
    let ahead = SignedDuration::try_from(before).unwrap_or(SignedDuration::MAX);
    let theirs = active_grants_of(state, identity)?;
    let asked_for = theirs.iter().find(|grant| grant.requested_in == requested_in);
    Ok(asked_for.and_then(|grant| grant.reminds_at(ahead)).is_some_and(|at| at <= now))
}

/// Those that ring at or before a time, the earliest first, that are `such`; at most `limit`.
fn ringing(
    state: &(impl Read + ?Sized),
    until: Timestamp,
    limit: usize,
    such: impl Fn(&Grant) -> bool,
) -> Result<Vec<Grant>, KvError> {
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let some: Vec<(String, ())> = load_all(state, RINGS, after.as_deref(), CHUNK)?;
        for (key, ()) in &some {
            let id = key.rsplit_once('/').and_then(|(_, id)| id.parse().ok());
            let Some(next) = id.map(|id| grant(state, id)).transpose()?.flatten() else { continue };
            if found.len() == limit || next.rings_at().is_none_or(|at| at > until) {
                return Ok(found);
            }
            if such(&next) {
                found.push(next);
            }
        }
        after = some.last().map(|(key, ())| key.clone());
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// When the next grant ends, or the next request expires.
///
/// # Errors
/// When the state can't be read.
pub fn next_grant_ring(state: &(impl Read + ?Sized)) -> Result<Option<Timestamp>, KvError> {
    let first = load_all::<()>(state, RINGS, None, 1)?.into_iter().next();
    let id = first.and_then(|(key, ())| key.rsplit_once('/').and_then(|(_, id)| id.parse().ok()));
    Ok(id.map(|id| grant(state, id)).transpose()?.flatten().and_then(|grant| grant.rings_at()))
}

/// Whose access a change of a grant may change, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Affected {
    pub identity: IdentityId,
    pub what: Grantable,
}

/// Something happened to a grant; whose access that changes, where it does.
pub fn changed(state: &mut impl Write, changed: &GrantChanged, event: &Recorded) -> Result<Option<Affected>, KvError> {
    let before = grant(state, changed.id)?;
    // Whoever decides about it next expects its newest event, also where that has changed nothing.
    let as_before = |before: &Grant| Grant { version: event.sequence, ..before.clone() };
    let now = match (&changed.step, &before) {
        (GrantStep::Requested(request), None) => requested(state, changed, request, event)?,
        (GrantStep::Approved, Some(before)) => approved(state, before, event)?.unwrap_or_else(|| as_before(before)),
        (GrantStep::Ended { why, of, .. }, Some(before)) if may_end(before, *why, *of) => ended(before, *why, event),
        (_, Some(before)) => as_before(before),
        (_, None) => return Ok(None),
    };
    let was_held = before.as_ref().is_some_and(|before| before.status() == GrantStatus::Active);
    let is_held = now.status() == GrantStatus::Active;
    keep(state, before.as_ref(), &now)?;
    Ok((was_held != is_held).then(|| Affected { identity: now.identity, what: now.what.clone() }))
}

fn requested(
    state: &impl Read,
    changed: &GrantChanged,
    request: &GrantRequested,
    event: &Recorded,
) -> Result<Grant, KvError> {
    let may_hold = directory::identity(state, changed.identity)?.is_some_and(|identity| identity.is_active());
    let grant = Grant {
        id: changed.id,
        identity: changed.identity,
        what: request.what.clone(),
        lasts: request.lasts,
        requested_by: event.meta.actor.clone(),
        requested_at: event.recorded_at,
        requested_in: event.sequence,
        approvers: request.approvers.clone(),
        approvals: request.approvals,
        expires_at: request.expires_at,
        extends: request.extends,
        approved_by: BTreeSet::new(),
        active_since: None,
        until: None,
        ended: None,
        version: event.sequence,
    };
    Ok(if may_hold { grant } else { ended(&grant, GrantEnd::Left, event) })
}

/// One more has approved it; `None`: it can't be approved any more.
fn approved(state: &mut impl Write, before: &Grant, event: &Recorded) -> Result<Option<Grant>, KvError> {
    if before.status() != GrantStatus::Requested || event.recorded_at >= before.expires_at {
        return Ok(None);
    }
    let mut now = Grant { version: event.sequence, ..before.clone() };
    now.approved_by.insert(event.meta.actor.clone());
    let approvals = u32::try_from(now.approved_by.len()).unwrap_or(u32::MAX);
    if approvals < now.approvals {
        return Ok(Some(now));
    }
    let until = now.lasts.end(event.recorded_at);
    if let Some(extended) = now.extends.map(|id| grant(state, id)).transpose()?.flatten() {
        if extended.status() == GrantStatus::Active {
            let longer = Grant { until, lasts: now.lasts, ..extended.clone() };
            keep(state, Some(&extended), &longer)?;
            return Ok(Some(ended(&now, GrantEnd::Extended, event)));
        }
        return Ok(Some(ended(&now, GrantEnd::Expired, event)));
    }
    if until.is_some_and(|until| until <= event.recorded_at) {
        return Ok(Some(ended(&now, GrantEnd::Expired, event)));
    }
    if super::separations::forbids(state, now.identity, &now.what)? {
        return Ok(Some(ended(&now, GrantEnd::Separated, event)));
    }
    (now.active_since, now.until) = (Some(event.recorded_at), until);
    Ok(Some(now))
}

/// Whether it ends so. What the clock says is about one end: it may have been put off meanwhile.
fn may_end(before: &Grant, why: GrantEnd, of: Option<Timestamp>) -> bool {
    match (before.status(), why) {
        (GrantStatus::Ended, _) => false,
        (GrantStatus::Active, GrantEnd::Expired) => before.until.is_some() && before.until == of,
        (GrantStatus::Requested, GrantEnd::Unanswered) => Some(before.expires_at) == of,
        (GrantStatus::Active, GrantEnd::Ended | GrantEnd::Left)
        | (GrantStatus::Requested, GrantEnd::Denied | GrantEnd::Withdrawn | GrantEnd::Left) => true,
        (GrantStatus::Active | GrantStatus::Requested, _) => false,
    }
}

fn ended(before: &Grant, why: GrantEnd, event: &Recorded) -> Grant {
    let end = Ended { at: event.recorded_at, why, by: event.meta.actor.clone() };
    Grant { ended: Some(end), version: event.sequence, ..before.clone() }
}

/// Whoever has left holds nothing any more by a grant, and asks for nothing.
pub fn left(state: &mut impl Write, identity: IdentityId, event: &Recorded) -> Result<(), KvError> {
    for before in grants_of(state, identity)?.into_iter().filter(|grant| grant.status() != GrantStatus::Ended) {
        keep(state, Some(&before), &ended(&before, GrantEnd::Left, event))?;
    }
    Ok(())
}

/// Keeps a grant, and the lists that it is in.
fn keep(state: &mut impl Write, before: Option<&Grant>, now: &Grant) -> Result<(), KvError> {
    let rings = |grant: &Grant| grant.rings_at().map(|at| rings_key(at, grant.id));
    let (was, is) = (before.and_then(rings), rings(now));
    if was != is {
        was.iter().for_each(|key| state.delete(key));
        is.into_iter().for_each(|key| store(state, key, &()));
    }
    let (was, is) = (before.map(Grant::status), now.status());
    if was != Some(is) {
        if let Some(was) = was {
            state.delete(&format!("{}{}", in_prefix(was), now.id));
            recount(state, was, |n| n.saturating_sub(1))?;
        }
        store(state, format!("{}{}", in_prefix(is), now.id), &());
        let held = format!("{}{}", held_prefix(now.identity), now.id);
        if is == GrantStatus::Active {
            store(state, held, &());
        } else {
            state.delete(&held);
        }
        recount(state, is, |n| n + 1)?;
    }
    if before.is_none() {
        store(state, format!("{}{}", of_prefix(now.identity), now.id), &());
    }
    store(state, key(now.id), now);
    Ok(())
}

fn recount(state: &mut impl Write, status: GrantStatus, change: impl Fn(usize) -> usize) -> Result<(), KvError> {
    let now = change(count_grants(state, status)?);
    store(state, count_key(status), &now);
    Ok(())
}

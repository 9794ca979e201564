//! Who violates a separation of duties, and what would.
//!
//! Keys: `violation/<separation>/<identity>`, and `violation-of/<identity>/<separation>` for each.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::grants::active_grants_of;
use super::lists::Kept;
use super::read::accounts_of;
use crate::access::account::Account;
use crate::access::entitlement::{EntitlementId, Grantable};
use crate::access::role::Standing;
use crate::access::separation::{Acceptance, Separated, SeparationSpec, Violation, ViolationAccepted, ViolationStatus};
use crate::directory;
use crate::event::Recorded;
use crate::ids::{AppId, IdentityId, SeparationId};
use crate::kv::{KvError, Read, Write, load, load_all, store, suffixes};

/// The key prefix of all violations.
pub const VIOLATIONS: &str = "violation/";

/// That separations have changed with other things that are not all known yet.
const CHANGED: &str = "separations-changed";

fn key(separation: &SeparationId, identity: IdentityId) -> String {
    format!("{VIOLATIONS}{separation}/{identity}")
}

fn of_prefix(identity: IdentityId) -> String {
    format!("violation-of/{identity}/")
}

/// The separations that are configured.
///
/// # Errors
/// When the state can't be read.
pub fn configured_separations(state: &(impl Read + ?Sized)) -> Result<Vec<SeparationSpec>, KvError> {
    let all = directory::separations(state)?.into_iter();
    Ok(all.filter(|one| one.standing == Standing::Configured).map(|one| one.spec).collect())
}

/// That somebody violates a separation.
///
/// # Errors
/// When the state can't be read.
pub fn violation(
    state: &(impl Read + ?Sized),
    separation: &SeparationId,
    identity: IdentityId,
) -> Result<Option<Violation>, KvError> {
    load(state, &key(separation, identity))
}

/// What somebody violates.
///
/// # Errors
/// When the state can't be read.
pub fn violations_of(state: &(impl Read + ?Sized), identity: IdentityId) -> Result<Vec<Violation>, KvError> {
    let ids = suffixes(state, &of_prefix(identity))?;
    let found = ids.iter().filter_map(|id| id.parse().ok()).map(|id| violation(state, &id, identity));
    Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Who violates a separation, or any, after one and at most `limit`.
///
/// # Errors
/// When the state can't be read.
pub fn violations(
    state: &(impl Read + ?Sized),
    of: Option<&SeparationId>,
    after: Option<(&SeparationId, IdentityId)>,
    limit: usize,
) -> Result<Vec<Violation>, KvError> {
    let prefix = of.map_or_else(|| VIOLATIONS.to_owned(), |id| format!("{VIOLATIONS}{id}/"));
    let after = after.map(|(separation, identity)| key(separation, identity));
    Ok(load_all(state, &prefix, after.as_deref(), limit)?.into_iter().map(|(_, found)| found).collect())
}

/// How many violate separations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ViolationCount {
    /// Nobody has decided about these.
    pub open: usize,
    /// Two people leave these so for a time.
    pub accepted: usize,
}

/// How many violations there are at a time, of each separation that is configured or violated.
///
/// # Errors
/// When the state can't be read.
pub fn violation_counts(
    state: &(impl Read + ?Sized),
    now: Timestamp,
) -> Result<BTreeMap<SeparationId, ViolationCount>, KvError> {
    let mut all: BTreeMap<SeparationId, ViolationCount> =
        directory::separations(state)?.into_iter().map(|one| (one.spec.id, ViolationCount::default())).collect();
    for found in violations(state, None, None, usize::MAX)? {
        let status = found.status(now);
        let count = all.entry(found.separation).or_default();
        match status {
            ViolationStatus::Open => count.open += 1,
            ViolationStatus::Accepted => count.accepted += 1,
        }
    }
    Ok(all)
}

/// The same for all of them together.
///
/// # Errors
/// When the state can't be read.
pub fn count_violations(state: &(impl Read + ?Sized), now: Timestamp) -> Result<ViolationCount, KvError> {
    let all = violation_counts(state, now)?;
    Ok(all.values().fold(ViolationCount::default(), |sum, one| ViolationCount {
        open: sum.open + one.open,
        accepted: sum.accepted + one.accepted,
    }))
}

/// What is held with accounts, as it was decided.
fn held_with(accounts: &[Account]) -> BTreeSet<EntitlementId> {
    let of = |account: &Account| {
        let app = account.app.clone();
        let id = |part| EntitlementId { app: app.clone(), part };
        account.holds.keys().cloned().map(id).collect::<Vec<_>>()
    };
    accounts.iter().flat_map(of).collect()
}

fn named_by(state: &(impl Read + ?Sized), what: &Grantable) -> Result<BTreeSet<EntitlementId>, KvError> {
    Ok(match what {
        Grantable::Entitlement(id) => BTreeSet::from([id.clone()]),
        // One that was removed gives nothing.
        Grantable::Role(id) => {
            let role = directory::role(state, id)?.filter(|role| role.standing == Standing::Configured);
            role.map(|role| role.spec.entitlements).unwrap_or_default()
        }
    })
}

/// What somebody holds by the grants that they have.
fn granted(state: &(impl Read + ?Sized), identity: IdentityId) -> Result<BTreeSet<EntitlementId>, KvError> {
    let mut all = BTreeSet::new();
    for grant in active_grants_of(state, identity)? {
        all.append(&mut named_by(state, &grant.what)?);
    }
    Ok(all)
}

/// What must not be given to somebody besides what they hold: each separation with what is the first.
///
/// # Errors
/// When the state can't be read.
pub fn separated(
    state: &(impl Read + ?Sized),
    identity: IdentityId,
    what: &Grantable,
) -> Result<Vec<Separated>, KvError> {
    let all = configured_separations(state)?;
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let mut held = held_with(&accounts_of(state, identity)?);
    held.append(&mut granted(state, identity)?);
    let wanted = named_by(state, what)?;
    Ok(all.iter().filter_map(|one| one.against(&wanted, &held)).collect())
}

/// Whether a grant must not begin, by what was granted before it: who has approved another at the same time did not know. What rules
/// and roles give is not looked at: it is not known of whoever was erased since.
pub fn forbids(state: &impl Read, identity: IdentityId, what: &Grantable) -> Result<bool, KvError> {
    let all = configured_separations(state)?;
    if all.is_empty() {
        return Ok(false);
    }
    let (held, wanted) = (granted(state, identity)?, named_by(state, what)?);
    Ok(all.iter().any(|one| one.against(&wanted, &held).is_some()))
}

/// Looks whether somebody violates any, after what they hold has changed or was read back.
pub fn look(
    state: &mut impl Write,
    all: &[SeparationSpec],
    identity: IdentityId,
    event: &Recorded,
) -> Result<(), KvError> {
    let before = violations_of(state, identity)?;
    if all.is_empty() && before.is_empty() {
        return Ok(());
    }
    let accounts = accounts_of(state, identity)?;
    let mut held = held_with(&accounts);
    // What is to be taken away is held until the app was read back without it.
    let pending: BTreeSet<&AppId> = accounts.iter().filter(|a| a.is_pending()).map(|a| &a.app).collect();
    held.extend(before.iter().flat_map(|one| &one.held).filter(|id| pending.contains(&id.app)).cloned());
    let mut before: BTreeMap<SeparationId, Violation> =
        before.into_iter().map(|one| (one.separation.clone(), one)).collect();
    for spec in all {
        let held = spec.violated_by(&held);
        if held.is_empty() {
            continue;
        }
        let now = match before.remove(&spec.id) {
            Some(known) if known.held == held => continue,
            // More of it is another one: nobody has agreed to that.
            Some(known) if !held.is_subset(&known.held) => Violation { held, accepted: None, ..known },
            Some(known) => Violation { held, ..known },
            None => Violation {
                separation: spec.id.clone(),
                identity,
                held,
                since: event.recorded_at,
                opened_by: event.sequence,
                accepted: None,
            },
        };
        store(state, key(&spec.id, identity), &now);
        store(state, format!("{}{}", of_prefix(identity), spec.id), &());
    }
    before.keys().for_each(|gone| drop_one(state, gone, identity));
    Ok(())
}

fn drop_one(state: &mut impl Write, separation: &SeparationId, identity: IdentityId) {
    state.delete(&key(separation, identity));
    state.delete(&format!("{}{separation}", of_prefix(identity)));
}

/// Separations are configured otherwise: everybody is looked at, when all that changes together is known.
pub fn configured(state: &mut Kept<'_, impl Write>, event: &Recorded) -> Result<(), KvError> {
    if directory::is_configuring(state)? {
        store(state, CHANGED.to_owned(), &());
        return Ok(());
    }
    everybody(state, event)
}

/// All that changes together is known.
pub fn all_configured(state: &mut Kept<'_, impl Write>, event: &Recorded) -> Result<(), KvError> {
    if state.get(CHANGED)?.is_none() {
        return Ok(());
    }
    state.delete(CHANGED);
    everybody(state, event)
}

fn everybody(state: &mut Kept<'_, impl Write>, event: &Recorded) -> Result<(), KvError> {
    let all = configured_separations(state)?;
    for id in suffixes(state, directory::IDENTITIES)?.iter().filter_map(|id| id.parse().ok()) {
        look(state, &all, id, event)?;
    }
    Ok(())
}

/// An app was read back: what was to be taken away may be gone now.
pub fn read_back(state: &mut impl Write, identity: IdentityId, event: &Recorded) -> Result<(), KvError> {
    if suffixes(state, &of_prefix(identity))?.is_empty() {
        return Ok(());
    }
    let all = configured_separations(state)?;
    look(state, &all, identity, event)
}

/// Two people leave a violation as it is for a time.
pub fn accepted(state: &mut impl Write, accepted: &ViolationAccepted, event: &Recorded) -> Result<(), KvError> {
    let Some(known) = violation(state, &accepted.separation, accepted.identity)? else { return Ok(()) };
    let acceptance = Acceptance { sequence: event.sequence, by: event.meta.actor.clone(), until: accepted.expires_at };
    store(state, key(&known.separation, known.identity), &Violation { accepted: Some(acceptance), ..known });
    Ok(())
}

/// Nothing is known any more of whoever is erased.
pub fn forget(state: &mut impl Write, identity: IdentityId) -> Result<(), KvError> {
    for found in violations_of(state, identity)? {
        drop_one(state, &found.separation, identity);
    }
    Ok(())
}

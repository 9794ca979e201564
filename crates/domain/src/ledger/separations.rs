//! Who violates a separation of duties, and what would.
//!
//! Keys: `violation/<separation>/<identity>`, and `violation-of/<identity>/<separation>` for each; `violation-count/<separation>`;
//! `violation-accepted/<separation>/<identity>`, until when; `taken-away/<identity>/<app>`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::grants::active_grants_of;
use super::lists::Kept;
use super::read::{account, accounts_of};
use crate::access::account::Account;
use crate::access::desired::Desired;
use crate::access::entitlement::{EntitlementId, Grantable, Part};
use crate::access::holding::Holdings;
use crate::access::role::Standing;
use crate::access::separation::{Acceptance, Separated, SeparationSpec, Violation, ViolationAccepted};
use crate::decision::rule::group_rules;
use crate::directory;
use crate::event::Recorded;
use crate::ids::{AppId, IdentityId, SeparationId};
use crate::kv::{KvError, Read, Write, load, load_all, store, suffixes, values};

/// The key prefix of all violations.
pub const VIOLATIONS: &str = "violation/";

const COUNTS: &str = "violation-count/";
const ACCEPTED: &str = "violation-accepted/";

/// That separations have changed with other things that are not all known yet.
const CHANGED: &str = "separations-changed";

fn key(separation: &SeparationId, identity: IdentityId) -> String {
    format!("{VIOLATIONS}{separation}/{identity}")
}

fn of_prefix(identity: IdentityId) -> String {
    format!("violation-of/{identity}/")
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

/// Who violates any separation.
///
/// # Errors
/// When the state can't be read.
pub fn violations(state: &(impl Read + ?Sized)) -> Result<Vec<Violation>, KvError> {
    values(state, VIOLATIONS)
}

/// How many violate separations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ViolationCount {
    /// Nobody has decided about these.
    pub open: usize,
    /// Two people leave these so for a time.
    pub accepted: usize,
}

fn count_key(separation: &SeparationId) -> String {
    format!("{COUNTS}{separation}")
}

fn accepted_key(separation: &SeparationId, identity: IdentityId) -> String {
    format!("{ACCEPTED}{separation}/{identity}")
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
    for (key, count) in load_all::<usize>(state, COUNTS, None, usize::MAX)? {
        if let Some(id) = key.strip_prefix(COUNTS).and_then(|id| id.parse().ok()) {
            all.entry(id).or_default().open = count;
        }
    }
    // Those that two people have looked at are few.
    for (key, until) in load_all::<i64>(state, ACCEPTED, None, usize::MAX)? {
        let id = key.strip_prefix(ACCEPTED).and_then(|rest| rest.split_once('/')).and_then(|(id, _)| id.parse().ok());
        if let Some(count) = id.and_then(|id: SeparationId| all.get_mut(&id)).filter(|_| until > now.as_second()) {
            count.open = count.open.saturating_sub(1);
            count.accepted += 1;
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

/// What comes with something that is asked for: a group of an app brings the account there.
fn named_by(state: &(impl Read + ?Sized), what: &Grantable) -> Result<BTreeSet<EntitlementId>, KvError> {
    let named = match what {
        Grantable::Entitlement(id) => BTreeSet::from([id.clone()]),
        // One that was removed gives nothing.
        Grantable::Role(id) => {
            let role = directory::role(state, id)?.filter(|role| role.standing == Standing::Configured);
            role.map(|role| role.spec.entitlements).unwrap_or_default()
        }
    };
    let accounts: Vec<EntitlementId> = named.iter().map(EntitlementId::account).collect();
    Ok(named.into_iter().chain(accounts).collect())
}

/// What groups of ours give to whoever gets an account.
fn with_groups(
    state: &impl Read,
    identity: IdentityId,
    wanted: &BTreeSet<EntitlementId>,
) -> Result<BTreeSet<EntitlementId>, KvError> {
    let groups = directory::groups_of(state, identity)?;
    let mut all = BTreeSet::new();
    for EntitlementId { app, .. } in wanted.iter().filter(|id| id.part == Part::Account) {
        let Some(spec) = directory::app(state, app)?.map(|app| app.spec) else { continue };
        all.extend(EntitlementId::of_app(app, group_rules(&spec, &groups).map(|rule| Part::Group(rule.to.clone()))));
    }
    Ok(all)
}

/// What somebody holds by the grants that they have.
fn granted(state: &(impl Read + ?Sized), identity: IdentityId) -> Result<BTreeSet<EntitlementId>, KvError> {
    let mut all = BTreeSet::new();
    for grant in active_grants_of(state, identity)? {
        all.append(&mut named_by(state, &grant.what)?);
    }
    Ok(all)
}

fn taken_prefix(identity: IdentityId) -> String {
    format!("taken-away/{identity}/")
}

/// What somebody is to hold no more in an app that was not read back since.
type Taken = BTreeSet<Part>;

fn taken_away(state: &(impl Read + ?Sized), identity: IdentityId) -> Result<Vec<(AppId, Taken)>, KvError> {
    let prefix = taken_prefix(identity);
    let all: Vec<(String, Taken)> = load_all(state, &prefix, None, usize::MAX)?;
    Ok(all.into_iter().filter_map(|(key, parts)| Some((key.strip_prefix(&prefix)?.parse().ok()?, parts))).collect())
}

/// What somebody holds, or is not verified to hold no more.
fn held_by(state: &(impl Read + ?Sized), identity: IdentityId) -> Result<BTreeSet<EntitlementId>, KvError> {
    let mut held = BTreeSet::new();
    for account in accounts_of(state, identity)? {
        held.extend(EntitlementId::of_app(&account.app, account.holds.into_keys()));
    }
    for (app, parts) in taken_away(state, identity)? {
        held.extend(EntitlementId::of_app(&app, parts));
    }
    Ok(held)
}

/// What somebody held in an app changes: what they are to hold no more is held on until the app was read back without it. Only what a
/// separation is about is kept.
pub fn lost(
    state: &mut impl Write,
    all: &[SeparationSpec],
    account: (IdentityId, &AppId),
    (was, now): (&Holdings, &Holdings),
) -> Result<(), KvError> {
    let (identity, app) = account;
    if all.is_empty() || (was.is_empty() && now.is_empty()) {
        return Ok(());
    }
    let key = format!("{}{app}", taken_prefix(identity));
    let before: Taken = load(state, &key)?.unwrap_or_default();
    let is_separated = |part: &Part| {
        let id = EntitlementId { app: app.clone(), part: part.clone() };
        all.iter().any(|one| one.entitlements.contains(&id) || one.never_with.contains(&id))
    };
    let lost = was.keys().filter(|part| is_separated(part));
    let parts = before.iter().chain(lost).filter(|part| !now.contains_key(*part)).cloned().collect();
    keep_taken(state, key, &before, &parts);
    Ok(())
}

fn keep_taken(state: &mut impl Write, key: String, before: &Taken, now: &Taken) {
    if now.is_empty() && !before.is_empty() {
        state.delete(&key);
    } else if now != before {
        store(state, key, now);
    }
}

/// What must not be given to somebody besides what they hold: each separation with what is the first.
///
/// # Errors
/// When the state can't be read.
pub fn separated(state: &impl Read, identity: IdentityId, what: &Grantable) -> Result<Vec<Separated>, KvError> {
    let all = directory::configured_separations(state)?;
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let held = held_by(state, identity)?;
    let mut wanted = named_by(state, what)?;
    wanted.append(&mut with_groups(state, identity, &wanted)?);
    Ok(all.iter().filter_map(|one| one.against(&wanted, &held)).collect())
}

/// Whether a grant must not begin, by what was granted before it: who has approved another at the same time did not know. What rules
/// and roles give is not looked at: it is not known of whoever was erased since.
pub fn forbids(state: &impl Read, identity: IdentityId, what: &Grantable) -> Result<bool, KvError> {
    let all = directory::configured_separations(state)?;
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
    // By half a configuration nobody is found: everybody is looked at when all of it is known.
    if directory::is_configuring(state)? {
        store(state, CHANGED.to_owned(), &());
        return Ok(());
    }
    let held = held_by(state, identity)?;
    let mut before: BTreeMap<SeparationId, Violation> =
        before.into_iter().map(|one| (one.separation.clone(), one)).collect();
    for spec in all {
        let held = spec.violated_by(&held);
        if held.is_empty() {
            continue;
        }
        let known = before.remove(&spec.id);
        let now = match &known {
            Some(known) if known.held == held => continue,
            // More of it is another one: nobody has agreed to that.
            Some(known) if !held.is_subset(&known.held) => Violation { held, accepted: None, ..known.clone() },
            Some(known) => Violation { held, ..known.clone() },
            None => Violation {
                separation: spec.id.clone(),
                identity,
                held,
                since: event.recorded_at,
                opened_by: event.sequence,
                accepted: None,
            },
        };
        if known.is_none() {
            store(state, format!("{}{}", of_prefix(identity), spec.id), &());
            recount(state, &spec.id, |count| count + 1)?;
        }
        keep(state, &now);
    }
    for gone in before.keys() {
        drop_one(state, gone, identity)?;
    }
    Ok(())
}

/// Keeps a violation that is counted, and whether it is accepted.
fn keep(state: &mut impl Write, now: &Violation) {
    let accepted = accepted_key(&now.separation, now.identity);
    match &now.accepted {
        Some(acceptance) => store(state, accepted, &acceptance.until.as_second()),
        None => state.delete(&accepted),
    }
    store(state, key(&now.separation, now.identity), now);
}

fn recount(state: &mut impl Write, separation: &SeparationId, change: impl Fn(usize) -> usize) -> Result<(), KvError> {
    let key = count_key(separation);
    match change(load(state, &key)?.unwrap_or_default()) {
        0 => state.delete(&key),
        count => store(state, key, &count),
    }
    Ok(())
}

fn drop_one(state: &mut impl Write, separation: &SeparationId, identity: IdentityId) -> Result<(), KvError> {
    state.delete(&key(separation, identity));
    state.delete(&format!("{}{separation}", of_prefix(identity)));
    state.delete(&accepted_key(separation, identity));
    recount(state, separation, |count| count.saturating_sub(1))
}

/// Separations are configured otherwise; whether everybody is looked at now, and not when all that changes together is known.
pub fn configured(state: &mut impl Write) -> Result<bool, KvError> {
    let is_configuring = directory::is_configuring(state)?;
    if is_configuring {
        store(state, CHANGED.to_owned(), &());
    }
    Ok(!is_configuring)
}

/// All that changes together is known; whether everybody is looked at.
pub fn all_configured(state: &mut impl Write) -> Result<bool, KvError> {
    let has_changed = state.get(CHANGED)?.is_some();
    state.delete(CHANGED);
    Ok(has_changed)
}

/// Looks at everybody at once.
pub fn everybody(state: &mut Kept<'_, impl Write>, event: &Recorded) -> Result<(), KvError> {
    let all = directory::configured_separations(state)?;
    for id in suffixes(state, directory::IDENTITIES)?.iter().filter_map(|id| id.parse().ok()) {
        look(state, &all, id, event)?;
    }
    Ok(())
}

/// An app was read back: what was to be taken away may be gone now. Whoever is switched off is read as inactive, and else as it was.
pub fn read_back(state: &mut impl Write, app: &AppId, identity: IdentityId, event: &Recorded) -> Result<(), KvError> {
    let key = format!("{}{app}", taken_prefix(identity));
    let Some(before) = load::<Taken>(state, &key)? else { return Ok(()) };
    let is_read = |account: &Account| !account.is_pending() && account.desired != Desired::Off;
    if account(state, identity, app)?.is_some_and(|account| is_read(&account)) {
        keep_taken(state, key, &before, &Taken::new());
    }
    if suffixes(state, &of_prefix(identity))?.is_empty() {
        return Ok(());
    }
    let all = directory::configured_separations(state)?;
    look(state, &all, identity, event)
}

/// Two people leave a violation as it is for a time: no more of it than they have seen.
pub fn accepted(state: &mut impl Write, accepted: &ViolationAccepted, event: &Recorded) -> Result<(), KvError> {
    let Some(known) = violation(state, &accepted.separation, accepted.identity)? else { return Ok(()) };
    if !known.held.is_subset(&accepted.held) {
        return Ok(());
    }
    let acceptance = Acceptance { sequence: event.sequence, by: event.meta.actor.clone(), until: accepted.expires_at };
    keep(state, &Violation { accepted: Some(acceptance), ..known });
    Ok(())
}

/// Nothing is known any more of whoever is erased, also of then.
pub fn forget(state: &mut impl Write, identity: IdentityId) -> Result<(), KvError> {
    for found in violations_of(state, identity)? {
        drop_one(state, &found.separation, identity)?;
        state.forget(&key(&found.separation, identity));
    }
    for (app, _) in taken_away(state, identity)? {
        state.delete(&format!("{}{app}", taken_prefix(identity)));
    }
    Ok(())
}

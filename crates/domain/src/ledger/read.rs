//! Where the ledger keeps what, and how it is read.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::handovers::{HANDOVERS, handover, handovers_of};
use super::lists::List;
use super::revocations::{REVOCATIONS, revocation, revocations_of};
use crate::access::account::Account;
use crate::access::case::Case;
use crate::access::credential::Revocation;
use crate::access::desired::Queue;
use crate::access::handover::Handover;
use crate::access::obligation::{Obligation, ObligationId};
use crate::access::rejection::RejectionCause;
use crate::access::subject::Subject;
use crate::alert::Alert;
use crate::app::capability::Capabilities;
use crate::app::conformance::Conformance;
use crate::app::health::{Quarantine, Synced};
use crate::directory;
use crate::drift::DriftItem;
use crate::drift::reconciliation::Reconciled;
use crate::governance::hold::{Cause, Hold};
use crate::ids::{AppId, BadId, IdentityId, Sequence};
use crate::kv::{KeyPage, KvError, Read, Typed, decode, load, load_all, suffixes, values};

/// The key prefix of all accounts.
pub const ACCOUNTS: &str = "account/";

/// So many accounts are read at a time, where all of them are looked at.
const CHUNK: usize = 1000;

/// The key prefix of the accounts of an identity; the apps follow it.
pub(super) fn accounts_prefix(identity: IdentityId) -> String {
    format!("{ACCOUNTS}{identity}/")
}

/// The key of an account; it sorts among the accounts as its obligations sort among the obligations.
#[must_use]
pub fn account_key(identity: IdentityId, app: &AppId) -> String {
    format!("{ACCOUNTS}{identity}/{app}/")
}

/// The key prefix of the obligations that have ended.
pub(super) const ENDED: &str = "obligation/";

/// The key of an obligation that has ended; one that is open is in its account.
pub(super) fn obligation_key(id: &ObligationId) -> String {
    format!("{ENDED}{}", place(id))
}

/// Where an obligation is among all of them.
pub(super) fn place(id: &ObligationId) -> String {
    format!("{}/{}/{:020}", id.subject.identity(), id.subject.within(), id.opened_by.0)
}

/// What a place says: what it is about, and which change opened it.
pub(super) fn placed(place: &str) -> Option<(Subject, Sequence)> {
    let mut parts = place.splitn(3, '/');
    let (identity, what, opened_by) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?.parse().ok()?);
    Some((Subject::named(what, identity).ok()?, Sequence(opened_by)))
}

/// The key prefix of those who have, or had, an account in an app.
fn holders(app: &AppId) -> String {
    format!("{}{app}/", List::Holders.prefix())
}

pub(super) fn holder_key(app: &AppId, identity: IdentityId) -> String {
    format!("{}{identity}", holders(app))
}

/// Everyone who has, or had, an account in an app.
///
/// # Errors
/// When the state can't be read.
pub fn identities_at(state: &(impl Read + ?Sized), app: &AppId) -> Result<Vec<IdentityId>, KvError> {
    Ok(suffixes(state, &holders(app))?.iter().filter_map(|id| id.parse().ok()).collect())
}

/// Some of the accounts that are `such` and of which the app's id is known: at most `most`, not that of `besides`. They are looked for
/// among so few of those who have one that it costs little however large the app is.
///
/// # Errors
/// When the state can't be read.
pub fn some_accounts(
    state: &(impl Read + ?Sized),
    app: &AppId,
    besides: Option<IdentityId>,
    most: usize,
    such: impl Fn(&Account) -> bool,
) -> Result<Vec<Account>, KvError> {
    let prefix = holders(app);
    // From where the one stands that is left out, so that it is not always the same few; then from the beginning.
    let place = besides.map(|id| holder_key(app, id));
    let mut found = Vec::new();
    for start in [place.as_deref(), None] {
        for (key, _) in state.scan(&prefix, start, LOOKS)? {
            let Some(id) = key.strip_prefix(&prefix).and_then(|id| id.parse().ok()) else { continue };
            let account = if besides == Some(id) { None } else { account(state, id, app)? };
            let is_new = |account: &Account| {
                account.remote_id.is_some() && found.iter().all(|known: &Account| known.remote_id != account.remote_id)
            };
            let account = account.filter(|account| such(account) && is_new(account));
            found.extend(account);
            if found.len() >= most {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// How many of those who have an account are looked at for some that must be there.
const LOOKS: usize = 1000;

/// When a person last said of an app in which everything was missing that it is gone: the event.
///
/// # Errors
/// When the state can't be read.
pub fn synced(state: &(impl Read + ?Sized), app: &AppId) -> Result<Option<Synced>, KvError> {
    load(state, &synced_key(app))
}

pub(super) fn synced_key(app: &AppId) -> String {
    format!("synced/{app}")
}

pub(super) fn link_key(app: &AppId, remote_id: &str) -> String {
    format!("link/{app}/{remote_id}")
}

pub(super) fn pending_key(app: &AppId, queue: Queue, identity: IdentityId) -> String {
    format!("{}{app}/{}/{identity}", List::Pending.prefix(), queue.name())
}

/// Where an account is whose app has refused it for good, until something changes.
pub(super) fn parked_key(app: &AppId, identity: IdentityId) -> String {
    format!("{}{identity}", parked_prefix(app))
}

pub(super) fn parked_prefix(app: &AppId) -> String {
    format!("{}{app}/parked/", List::Pending.prefix())
}

pub(super) fn micros(at: Timestamp) -> u64 {
    u64::try_from(at.as_microsecond()).unwrap_or_default()
}

pub(super) fn overdue_key(obligation: &Obligation) -> String {
    format!("overdue/{:020}/{}", micros(obligation.deadline), obligation.id)
}

pub(super) fn ended_key(at: Timestamp, id: &ObligationId) -> String {
    format!("{}{:020}/{id}", List::Ended.prefix(), micros(at))
}

pub(super) fn paging_key(id: &ObligationId) -> String {
    format!("paging/{id}")
}

pub(super) fn alerting_key(identity: IdentityId, opened_by: Sequence) -> String {
    format!("alerting/{identity}/{:020}", opened_by.0)
}

pub(super) fn unsaid_key(identity: IdentityId, opened_by: Sequence) -> String {
    format!("unsaid/{identity}/{:020}", opened_by.0)
}

pub(super) fn alert_key(key: &str, sink: &str) -> String {
    format!("alert/{key}/{sink}")
}

/// The departures of which someone has to be told.
///
/// # Errors
/// When the state can't be read.
pub fn alerting_leavers(state: &(impl Read + ?Sized)) -> Result<Vec<Case>, KvError> {
    let keys = suffixes(state, "alerting/")?;
    found(state, keys.into_iter().map(|suffix| format!("leaver/{suffix}")))
}

/// What is overdue of which somebody is told besides the departures: repairs of accounts that should be gone, whoever is switched
/// off, and what is granted for a time.
///
/// # Errors
/// When the state can't be read.
pub fn overdue_access(state: &(impl Read + ?Sized)) -> Result<Vec<Obligation>, KvError> {
    let keys = state.scan("paging/", None, usize::MAX)?;
    let ids = keys.iter().map(|(key, _)| listed(key)).collect::<Result<Vec<_>, _>>()?;
    Ok(ids.iter().map(|id| obligation(state, id)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The departures that are complete and whose record is not on the log yet.
///
/// # Errors
/// When the state can't be read.
pub fn unsaid_completions(state: &(impl Read + ?Sized)) -> Result<Vec<Case>, KvError> {
    let keys = suffixes(state, "unsaid/")?;
    found(state, keys.into_iter().map(|suffix| format!("leaver/{suffix}")))
}

/// The obligations that were verified from a time on and before another, oldest first, after a key and at most `limit`;
/// and the key of the last one.
///
/// # Errors
/// When the state can't be read.
pub fn verified_between(
    state: &(impl Read + ?Sized),
    from: Timestamp,
    to: Timestamp,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<Obligation>, Option<String>), KvError> {
    let list = List::Ended.prefix();
    let start = after.map_or_else(|| format!("{list}{:020}", micros(from)), str::to_owned);
    let end = format!("{list}{:020}", micros(to));
    let mut keys: Vec<String> = state.scan(list, Some(&start), limit)?.into_iter().map(|(key, _)| key).collect();
    let is_all = keys.last().is_some_and(|last| *last >= end);
    keys.retain(|key| *key < end);
    let ids = keys.iter().map(|key| listed(key)).collect::<Result<Vec<_>, _>>()?;
    let inside = found(state, ids.iter().map(obligation_key))?;
    Ok((inside, keys.pop().filter(|_| !is_all)))
}

pub(super) fn leaver_key(identity: IdentityId, opened_by: Sequence) -> String {
    format!("leaver/{identity}/{:020}", opened_by.0)
}

const LEAVING: &str = "leaving/";

pub(super) fn leaving_key(identity: IdentityId, opened_by: Sequence) -> String {
    format!("{LEAVING}{identity}/{:020}", opened_by.0)
}

/// The account of an identity in an app.
///
/// # Errors
/// When the state can't be read.
pub fn account(state: &(impl Read + ?Sized), identity: IdentityId, app: &AppId) -> Result<Option<Account>, KvError> {
    load(state, &account_key(identity, app))
}

/// Accounts of an app that are not verified, in one of its queues, after an identity and at most `limit`;
/// each with the change that asks for it.
///
/// # Errors
/// When the state can't be read.
pub fn pending(
    state: &(impl Read + ?Sized),
    app: &AppId,
    queue: Queue,
    after: Option<IdentityId>,
    limit: usize,
) -> Result<Vec<(IdentityId, Sequence)>, KvError> {
    let prefix = format!("{}{app}/{}/", List::Pending.prefix(), queue.name());
    let after = after.map(|id| pending_key(app, queue, id));
    let found: Vec<(String, Sequence)> = load_all(state, &prefix, after.as_deref(), limit)?;
    let id = |key: &str| key.strip_prefix(&prefix).and_then(|id| id.parse().ok());
    Ok(found.into_iter().filter_map(|(key, version)| Some((id(&key)?, version))).collect())
}

/// The accounts that are not asked again until something changes: their app has refused them for good.
///
/// # Errors
/// When the state can't be read.
pub fn parked(state: &(impl Read + ?Sized), app: &AppId, limit: usize) -> Result<Vec<(IdentityId, Sequence)>, KvError> {
    let prefix = parked_prefix(app);
    let found: Vec<(String, Sequence)> = load_all(state, &prefix, None, limit)?;
    let id = |key: &str| key.strip_prefix(&prefix).and_then(|id| id.parse().ok());
    Ok(found.into_iter().filter_map(|(key, version)| Some((id(&key)?, version))).collect())
}

/// The accounts of an identity.
///
/// # Errors
/// When the state can't be read.
pub fn accounts_of(state: &(impl Read + ?Sized), identity: IdentityId) -> Result<Vec<Account>, KvError> {
    values(state, &accounts_prefix(identity))
}

/// The accounts that `which` chooses among all of them, which are looked at some at a time.
pub(super) fn accounts_where(
    state: &(impl Read + ?Sized),
    which: impl Fn(&Account) -> bool,
) -> Result<Vec<Account>, KvError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let KeyPage { pairs, next } = state.scan_some(ACCOUNTS, after.as_deref(), CHUNK)?;
        for (key, value) in pairs {
            all.extend(Some(decode(&key, &value)?).filter(&which));
        }
        after = next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// One obligation, open or ended.
///
/// # Errors
/// When the state can't be read.
pub fn obligation(state: &(impl Read + ?Sized), id: &ObligationId) -> Result<Option<Obligation>, KvError> {
    let open = match &id.subject {
        Subject::Account { app, identity } => {
            account(state, *identity, app)?.and_then(|a| a.owes.into_iter().find(|open| open.id == *id))
        }
        Subject::Handover { machine, owner } => {
            handover(state, *owner, *machine)?.and_then(|h| h.obligation()).filter(|open| open.id == *id)
        }
        Subject::Credential { credential, holder } => {
            let owed = revocation(state, *holder, *credential)?.map(|r| r.obligations()).unwrap_or_default();
            owed.into_iter().find(|open| open.id == *id)
        }
    };
    // In this order: one that ends meanwhile is found where it went.
    if open.is_some() { Ok(open) } else { load(state, &obligation_key(id)) }
}

/// The obligations of an identity, ended ones included, by app and then oldest first.
///
/// # Errors
/// When the state can't be read.
pub fn obligations_of(state: &(impl Read + ?Sized), identity: IdentityId) -> Result<Vec<Obligation>, KvError> {
    let open = accounts_of(state, identity)?.into_iter().flat_map(|account| account.owes);
    let handed = handovers_of(state, identity)?.into_iter().filter_map(|handover| handover.obligation());
    let revoked = revocations_of(state, identity)?.into_iter().flat_map(|revocation| revocation.obligations());
    let open = open.chain(handed).chain(revoked);
    let mut all: BTreeMap<String, Obligation> = open.map(|open| (place(&open.id), open)).collect();
    // One that ends meanwhile is found twice, and has ended.
    let ended: Vec<Obligation> = values(state, &format!("{ENDED}{identity}/"))?;
    all.extend(ended.into_iter().map(|ended| (place(&ended.id), ended)));
    Ok(all.into_values().collect())
}

/// The newest obligation of an account, ended or not.
///
/// # Errors
/// When the state can't be read.
pub fn last_obligation(
    state: &(impl Read + ?Sized),
    identity: IdentityId,
    app: &AppId,
) -> Result<Option<Obligation>, KvError> {
    let open = account(state, identity, app)?.and_then(|mut account| account.owes.pop());
    let ended = state.scan_back(&format!("{ENDED}{identity}/{app}/"), None, 1)?;
    let ended = ended.iter().map(|(key, value)| decode(key, value)).next().transpose()?;
    Ok([open, ended].into_iter().flatten().max_by_key(|o: &Obligation| o.id.opened_by))
}

/// An account that still owes what a departure opened: its correlation and cause are those of the departure.
///
/// # Errors
/// When the state can't be read.
pub fn account_of_leaver(
    state: &(impl Read + ?Sized),
    identity: IdentityId,
    opened_by: Sequence,
) -> Result<Option<Account>, KvError> {
    Ok(accounts_of(state, identity)?.into_iter().find(|account| account.desired_version == opened_by))
}

/// The obligations of one departure, by app.
///
/// # Errors
/// When the state can't be read.
pub fn obligations_of_leaver(state: &(impl Read + ?Sized), leaver: &Case) -> Result<Vec<Obligation>, KvError> {
    obligations_opened_by(state, leaver.identity, leaver.opened_by)
}

/// The obligations of an identity that one event opened, by app; sought by their keys, however many came before.
///
/// # Errors
/// When the state can't be read.
pub fn obligations_opened_by(
    state: &(impl Read + ?Sized),
    identity: IdentityId,
    opened_by: Sequence,
) -> Result<Vec<Obligation>, KvError> {
    // Whoever owes something in an app has, or had, an account there.
    let sought = |account: Account| {
        let id = ObligationId { opened_by, subject: Subject::Account { app: account.app, identity } };
        let open = account.owes.into_iter().find(|open| open.id == id);
        open.map_or_else(|| load(state, &obligation_key(&id)), |open| Ok(Some(open)))
    };
    let found = accounts_of(state, identity)?.into_iter().map(sought).collect::<Result<Vec<_>, _>>()?;
    let mut found: Vec<Obligation> = found.into_iter().flatten().collect();
    let handed = handovers_of(state, identity)?.into_iter().map(|handover| handover.subject());
    let revoked = revocations_of(state, identity)?.into_iter().map(|revocation| revocation.subject());
    for subject in handed.chain(revoked) {
        found.extend(obligation(state, &ObligationId { opened_by, subject })?);
    }
    Ok(found)
}

/// The open obligations of every app, or of one; reads every account.
///
/// # Errors
/// When the state can't be read.
pub fn open_obligations(state: &(impl Read + ?Sized), app: Option<&AppId>) -> Result<Vec<Obligation>, KvError> {
    let chosen = accounts_where(state, |account| app.is_none_or(|app| *app == account.app))?;
    let mut all: Vec<Obligation> = chosen.into_iter().flat_map(|account| account.owes).collect();
    if app.is_none() {
        let handovers: Vec<Handover> = values(state, HANDOVERS)?;
        all.extend(handovers.iter().filter_map(Handover::obligation));
        let revocations: Vec<Revocation> = values(state, REVOCATIONS)?;
        all.extend(revocations.iter().flat_map(Revocation::obligations));
    }
    Ok(all)
}

/// The departures that are not complete.
///
/// # Errors
/// When the state can't be read.
pub fn open_leavers(state: &(impl Read + ?Sized)) -> Result<Vec<Case>, KvError> {
    let keys = suffixes(state, LEAVING)?;
    found(state, keys.into_iter().map(|suffix| format!("leaver/{suffix}")))
}

/// The departures of somebody that are not complete, oldest first.
pub(super) fn open_departures(state: &(impl Read + ?Sized), identity: IdentityId) -> Result<Vec<Case>, KvError> {
    let keys = suffixes(state, &format!("{LEAVING}{identity}/"))?;
    found(state, keys.into_iter().map(|suffix| format!("leaver/{identity}/{suffix}")))
}

/// One departure.
///
/// # Errors
/// When the state can't be read.
pub fn leaver(
    state: &(impl Read + ?Sized),
    identity: IdentityId,
    opened_by: Sequence,
) -> Result<Option<Case>, KvError> {
    load(state, &leaver_key(identity, opened_by))
}

/// The open drift items, of every app or of one.
///
/// # Errors
/// When the state can't be read.
pub fn drift(state: &(impl Read + ?Sized), app: Option<&AppId>) -> Result<Vec<DriftItem>, KvError> {
    values(state, &app.map_or_else(|| "drift/".to_owned(), |app| format!("drift/{app}/")))
}

/// The open drift of one account.
///
/// # Errors
/// When the state can't be read.
pub fn drift_of(state: &(impl Read + ?Sized), app: &AppId, id: IdentityId) -> Result<Vec<DriftItem>, KvError> {
    values(state, &of_account(app, id))
}

/// The key prefix of the drift of one account; the kinds follow it.
pub(super) fn of_account(app: &AppId, identity: IdentityId) -> String {
    format!("drift/{app}/{identity}/")
}

/// Whether everything that is open for an account is left as it is by someone's decision, which holds at a time.
///
/// # Errors
/// When the state can't be read.
pub fn is_waived(
    state: &(impl Read + ?Sized),
    app: &AppId,
    identity: IdentityId,
    at: Timestamp,
) -> Result<bool, KvError> {
    let Some(account) = account(state, identity, app)? else { return Ok(false) };
    Ok(!account.owes.is_empty()
        && account.owes.iter().all(|o| o.waived.as_ref().is_some_and(|waived| waived.expires_at > at)))
}

/// The key prefix of all holds.
pub const HOLDS: &str = "hold/";

pub(super) fn hold_key(cause: &Cause) -> String {
    format!("{HOLDS}{cause}")
}

pub(super) fn said_key(cause: &Cause) -> String {
    format!("hold-said/{cause}")
}

/// Whether it was said that removals wait.
///
/// # Errors
/// When the state can't be read.
pub fn is_hold_said(state: &(impl Read + ?Sized), hold: &Hold) -> Result<bool, KvError> {
    Ok(load::<Sequence>(state, &said_key(&hold.cause))? == Some(hold.by))
}

/// The hold on the removals by a cause, when there is one.
///
/// # Errors
/// When the state can't be read.
pub fn hold(state: &(impl Read + ?Sized), cause: &Cause) -> Result<Option<Hold>, KvError> {
    load(state, &hold_key(cause))
}

/// The accounts whose removal a hold keeps from being done, by the list of what is pending.
///
/// # Errors
/// When the state can't be read.
pub fn held(state: &(impl Read + ?Sized), hold: &Hold) -> Result<Vec<Account>, KvError> {
    let mut all = Vec::new();
    for app in directory::apps(state)? {
        for (identity, _) in pending(state, &app.spec.id, Queue::Absent, None, usize::MAX)? {
            all.extend(account(state, identity, &app.spec.id)?.filter(|account| hold.covers(account)));
        }
    }
    Ok(all)
}

/// Whether a removal waits for a decision about this hold, by the list of what is pending.
///
/// # Errors
/// When the state can't be read.
pub fn holds_something(state: &(impl Read + ?Sized), hold: &Hold) -> Result<bool, KvError> {
    for app in directory::apps(state)? {
        let mut after = None;
        loop {
            let some = pending(state, &app.spec.id, Queue::Absent, after, CHUNK)?;
            for (identity, _) in &some {
                if account(state, *identity, &app.spec.id)?.is_some_and(|account| hold.covers(&account)) {
                    return Ok(true);
                }
            }
            after = some.last().map(|(identity, _)| *identity);
            if after.is_none() {
                break;
            }
        }
    }
    Ok(false)
}

/// Every hold.
///
/// # Errors
/// When the state can't be read.
pub fn holds(state: &(impl Read + ?Sized)) -> Result<Vec<Hold>, KvError> {
    values(state, HOLDS)
}

pub(super) fn capabilities_key(app: &AppId) -> String {
    format!("capabilities/{app}")
}

/// What was learned of what an app can do.
///
/// # Errors
/// When the state can't be read.
pub fn capabilities(state: &(impl Read + ?Sized), app: &AppId) -> Result<Option<Capabilities>, KvError> {
    load(state, &capabilities_key(app))
}

pub(super) fn quarantine_key(app: &AppId) -> String {
    format!("quarantine/{app}")
}

/// Whether an app is left alone, and why.
///
/// # Errors
/// When the state can't be read.
pub fn quarantine(state: &(impl Read + ?Sized), app: &AppId) -> Result<Option<Quarantine>, KvError> {
    load(state, &quarantine_key(app))
}

/// Why an app is left alone, where that is because accounts are missing that must be there.
///
/// # Errors
/// When the state can't be read.
pub fn missing_in(state: &(impl Read + ?Sized), app: &AppId) -> Result<Option<Quarantine>, KvError> {
    Ok(quarantine(state, app)?.filter(|quarantine| quarantine.rejection.cause == RejectionCause::Vanished))
}

/// Every app that is left alone.
///
/// # Errors
/// When the state can't be read.
pub fn quarantines(state: &(impl Read + ?Sized)) -> Result<Vec<Quarantine>, KvError> {
    values(state, "quarantine/")
}

pub(super) fn conformance_key(app: &AppId) -> String {
    format!("{}{app}", List::Conformance.prefix())
}

/// How far an app does what it says.
///
/// # Errors
/// When the state can't be read.
pub fn conformance(state: &(impl Read + ?Sized), app: &AppId) -> Result<Conformance, KvError> {
    Ok(load(state, &conformance_key(app))?.unwrap_or_default())
}

const RECONCILED: &str = "reconciled/";

pub(super) fn reconciled_key(app: &AppId) -> String {
    format!("{RECONCILED}{app}")
}

/// The apps of which a comparison has begun, and none has come to its end since.
///
/// # Errors
/// When the state can't be read.
pub fn unfinished_comparisons(state: &(impl Read + ?Sized)) -> Result<Vec<(AppId, Reconciled)>, KvError> {
    let mut all: Vec<(String, Reconciled)> = load_all(state, RECONCILED, None, usize::MAX)?;
    all.retain(|(_, now)| now.unfinished.is_some());
    Ok(all.into_iter().filter_map(|(key, now)| Some((key.strip_prefix(RECONCILED)?.parse().ok()?, now))).collect())
}

/// When an app was compared, and what is asked for.
///
/// # Errors
/// When the state can't be read.
pub fn reconciled(state: &(impl Read + ?Sized), app: &AppId) -> Result<Reconciled, KvError> {
    Ok(load(state, &reconciled_key(app))?.unwrap_or_default())
}

/// The alerts that a sink has accepted and that are not resolved.
///
/// # Errors
/// When the state can't be read.
pub fn firing_alerts(state: &(impl Read + ?Sized)) -> Result<Vec<Alert>, KvError> {
    values(state, "alert/")
}

/// Which obligation a key of a list names.
pub(super) fn listed(key: &str) -> Result<ObligationId, KvError> {
    let id = key.rsplit('/').next().unwrap_or_default();
    id.parse().map_err(|e: BadId| KvError::Damaged { key: key.into(), reason: e.to_string() })
}

pub(super) fn found<T: Typed>(
    state: &(impl Read + ?Sized),
    keys: impl Iterator<Item = String>,
) -> Result<Vec<T>, KvError> {
    Ok(keys.map(|key| load(state, &key)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

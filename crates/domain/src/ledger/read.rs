//! Where the ledger keeps what, and how it is read.

use jiff::Timestamp;

use super::lists::List;
use super::obligations::open_of;
use crate::account::{Account, Target};
use crate::alert::Alert;
use crate::capability::Capabilities;
use crate::conformance::Conformance;
use crate::drift::DriftItem;
use crate::guard::Hold;
use crate::health::Quarantine;
use crate::ids::{AppId, BadId, IdentityId, Sequence, SourceName};
use crate::kv::{KvError, Read, load, load_all, suffixes};
use crate::leaver::Leaver;
use crate::obligation::{Obligation, ObligationId};
use crate::reconciliation::Reconciled;

/// The key prefix of all accounts.
pub(super) const ACCOUNTS: &str = "account/";

/// The key prefix of the accounts of an identity; the apps follow it.
pub(super) fn accounts_prefix(identity: IdentityId) -> String {
    format!("{ACCOUNTS}{identity}/")
}

/// The key of an account.
#[must_use]
pub fn account_key(identity: IdentityId, app: &AppId) -> String {
    accounts_prefix(identity) + app.as_str()
}

/// The key of an obligation.
#[must_use]
pub fn obligation_key(id: &ObligationId) -> String {
    format!("obligation/{}/{}/{:020}", id.identity, id.app, id.opened_by.0)
}

pub(super) fn at_key(app: &AppId, identity: IdentityId) -> String {
    format!("at/{app}/{identity}")
}

/// Everyone who has, or had, an account in an app.
///
/// # Errors
/// When the state can't be read.
pub fn identities_at(state: &(impl Read + ?Sized), app: &AppId) -> Result<Vec<IdentityId>, KvError> {
    Ok(suffixes(state, &format!("at/{app}/"))?.iter().filter_map(|id| id.parse().ok()).collect())
}

pub(super) fn pending_key(app: &AppId, target: Target, identity: IdentityId) -> String {
    format!("{}{app}/{}/{identity}", List::Pending.prefix(), target.name())
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

pub(super) fn zombie_key(id: &ObligationId) -> String {
    format!("zombie/{id}")
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
pub fn alerting_leavers(state: &(impl Read + ?Sized)) -> Result<Vec<Leaver>, KvError> {
    let keys = suffixes(state, "alerting/")?;
    found(state, keys.into_iter().map(|suffix| format!("leaver/{suffix}")))
}

/// The repairs of accounts that should be gone and that are overdue.
///
/// # Errors
/// When the state can't be read.
pub fn zombies(state: &(impl Read + ?Sized)) -> Result<Vec<Obligation>, KvError> {
    let keys = state.scan("zombie/", None, usize::MAX)?;
    let ids = keys.iter().map(|(key, _)| listed(key)).collect::<Result<Vec<_>, _>>()?;
    found(state, ids.iter().map(obligation_key))
}

/// The departures that are complete and whose record is not on the log yet.
///
/// # Errors
/// When the state can't be read.
pub fn unsaid_completions(state: &(impl Read + ?Sized)) -> Result<Vec<Leaver>, KvError> {
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

pub(super) fn leaving_key(identity: IdentityId, opened_by: Sequence) -> String {
    format!("leaving/{identity}/{:020}", opened_by.0)
}

/// The account of an identity in an app.
///
/// # Errors
/// When the state can't be read.
pub fn account(state: &(impl Read + ?Sized), identity: IdentityId, app: &AppId) -> Result<Option<Account>, KvError> {
    load(state, &account_key(identity, app))
}

/// Accounts of an app that are not verified, of those that must reach one target, after an identity and at most `limit`;
/// each with the change that asks for it.
///
/// # Errors
/// When the state can't be read.
pub fn pending(
    state: &(impl Read + ?Sized),
    app: &AppId,
    target: Target,
    after: Option<IdentityId>,
    limit: usize,
) -> Result<Vec<(IdentityId, Sequence)>, KvError> {
    let prefix = format!("{}{app}/{}/", List::Pending.prefix(), target.name());
    let after = after.map(|id| pending_key(app, target, id));
    let found: Vec<(String, Sequence)> = load_all(state, &prefix, after.as_deref(), limit)?;
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

/// The obligations of an identity, ended ones included.
///
/// # Errors
/// When the state can't be read.
pub fn obligations_of(state: &(impl Read + ?Sized), identity: IdentityId) -> Result<Vec<Obligation>, KvError> {
    values(state, &format!("obligation/{identity}/"))
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
    let keys = state.scan_back(&format!("obligation/{identity}/{app}/"), None, 1)?;
    Ok(found(state, keys.into_iter().map(|(key, _)| key))?.pop())
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
pub fn obligations_of_leaver(state: &(impl Read + ?Sized), leaver: &Leaver) -> Result<Vec<Obligation>, KvError> {
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
    let apps = suffixes(state, &accounts_prefix(identity))?;
    let ids = apps.into_iter().filter_map(|app| Some(ObligationId { opened_by, app: app.parse().ok()?, identity }));
    found(state, ids.map(|id| obligation_key(&id)))
}

/// The open obligations of every app, or of one; reads all that there ever were.
///
/// # Errors
/// When the state can't be read.
pub fn open_obligations(state: &(impl Read + ?Sized), app: Option<&AppId>) -> Result<Vec<Obligation>, KvError> {
    let mut open: Vec<Obligation> = values(state, "obligation/")?;
    open.retain(|o| o.end.is_none() && app.is_none_or(|app| *app == o.id.app));
    Ok(open)
}

/// The departures that are not complete.
///
/// # Errors
/// When the state can't be read.
pub fn open_leavers(state: &(impl Read + ?Sized)) -> Result<Vec<Leaver>, KvError> {
    let keys = suffixes(state, "leaving/")?;
    found(state, keys.into_iter().map(|suffix| format!("leaver/{suffix}")))
}

/// One departure.
///
/// # Errors
/// When the state can't be read.
pub fn leaver(
    state: &(impl Read + ?Sized),
    identity: IdentityId,
    opened_by: Sequence,
) -> Result<Option<Leaver>, KvError> {
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
    values(state, &format!("drift/{app}/{id}/"))
}

/// Whether everything that is open for an account is left as it is by someone's decision.
///
/// # Errors
/// When the state can't be read.
pub fn is_waived(state: &(impl Read + ?Sized), app: &AppId, identity: IdentityId) -> Result<bool, KvError> {
    let Some(account) = account(state, identity, app)? else { return Ok(false) };
    let open = open_of(state, &account)?;
    Ok(!open.is_empty() && open.iter().all(|o| o.waived.is_some()))
}

/// The key prefix of all holds.
pub const HOLDS: &str = "hold/";

pub(super) fn hold_key(source: &SourceName) -> String {
    format!("{HOLDS}{source}")
}

pub(super) fn said_key(source: &SourceName) -> String {
    format!("hold-said/{source}")
}

/// Whether it was said that removals wait.
///
/// # Errors
/// When the state can't be read.
pub fn is_hold_said(state: &(impl Read + ?Sized), hold: &Hold) -> Result<bool, KvError> {
    Ok(load::<Sequence>(state, &said_key(&hold.source))? == Some(hold.by))
}

/// The hold on a source's removals, when there is one.
///
/// # Errors
/// When the state can't be read.
pub fn hold(state: &(impl Read + ?Sized), source: &SourceName) -> Result<Option<Hold>, KvError> {
    load(state, &hold_key(source))
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

/// Every app that is left alone.
///
/// # Errors
/// When the state can't be read.
pub fn quarantines(state: &(impl Read + ?Sized)) -> Result<Vec<Quarantine>, KvError> {
    values(state, "quarantine/")
}

pub(super) fn conformance_key(app: &AppId) -> String {
    format!("conformance/{app}")
}

/// How far an app does what it says.
///
/// # Errors
/// When the state can't be read.
pub fn conformance(state: &(impl Read + ?Sized), app: &AppId) -> Result<Conformance, KvError> {
    Ok(load(state, &conformance_key(app))?.unwrap_or_default())
}

pub(super) fn reconciled_key(app: &AppId) -> String {
    format!("reconciled/{app}")
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

pub(super) fn values<T: serde::de::DeserializeOwned>(
    state: &(impl Read + ?Sized),
    prefix: &str,
) -> Result<Vec<T>, KvError> {
    Ok(load_all(state, prefix, None, usize::MAX)?.into_iter().map(|(_, value)| value).collect())
}

pub(super) fn found<T: serde::de::DeserializeOwned>(
    state: &(impl Read + ?Sized),
    keys: impl Iterator<Item = String>,
) -> Result<Vec<T>, KvError> {
    Ok(keys.map(|key| load(state, &key)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

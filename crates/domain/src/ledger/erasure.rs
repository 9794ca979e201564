//! Erasing a person: whether it can be done, what has to be said of them for ever, and what is dropped.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::handovers::handovers_of;
use super::links::linked;
use super::lists::Kept;
use super::others::{self, others_of};
use super::read::{account_key, accounts_of, alert_key, firing_alerts, link_key, obligations_of};
use super::revocations::revocations_of;
use super::{accounts, approvals, causation, drifts, obligations, recorded, schedule, separations, switch};
use crate::access::account::{Account, Proof};
use crate::access::desired::{Desired, Target};
use crate::access::obligation::{Change, Obligation};
use crate::access::outcome::Left;
use crate::access::subject::Subject;
use crate::alert::Alert;
use crate::directory;
use crate::drift::DriftId;
use crate::drift::kind::DriftKind;
use crate::event::Recorded;
use crate::governance::erasure::{Erased, ErasureOrdered, Other, Owed};
use crate::identity::IdentityChanged;
use crate::identity::content::Content;
use crate::identity::lifecycle::{ChangeKind, IdentityChange, Lifecycle, Urgency};
use crate::ids::{AppId, CredentialId, IdentityId, Sequence};
use crate::kv::{KvError, Read, Write, load, load_all, store};

const ERASING: &str = "erasing/";

fn erasing_key(id: IdentityId) -> String {
    format!("{ERASING}{id}")
}

/// That somebody is to be erased. Its key says whom, and its event why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// The order.
    pub sequence: Sequence,
    /// Since when.
    #[serde(with = "crate::stored::time")]
    pub at: Timestamp,
}

/// That somebody is to be erased.
///
/// # Errors
/// When the state can't be read.
pub fn ordered(state: &(impl Read + ?Sized), id: IdentityId) -> Result<Option<Ordered>, KvError> {
    load(state, &erasing_key(id))
}

/// Everybody who is to be erased.
///
/// # Errors
/// When the state can't be read.
pub fn all_ordered(state: &(impl Read + ?Sized)) -> Result<Vec<(IdentityId, Ordered)>, KvError> {
    let all: Vec<(String, Ordered)> = load_all(state, ERASING, None, usize::MAX)?;
    Ok(all.into_iter().filter_map(|(key, order)| Some((key.strip_prefix(ERASING)?.parse().ok()?, order))).collect())
}

/// Somebody is to be erased: each app that keeps an account of theirs owes its deletion.
pub fn order(state: &mut Kept<'_, impl Write>, order: &ErasureOrdered, event: &Recorded) -> Result<(), KvError> {
    let is_open = directory::identity(state, order.id)?.is_some_and(|i| i.content != Content::Erased);
    if !is_open {
        return Ok(());
    }
    store(state, erasing_key(order.id), &Ordered { sequence: event.sequence, at: event.recorded_at });
    // What it has opened is in the record of their erasure, where that is known already.
    if recorded::is_of(state, order.id)? {
        return Ok(());
    }
    let mut opened = false;
    for obstacle in obstacles(state, order.id)? {
        let Obstacle::Kept(app) = obstacle else { continue };
        let Some(spec) = directory::app(state, &app)?.map(|app| app.spec) else { continue };
        let before = super::account(state, order.id, &app)?;
        let change = Change::at_once(event.sequence, ChangeKind::Residue, event.recorded_at);
        let subject = Subject::Account { app, identity: order.id };
        let obligation = Obligation::new(change, subject, &spec.sla, Target::Absent);
        obligations::open(state, obligation, before, Desired::Deleted, event)?;
        opened = true;
    }
    if opened {
        causation::keep(state, event);
    }
    Ok(())
}

/// Whoever is back is not erased.
pub fn changed(state: &mut impl Write, changed: &IdentityChanged) {
    if changed.change == IdentityChange::Rehired {
        state.delete(&erasing_key(changed.id));
    }
}

/// Why somebody can't be erased yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// They have access, or will have.
    NotLeft,
    /// Something is still owed for them in an app.
    Owed(AppId),
    /// A machine that they answered for is not handed over.
    Answers(IdentityId),
    /// A credential of theirs is not revoked.
    Opens(CredentialId),
    /// An app still shows a second account of theirs, or it is not verified that it is gone.
    Second(AppId),
    /// An app still shows an account of theirs, which nobody can sign in with.
    Kept(AppId),
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotLeft => f.write_str("they have not left"),
            Self::Owed(app) => write!(f, "{app}: something is still owed there, and it is not verified"),
            Self::Answers(machine) => write!(f, "the machine {machine} is not handed over, for which they answered"),
            Self::Opens(credential) => write!(f, "the credential {credential} of theirs is not revoked"),
            Self::Second(app) => write!(f, "{app}: it has a second account of theirs"),
            Self::Kept(app) => {
                write!(f, "{app}: it keeps an account of theirs, inactive, which has to be deleted there first")
            }
        }
    }
}

/// What stands in the way of erasing someone.
///
/// # Errors
/// When the state can't be read.
pub fn obstacles(state: &impl Read, id: IdentityId) -> Result<Vec<Obstacle>, KvError> {
    let mut all = Vec::new();
    if directory::identity(state, id)?.is_some_and(|i| !i.deleted && i.lifecycle != Lifecycle::Left) {
        all.push(Obstacle::NotLeft);
    }
    for account in accounts_of(state, id)? {
        all.extend(obstacle(&account));
        let duplicate = DriftId { app: account.app, identity: id, kind: DriftKind::Duplicate };
        if drifts::item(state, &duplicate)?.is_some() {
            all.push(Obstacle::Second(duplicate.app));
        }
    }
    let open = handovers_of(state, id)?.into_iter().find(|handover| handover.end.is_none());
    all.extend(open.map(|handover| Obstacle::Answers(handover.machine)));
    let owed = revocations_of(state, id)?.into_iter().find(|revocation| !revocation.owes.is_empty());
    all.extend(owed.map(|revocation| Obstacle::Opens(revocation.credential)));
    for other in others_of(state, id)? {
        let account = super::account(state, other.nobody, &other.app)?;
        if account.is_some_and(|account| obstacle(&account).is_some())
            && !all.contains(&Obstacle::Second(other.app.clone()))
        {
            all.push(Obstacle::Second(other.app));
        }
    }
    Ok(all)
}

fn obstacle(account: &Account) -> Option<Obstacle> {
    let app = || account.app.clone();
    let is_gone = account.desired.target() == Target::Absent && account.owes_no_access();
    match (is_gone, account.owes.is_empty()) {
        // Nothing is owed, and it is to be read again.
        (true, true) if account.is_pending() => Some(Obstacle::Owed(app())),
        (true, true) => keeps_something(account).then(|| Obstacle::Kept(app())),
        (true, false) => Some(Obstacle::Kept(app())),
        (false, _) => Some(Obstacle::Owed(app())),
    }
}

/// Whether an app shows an account with which nobody can sign in, or is said to keep one.
fn keeps_something(account: &Account) -> bool {
    match &account.attested {
        Some(attested) if account.proof() == Proof::Word => attested.left == Left::Something,
        _ => account.observed.is_some(),
    }
}

/// The record of the erasure that somebody has ordered, without the keys: the assignment rules can't be asked any more, once they are
/// erased, what was ever owed for them, and for accounts of theirs that stood for themselves.
///
/// # Errors
/// When the state can't be read.
pub fn record(state: &impl Read, order: ErasureOrdered) -> Result<Erased, KvError> {
    let ErasureOrdered { id, reason, legal_basis, approved_by } = order;
    let others = others_of(state, id)?;
    let mut owed = owed_ever(state, id, None)?;
    for other in &others {
        owed.extend(owed_ever(state, other.nobody, Some(other.nobody))?);
    }
    Ok(Erased { id, reason, legal_basis, approved_by, keys: Vec::new(), owed, others })
}

/// What was ever owed for someone, by the events that opened it.
fn owed_ever(state: &impl Read, id: IdentityId, nobody: Option<IdentityId>) -> Result<Vec<Owed>, KvError> {
    let mut all: BTreeMap<(u64, bool), Owed> = BTreeMap::new();
    for Obligation { id, change, target, .. } in obligations_of(state, id)? {
        let Some(app) = id.subject.app() else { continue };
        let new = || Owed { opened_by: id.opened_by, nobody, change, target, apps: Vec::new() };
        all.entry((id.opened_by.0, target == Target::Present)).or_insert_with(new).apps.push(app.clone());
    }
    Ok(all.into_values().collect())
}

/// Drops all that is personal.
pub fn erased(state: &mut Kept<'_, impl Write>, erased: &Erased, event: &Recorded) -> Result<(), KvError> {
    let id = erased.id;
    if directory::identity(state, id)?.is_none_or(|identity| identity.content != Content::Erased) {
        return Ok(());
    }
    for account in accounts_of(state, id)? {
        match account.desired.target() {
            Target::Absent => forget_account(state, account, id)?,
            Target::Present => leave_behind(state, account, event)?,
        }
    }
    for other in &erased.others {
        if let Some(account) = super::account(state, other.nobody, &other.app)? {
            forget_account(state, account, id)?;
        }
        drift_of_other(state, other);
        others::forget(state, id, other);
    }
    for alert in firing_alerts(state)? {
        if alert.about.identity().is_some_and(|about| erased.everybody().any(|id| id == about)) {
            store(state, alert_key(&alert.key, &alert.sink), &Alert { summary: String::new(), ..alert });
        }
    }
    state.delete(&erasing_key(id));
    erased.everybody().for_each(|id| recorded::forget(state, id));
    approvals::forget(state, id)?;
    switch::forget(state, id)?;
    separations::forget(state, id)?;
    schedule::forget(state, id)
}

/// Someone is erased who has access: their leave was on a log that is lost, and a restored one is older. That the account is gone has to be
/// seen once more, and where it is stays known until then.
fn leave_behind(state: &mut Kept<'_, impl Write>, mut account: Account, event: &Recorded) -> Result<(), KvError> {
    let Some(spec) = directory::app(state, &account.app)?.map(|app| app.spec) else { return Ok(()) };
    account.observed = None;
    account.attested = None;
    account.former_names.clear();
    account.entered.clear();
    account.holds.clear();
    accounts::requeue(state, &mut account, Urgency::Usual);
    let (app, identity) = (account.app.clone(), account.identity);
    let change = Change::at_once(event.sequence, ChangeKind::Repair, event.recorded_at);
    let obligation =
        Obligation::new(change, Subject::Account { app: app.clone(), identity }, &spec.sla, Target::Absent);
    state.forget(&account_key(identity, &app));
    obligations::open(state, obligation, Some(account), Desired::Deleted, event)?;
    causation::keep(state, event);
    Ok(())
}

/// Drops what is kept of an account but what was owed for it.
fn forget_account(state: &mut impl Write, mut account: Account, of: IdentityId) -> Result<(), KvError> {
    for remote_id in account.remote_id.take().into_iter().chain(std::mem::take(&mut account.former_ids).into_keys()) {
        if linked(state, &account.app, &remote_id)? == Some(of) {
            state.delete(&link_key(&account.app, &remote_id));
        }
    }
    account.desired = Desired::Absent;
    account.observed = None;
    account.accepted = false;
    if let Some(attested) = &mut account.attested {
        attested.said = Desired::Absent;
        attested.left = Left::Nothing;
        attested.before = None;
        // Where it was, by which that is told, is not known any more.
        attested.unseen = false;
    }
    account.former_names.clear();
    account.entered.clear();
    account.may_exist = None;
    account.rejection = None;
    account.holds.clear();
    account.urgency = Urgency::Usual;
    for kind in DriftKind::ALL {
        drifts::forget(state, &DriftId { app: account.app.clone(), identity: account.identity, kind });
    }
    let key = account_key(account.identity, &account.app);
    state.forget(&key);
    store(state, key, &account);
    Ok(())
}

/// Drops what an account was found to be while it stood for itself.
fn drift_of_other(state: &mut impl Write, other: &Other) {
    for kind in DriftKind::ALL {
        drifts::forget(state, &DriftId { app: other.app.clone(), identity: other.nobody, kind });
    }
    drifts::forget_duplicate(state, other);
}

//! Erasing a person: whether it can be done, what has to be said of them for ever, and what is dropped.

use std::collections::BTreeMap;

use super::links::linked;
use super::read::{account_key, accounts_of, alert_key, firing_alerts, link_key, obligations_of};
use super::{approvals, drifts, recorded, schedule};
use crate::access::desired::{Desired, Target};
use crate::access::obligation::Obligation;
use crate::alert::Alert;
use crate::directory;
use crate::drift::DriftId;
use crate::drift::kind::DriftKind;
use crate::governance::erasure::Owed;
use crate::identity::content::Content;
use crate::identity::lifecycle::Lifecycle;
use crate::ids::{AppId, IdentityId};
use crate::kv::{KvError, Read, Write, store};

/// Why somebody can't be erased yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// They have access, or will have.
    NotLeft,
    /// Something is still owed for them in an app.
    Owed(AppId),
    /// An app still shows an account of theirs, which nobody can sign in with.
    Kept(AppId),
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotLeft => f.write_str("they have not left"),
            Self::Owed(app) => write!(f, "{app}: something is still owed there, and it is not verified"),
            Self::Kept(app) => {
                write!(f, "{app}: it keeps an account of theirs, inactive: it has to be deleted there first")
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
        let is_gone = account.desired.target() == Target::Absent && !account.is_pending() && account.owes.is_empty();
        if !is_gone {
            all.push(Obstacle::Owed(account.app.clone()));
        } else if account.observed.is_some() {
            all.push(Obstacle::Kept(account.app.clone()));
        }
    }
    Ok(all)
}

/// What was ever owed for someone, by the events that opened it: the assignment rules can't be asked any more once they are erased.
///
/// # Errors
/// When the state can't be read.
pub fn owed_ever(state: &impl Read, id: IdentityId) -> Result<Vec<Owed>, KvError> {
    let mut all: BTreeMap<(u64, bool), Owed> = BTreeMap::new();
    for Obligation { id, change, target, .. } in obligations_of(state, id)? {
        let Some(app) = id.subject.app() else { continue };
        let new = || Owed { opened_by: id.opened_by, change, target, apps: Vec::new() };
        all.entry((id.opened_by.0, target == Target::Present)).or_insert_with(new).apps.push(app.clone());
    }
    Ok(all.into_values().collect())
}

/// Drops all that is personal.
pub fn erased(state: &mut impl Write, id: IdentityId) -> Result<(), KvError> {
    if directory::identity(state, id)?.is_none_or(|identity| identity.content != Content::Erased) {
        return Ok(());
    }
    for mut account in accounts_of(state, id)? {
        for remote_id in account.remote_id.take().into_iter().chain(std::mem::take(&mut account.former_ids).into_keys())
        {
            if linked(state, &account.app, &remote_id)? == Some(id) {
                state.delete(&link_key(&account.app, &remote_id));
            }
        }
        account.desired = Desired::Absent;
        account.observed = None;
        account.former_names.clear();
        account.may_exist = None;
        account.rejection = None;
        for kind in DriftKind::ALL {
            drifts::forget(state, &DriftId { app: account.app.clone(), identity: id, kind });
        }
        state.forget(&account_key(id, &account.app));
        store(state, account_key(id, &account.app), &account);
    }
    for alert in firing_alerts(state)?.into_iter().filter(|alert| alert.about.identity() == Some(id)) {
        store(state, alert_key(&alert.key, &alert.sink), &Alert { summary: String::new(), ..alert });
    }
    recorded::forget(state, id);
    approvals::forget(state, id)?;
    schedule::forget(state, id)
}

//! What people have to do: the accounts that are not as desired, in apps that people change.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::read::{account, hold, is_waived, pending};
use super::switch::switched_off;
use crate::access::account::Account;
use crate::access::desired::Queue;
use crate::access::task::TaskId;
use crate::directory;
use crate::governance::hold::{Cause, Hold};
use crate::identity::{Identity, IdentityKind};
use crate::ids::{AppId, IdentityId};
use crate::kv::{KeyPage, KvError, Read};

/// What has to be done, by app, the most urgent first, after a place and at most so many; of one app alone where it is said. Needs
/// [`List::Pending`](super::List::Pending).
///
/// # Errors
/// When the state can't be read.
pub fn tasks_after(
    state: &(impl Read + ?Sized),
    only: Option<&AppId>,
    after: Option<&str>,
    limit: usize,
) -> Result<KeyPage<Account>, KvError> {
    let mut from = after.and_then(place);
    let apps = directory::apps(state)?.into_iter().map(|app| app.spec).filter(|spec| spec.kind.is_by_people());
    let mut apps: Vec<AppId> = apps.map(|spec| spec.id).filter(|id| only.is_none_or(|only| only == id)).collect();
    apps.sort();
    let mut pairs = Vec::new();
    for app in apps {
        for queue in Queue::ALL {
            let begins = match &from {
                Some((at, queued, _)) if *at == app && *queued == queue => from.take().map(|(_, _, id)| id),
                // What was before it is passed over.
                Some((at, ..)) if *at >= app => continue,
                Some(_) => {
                    from = None;
                    None
                }
                None => None,
            };
            for (identity, _) in pending(state, &app, queue, begins, limit.saturating_sub(pairs.len()))? {
                if let Some(account) = account(state, identity, &app)?.filter(Account::is_pending) {
                    pairs.push((format!("{app}/{}/{identity}", queue.name()), account));
                }
            }
            if pairs.len() >= limit {
                let next = pairs.last().map(|(place, _)| place.clone());
                return Ok(KeyPage { pairs, next });
            }
        }
    }
    Ok(KeyPage { pairs, next: None })
}

fn place(text: &str) -> Option<(AppId, Queue, IdentityId)> {
    let mut parts = text.splitn(3, '/');
    let (app, queue, identity) = (parts.next()?, parts.next()?, parts.next()?);
    let queue = Queue::ALL.into_iter().find(|known| known.name() == queue)?;
    Some((app.parse().ok()?, queue, identity.parse().ok()?))
}

/// The account that a task is about, as long as there is something to do for it; `None`: there is no such task, or it is another one
/// by now.
///
/// # Errors
/// When the state can't be read.
pub fn task(state: &(impl Read + ?Sized), id: &TaskId) -> Result<Option<Account>, KvError> {
    let by_people = directory::app(state, &id.app)?.is_some_and(|app| app.spec.kind.is_by_people());
    if !by_people {
        return Ok(None);
    }
    let found = account(state, id.identity, &id.app)?;
    Ok(found.filter(|account| account.desired_version == id.version && account.is_pending()))
}

/// Every name that an account had before, and that is somebody else's by now.
///
/// # Errors
/// When the state can't be read.
pub fn names_of_others(state: &(impl Read + ?Sized), account: &Account) -> Result<BTreeSet<String>, KvError> {
    let mut anothers = BTreeSet::new();
    for name in &account.former_names {
        if directory::identity_by_user_name(state, name)?.is_some_and(|owner| owner.id != account.identity) {
            anothers.insert(name.clone());
        }
    }
    Ok(anothers)
}

/// Whether somebody has to do it now: no hold covers it, it is not left as it is for a while, and nobody says that it is done.
///
/// # Errors
/// When the state can't be read.
pub fn is_to_be_done(state: &impl Read, account: &Account, now: Timestamp) -> Result<bool, KvError> {
    if account.standing_word().is_some() || is_waived(state, &account.app, account.identity, now)? {
        return Ok(false);
    }
    Ok(hold_on(state, account)?.is_none())
}

/// The hold that covers an account; `None`: it may be removed.
///
/// # Errors
/// When the state can't be read.
pub fn hold_on(state: &impl Read, account: &Account) -> Result<Option<Hold>, KvError> {
    match Cause::of(account) {
        Some(cause) => Ok(hold(state, &cause)?.filter(|hold| hold.covers(account))),
        None => Ok(None),
    }
}

/// Whom the name of an app's owner means.
#[derive(Debug, Clone, PartialEq)]
pub enum Answerable {
    /// Somebody who signs in with that name, and may.
    Person(Box<Identity>),
    /// Nobody who is known: a team, a mailing list, a token.
    Others,
    /// Somebody who has left, is switched off, or is called otherwise by now.
    Gone,
}

/// Whom the name of an app's owner means. That of an address which is nobody's user name is not known.
///
/// # Errors
/// When the state can't be read.
pub fn answerable(state: &impl Read, owner: &str) -> Result<Answerable, KvError> {
    if let Some(them) = directory::identity_by_user_name(state, owner)? {
        let may = them.is_active() && switched_off(state, them.id)?.is_none();
        return Ok(if may { Answerable::Person(Box::new(them)) } else { Answerable::Gone });
    }
    for kind in IdentityKind::ALL {
        if !directory::ids_by_former_name(state, kind, owner)?.is_empty() {
            return Ok(Answerable::Gone);
        }
    }
    Ok(Answerable::Others)
}

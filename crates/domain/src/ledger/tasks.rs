//! What people have to do: the accounts that are not as desired, in apps that people change.

use super::read::{account, pending};
use crate::access::account::Account;
use crate::access::desired::Queue;
use crate::access::task::TaskId;
use crate::directory;
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

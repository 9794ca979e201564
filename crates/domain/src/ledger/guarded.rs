//! Counting what sources take away, and holding what is too much.

use super::lists::{Kept, List};
use super::obligations::waive;
use super::read::{accounts_where, held, hold, hold_key, said_key};
use crate::access::account::Account;
use crate::access::desired::{Desired, Target};
use crate::app::AppSpec;
use crate::app::guard::Recent;
use crate::event::{Event, Recorded};
use crate::governance::exception::Exception;
use crate::governance::hold::{Cause, Decision, Hold, HoldDecided};
use crate::ids::{AppId, Sequence};
use crate::kv::{KvError, Read, Write, load, store, suffixes};

fn present_key(app: &AppId) -> String {
    format!("present/{app}")
}

fn removals_key(cause: &Cause, app: &AppId) -> String {
    format!("removals/{cause}/{app}")
}

/// How many accounts must be in an app.
///
/// # Errors
/// When the state can't be read.
pub fn present(state: &(impl Read + ?Sized), app: &AppId) -> Result<usize, KvError> {
    Ok(load(state, &present_key(app))?.unwrap_or_default())
}

/// Counts the accounts that must be there, and those that a source takes away; too many of these are held.
pub fn count(
    state: &mut impl Write,
    app: &AppSpec,
    before: Option<&Account>,
    desired: &Desired,
    event: &Recorded,
) -> Result<(), KvError> {
    let was = before.map(|account| account.desired.target());
    let key = present_key(&app.id);
    let present: usize = load(state, &key)?.unwrap_or_default();
    match (was, desired.target()) {
        (Some(Target::Present), Target::Absent) => store(state, key, &present.saturating_sub(1)),
        (None | Some(Target::Absent), Target::Present) => {
            store(state, key, &(present + 1));
            return Ok(());
        }
        _ => return Ok(()),
    }
    let cause = match (&event.meta.source, &event.event) {
        (Some(source), _) => Cause::Source(source.clone()),
        (
            None,
            Event::AppConfigured(_)
            | Event::RoleConfigured(_)
            | Event::RoleRemoved(_)
            | Event::PolicyConfigured(_)
            | Event::PolicyRemoved(_)
            | Event::Configuring(_)
            | Event::Reevaluated(_),
        ) => Cause::Configuration(app.id.clone()),
        (None, _) => return Ok(()),
    };
    if hold(state, &cause)?.is_some() {
        return Ok(());
    }
    let key = removals_key(&cause, &app.id);
    let mut recent: Recent = load(state, &key)?.unwrap_or_default();
    let removals = recent.add(&app.guard, event.recorded_at);
    // As many accounts as there were when the window began.
    let accounts = present.saturating_add(removals).saturating_sub(1);
    if app.guard.is_too_many(removals, accounts) {
        let hold = Hold {
            cause: cause.clone(),
            app: app.id.clone(),
            removals,
            by: event.sequence,
            since: event.recorded_at,
            released: Sequence(0),
        };
        store(state, hold_key(&cause), &hold);
    }
    store(state, key, &recent);
    Ok(())
}

/// It was said that removals wait.
pub fn said(state: &mut impl Write, hold: &Hold) {
    store(state, said_key(&hold.cause), &hold.by);
}

/// A person decided about the removals that wait, as far as they have seen them: what came later is held anew.
pub fn decided(state: &mut Kept<'_, impl Write>, decided: &HoldDecided, event: &Recorded) -> Result<(), KvError> {
    let cause = &decided.cause;
    let Some(mut hold) = hold(state, cause)? else { return Ok(()) };
    let waiting = waiting(state, &hold)?;
    if decided.decision == Decision::Lapse {
        // Something may have begun to wait meanwhile. The count stays: nobody has looked at what was taken away.
        if waiting.is_empty() {
            state.delete(&hold_key(cause));
        }
        return Ok(());
    }
    let (seen, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|a| a.removed_by() <= decided.through);
    match later.iter().map(Account::removed_by).min() {
        None => {
            state.delete(&hold_key(cause));
            // The count begins anew: what was decided about is not held again.
            for app in suffixes(state, &format!("removals/{cause}/"))? {
                state.delete(&format!("removals/{cause}/{app}"));
            }
        }
        Some(first) => {
            hold.released = decided.through;
            (hold.by, hold.since, hold.removals) = (first, event.recorded_at, later.len());
            store(state, hold_key(cause), &hold);
        }
    }
    let Decision::Reject { expires_at } = decided.decision else { return Ok(()) };
    let exception = Exception { by: event.meta.actor.clone(), reason: decided.reason.clone(), expires_at };
    for open in seen.iter().flat_map(|account| &account.owes) {
        waive(state, &open.id, exception.clone())?;
    }
    Ok(())
}

/// The accounts whose removal a hold keeps from being done. Where they are not listed every account is looked at: people
/// seldom decide about a mass removal.
fn waiting(state: &Kept<'_, impl Write>, hold: &Hold) -> Result<Vec<Account>, KvError> {
    if state.keeps(List::Pending) {
        return held(state, hold);
    }
    accounts_where(state, |account| account.is_pending() && hold.covers(account))
}

//! Counting what sources take away, and holding what is too much.

use super::lists::{Kept, List};
use super::obligations::waive;
use super::read::{account, accounts_where, hold, hold_key, pending, said_key};
use crate::account::{Account, Desired, Target};
use crate::app::AppSpec;
use crate::directory;
use crate::event::Recorded;
use crate::exception::Exception;
use crate::guard::{Decision, Hold, HoldDecided, Recent};
use crate::ids::{AppId, SourceName};
use crate::kv::{KvError, Write, load, store, suffixes};

fn present_key(app: &AppId) -> String {
    format!("present/{app}")
}

fn removals_key(source: &SourceName, app: &AppId) -> String {
    format!("removals/{source}/{app}")
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
    let Some(source) = &event.meta.source else { return Ok(()) };
    if hold(state, source)?.is_some() {
        return Ok(());
    }
    let key = removals_key(source, &app.id);
    let mut recent: Recent = load(state, &key)?.unwrap_or_default();
    let removals = recent.add(&app.guard, event.recorded_at);
    // As many accounts as there were when the window began.
    let accounts = present.saturating_add(removals).saturating_sub(1);
    if app.guard.is_too_many(removals, accounts) {
        let hold = Hold {
            source: source.clone(),
            app: app.id.clone(),
            removals,
            by: event.sequence,
            since: event.recorded_at,
        };
        store(state, hold_key(source), &hold);
    }
    store(state, key, &recent);
    Ok(())
}

/// It was said that removals wait.
pub fn said(state: &mut impl Write, hold: &Hold) {
    store(state, said_key(&hold.source), &hold.by);
}

/// A person decided about the removals of a source that wait.
pub fn decided(state: &mut Kept<'_, impl Write>, decided: &HoldDecided, event: &Recorded) -> Result<(), KvError> {
    let source = &decided.source;
    if hold(state, source)?.is_none() {
        return Ok(());
    }
    state.delete(&hold_key(source));
    // The count begins anew: what was decided about is not held again.
    for app in suffixes(state, &format!("removals/{source}/"))? {
        state.delete(&format!("removals/{source}/{app}"));
    }
    let Decision::Reject { expires_at } = decided.decision else { return Ok(()) };
    let exception = Exception { by: event.meta.actor.clone(), reason: decided.reason.clone(), expires_at };
    for account in removals(state)?.iter().filter(|account| account.source.as_ref() == Some(source)) {
        for open in &account.owes {
            waive(state, &open.id, exception.clone())?;
        }
    }
    Ok(())
}

/// The accounts that must go, and of which that is not verified. Where they are not listed every account is looked at:
/// people seldom decide about a mass removal.
fn removals(state: &Kept<'_, impl Write>) -> Result<Vec<Account>, KvError> {
    let mut all = Vec::new();
    if state.keeps(List::Pending) {
        for app in directory::apps(state)? {
            for (identity, _) in pending(state, &app.spec.id, Target::Absent, None, usize::MAX)? {
                all.extend(account(state, identity, &app.spec.id)?);
            }
        }
        return Ok(all);
    }
    accounts_where(state, |account| account.is_pending() && account.desired.target() == Target::Absent)
}

//! The lists of what is wrong are cut to their first: what a sink was told of is over when it is, not when it is left out of one.

use jiff::Timestamp;
use rollcall_domain::access::task::TaskId;
use rollcall_domain::alert::About;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger;

use crate::alerts::condition::Rules;

/// Whether something of which a sink was told is wrong still, although a list that is cut does not have it.
///
/// # Errors
/// When the state can't be read.
pub fn is_left_out(state: &impl Read, about: &About, now: Timestamp, rules: &Rules) -> Result<bool, KvError> {
    match about {
        About::Task { app, identity, by } => {
            let id = TaskId { version: *by, app: app.clone(), identity: *identity };
            match ledger::task(state, &id)? {
                Some(account) => ledger::is_to_be_done(state, &account, now),
                None => Ok(false),
            }
        }
        About::FarAhead { identity, by } => {
            let Some(far) = rules.far_from(now) else { return Ok(false) };
            Ok(ledger::scheduled(state, *identity)?.is_some_and(|said| said.version == *by && said.at > far))
        }
        About::GrantEnds { identity, by } => ledger::is_grant_ending(state, (*identity, *by), now, rules.remind_before),
        About::Handover { owner, opened_by } => ledger::has_late_handovers(state, *owner, *opened_by),
        About::Revocation { holder, opened_by } => ledger::has_late_revocations(state, *holder, *opened_by),
        // These are never cut.
        About::Leaver { .. }
        | About::Disable { .. }
        | About::Grant { .. }
        | About::Zombie { .. }
        | About::Vanished { .. }
        | About::Quarantine { .. }
        | About::Drill { .. }
        | About::Uncompared { .. }
        | About::Hold { .. }
        | About::Stuck { .. }
        | About::Silence { .. }
        | About::Sink { .. }
        | About::Log
        | About::Lag => Ok(false),
    }
}

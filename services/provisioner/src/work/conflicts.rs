//! Those who were put aside because another account stands in their way: it may be gone by now, or be called otherwise. A few of them are
//! tried again in each turn.

use std::collections::BTreeSet;
use std::time::Duration;

use rollcall_domain::access::account::Account;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::KvError;
use rollcall_domain::ledger;
use tokio::time::Instant;

use crate::work::connector::Connector;

/// How many are tried in a turn: each may cost a look at the whole app.
const AT_ONCE: usize = 20;

/// Whose turn it is.
#[derive(Debug)]
pub struct Conflicts {
    every: Duration,
    due: Instant,
    /// How many are still tried in this turn.
    left: usize,
    /// The one that was tried last.
    last: Option<IdentityId>,
}

impl Conflicts {
    /// The first turn is one `every` from now.
    pub fn new(every: Duration) -> Self {
        Self { every, due: Instant::now() + every, left: 0, last: None }
    }

    /// The next of them that nobody works on, at most so many.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn next(
        &mut self,
        connector: &Connector,
        busy: &BTreeSet<IdentityId>,
        most: usize,
    ) -> Result<Vec<Account>, KvError> {
        if self.due <= Instant::now() {
            (self.due, self.left) = (Instant::now() + self.every, AT_ONCE);
        }
        let most = most.min(self.left);
        if most == 0 {
            return Ok(Vec::new());
        }
        let view = connector.store.view();
        let is_in_conflict =
            |account: &Account| account.rejection.as_ref().is_some_and(|said| said.cause == RejectionCause::Conflict);
        let mut found = Vec::new();
        for (id, _) in ledger::parked(&view, &connector.app, usize::MAX)? {
            if found.len() == most {
                break;
            }
            if self.last.is_none_or(|last| id > last) && !busy.contains(&id) {
                found.extend(ledger::account(&view, id, &connector.app)?.filter(is_in_conflict));
            }
        }
        // All had their turn: the first of them is next.
        self.left = if found.len() < most { 0 } else { self.left - found.len() };
        self.last = found.last().map(|account| account.identity).filter(|_| found.len() == most);
        Ok(found)
    }
}

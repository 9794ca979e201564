//! When an app is left alone: it has failed again and again, for more than one account or without an answer.

use std::collections::BTreeSet;

use rollcall_domain::access::rejection::{Rejection, RejectionCause};
use rollcall_domain::ids::IdentityId;

use crate::app_client::client::Failure;

/// Counts the failures of an app in a row.
#[derive(Debug)]
pub struct Breaker {
    limit: u32,
    failures: u32,
    accounts: BTreeSet<IdentityId>,
}

/// What follows from a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The app is tried on.
    Closed,
    /// It is left alone from now on.
    Opened {
        /// How often it failed in a row.
        failures: u32,
        /// What it said last.
        rejection: Rejection,
    },
}

impl Breaker {
    /// One that opens after so many failures in a row.
    pub const fn new(limit: u32) -> Self {
        Self { limit, failures: 0, accounts: BTreeSet::new() }
    }

    /// The app answered as it should.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.accounts.clear();
    }

    /// Work on an account failed. What is wrong with one account only is no sickness of the app.
    pub fn failed(&mut self, identity: IdentityId, failure: &Failure) -> Verdict {
        // Whatever is asked next would be answered as falsely.
        if failure.rejection.cause == RejectionCause::Vanished {
            self.succeeded();
            return Verdict::Opened { failures: 1, rejection: failure.of_the_app() };
        }
        if !failure.is_of_the_app() {
            return Verdict::Closed;
        }
        self.failures = self.failures.saturating_add(1);
        self.accounts.insert(identity);
        let no_answer = matches!(failure.rejection.cause, RejectionCause::Unreachable | RejectionCause::Timeout);
        let silent = no_answer && failure.rejection.status.is_none();
        if self.failures >= self.limit && (silent || self.accounts.len() > 1 || is_door(&failure.rejection)) {
            let (failures, rejection) = (self.failures, failure.of_the_app());
            self.succeeded();
            return Verdict::Opened { failures, rejection };
        }
        Verdict::Closed
    }
}

/// A credential that is refused is refused for every account; 403 may be about one of them, such as a last owner. A list is that of all.
fn is_door(rejection: &Rejection) -> bool {
    rejection.status == Some(401) || rejection.cause == RejectionCause::BadList
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(cause: RejectionCause, status: Option<u16>) -> Failure {
        let mut failure = Failure::new(cause, "x");
        failure.rejection.status = status;
        failure
    }

    fn id(n: u128) -> IdentityId {
        IdentityId(uuid::Uuid::from_u128(n))
    }

    /// How often `failure` is taken before the app is left alone, over so many accounts; `None`: never.
    fn opens_after(failure: &Failure, accounts: u128) -> Option<u32> {
        let mut breaker = Breaker::new(5);
        (1..=50).find(|n| matches!(breaker.failed(id(u128::from(*n) % accounts), failure), Verdict::Opened { .. }))
    }

    #[test]
    fn an_app_is_left_alone_for_what_is_wrong_with_itself() {
        let table = [
            (RejectionCause::Unreachable, None, 1, Some(5)),
            (RejectionCause::Timeout, None, 1, Some(5)),
            (RejectionCause::AppError, Some(500), 1, None),
            (RejectionCause::AppError, Some(500), 2, Some(5)),
            (RejectionCause::Refused, Some(401), 1, Some(5)),
            (RejectionCause::Refused, Some(403), 1, None),
            (RejectionCause::Refused, Some(403), 2, Some(5)),
            (RejectionCause::Refused, Some(400), 2, None),
            (RejectionCause::NotScim, Some(200), 2, Some(5)),
            (RejectionCause::BadList, None, 1, Some(5)),
            (RejectionCause::Throttled, Some(429), 2, None),
            (RejectionCause::Conflict, Some(409), 2, None),
        ];
        for (cause, status, accounts, after) in table {
            assert_eq!(opens_after(&failure(cause, status), accounts), after, "{cause:?} {status:?} {accounts}");
        }
    }

    #[test]
    fn one_success_forgives_every_failure() {
        let mut breaker = Breaker::new(2);
        let silent = failure(RejectionCause::Unreachable, None);
        for _ in 0..5 {
            assert_eq!(breaker.failed(id(1), &silent), Verdict::Closed);
            breaker.succeeded();
        }
    }
}

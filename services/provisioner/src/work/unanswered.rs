//! Changes that an app has not answered: it may still carry them out, after everything has been read back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::ids::{IdentityId, Sequence};
use tokio::time::Instant;

use crate::app_client::client::Failure;

/// What may still be carried out, by whose account it is.
#[derive(Debug, Default)]
pub struct Unanswered(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    sent: BTreeMap<IdentityId, Instant>,
    began: Option<Began>,
}

/// When work on the app began here. Of what was sent before, by a process that has ended meanwhile, nothing is known.
#[derive(Debug)]
struct Began {
    at: Instant,
    time: Timestamp,
    /// What was on the log by then.
    cursor: Sequence,
    pending: BTreeSet<IdentityId>,
}

/// A change that is sent. It counts as not answered until it is said to be.
#[derive(Debug)]
pub struct Sending<'a> {
    to: &'a Unanswered,
    identity: IdentityId,
    before: Option<Instant>,
    is_answered: bool,
}

impl Sending<'_> {
    /// The app has answered, with success or otherwise.
    pub fn answered(mut self, failure: Option<&Failure>) {
        self.is_answered = !failure.is_some_and(Failure::may_come_late);
    }
}

impl Drop for Sending<'_> {
    /// It may have been several requests: the last of them was sent at any time until now.
    fn drop(&mut self) {
        let mut inner = self.to.inner();
        match (self.is_answered, self.before) {
            (false, _) => inner.sent.insert(self.identity, Instant::now()),
            (true, Some(before)) => inner.sent.insert(self.identity, before),
            (true, None) => inner.sent.remove(&self.identity),
        };
    }
}

impl Unanswered {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Work begins: for these accounts something may be under way.
    pub fn begin(&self, pending: BTreeSet<IdentityId>, cursor: Sequence, time: Timestamp) {
        self.inner().began = Some(Began { at: Instant::now(), time, cursor, pending });
    }

    /// A change is about to be sent.
    pub fn sending(&self, identity: IdentityId) -> Sending<'_> {
        let before = self.inner().sent.insert(identity, Instant::now());
        Sending { to: self, identity, before, is_answered: false }
    }

    /// For how long what was read of an account proves nothing: a change that was not answered may still be carried out, `within` so long.
    /// `verified` is the version that was read back last, and when.
    pub fn wait(
        &self,
        identity: IdentityId,
        verified: Option<(Sequence, Timestamp)>,
        within: Duration,
    ) -> Option<Duration> {
        let mut inner = self.inner();
        inner.sent.retain(|_, at| at.elapsed() < within);
        let left = |at: Instant| within.checked_sub(at.elapsed()).filter(|left| !left.is_zero());
        let sent = inner.sent.get(&identity).copied().and_then(left);
        if inner.began.as_ref().is_some_and(|began| left(began.at).is_none()) {
            inner.began = None;
        }
        let in_doubt = |began: &&Began| began.is_in_doubt(identity, verified, within);
        let earlier = inner.began.as_ref().filter(in_doubt).and_then(|began| left(began.at));
        sent.max(earlier)
    }
}

impl Began {
    /// Whether something may have been sent for an account before that was not answered.
    fn is_in_doubt(&self, identity: IdentityId, verified: Option<(Sequence, Timestamp)>, within: Duration) -> bool {
        let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
        let lately = self.time.checked_sub(within).unwrap_or(Timestamp::MIN);
        self.pending.contains(&identity) || verified.is_some_and(|(version, at)| version <= self.cursor && at > lately)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use rollcall_domain::access::rejection::RejectionCause;

    use super::*;
    use crate::app_client::client::Sent;

    const WITHIN: Duration = Duration::from_secs(30);

    fn id(n: u128) -> IdentityId {
        IdentityId(uuid::Uuid::from_u128(n))
    }

    fn late() -> Failure {
        Failure { sent: Sent::Yes, ..Failure::new(RejectionCause::Timeout, "no answer") }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_without_an_answer_is_waited_for_and_one_with_an_answer_is_not() {
        let all = Unanswered::default();
        let (anna, bert) = (id(1), id(2));
        all.sending(anna).answered(Some(&late()));
        all.sending(bert).answered(None);
        let wait = |who| all.wait(who, None, WITHIN);
        assert_eq!((wait(anna), wait(bert)), (Some(WITHIN), None));
        tokio::time::advance(Duration::from_secs(10)).await;
        // The next one is answered: the first may come all the same.
        all.sending(anna).answered(None);
        assert_eq!(wait(anna), Some(Duration::from_secs(20)));
        // One that was given up in the middle is one without an answer.
        drop(all.sending(bert));
        assert_eq!(wait(bert), Some(WITHIN));
        tokio::time::advance(WITHIN).await;
        assert_eq!((wait(anna), wait(bert)), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn of_what_was_under_way_before_it_began_nothing_is_known() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let ago = |seconds| Some(now - SignedDuration::from_secs(seconds));
        let all = Unanswered::default();
        all.begin([id(1)].into(), Sequence(10), now);
        let waits =
            |n, version, at: Option<Timestamp>| all.wait(id(n), at.map(|at| (Sequence(version), at)), WITHIN).is_some();
        let table = [
            (1, 0, None, true),
            (1, 5, ago(100), true),
            (2, 5, ago(100), false),
            (2, 5, ago(5), true),
            // All that was asked for it was asked here.
            (2, 11, ago(-5), false),
            (2, 0, None, false),
        ];
        for (n, version, at, expected) in table {
            assert_eq!(waits(n, version, at), expected, "{n} {version} {at:?}");
        }
        tokio::time::advance(WITHIN).await;
        assert!(!waits(1, 0, None));
    }
}

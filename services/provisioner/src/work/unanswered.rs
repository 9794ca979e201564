//! Changes that an app has not answered: it may still carry them out, after everything has been read back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Target;
use rollcall_domain::ids::{IdentityId, Sequence};
use tokio::time::Instant;

use crate::app_client::client::Failure;

/// What may still be carried out, by whose account it is.
#[derive(Debug, Default)]
pub struct Unanswered(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// When a change was sent last, by whose account it is, what it does, and the version of what was desired that it was sent for.
    sent: BTreeMap<(IdentityId, Effect, Sequence), Instant>,
    began: Option<Began>,
}

/// What a change does that may be carried out late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It gives something to whoever may have to go by then.
    Gives,
    /// It takes something from whoever may have to have it by then.
    Takes,
}

impl Effect {
    const FIRST: Self = Self::Gives;
    const LAST: Self = Self::Takes;
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

/// What matters of an account: what is desired of it, and what was read back of it last.
#[derive(Debug, Clone, Copy)]
pub struct AccountState {
    identity: IdentityId,
    target: Target,
    version: Sequence,
    desired_at: Timestamp,
    verified: Option<(Sequence, Timestamp)>,
    before: Before,
}

/// Whether there was an account before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    PerhapsOne,
    None,
}

impl From<&Account> for AccountState {
    fn from(account: &Account) -> Self {
        let is_new = account.remote_id.is_none() && account.applied_version.is_none();
        Self {
            identity: account.identity,
            target: account.desired.target(),
            version: account.desired_version,
            desired_at: account.desired_at,
            verified: account.verified_version.zip(account.verified_at),
            before: if is_new { Before::None } else { Before::PerhapsOne },
        }
    }
}

/// A change that is sent. It counts as not answered until it is said to be.
#[derive(Debug)]
pub struct Sending<'a> {
    to: &'a Unanswered,
    of: (IdentityId, Effect, Sequence),
    /// When one like it was sent before that was not answered.
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
            (false, _) => inner.sent.insert(self.of, Instant::now()),
            (true, Some(before)) => inner.sent.insert(self.of, before),
            (true, None) => inner.sent.remove(&self.of),
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
    pub fn sending(&self, identity: IdentityId, version: Sequence, effect: Effect) -> Sending<'_> {
        let of = (identity, effect, version);
        let before = self.inner().sent.insert(of, Instant::now());
        Sending { to: self, of, before, is_answered: false }
    }

    /// For how long what was read of an account proves nothing: a change that was not answered may still be carried out, `within` so long.
    /// To one who must have it that matters where something else was desired when it was sent.
    pub fn wait(&self, account: AccountState, within: Duration) -> Option<Duration> {
        let mut inner = self.inner();
        inner.sent.retain(|_, at| at.elapsed() < within);
        let left = |at: Instant| within.checked_sub(at.elapsed()).filter(|left| !left.is_zero());
        let matters = |effect, version| match account.target {
            Target::Absent => effect == Effect::Gives,
            Target::Present => version < account.version,
        };
        let theirs =
            (account.identity, Effect::FIRST, Sequence(0))..=(account.identity, Effect::LAST, Sequence(u64::MAX));
        let sent = inner.sent.range(theirs).filter(|((_, effect, version), _)| matters(*effect, *version));
        let sent = sent.filter_map(|(_, at)| left(*at)).max();
        if inner.began.as_ref().is_some_and(|began| left(began.at).is_none()) {
            inner.began = None;
        }
        let in_doubt = |began: &&Began| began.is_in_doubt(account, within);
        let earlier = inner.began.as_ref().filter(in_doubt).and_then(|began| left(began.at));
        sent.max(earlier)
    }
}

impl Began {
    /// Whether something may have been sent for an account before that was not answered, and gives what is not desired now.
    fn is_in_doubt(&self, account: AccountState, within: Duration) -> bool {
        let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
        let lately = self.time.checked_sub(within).unwrap_or(Timestamp::MIN);
        let may_be_sent = self.pending.contains(&account.identity)
            || account.verified.is_some_and(|(version, at)| version <= self.cursor && at > lately);
        // What is desired for long is what was sent for; who has no account yet was sent nothing else.
        let was_otherwise =
            account.before == Before::PerhapsOne && (account.version > self.cursor || account.desired_at > lately);
        may_be_sent && (account.target == Target::Absent || was_otherwise)
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

    fn state(identity: IdentityId, target: Target, version: Sequence) -> AccountState {
        let desired_at = "2026-01-01T00:00:00Z".parse().unwrap();
        AccountState { identity, target, version, desired_at, verified: None, before: Before::PerhapsOne }
    }

    fn late() -> Failure {
        Failure { sent: Sent::Yes, ..Failure::new(RejectionCause::Timeout, "no answer") }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_without_an_answer_is_waited_for_and_one_with_an_answer_is_not() {
        let all = Unanswered::default();
        let (anna, bert) = (id(1), id(2));
        let first = Sequence(1);
        all.sending(anna, first, Effect::Gives).answered(Some(&late()));
        all.sending(bert, first, Effect::Gives).answered(None);
        let wait = |who| all.wait(state(who, Target::Absent, first), WITHIN);
        assert_eq!((wait(anna), wait(bert)), (Some(WITHIN), None));
        tokio::time::advance(Duration::from_secs(10)).await;
        // The next one is answered: the first may come all the same.
        all.sending(anna, Sequence(2), Effect::Gives).answered(None);
        assert_eq!(wait(anna), Some(Duration::from_secs(20)));
        // To one who must have an account it matters that something else was desired then.
        let present = |version| all.wait(state(anna, Target::Present, Sequence(version)), WITHIN);
        assert_eq!((present(1), present(2)), (None, Some(Duration::from_secs(20))));
        // What takes something matters to nobody who must go, and to whoever is back since.
        all.sending(id(3), first, Effect::Takes).answered(Some(&late()));
        let back = |target| all.wait(state(id(3), target, Sequence(2)), WITHIN);
        assert_eq!((back(Target::Absent), back(Target::Present)), (None, Some(WITHIN)));
        // One that was given up in the middle is one without an answer.
        drop(all.sending(bert, first, Effect::Gives));
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
        let waits = |n, version, at: Option<Timestamp>| {
            let verified = at.map(|at| (Sequence(version), at));
            all.wait(AccountState { verified, ..state(id(n), Target::Absent, Sequence(20)) }, WITHIN).is_some()
        };
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
        // Of one who must have an account only what was desired lately can be another thing than what was sent.
        let usual = state(id(1), Target::Present, Sequence(20));
        let long_ago = now - SignedDuration::from_secs(100);
        let waits_present = |account| all.wait(account, WITHIN).is_some();
        assert!(waits_present(usual));
        assert!(waits_present(AccountState { version: Sequence(9), ..usual }));
        assert!(!waits_present(AccountState { version: Sequence(9), desired_at: long_ago, ..usual }));
        assert!(!waits_present(AccountState { before: Before::None, ..usual }));
        tokio::time::advance(WITHIN).await;
        assert!(!waits(1, 0, None));
    }
}

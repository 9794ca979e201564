//! Lists of all members of a group that were sent and not answered: whoever is on one is let in again when it is carried out late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rollcall_domain::app::capability::{Capabilities, Support};
use serde_json::Value;
use tokio::time::Instant;

use crate::app_client::client::Failure;
use crate::app_client::remote_group::{Member, named};

/// The lists of one app.
#[derive(Debug)]
pub struct LateLists {
    began: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sent: BTreeMap<u64, List>,
    next: u64,
}

#[derive(Debug)]
struct List {
    group: String,
    members: BTreeSet<String>,
    at: Instant,
}

/// Whether an account was in a group a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Before {
    PerhapsIn,
    Out,
}

/// A list that is sent. It counts as not answered until it is said to be.
#[derive(Debug)]
pub struct SendingList<'a> {
    to: &'a LateLists,
    number: u64,
}

impl Default for LateLists {
    fn default() -> Self {
        Self { began: Instant::now(), inner: Mutex::default() }
    }
}

impl SendingList<'_> {
    /// The app has answered, with success or otherwise.
    pub fn answered(self, failure: Option<&Failure>) {
        if !failure.is_some_and(Failure::may_come_late) {
            self.to.inner().sent.remove(&self.number);
        }
    }
}

impl Drop for SendingList<'_> {
    /// It may have been several requests: the last of them was sent at any time until now.
    fn drop(&mut self) {
        if let Some(list) = self.to.inner().sent.get_mut(&self.number) {
            list.at = Instant::now();
        }
    }
}

impl LateLists {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A list of the members of a group is about to be sent.
    pub fn sending(&self, group: &str, list: &[Value]) -> SendingList<'_> {
        let members = list.iter().filter_map(named).map(str::to_owned).collect();
        let mut inner = self.inner();
        let number = inner.next;
        inner.next += 1;
        inner.sent.insert(number, List { group: group.to_owned(), members, at: Instant::now() });
        SendingList { to: self, number }
    }

    /// For how long an account may still be let into a group, where the app carries out `within` so long what it has not answered. Of what
    /// was sent by a process that has ended meanwhile nothing is known: whoever was in the group of an app that may be told whole lists
    /// may be on one.
    pub fn wait(
        &self,
        can: &Capabilities,
        group: &str,
        (account, before): (Member<'_>, Before),
        within: Duration,
    ) -> Option<Duration> {
        let left = |at: Instant| within.checked_sub(at.elapsed()).filter(|left| !left.is_zero());
        let mut inner = self.inner();
        inner.sent.retain(|_, list| left(list.at).is_some());
        let has = |list: &&List| list.group == group && list.members.iter().any(|member| account.is(member));
        let sent = inner.sent.values().filter(has).filter_map(|list| left(list.at)).max();
        let in_doubt = before == Before::PerhapsIn && can.patch != Support::Yes;
        sent.max(Some(self.began).filter(|_| in_doubt).and_then(left))
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::access::rejection::RejectionCause;
    use serde_json::json;

    use super::*;
    use crate::app_client::client::Sent;

    const WITHIN: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn whoever_is_on_a_list_without_an_answer_may_be_let_in_again_and_nobody_else() {
        let lists = LateLists::default();
        let can = Capabilities::default();
        let late = Failure { sent: Sent::Yes, ..Failure::new(RejectionCause::Timeout, "no answer") };
        let wait = |group, id| {
            let account = Member { id, user_name: "somebody", remote: None };
            lists.wait(&can, group, (account, Before::Out), WITHIN)
        };
        let members = [json!({ "value": "u1" }), json!({ "$ref": "https://app.example.com/Users/u2" })];
        lists.sending("eng", &members).answered(None);
        assert_eq!(wait("eng", "u1"), None);
        lists.sending("eng", &members).answered(Some(&late));
        for (group, id, waits) in [("eng", "u1", true), ("eng", "u2", true), ("eng", "u3", false), ("ops", "u1", false)]
        {
            assert_eq!(wait(group, id).is_some(), waits, "{group} {id}");
        }
        tokio::time::advance(Duration::from_secs(20)).await;
        // Another one that is answered says nothing of the first.
        lists.sending("eng", &members).answered(None);
        assert_eq!(wait("eng", "u1"), Some(Duration::from_secs(10)));
        tokio::time::advance(WITHIN).await;
        assert_eq!(wait("eng", "u1"), None);
        // One that was given up in the middle is one without an answer.
        drop(lists.sending("eng", &members));
        assert_eq!(wait("eng", "u1"), Some(WITHIN));
    }

    #[tokio::test(start_paused = true)]
    async fn of_lists_that_an_earlier_process_has_sent_nothing_is_known() {
        let lists = LateLists::default();
        let account = Member { id: "u1", user_name: "somebody", remote: None };
        let wait = |patch, before| {
            lists.wait(&Capabilities { patch, ..Capabilities::default() }, "eng", (account, before), WITHIN)
        };
        for (patch, before, expected) in [
            (Support::No, Before::PerhapsIn, Some(WITHIN)),
            (Support::Unknown, Before::PerhapsIn, Some(WITHIN)),
            (Support::Yes, Before::PerhapsIn, None),
            (Support::No, Before::Out, None),
        ] {
            assert_eq!(wait(patch, before), expected, "{patch:?} {before:?}");
        }
        tokio::time::advance(WITHIN).await;
        assert_eq!(wait(Support::No, Before::PerhapsIn), None);
    }
}

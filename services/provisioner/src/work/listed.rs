//! Accounts of which a list is all that can be read: people change them, and the list proves it, or that they have not.

use std::sync::Arc;
use std::time::Duration;

use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::plan::is_gone;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::access::task::Attested;
use rollcall_domain::app::standard::Standard;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_scim::Changed;
use serde_json::Value;
use tracing::debug;

use crate::list::listed::ListedApp;
use crate::list::snapshot::Snapshot;
use crate::search::wanted::Wanted;
use crate::work::connector::Connector;
use crate::work::error::WorkError;
use crate::work::outcome::Attempt;

/// How soon an account is looked at again that waits for a newer list; a newer list brings all of them back at once.
pub const NEXT_LIST: Duration = Duration::from_secs(60);

/// Whether a list was taken after everything that is asked of an account: then it can prove it, whether or not somebody has said so.
fn is_newer(snapshot: &Snapshot, account: &Account) -> bool {
    snapshot.taken_at > account.desired_at && account.owes.iter().all(|owed| snapshot.taken_at > owed.opened_at)
}

/// Whether somebody had said that it is done when a list was taken: then it can show that it is not so.
pub fn is_said_before(snapshot: &Snapshot, account: &Account) -> bool {
    account.word().is_some_and(|said| snapshot.taken_at > said.at)
}

/// Whether somebody says of an account that it is done, and nothing was said against it.
pub fn is_to_be_refuted(account: &Account) -> bool {
    account.standing_word().is_some()
}

/// Whether that an account is not on a list is no proof of its end: a list that lacks others who must be there may have been cut off, one
/// that was said to be made, and that no list has ever shown, may have another name, and one under its name may still be theirs.
pub fn needs_a_word(snapshot: &Snapshot, account: &Account, wanted: &Wanted, remote: Option<&Remote>) -> bool {
    let said = account.attested.as_ref();
    let is_unseen = account.remote_id.is_none() && said.is_some_and(Attested::says_there_was_one);
    let lives = |name: &String| {
        let named = snapshot.by_attribute("userName", name).unwrap_or_default();
        named.iter().any(|entry| entry.resource.get("active") != Some(&Value::Bool(false)))
    };
    let is_named = wanted.names_are_ids && wanted.user_names.iter().any(lives);
    let in_doubt = snapshot.missing > 0 || is_unseen || is_named;
    account.desired.target() == Target::Absent && remote.is_none() && in_doubt
}

impl Connector {
    /// The newest list of the app; `None`: it is older than what it would have to show.
    pub async fn newer_list(&self, list: &ListedApp, account: &Account) -> Result<Option<Arc<Snapshot>>, WorkError> {
        Ok(Some(list.current().await?).filter(|snapshot| is_newer(snapshot, account)))
    }

    /// Whether a change of what somebody is described by, which gives nobody access, may still be made in time.
    fn may_still_be_done(&self, account: &Account) -> bool {
        let now = (self.clock)();
        account.owes.iter().all(|owed| owed.change == ChangeKind::Mover && owed.risk_at > now)
    }

    /// The list shows an account otherwise than desired: somebody has still to change it, or says that they have, and it is not so.
    pub async fn listed_otherwise(
        &self,
        account: &Account,
        remote: Option<&Remote>,
        standard: &Standard,
        judged: Result<Vec<Changed>, (DriftKind, Vec<Changed>)>,
        snapshot: &Snapshot,
    ) -> Result<Attempt, WorkError> {
        // It is asked for by nobody, or somebody says that it is done, or nobody will any more in time.
        let is_said = is_said_before(snapshot, account);
        let is_unasked = account.owes.is_empty();
        debug!(?judged, "the list shows something else than what is desired");
        match judged {
            Ok(differences) if is_said || is_unasked || !self.may_still_be_done(account) => {
                self.verified_but(account, remote, differences, None).await
            }
            Err(_)
                if account.desired.target() == Target::Absent
                    && is_gone(remote, standard)
                    && Self::owes_access(account) =>
            {
                self.unfinished(account, remote, standard, None, None).await
            }
            Err((kind, differences)) if is_said || is_unasked => Ok(Attempt::Drift(kind, differences, remote.cloned())),
            Ok(_) | Err(_) => Ok(Attempt::Wait(NEXT_LIST)),
        }
    }
}

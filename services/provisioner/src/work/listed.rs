//! Accounts of which a list is all that can be read: people change them, and the list proves it, or that they have not.

use std::sync::Arc;
use std::time::Duration;

use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::plan::is_gone;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::access::task::Attested;
use rollcall_domain::app::standard::Standard;
use rollcall_domain::directory;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::orphan_id;
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::kv::KvError;
use rollcall_domain::ledger;
use rollcall_scim::Changed;
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

impl Connector {
    /// Whether that an account is not on a list is no proof of its end: a list that lacks others who must be there may have been cut off, one
    /// that was said to be made, and that no list has ever shown, may have another name, and one under its name may still be theirs. Where
    /// names are all that there is, one of nobody that has come since theirs was read last may be theirs, called otherwise.
    pub fn needs_a_word(
        &self,
        snapshot: &Snapshot,
        account: &Account,
        wanted: &Wanted,
        remote: Option<&Remote>,
    ) -> Result<bool, WorkError> {
        if account.desired.target() != Target::Absent || remote.is_some() {
            return Ok(false);
        }
        let said = account.attested.as_ref();
        let is_unseen = account.remote_id.is_none() && said.is_some_and(Attested::says_there_was_one);
        if snapshot.missing > 0 || is_unseen {
            return Ok(true);
        }
        if !wanted.names_are_ids {
            return Ok(false);
        }
        let lives = |name: &String| {
            let named = snapshot.by_attribute("userName", name).unwrap_or_default();
            named.iter().any(|entry| entry.can_be_used())
        };
        Ok(wanted.user_names.iter().any(lives)
            || (account.remote_id.is_some() && self.may_be_called_otherwise(snapshot, account)?))
    }

    fn may_be_called_otherwise(&self, snapshot: &Snapshot, account: &Account) -> Result<bool, KvError> {
        let view = self.store.view();
        let Some(app) = directory::app(&view, &self.app)? else { return Ok(true) };
        for entry in snapshot.strangers() {
            let shown = entry.remote();
            if ledger::linked(&view, &self.app, &entry.id)?.is_some() || app.spec.protects(&shown) {
                continue;
            }
            let theirs = account.remote_id.as_deref().unwrap_or_default();
            if snapshot.was_beside(theirs, &entry.id) {
                continue;
            }
            // It was there, and was nobody's, when theirs was there, too.
            let nobody = orphan_id(&self.app, &entry.id);
            let since = ledger::drift_of(&view, &self.app, nobody)?.into_iter().map(|item| item.detected_at).min();
            if since.zip(account.verified_at).is_some_and(|(since, read_at)| since < read_at) {
                continue;
            }
            // Somebody who is to have one has its name: it is made for them.
            if let Some(named) = directory::identity_by_user_name(&view, shown.text("userName"))?
                && named.id != account.identity
                && ledger::account(&view, named.id, &self.app)?.is_some_and(|a| a.desired.target() == Target::Present)
            {
                continue;
            }
            return Ok(true);
        }
        Ok(false)
    }

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

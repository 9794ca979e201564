//! Looking once more at one account before something is said of it: a page may be older than what has been done since.

use crate::app_client::remote_group::Member;
use crate::comparison::Pass;
use crate::comparison::wanted_by;
use crate::search::look::{Answered, Search, read_by_id, search};
use crate::search::sampled::{is_no_id, is_of_one};
use crate::work::connector::Link;
use crate::work::error::WorkError;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::capability::Support;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::{DriftId, DriftItem};
use rollcall_domain::ids::IdentityId;
use rollcall_domain::ledger;
use tracing::warn;

/// What came of reading an account once more.
pub(super) enum Again {
    /// The account; `None`: it is not there.
    Found(Option<Remote>),
    /// It can't be read, and no page has shown it.
    Unread,
}

impl Pass<'_> {
    /// Reads an account once more by its id. One that the app lists and can't read is as its page has shown it: it keeps no other
    /// from being compared.
    pub(super) async fn read_again(&self, id: &str, shown: Option<&Remote>) -> Result<Again, WorkError> {
        let mut read = read_by_id(&self.link.client, id).await;
        // A failure may pass: what a page has shown a while ago is not said of somebody without need.
        if read.as_ref().is_err_and(is_of_one) {
            read = read_by_id(&self.link.client, id).await;
        }
        match read {
            Ok(found) => Ok(Again::Found(found)),
            Err(failure) if is_of_one(&failure) || is_no_id(&failure) => {
                let (app, detail) = (&self.connector.app, failure.rejection.detail);
                warn!(app = %app, id, detail, "an account that is listed can't be read");
                Ok(shown.map_or(Again::Unread, |shown| Again::Found(Some(shown.clone()))))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Reads one account once more, and says how it differs if it still does.
    pub(super) async fn look_again(
        &mut self,
        identity: IdentityId,
        remote_id: &str,
        shown: Option<&Remote>,
    ) -> Result<(), WorkError> {
        let Link { config, client, memberships, .. } = self.link;
        let Again::Found(mut remote) = self.read_again(remote_id, shown).await? else {
            self.found.extend(self.open.get(&identity).into_iter().flatten().map(|item| item.id.clone()));
            return Ok(());
        };
        if let Some(remote) = &mut remote {
            let managed = config.spec.managed_groups();
            // Of what can't be read nothing is said, and at the end that it can't.
            let seen = memberships.of(client, &self.can, &managed, Member::from(&*remote)).await?;
            remote.groups = seen.groups;
            self.unread.extend(seen.unread);
            // Since it was read the app may have become another one: nothing is concluded.
            let is_there = !memberships.lacks_any(&managed)
                || !matches!(self.read_again(remote_id, Some(remote)).await?, Again::Found(None));
            if !is_there {
                return Ok(());
            }
        }
        let Some(account) = ledger::account(&self.view, identity, &self.connector.app)? else { return Ok(()) };
        // A page shows an account that can be used, and its id none: who came back is not passed over because of that.
        if remote.is_none()
            && account.desired.target() == Target::Absent
            && let Some(shown) = shown.filter(|shown| shown.is_active())
            && self.is_listed(shown).await?
        {
            remote = Some(shown.clone());
        }
        if Self::is_worked_on(&account, remote.as_ref()) || self.is_older_than(&account) {
            return Ok(());
        }
        let (kind, differences) = match self.judge(&account, remote.as_ref(), remote_id) {
            // That nobody is shown there is why it was said.
            Ok(_) if self.residue_of(identity).is_some() && !self.unseen_groups(&account).is_empty() => {
                self.found.extend(self.residue_of(identity));
                return Ok(());
            }
            Ok(differences) if differences.is_empty() => return self.clear_all(identity).await,
            Ok(differences) if differences.iter().all(|change| change.path == "active") => {
                (DriftKind::Invited, differences)
            }
            Ok(differences) => (DriftKind::Attribute, differences),
            Err(found) => found,
        };
        self.report(identity, kind, wanted_by(&account), differences, remote.as_ref()).await
    }

    /// Whether an account that a page has shown, and its id does not, is found by its user name, and can be used.
    pub(super) async fn is_listed(&self, shown: &Remote) -> Result<bool, WorkError> {
        if self.can.filter == Support::No {
            return Ok(false);
        }
        let (client, controls) = (&self.link.client, &self.connector.controls);
        let app = Search { client, can: &self.can, max_scan: self.link.config.max_scan, controls };
        Ok(match search(&app, "userName", shown.text("userName")).await? {
            Answered::Complete(found) => found.iter().any(|remote| remote.id == shown.id && remote.is_active()),
            Answered::NotFound | Answered::Untrusted | Answered::Failed => false,
        })
    }

    /// Whether an account of nobody's, or someone's second one, is still that although no page has shown it: pages can pass one over, and
    /// what is owed for it would end.
    pub(super) async fn remains(&self, item: &DriftItem) -> Result<bool, WorkError> {
        let DriftId { app, identity, kind } = &item.id;
        let ids: Vec<&str> = match kind {
            DriftKind::Duplicate => item.duplicates().collect(),
            _ => vec![item.remote_id.as_str()],
        };
        let must_go =
            ledger::account(&self.view, *identity, app)?.is_some_and(|a| a.desired.target() == Target::Absent);
        let mut is_missing = false;
        for id in ids.into_iter().filter(|id| !id.is_empty()) {
            let remote = match read_by_id(&self.link.client, id).await {
                Ok(Some(remote)) => remote,
                Ok(None) => {
                    is_missing = true;
                    continue;
                }
                // Some apps call an id that they do not have no id of theirs.
                Err(failure) if is_no_id(&failure) => {
                    is_missing = true;
                    continue;
                }
                Err(failure) => {
                    warn!(app = %app, id, detail = failure.rejection.detail, "whether it is still there can't be told");
                    return Ok(true);
                }
            };
            if self.link.config.spec.protects(&remote) {
                continue;
            }
            let owner = self.owner(&remote)?.map(|account| account.identity);
            let is_first = self.seen.get(identity) == Some(&remote.id);
            let is_that = match kind {
                DriftKind::Duplicate => owner == Some(*identity) && (must_go || !is_first),
                _ => owner.is_none(),
            };
            if remote.is_active() && is_that {
                return Ok(true);
            }
        }
        Ok(is_missing && !self.shows_who_was_seen().await?)
    }

    /// Whether an account that a page has shown is found by its id: that another one is missing is not believed otherwise.
    pub(super) async fn shows_who_was_seen(&self) -> Result<bool, WorkError> {
        match self.seen.values().next() {
            Some(id) => Ok(read_by_id(&self.link.client, id).await?.is_some()),
            None => Ok(true),
        }
    }
}

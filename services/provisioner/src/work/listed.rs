//! Accounts of which a list is all that can be read: people change them, and the list proves it, or that they have not.

use std::sync::Arc;
use std::time::Duration;

use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::plan::is_gone;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::standard::Standard;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_scim::Changed;
use tracing::debug;

use crate::list::listed::ListedApp;
use crate::list::snapshot::Snapshot;
use crate::work::connector::Connector;
use crate::work::error::WorkError;
use crate::work::outcome::Attempt;

/// How soon an account is looked at again that waits for a newer list; a newer list brings all of them back at once.
pub const NEXT_LIST: Duration = Duration::from_secs(60);

/// Whether a list was taken after everything that is asked of an account, and said of it.
fn is_newer(snapshot: &Snapshot, account: &Account) -> bool {
    let asked = account.owes.iter().map(|owed| owed.opened_at).max();
    let said = account.attested.as_ref().filter(|said| said.version == account.desired_version).map(|said| said.at);
    asked.max(said).is_none_or(|since| snapshot.taken_at > since)
}

impl Connector {
    /// The newest list of the app; `None`: it is older than what it would have to show.
    pub async fn newer_list(&self, list: &ListedApp, account: &Account) -> Result<Option<Arc<Snapshot>>, WorkError> {
        Ok(Some(list.current().await?).filter(|snapshot| is_newer(snapshot, account)))
    }

    /// The list shows an account otherwise than desired: somebody has still to change it, or says that they have, and it is not so.
    pub async fn listed_otherwise(
        &self,
        account: &Account,
        remote: Option<&Remote>,
        standard: &Standard,
        judged: Result<Vec<Changed>, (DriftKind, Vec<Changed>)>,
    ) -> Result<Attempt, WorkError> {
        // It is asked for by nobody, or somebody says that it is done, or nobody will any more in time.
        let is_said = account.attested.as_ref().is_some_and(|said| said.version == account.desired_version);
        let is_unasked = account.owes.is_empty();
        debug!(?judged, "the list shows something else than what is desired");
        match judged {
            Ok(differences) if is_said || is_unasked || account.owes.iter().any(|owed| owed.overdue_at.is_some()) => {
                self.verified_but(account, remote, differences, None).await
            }
            Err(_)
                if account.desired.target() == Target::Absent
                    && is_gone(remote, standard)
                    && Self::owes_access(account) =>
            {
                self.unfinished(account, remote, standard, None).await
            }
            Err((kind, differences)) if is_said || is_unasked => Ok(Attempt::Drift(kind, differences, remote.cloned())),
            Ok(_) | Err(_) => Ok(Attempt::Wait(NEXT_LIST)),
        }
    }
}

//! Live accounts that belong to nobody.

use crate::comparison::Extent;
use crate::comparison::Pass;
use crate::comparison::look_again::Again;
use crate::error::ProvisionerError;
use crate::search::look::read_by_id;
use crate::work::error::WorkError;
use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::outcome::Adopted;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::orphan_id;
use rollcall_domain::drift::policy::Policy;
use rollcall_domain::ids::IdentityId;
use rollcall_domain::{Event, Sequence, directory, ledger};
use serde_json::Value;

impl Pass<'_> {
    /// A live account that belongs to nobody, if it still does.
    pub(super) async fn orphan(&mut self, remote: &Remote) -> Result<(), WorkError> {
        let now = match self.read_again(&remote.id, Some(remote)).await? {
            Again::Unread => return Ok(()),
            // A page shows one that can be used, and its id none.
            Again::Found(None) if self.is_listed(remote).await? => remote.clone(),
            Again::Found(now) => match now.filter(Remote::is_active) {
                Some(now) => now,
                None => return Ok(()),
            },
        };
        if self.owner(&now)?.is_some() {
            return Ok(());
        }
        if self.link.config.spec.drift.orphan == Policy::Adopt
            && let Some(identity) = self.adopter(&now)?
            && self.still_lacks_one(identity).await?
        {
            let adopted = Adopted { app: self.connector.app.clone(), identity, remote_id: now.id.clone() };
            self.connector.say(Event::AccountAdopted(adopted)).await?;
            return Ok(());
        }
        let nobody = orphan_id(&self.connector.app, &now.id);
        self.report(nobody, DriftKind::Orphan, (Sequence(0), Target::Absent), Vec::new(), Some(&now)).await
    }

    /// Whether someone must have an account and has none, by all that is known now: theirs may have been made since its page was read.
    pub(super) async fn still_lacks_one(&self, identity: IdentityId) -> Result<bool, WorkError> {
        let account = ledger::account(&self.connector.store.view(), identity, &self.connector.app)?;
        Ok(match account.filter(|account| account.desired.target() == Target::Present) {
            Some(Account { remote_id: Some(known), .. }) => read_by_id(&self.link.client, &known).await?.is_none(),
            Some(_) => true,
            None => false,
        })
    }

    /// Whose account it should be: of someone who has one of its addresses, must have an account, and has none.
    pub(super) fn adopter(&self, remote: &Remote) -> Result<Option<IdentityId>, ProvisionerError> {
        let emails = remote.resource.get("emails").and_then(Value::as_array);
        for email in emails.into_iter().flatten().filter_map(|e| e.get("value")?.as_str()) {
            let Some(identity) = directory::identity_by_user_name(&self.view, email)? else { continue };
            let account = ledger::account(&self.view, identity.id, &self.connector.app)?;
            let lacks = account.is_some_and(|a| a.desired.target() == Target::Present);
            // Of a part that was read before it is not known any more whom it showed.
            if lacks && self.extent == Extent::Whole && !self.seen.contains_key(&identity.id) {
                return Ok(Some(identity.id));
            }
        }
        Ok(None)
    }
}

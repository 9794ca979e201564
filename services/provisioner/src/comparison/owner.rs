//! Whose account an app's resource is.

use crate::comparison::Pass;
use crate::error::ProvisionerError;
use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::drift::orphan_id;
use rollcall_domain::ids::IdentityId;
use rollcall_domain::{directory, ledger};

impl Pass<'_> {
    /// The account that an app's resource is: whoever must have the one that we linked has it, whatever it says; else by its
    /// `externalId` or its user name someone who must have one, or had one; else whoever had it.
    pub(super) fn owner(&self, remote: &Remote) -> Result<Option<Account>, ProvisionerError> {
        let app = &self.connector.app;
        let holder = match ledger::linked(&self.view, app, &remote.id)? {
            Some(holder) => ledger::account(&self.view, holder, app)?,
            None => None,
        };
        let must_have = |account: &Account| account.desired.target() == Target::Present;
        if holder.as_ref().is_some_and(must_have) {
            return Ok(holder);
        }
        let said = self.said_owner(remote)?;
        let has_no_other = |said: &Account| said.remote_id.as_ref().is_none_or(|id| *id == remote.id);
        Ok(said.filter(|said| holder.is_none() || (must_have(said) && has_no_other(said))).or(holder))
    }

    /// The account that an app's resource says it is, by its `externalId`, else by its user name.
    pub(super) fn said_owner(&self, remote: &Remote) -> Result<Option<Account>, ProvisionerError> {
        let app = &self.connector.app;
        if let Ok(id) = remote.text("externalId").parse::<IdentityId>()
            && let Some(account) = ledger::account(&self.view, id, app)?
        {
            return Ok(Some(account));
        }
        let Some(named) = directory::identity_by_user_name(&self.view, remote.text("userName"))? else {
            return Ok(None);
        };
        // Of whoever had one it may be the one that they had, under another id, unless a person has accepted it as nobody's.
        let nobody = orphan_id(app, &remote.id);
        let is_accepted = ledger::drift_of(&self.view, app, nobody)?.iter().any(|item| item.accepted.is_some());
        let by_name = self.link.config.spec.adopts_by_name() && !is_accepted;
        let had_one = |a: &Account| a.remote_id.as_ref().is_some_and(|known| by_name || *known == remote.id);
        let account = ledger::account(&self.view, named.id, app)?;
        Ok(account.filter(|a| a.desired.target() == Target::Present || had_one(a)))
    }
}

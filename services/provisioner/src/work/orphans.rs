//! Accounts that stand for themselves: of nobody, or someone's second one. They are removed only while they are that.

use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::{DriftId, orphan_id};
use rollcall_domain::{IdentityId, ledger};

use crate::error::ProvisionerError;
use crate::search::control::{Unread, shows_what_is_known};
use crate::search::look::{Search, read_by_id};
use crate::work::connector::{Connector, Link};
use crate::work::error::WorkError;

impl Connector {
    /// Whether it is an account of nobody, or somebody's second one.
    pub fn stands_for_itself(&self, account: &Account) -> Result<bool, ProvisionerError> {
        let id = account.remote_id.as_deref().unwrap_or_default();
        Ok(account.identity == orphan_id(&account.app, id) || self.second_of(account)?.is_some())
    }

    /// Whose second account it is.
    pub fn second_of(&self, account: &Account) -> Result<Option<IdentityId>, ProvisionerError> {
        Ok(ledger::duplicate_of(&self.store.view(), &account.app, account.identity)?)
    }

    /// Whether a second account is the one that its owner has by now, who must have one: theirs is there no more. Of several that are left it
    /// is the first.
    pub async fn has_become_the_first(&self, account: &Account) -> Result<bool, WorkError> {
        let Some(owner) = self.second_of(account)? else { return Ok(false) };
        let first = ledger::account(&self.store.view(), owner, &account.app)?;
        let Some(first) = first.filter(|first| first.desired.target() == Target::Present) else { return Ok(false) };
        match first.remote_id {
            // An app that gives one account several ids shows no second one.
            Some(id) if Some(&id) != account.remote_id.as_ref() => {
                if self.lives_as(&id).await? || !self.is_first_of_the_left(account, owner).await? {
                    return Ok(false);
                }
                // That theirs is missing is believed of an app that shows the other, and whom else we know.
                let is_there = match &account.remote_id {
                    Some(id) => self.lives_as(id).await?,
                    None => false,
                };
                if is_there {
                    self.is_the_one_we_know().await?;
                }
                Ok(is_there)
            }
            _ => Ok(true),
        }
    }

    /// Fails where the app shows none of the accounts that we know.
    async fn is_the_one_we_know(&self) -> Result<(), WorkError> {
        let Some(Link { client, config, .. }) = &self.link else { return Ok(()) };
        let can = self.capabilities(config)?;
        let search = Search { client, can: &can, max_scan: config.max_scan, controls: &self.controls };
        shows_what_is_known(&search, &self.store.view(), &self.app, Unread::Failed).await
    }

    /// Whether no other second account of its owner's that comes before it lives.
    async fn is_first_of_the_left(&self, account: &Account, owner: IdentityId) -> Result<bool, WorkError> {
        let id = DriftId { app: account.app.clone(), identity: owner, kind: DriftKind::Duplicate };
        let items = ledger::drift_of(&self.store.view(), &account.app, owner)?;
        let Some(item) = items.into_iter().find(|item| item.id == id) else { return Ok(true) };
        let before = |other: &&str| account.remote_id.as_deref().is_some_and(|mine| *other < mine);
        for other in item.duplicates().filter(before) {
            if self.lives_as(other).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether an account lives that the app shows under exactly this id.
    async fn lives_as(&self, id: &str) -> Result<bool, WorkError> {
        Ok(self.live(id).await?.is_some_and(|remote| remote.id == id))
    }

    /// The account that the app shows for an id, when it is live.
    pub async fn live(&self, id: &str) -> Result<Option<Remote>, WorkError> {
        let Some(Link { client, .. }) = &self.link else { return Ok(None) };
        Ok(read_by_id(client, id).await?.filter(Remote::is_active))
    }
}

//! Comparing a whole app with what is desired: on schedule, and when someone asks. What differs is looked at once more
//! before it is said: a page that was read a moment ago may be older than what has been done since.

mod findings;
mod look_again;
mod orphan;
mod owner;
pub mod schedule;

use crate::app_client::client::{Endpoint, Failure};
use crate::app_client::memberships::All;
use crate::app_client::pages::Pages;
use crate::error::ProvisionerError;
use crate::list::snapshot::Snapshot;
use crate::search::locate::locate;
use crate::search::look::Search;
use crate::search::sampled::is_of_one;
use crate::search::wanted::Wanted;
use crate::work::connector::{Connector, Link};
use crate::work::error::WorkError;
use crate::work::step::left_out;
use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::plan::judge;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::standard::{Invitation, Standard};
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::reconciliation::{Progress, Reconciliation, ReconciliationEvent};
use rollcall_domain::drift::{DriftId, DriftItem, duplicate};
use rollcall_domain::ids::IdentityId;
use rollcall_domain::{Event, Sequence, ledger};
use rollcall_projection::View;
use rollcall_scim::Changed;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tracing::warn;

/// How many accounts are read between two words on how far it is.
const WORD_EVERY: u64 = 5000;

/// The change that says what an account must be, and whether it must be there.
const fn wanted_by(account: &Account) -> (Sequence, Target) {
    (account.desired_version, account.desired.target())
}

async fn say(connector: &Connector, event: ReconciliationEvent) -> Result<Sequence, ProvisionerError> {
    let event = Event::Reconciliation(Reconciliation { app: connector.app.clone(), event });
    connector.say(event).await
}

/// Whether an earlier process has read a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    /// What was read before is not known any more: nothing follows from what was not seen.
    Rest,
}

/// One comparison.
struct Pass<'a> {
    connector: &'a Connector,
    link: &'a Link,
    view: View,
    can: Capabilities,
    standard: Standard,
    /// The list that is compared, where the app itself can't be asked.
    list: Option<Arc<Snapshot>>,
    /// The managed groups of each account, by the app's id of it.
    groups: BTreeMap<String, BTreeSet<String>>,
    /// The same of those that had a name which another one has by now.
    left_over: BTreeMap<String, BTreeSet<String>>,
    /// The managed groups of which it can't be told who is in them.
    unread: BTreeMap<String, Failure>,
    /// The items that were open at the start.
    open: BTreeMap<IdentityId, Vec<DriftItem>>,
    pages: Pages,
    extent: Extent,
    progress: Progress,
    /// Who has which account.
    seen: BTreeMap<IdentityId, String>,
    /// Live accounts of someone whose account is another one.
    others: BTreeMap<IdentityId, Vec<Remote>>,
    /// Who must have none, and of whom one that is not live was seen: others of theirs may follow.
    /// With its id where a group may hide it, so that it is read once more.
    inactive: Vec<(IdentityId, Option<String>)>,
    /// The items that were found again.
    found: BTreeSet<DriftId>,
    orphans: Vec<Remote>,
}

/// The most live accounts of nobody that an app is believed to have; each is held until the last page.
const MOST_ORPHANS: usize = 200_000;

/// What is needed of an account of nobody.
fn slim(mut remote: Remote) -> Remote {
    remote.resource.retain(|name, _| matches!(name.as_str(), "id" | "userName" | "active" | "externalId" | "emails"));
    remote
}

impl<'a> Pass<'a> {
    async fn start(connector: &'a Connector, link: &'a Link) -> Result<Pass<'a>, WorkError> {
        let view = connector.store.view();
        let can = connector.capabilities(&link.config)?;
        let earlier = ledger::reconciled(&view, &connector.app)?.running.filter(|p| p.accounts > 0);
        say(connector, ReconciliationEvent::Started).await?;
        let list = match &link.list {
            Some(list) => Some(list.current().await?),
            None => None,
        };
        let managed = link.config.spec.managed_groups();
        let All { groups, left_over, unread } = link.memberships.all(&link.client, &can, &managed).await?;
        let mut open: BTreeMap<IdentityId, Vec<DriftItem>> = BTreeMap::new();
        for item in ledger::drift(&view, Some(&connector.app))? {
            open.entry(item.id.identity).or_default().push(item);
        }
        let mut pages = Pages::new(Endpoint::Users, &can);
        let (mut extent, mut progress) = (Extent::Whole, Progress::default());
        if let Some(earlier) = earlier.filter(|_| can.cursor != Support::Yes) {
            pages.skip(usize::try_from(earlier.accounts).unwrap_or_default());
            (extent, progress) = (Extent::Rest, earlier);
        }
        progress.groups = managed.len() as u64;
        let standard = Standard::of(&link.config.spec, &can);
        Ok(Self {
            connector,
            link,
            view,
            can,
            standard,
            list,
            groups,
            left_over,
            unread,
            open,
            pages,
            extent,
            progress,
            seen: BTreeMap::new(),
            others: BTreeMap::new(),
            inactive: Vec::new(),
            found: BTreeSet::new(),
            orphans: Vec::new(),
        })
    }

    /// Compares every account that the app shows.
    async fn accounts(&mut self) -> Result<(), WorkError> {
        let mut said = self.progress.accounts;
        while let Some(page) = self.pages.next(&self.link.client).await? {
            for mut remote in page.users()? {
                self.progress.accounts += 1;
                let by_name = self.groups.get(remote.text("userName")).cloned().unwrap_or_default();
                remote.groups = self.groups.get(&remote.id).cloned().unwrap_or(by_name);
                self.account(remote).await?;
            }
            if self.progress.accounts >= said + WORD_EVERY {
                said = self.progress.accounts;
                say(self.connector, ReconciliationEvent::Progressed { progress: self.progress }).await?;
            }
        }
        Ok(())
    }

    async fn account(&mut self, remote: Remote) -> Result<(), WorkError> {
        if self.link.config.spec.protects(&remote) {
            return Ok(());
        }
        let Some(account) = self.owner(&remote)? else {
            if remote.is_active() {
                self.orphans.push(slim(remote));
                if self.orphans.len() > MOST_ORPHANS {
                    let detail = format!(
                        "more than {MOST_ORPHANS} accounts that can be used are nobody's: that is not believed"
                    );
                    return Err(Failure::new(RejectionCause::NotScim, detail).into());
                }
            }
            return Ok(());
        };
        // Pages may show one twice, where somebody comes while they are read.
        if self.seen.get(&account.identity) == Some(&remote.id) {
            return Ok(());
        }
        // Another account than the one that is known: which of them counts shows when all are seen.
        let is_other = account.remote_id.as_ref().is_some_and(|known| *known != remote.id);
        if is_other || self.seen.contains_key(&account.identity) {
            let may_be_used = remote.is_active() || self.invitation_to(&account, &remote) == Invitation::Stands;
            if may_be_used {
                self.others.entry(account.identity).or_default().push(remote);
            }
            return Ok(());
        }
        self.compare(&account, remote).await
    }

    /// Compares the account that counts as someone's.
    async fn compare(&mut self, account: &Account, remote: Remote) -> Result<(), WorkError> {
        let identity = account.identity;
        self.seen.insert(identity, remote.id.clone());
        if Self::is_worked_on(account, Some(&remote)) || self.is_older_than(account) {
            return Ok(());
        }
        let judged = self.judge(account, Some(&remote), &remote.id);
        match judged {
            Ok(_) if account.desired.target() == Target::Absent => {
                let looked_at = self.may_hide(account).then(|| remote.id.clone());
                self.inactive.push((identity, looked_at));
                Ok(())
            }
            // Groups that don't show who is in them are asked about each.
            Ok(differences) if differences.is_empty() && !self.hides_members() => self.clear_all(identity).await,
            _ => self.look_again(identity, &remote.id, Some(&remote)).await,
        }
    }

    /// Whether what is compared was taken before the account was read last: it says nothing of it that is not known.
    fn is_older_than(&self, account: &Account) -> bool {
        let read_at = account.verified_at;
        self.list.as_ref().zip(read_at).is_some_and(|(list, read_at)| list.taken_at <= read_at)
    }

    /// How an account differs. In groups that can't be read it is taken to be as it should: nothing is said of these.
    fn judge(
        &self,
        account: &Account,
        remote: Option<&Remote>,
        remote_id: &str,
    ) -> Result<Vec<Changed>, (DriftKind, Vec<Changed>)> {
        let standard = self.standard_for(account, remote_id);
        let is_plain = self.unread.is_empty() && self.left_over.is_empty();
        let Some(remote) = remote.filter(|_| !is_plain) else {
            return judge(&account.desired, remote, &standard);
        };
        let mut remote = remote.clone();
        let desired: BTreeSet<&String> = account.desired.groups().into_iter().flatten().collect();
        // It may be named by its user name.
        let left_over = [&remote.id, remote.text("userName")].into_iter().filter_map(|name| self.left_over.get(name));
        let left_over: Vec<String> = left_over.flatten().filter(|group| !desired.contains(group)).cloned().collect();
        remote.groups.extend(left_over);
        remote.groups.retain(|group| !self.unread.contains_key(group));
        remote.groups.extend(desired.into_iter().filter(|group| self.unread.contains_key(*group)).cloned());
        judge(&account.desired, Some(&remote), &standard)
    }

    fn standard_for(&self, account: &Account, remote_id: &str) -> Standard {
        self.standard.clone().for_account(account, remote_id, &self.can)
    }

    fn invitation_to(&self, account: &Account, remote: &Remote) -> Invitation {
        Invitation::to(account, &remote.id, &self.can)
    }

    /// Whether an account may be in a group that does not show it: it was to be there, or is known to be.
    fn may_hide(&self, account: &Account) -> bool {
        self.residue_of(account.identity).is_some() || self.hides_members() || !self.unseen_groups(account).is_empty()
    }

    /// What is known to be left of somebody's account.
    fn residue_of(&self, identity: IdentityId) -> Option<DriftId> {
        let mut items = self.open.get(&identity).into_iter().flatten();
        items.find(|item| item.id.kind == DriftKind::Residue).map(|item| item.id.clone())
    }

    /// The managed groups that an account was to be in, is to be in no more, and never was shown in.
    fn unseen_groups(&self, account: &Account) -> BTreeSet<String> {
        let managed = self.link.config.spec.managed_groups();
        left_out(&managed, account).filter(|group| account.entered.contains(*group)).cloned().collect()
    }

    fn hides_members(&self) -> bool {
        self.progress.groups > 0 && self.link.client.experience.hides_members(&self.can)
    }

    /// Whether what differs is being worked on anyway; not that someone can sign in again with what was left.
    fn is_worked_on(account: &Account, remote: Option<&Remote>) -> bool {
        let comes_back = account.desired.target() == Target::Absent && remote.is_some_and(Remote::is_active);
        // One that is pending without owing anything, such as for a profile, may wait for ever.
        account.is_pending() && !account.owes.is_empty() && !(comes_back && account.owes_no_access())
    }

    /// What follows from the accounts that the app did not show, and from those that are nobody's.
    async fn finish(mut self) -> Result<Progress, WorkError> {
        for (identity, looked_at) in std::mem::take(&mut self.inactive) {
            match looked_at {
                _ if self.others.contains_key(&identity) => {}
                Some(remote_id) => self.look_again(identity, &remote_id, None).await?,
                None => self.clear_all(identity).await?,
            }
        }
        for (identity, others) in std::mem::take(&mut self.others) {
            self.others(identity, others).await?;
        }
        for identity in ledger::identities_at(&self.view, &self.connector.app)? {
            if !self.seen.contains_key(&identity) {
                self.unseen(identity).await?;
            }
        }
        self.orphans.sort_by(|a, b| a.id.cmp(&b.id));
        self.orphans.dedup_by(|a, b| a.id == b.id);
        for remote in std::mem::take(&mut self.orphans) {
            self.orphan(&remote).await?;
        }
        if self.extent == Extent::Whole {
            let alone = |kind| matches!(kind, DriftKind::Orphan | DriftKind::Duplicate);
            let is_later = |item: &&DriftItem| self.list.as_ref().is_none_or(|list| list.taken_at > item.detected_at);
            let is_found = |item: &&DriftItem| self.found.contains(&item.id);
            let open = self.open.values().flatten().filter(is_later);
            let not_shown: Vec<DriftItem> =
                open.filter(|item| alone(item.id.kind) && !is_found(item)).cloned().collect();
            for item in not_shown {
                if !self.remains(&item).await? {
                    self.clear(item.id).await?;
                }
            }
        }
        // Everything else is compared by now; what is not is said.
        if let Some(failure) = self.unread.into_values().next() {
            return Err(failure.into());
        }
        say(self.connector, ReconciliationEvent::Completed { progress: self.progress }).await?;
        Ok(self.progress)
    }

    /// Accounts of someone besides the one that is known, live or to be had by an invitation; the first live one counts when that
    /// one is not there, or when there must be none.
    async fn others(&mut self, identity: IdentityId, mut others: Vec<Remote>) -> Result<(), WorkError> {
        let Some(account) = ledger::account(&self.view, identity, &self.connector.app)? else { return Ok(()) };
        others.sort_by_key(|other| !other.is_active());
        if account.desired.target() == Target::Absent {
            return self.compare(&account, others.remove(0)).await;
        }
        others.retain(Remote::is_active);
        // The one that is known may have been on a page that was read before.
        if self.extent == Extent::Rest && !self.seen.contains_key(&identity) {
            return Ok(());
        }
        if !others.is_empty() && !self.seen.contains_key(&identity) {
            self.compare(&account, others.remove(0)).await?;
        }
        let (Some(first), Some(other)) = (self.seen.get(&identity), others.first()) else { return Ok(()) };
        let differences = others.iter().map(|other| duplicate(first, &other.id)).collect();
        self.report(identity, DriftKind::Duplicate, wanted_by(&account), differences, Some(other)).await
    }

    /// An account that the pages did not show is looked for by itself: pages can pass someone over.
    async fn unseen(&mut self, identity: IdentityId) -> Result<(), WorkError> {
        let Some(account) = ledger::account(&self.view, identity, &self.connector.app)? else { return Ok(()) };
        let must_be_there = account.desired.target() == Target::Present;
        let is_gone = !must_be_there && self.extent == Extent::Whole;
        if account.is_pending() || self.is_older_than(&account) || (is_gone && !self.open.contains_key(&identity)) {
            return Ok(());
        }
        let wanted =
            Wanted::of(&self.view, &self.link.config.spec, &account, identity, &self.can, (self.connector.clock)())?;
        let (client, controls) = (&self.link.client, &self.connector.controls);
        let search = Search { client, can: &self.can, max_scan: self.link.config.max_scan, controls };
        let located = match locate(&search, &self.view, &wanted).await {
            // One that can't be read keeps nobody else from being looked at: of that one nothing is concluded.
            Err(WorkError::App(failure)) if is_of_one(&failure) => {
                let detail = failure.rejection.detail;
                warn!(app = %self.connector.app, %identity, detail, "an account that is not listed can't be read");
                self.found.extend(self.open.get(&identity).into_iter().flatten().map(|item| item.id.clone()));
                return Ok(());
            }
            located => located?,
        };
        match located {
            Some(located) => self.look_again(identity, &located.remote.id, Some(&located.remote)).await,
            None if must_be_there => {
                self.report(identity, DriftKind::Missing, wanted_by(&account), Vec::new(), None).await
            }
            None => self.clear_all(identity).await,
        }
    }
}

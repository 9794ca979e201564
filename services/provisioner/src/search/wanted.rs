//! Whose account is looked for, and all that it may be found by.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use rollcall_domain::access::account::{Account, findable};
use rollcall_domain::access::desired::{Desired, Target};
use rollcall_domain::access::operation::Operation;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::AppSpec;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::mapping::managed_attributes;
use rollcall_domain::app::standard::Invitation;
use rollcall_domain::drift::may_be_orphan_id;
use rollcall_domain::identity::name::name_key;
use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{directory, ledger};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::search::controls::HOLDS_FOR;
use crate::search::recognition::is_recognized;

/// Whom to look for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The configured app. Its `capabilities` are the configured ones alone, without what was learned.
    pub spec: AppSpec,
    pub identity: IdentityId,
    pub target: Target,
    /// The app's id of the account, when it is known: where to look first. Set to the account that is found.
    pub remote_id: Option<String>,
    /// The app's id of the account that was known before the search began; it does not change. Of several accounts that are alike it is this one.
    pub linked: Option<String>,
    /// The user name that the account must have.
    pub user_name: Option<String>,
    /// Every user name the account may have.
    pub user_names: BTreeSet<String>,
    /// What was sent in creations whose outcome is not known.
    pub may_exist: BTreeSet<String>,
    /// The account in our books.
    pub account: Box<Account>,
    /// How many creations have no answer that is known.
    pub creations: u32,
    /// When the first of them was sent.
    pub may_exist_since: Option<Timestamp>,
    /// The app's ids of other accounts that were known as theirs, or were found to be: who must have none is not gone while one of them
    /// can be used, whatever name it has by now.
    pub others: BTreeSet<String>,
    /// What was seen of the account before.
    pub known: Known,
    /// The app's ids of this person's accounts that were active at some time. `None`: the app sends no invitations.
    pub used: Option<BTreeSet<String>>,
    /// When it was seen in the attempt that is made.
    pub seen_at: Option<Instant>,
    /// How far to look.
    pub reach: Reach,
    /// Whether another account has the user name.
    pub name: NameIs,
    /// Whether the app's ids are the user names: the account belongs to whoever has that name now.
    pub names_are_ids: bool,
    /// Whether somebody has attested that what is desired is done.
    pub is_said: bool,
}

impl Wanted {
    /// Collects every name and id by which the account of an identity may be found. `of` is whose account it is: for a second account, which
    /// stands for itself in our books, that is not `account.identity`.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn of(
        state: &impl Read,
        spec: &AppSpec,
        account: &Account,
        of: IdentityId,
        can: &Capabilities,
        now: Timestamp,
    ) -> Result<Self, KvError> {
        let identity = directory::identity(state, account.identity)?;
        let name_in = |attributes: &Map<String, Value>| attributes.get("userName")?.as_str().map(str::to_owned);
        let desired = account.desired.user_name().map(str::to_owned);
        let known = identity.as_ref().map(|i| i.user_name().to_owned());
        // The mapped name is looked for also when the account must go: an earlier creation may have used it.
        let mapped = match (&account.desired, &identity) {
            (Desired::Absent | Desired::Deleted | Desired::Off, Some(identity)) => {
                name_in(&managed_attributes(&spec.attributes, identity.id, &identity.resource))
            }
            _ => None,
        };
        let names = [known, account.observed.as_ref().and_then(name_in), mapped, desired.clone()];
        let former = account.former_names.iter().cloned();
        // The account of nobody has the name that it was found with, and a second one that by which it was found to be somebody's.
        let mut found_as = Vec::new();
        if identity.is_none() {
            for whose in BTreeSet::from([account.identity, of]) {
                let found = ledger::drift_of(state, &account.app, whose)?;
                found_as.extend(found.into_iter().map(|item| item.user_name));
            }
            if of != account.identity
                && let Some(owner) = directory::identity(state, of)?
            {
                found_as.push(owner.user_name().to_owned());
                found_as.extend(name_in(&managed_attributes(&spec.attributes, owner.id, &owner.resource)));
            }
        }
        let may_exist = account.may_exist.as_ref().map(|may| may.sent.clone()).unwrap_or_default();
        let others = match account.desired.target() {
            Target::Present => BTreeSet::new(),
            Target::Absent => ledger::other_ids(state, account)?,
        };
        let reach = if identity.is_none() && account.remote_id.is_some() { Reach::ById } else { Reach::Everywhere };
        Ok(Self {
            spec: spec.clone(),
            identity: of,
            target: account.desired.target(),
            remote_id: account.remote_id.clone(),
            linked: account.remote_id.clone(),
            user_name: desired,
            user_names: names
                .into_iter()
                .flatten()
                .chain(former)
                .chain(found_as)
                .filter(|name| !name.is_empty())
                .collect(),
            may_exist,
            account: Box::new(account.clone()),
            creations: account.may_exist.as_ref().map_or(0, |may| may.creations),
            others,
            may_exist_since: account.may_exist.as_ref().map(|may| may.since),
            known: Known::of(state, spec, account, can, now)?,
            used: (can.invites == Support::Yes).then(|| {
                let linked = account.remote_id.iter().filter(|_| account.accepted);
                let former = account.former_ids.iter().filter(|(_, used)| **used).map(|(id, _)| id);
                linked.chain(former).cloned().collect()
            }),
            seen_at: None,
            reach,
            name: NameIs::Free,
            names_are_ids: false,
            is_said: false,
        })
    }

    /// Whether an account is the one that is known as theirs, or says that it is.
    pub fn had(&self, remote: &Remote) -> bool {
        self.linked.as_ref() == Some(&remote.id) || remote.text("externalId") == self.identity.to_string()
    }

    /// Whether an account is recognized as theirs by what it shows, and not by its id alone.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn is_theirs(&self, state: &impl Read, remote: &Remote) -> Result<bool, KvError> {
        let says = remote.text("externalId") == self.identity.to_string();
        let made = self.may_have_made(remote) != Made::No;
        // The app has confirmed a creation, and the account was never read.
        let is_new = self.account.observed.is_none()
            && self.account.verified_version.is_none()
            && !may_be_orphan_id(self.account.identity);
        Ok(says || made || is_new || self.is_named(remote) || is_recognized(state, &self.account, remote)?)
    }

    /// It was seen as one that can be used.
    pub fn note_used(&mut self, remote: &Remote) {
        if let Some(used) = self.used.as_mut().filter(|_| remote.is_active()) {
            used.insert(remote.id.clone());
        }
    }

    /// Whether somebody may still accept an invitation to an account of theirs.
    pub fn invitation_to(&self, remote: &Remote) -> Invitation {
        let stands = !remote.is_active() && self.used.as_ref().is_some_and(|used| !used.contains(&remote.id));
        if stands { Invitation::Stands } else { Invitation::None }
    }

    /// Whether somebody can sign in with an account of theirs, or could by accepting an invitation.
    pub fn can_be_used(&self, remote: &Remote) -> bool {
        remote.is_active() || self.invitation_to(remote) == Invitation::Stands
    }

    /// Whether an account of theirs is known under this id of the app.
    pub fn is_known_as(&self, id: &str) -> bool {
        [&self.remote_id, &self.linked].into_iter().flatten().any(|known| known == id) || self.others.contains(id)
    }

    /// Whether an account has a user name of theirs.
    pub fn is_named(&self, remote: &Remote) -> bool {
        self.user_names.iter().any(|name| same(remote.text("userName"), name))
    }

    /// Whether an account has the user name that theirs must have.
    pub fn has_the_name(&self, remote: &Remote) -> bool {
        self.user_name.as_ref().is_none_or(|name| same(remote.text("userName"), name))
    }

    /// Whether this person must have no account, and one that nobody has seen may exist.
    pub fn is_unseen(&self) -> bool {
        let may_be_unseen = self.remote_id.is_none() || !self.may_exist.is_empty();
        self.target == Target::Absent && may_be_unseen
    }

    /// Whether an account may have been made in an app that makes user names of its own, under a name that nobody has seen.
    pub fn may_have_another_name(&self) -> bool {
        !self.may_exist.is_empty() && self.spec.capabilities.keeps.contains_key("userName")
    }

    /// Whether a creation without a known outcome may have made this account.
    pub fn may_have_made(&self, remote: &Remote) -> Made {
        let shown = findable(&remote.resource);
        let shows = |sent: &String| shown.iter().any(|shown| same(sent, shown));
        if !self.may_exist.iter().any(shows) {
            return Made::No;
        }
        // An e-mail address proves nothing: another account of the same person, such as one for administrators, may have it.
        let is_name = |sent: &&String| self.user_names.iter().any(|name| same(name, sent));
        let by_name = self.may_exist.iter().filter(is_name).any(shows);
        match self.made_since(remote) {
            Some(true) if by_name || self.may_have_another_name() => Made::Yes,
            None if by_name => Made::Yes,
            _ => Made::Perhaps,
        }
    }

    /// Whether an account was made since a creation was sent, by its own word; none: it does not say.
    fn made_since(&self, remote: &Remote) -> Option<bool> {
        let created = remote.resource.get("meta")?.get("created")?.as_str()?.parse::<Timestamp>().ok()?;
        let since = self.may_exist_since?.checked_sub(CLOCKS_DIFFER).ok()?;
        Some(created >= since)
    }
}

/// By how much the clock of an app may differ from ours.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3600);

/// Whether a creation without a known outcome has made an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It has the name that was sent.
    Yes,
    /// It has an address that was sent: a person has to say.
    Perhaps,
    /// Nothing that was sent is there.
    No,
}

/// What an app has said of the user name that an account must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameIs {
    /// As far as is known no other account has it.
    Free,
    /// It was refused to the account that is theirs: another one has it.
    Taken,
}

/// How far an account is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// By every way there is.
    Everywhere,
    /// The same, and every account is read: a filter does not find what is there.
    Whole,
    /// By its id alone: it belongs to nobody, and nothing else is known of it.
    ById,
}

/// Whether an app may take two values for one: as the directory compares names, whatever the case, width and composition.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a == b || name_key(a) == name_key(b)
}

/// What was seen of an account before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// No account is expected: none was ever read.
    Never,
    /// An account is expected: it was there when it was last read, or the app has confirmed it to one who must go.
    Seen,
    /// It was gone, or the app has removed it for us a moment ago, or a person has said since that what is missing is missing.
    Removed,
}

impl Known {
    /// What was seen of an account.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn of(
        state: &impl Read,
        spec: &AppSpec,
        account: &Account,
        can: &Capabilities,
        now: Timestamp,
    ) -> Result<Self, KvError> {
        let excused = ledger::synced(state, &account.app)?
            .is_some_and(|said| account.verified_version.is_none_or(|v| v < said.at));
        // That an app has confirmed it is no proof that it did it: only that it knew the account a moment ago.
        let recent = spec.capabilities.consistency_delay.unwrap_or_default().saturating_mul(2).max(HOLDS_FOR);
        let just_now = |at: Timestamp| Duration::try_from(now.duration_since(at)).is_ok_and(|ago| ago < recent);
        let is_invited =
            account.remote_id.as_deref().is_some_and(|id| Invitation::to(account, id, can) == Invitation::Stands);
        let removed = account.confirmed.iter().any(|c| c.operation == Operation::Delete && just_now(c.at));
        Ok(match (&account.observed, account.verified_version) {
            // What was sent may be there, and was seen by nobody.
            _ if account.remote_id.is_none() => Self::Never,
            _ if excused || removed => Self::Removed,
            (Some(observed), _) if observed.get("active") == Some(&Value::Bool(false)) && !is_invited => Self::Removed,
            (Some(_), _) => Self::Seen,
            (None, Some(_)) => Self::Removed,
            // That an app says it has made one is not enough to wait for it, and too much to call it gone.
            (None, None) if account.desired.target() == Target::Absent => Self::Seen,
            (None, None) => Self::Never,
        })
    }
}

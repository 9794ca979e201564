//! Accounts: what is desired, what was last observed, and what follows from the two.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::access::desired::{Desired, Presence, Queue, Target};
use crate::access::holding::Holdings;
use crate::access::obligation::Obligation;
use crate::access::rejection::Rejection;
use crate::access::task::{Attested, Weight};
use crate::app::conformance::Confirmed;
use crate::identity::lifecycle::{ChangeKind, Urgency};
use crate::ids::{AppId, IdentityId, Sequence, SourceName};
use crate::trace::TraceContext;

/// One identity's presence in one app, in a projection. Its key says where it is and whose: neither is stored again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// Where.
    #[serde(skip)]
    pub app: AppId,
    /// Whose.
    #[serde(skip)]
    pub identity: IdentityId,
    /// What it must be.
    pub desired: Desired,
    /// The change that says so.
    pub desired_version: Sequence,
    /// When that was: what was read before shows nothing of it.
    #[serde(with = "crate::stored::time")]
    pub desired_at: Timestamp,
    /// The event whose story it goes on with: [`causation_of`](crate::ledger::causation_of).
    pub story: Sequence,
    /// The system of record that it came from; none: the configuration.
    pub source: Option<SourceName>,
    /// The app's own id of the account, when it is known.
    pub remote_id: Option<String>,
    /// The last change that the app says it has applied.
    pub applied_version: Option<Sequence>,
    /// The last change that was read back.
    pub verified_version: Option<Sequence>,
    /// What was read back then.
    pub observed: Option<Map<String, Value>>,
    /// When that was.
    #[serde(with = "crate::stored::time_or_none")]
    pub verified_at: Option<Timestamp>,
    /// What somebody said last of it, where it was not read since.
    pub attested: Option<Attested>,
    /// The last failure since the last success.
    pub rejection: Option<Rejection>,
    /// The version of the app at which its repeated refusal was taken as final, until something changes.
    pub parked_at: Option<Sequence>,
    /// What the app confirmed and was not read back yet.
    pub confirmed: Vec<Confirmed>,
    /// The user names that were desired before: an account may have been left under each of them.
    pub former_names: BTreeSet<String>,
    /// The creations whose outcome is not known.
    pub may_exist: Option<MayExist>,
    /// Whether it was ever shown as one that can be used: until then an app that invites people waits for somebody to accept.
    pub accepted: bool,
    /// The app's ids of other accounts that were known as this one before, and whether they could be used.
    pub former_ids: BTreeMap<String, bool>,
    /// The groups that it was to be put into, and was not shown in since: whether it is in them is not known.
    pub entered: BTreeSet<String>,
    /// Whether a person has switched them off: then nothing that waits elsewhere keeps this waiting.
    pub urgency: Urgency,
    /// What is held with it, since when and why.
    pub holds: Holdings,
    /// The obligations that are open, oldest first: with the account, since they are changed with it.
    pub owes: Vec<Obligation>,
}

/// What stands for it that an account is as desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The app was read back and shows it.
    Read,
    /// Somebody says so, and the app can't be read.
    Word,
    /// Nothing.
    None,
}

/// Accounts that may have been made: a creation was sent, and its outcome is not known until the app was looked through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MayExist {
    /// The user names and e-mail addresses that were sent.
    pub sent: BTreeSet<String>,
    /// Since when.
    #[serde(with = "crate::stored::time")]
    pub since: Timestamp,
    /// How many creations have no answer that is known.
    pub creations: u32,
    /// Whether another one was answered since: the account that is known is that one's.
    pub is_another_known: bool,
}

impl MayExist {
    /// What is still not known once an account was read that is theirs. `None`: it is what the only one has made.
    #[must_use]
    pub fn but_for_what_was_read(self) -> Option<Self> {
        match (self.is_another_known, self.creations) {
            (true, _) => Some(self),
            (false, ..=1) => None,
            (false, creations) => Some(Self { creations: creations - 1, is_another_known: true, ..self }),
        }
    }

    /// What is still not known once the last of them was answered with an account. `None`: there was no other.
    #[must_use]
    pub fn but_for_the_last(self) -> Option<Self> {
        let creations = self.creations.saturating_sub(1);
        (creations > 0).then_some(Self { creations, is_another_known: true, ..self })
    }
}

/// The values by which an account that was sent can be found: its user name and its e-mail addresses.
#[must_use]
pub fn findable(resource: &Map<String, Value>) -> BTreeSet<String> {
    let name = resource.get("userName").and_then(Value::as_str);
    // What is mapped is one address, as a text.
    let emails = match resource.get("emails") {
        Some(Value::Array(all)) => all.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let emails = emails.iter().filter_map(|email| email.get("value").unwrap_or(email).as_str());
    let mapped =
        resource.iter().filter(|(path, _)| path.starts_with("emails[")).filter_map(|(_, value)| value.as_str());
    name.into_iter().chain(emails).chain(mapped).filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// What a change of what is desired belongs to: whatever follows from it carries this. It is the same for every app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Causation {
    /// The id of the change's event.
    pub caused_by: Uuid,
    /// The correlation id of the change.
    pub correlation_id: String,
    /// The trace of the change.
    pub trace: TraceContext,
}

impl Account {
    /// The managed groups that it was shown in when it was read back last.
    #[must_use]
    pub fn shown_groups(&self) -> BTreeSet<&str> {
        let shown = self.observed.as_ref().and_then(|observed| observed.get("groups")?.as_array());
        shown.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Whether the app's account of this id was ever known as theirs and could be used: nobody is invited to it any more.
    #[must_use]
    pub fn was_used(&self, remote_id: &str) -> bool {
        (self.accepted && self.remote_id.as_deref() == Some(remote_id)) || self.former_ids.get(remote_id) == Some(&true)
    }

    /// Whether nobody waits for it that someone can't sign in any more, or can: nothing is owed for it, such as where a person
    /// has asked to look again, or only that nothing is left of it.
    #[must_use]
    pub fn owes_no_access(&self) -> bool {
        self.owes.iter().all(|owed| owed.change == ChangeKind::Residue)
    }

    /// In which queue of its app it is while it is pending.
    #[must_use]
    pub const fn queue(&self) -> Queue {
        match (self.desired.target(), self.urgency) {
            (Target::Present, _) => Queue::Present,
            (Target::Absent, Urgency::Usual) => Queue::Absent,
            (Target::Absent, Urgency::Emergency) => Queue::Off,
        }
    }

    /// Whether the app still has to be changed or read, or somebody has to say that it is as desired.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.proof() == Proof::None
    }

    /// What stands for it that the account is as desired.
    #[must_use]
    pub fn proof(&self) -> Proof {
        let is_newest = |version: Option<Sequence>| version.is_some_and(|version| version >= self.desired_version);
        let is_word = self.word().is_some_and(|word| word.weight == Weight::Final);
        match (is_newest(self.verified_version), is_word) {
            (true, _) => Proof::Read,
            (false, true) => Proof::Word,
            (false, false) => Proof::None,
        }
    }

    /// Whether it has still to be removed.
    #[must_use]
    pub fn is_being_removed(&self) -> bool {
        self.desired.target() == Target::Absent && self.is_pending()
    }

    /// The change that took it away: it is that one, also when it has been asked for again since.
    #[must_use]
    pub fn removed_by(&self) -> Sequence {
        let removals = self.owes.iter().filter(|open| open.target == Target::Absent);
        removals.map(|open| open.id.opened_by).max().unwrap_or(self.desired_version)
    }

    /// What somebody says of it as it is desired now; `None`: nothing.
    #[must_use]
    pub fn word(&self) -> Option<&Attested> {
        self.attested.as_ref().filter(|word| word.version == self.desired_version)
    }

    /// The same, as far as it counts: no list has shown otherwise, and nobody has taken it back.
    #[must_use]
    pub fn standing_word(&self) -> Option<&Attested> {
        self.word().filter(|word| !word.refuted)
    }

    /// The event of the last word on it as it is desired now, whether or not it counts; 0: there is none.
    #[must_use]
    pub fn last_word(&self) -> Sequence {
        self.word().map_or(Sequence(0), |word| word.by)
    }

    /// What is said of it as it is desired now, to be changed.
    pub fn word_mut(&mut self) -> Option<&mut Attested> {
        self.attested.as_mut().filter(|word| word.version == self.desired_version)
    }

    /// What the app showed last; `None`: no account, or it was never read.
    #[must_use]
    pub fn shown(&self) -> Option<Presence> {
        let observed = self.observed.as_ref()?;
        let groups = observed.get("groups").and_then(Value::as_array).into_iter().flatten();
        let attributes = observed.iter().filter(|(path, _)| *path != "groups");
        Some(Presence {
            attributes: attributes.map(|(path, value)| (path.clone(), value.clone())).collect(),
            groups: groups.filter_map(|group| group.as_str().map(str::to_owned)).collect(),
        })
    }

    /// When the app confirmed the last change of what is desired now.
    #[must_use]
    pub fn confirmed_at(&self) -> Option<Timestamp> {
        self.confirmed.iter().filter(|c| c.version == self.desired_version).map(|c| c.at).max()
    }
}

//! Accounts: what is desired, what was last observed, and what follows from the two.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rollcall_scim::Changed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::app::Deprovision;
use crate::conformance::Confirmed;
use crate::drift::DriftKind;
use crate::event::TraceContext;
use crate::ids::{AppId, IdentityId, Sequence, SourceName};
use crate::lifecycle::ChangeKind;
use crate::mapping::{self, Attributes};
use crate::obligation::Obligation;

/// What an account must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Desired {
    /// There.
    Present(Presence),
    /// Gone, and in no managed group.
    Absent,
}

/// How a live account must be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Presence {
    /// What it shows.
    pub attributes: Attributes,
    /// The managed groups that it is in, as the app names them.
    pub groups: BTreeSet<String>,
}

/// Desired, without its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Target {
    Present,
    Absent,
}

impl From<Target> for u8 {
    fn from(target: Target) -> Self {
        target as Self
    }
}

impl Target {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Absent => "absent",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Present => Self::Absent,
            Self::Absent => Self::Present,
        }
    }
}

/// As it is stored: a presence, or none.
impl Serialize for Desired {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Present(presence) => serializer.serialize_some(presence),
            Self::Absent => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for Desired {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Absent, Self::Present))
    }
}

impl Desired {
    /// Whether there must be an account.
    #[must_use]
    pub const fn target(&self) -> Target {
        match self {
            Self::Present(_) => Target::Present,
            Self::Absent => Target::Absent,
        }
    }

    /// The user name that the account must have; `None`: there must be none, or the mapping gives no name.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        match self {
            Self::Present(presence) => presence.attributes.get("userName")?.as_str().filter(|name| !name.is_empty()),
            Self::Absent => None,
        }
    }
}

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
    /// The event whose story it goes on with: [`story_of`](crate::ledger::story_of).
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
    /// The obligations that are open, oldest first: with the account, since they are changed with it.
    pub owes: Vec<Obligation>,
}

/// Accounts that may have been made: a creation was sent, and its outcome is not known until the app was looked through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MayExist {
    /// The user names and e-mail addresses that were sent.
    pub sent: BTreeSet<String>,
    /// Since when.
    #[serde(with = "crate::stored::time")]
    pub since: Timestamp,
}

/// The values by which an account that was sent can be found: its user name and its e-mail addresses.
#[must_use]
pub fn findable(resource: &Map<String, Value>) -> BTreeSet<String> {
    let name = resource.get("userName").and_then(Value::as_str);
    let emails = resource.get("emails").and_then(Value::as_array).into_iter().flatten();
    let emails = emails.filter_map(|email| email.get("value").unwrap_or(email).as_str());
    let mapped =
        resource.iter().filter(|(path, _)| path.starts_with("emails[")).filter_map(|(_, value)| value.as_str());
    name.into_iter().chain(emails).chain(mapped).filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// What a change of what is desired belongs to: whatever follows from it carries this. It is the same for every app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    /// The id of the change's event.
    pub caused_by: Uuid,
    /// The correlation id of the change.
    pub correlation_id: String,
    /// The trace of the change.
    pub trace: TraceContext,
}

impl Account {
    /// Whether nobody waits for it that someone can't sign in any more, or can: nothing is owed for it, such as where a person
    /// has asked to look again, or only that nothing is left of it.
    #[must_use]
    pub fn owes_no_access(&self) -> bool {
        self.owes.iter().all(|owed| owed.change == ChangeKind::Residue)
    }

    /// Whether the app still has to be changed or read.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.verified_version.is_none_or(|verified| verified < self.desired_version)
    }

    /// When the app confirmed the last change of what is desired now.
    #[must_use]
    pub fn confirmed_at(&self) -> Option<Timestamp> {
        self.confirmed.iter().filter(|c| c.version == self.desired_version).map(|c| c.at).max()
    }
}

/// What was done to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Operation {
    Create,
    Update,
    Deactivate,
    Delete,
    /// Put into a group.
    Enter,
    /// Taken out of a group.
    Leave,
}

impl From<Operation> for u8 {
    fn from(operation: Operation) -> Self {
        operation as Self
    }
}

impl Operation {
    /// The word in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Deactivate => "deactivate",
            Self::Delete => "delete",
            Self::Enter => "enter",
            Self::Leave => "leave",
        }
    }

    /// Several of them, for people.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Create => "creates",
            Self::Update => "updates",
            Self::Deactivate => "deactivations",
            Self::Delete => "deletes",
            Self::Enter => "membership additions",
            Self::Leave => "membership removals",
        }
    }
}

/// Whether Rollcall created the account it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Origin {
    Ours,
    Adopted,
}

/// The app answered that it has done it; nothing is proved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Applied {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
    pub remote_id: Option<String>,
    pub operation: Operation,
    pub origin: Origin,
    /// The group, for a membership.
    pub group: Option<String>,
}

/// A creation is about to be sent, or it is known again what may exist.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Attempted {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
    /// The user names and e-mail addresses under which an account may exist from now on; none: no creation is unanswered.
    pub sent: BTreeSet<String>,
}

/// An account that belonged to nobody is taken as that of an identity which has none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Adopted {
    pub app: AppId,
    pub identity: IdentityId,
    pub remote_id: String,
}

/// The app was read back and shows what is desired.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Verified {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
    pub remote_id: Option<String>,
    pub target: Target,
    pub observed: Map<String, Value>,
    /// What is left of an account that is gone.
    pub left: Left,
}

/// Whether something is left of an account with which nobody can sign in any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Left {
    /// It is as desired.
    #[default]
    Nothing,
    /// It is in managed groups, or there and inactive where it is to be deleted, or that could not be seen.
    Something,
}

/// Why an app could not be brought to what is desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionCause {
    /// It answered that it won't.
    Refused,
    /// It gave no answer.
    Unreachable,
    /// The account belongs to someone else.
    Conflict,
    /// It asked for fewer requests.
    Throttled,
    /// Its answer is not SCIM, or can't be trusted to show what is there.
    NotScim,
    /// It is not in the configuration.
    NotConnected,
    /// Its mapping gives no account that the app could take.
    Unmappable,
    /// Everything that is known to be in it is missing at once.
    Vanished,
}

impl RejectionCause {
    /// The word in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Conflict => "conflict",
            Self::Throttled => "throttled",
            Self::NotScim => "not_scim",
            Self::NotConnected => "not_connected",
            Self::Unmappable => "unmappable",
            Self::Vanished => "vanished",
        }
    }
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Why.
    pub cause: RejectionCause,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The app's answer, cut short.
    pub detail: String,
}

impl Rejection {
    /// Whether this is the same failure as another: its wording does not count.
    #[must_use]
    pub fn repeats(&self, other: &Self) -> bool {
        self.cause == other.cause && self.status == other.status
    }
}

/// A failure of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Rejected {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
    pub rejection: Rejection,
    /// The version of the app at which it is not asked again until something changes; `None`: it is tried on.
    pub parked_at: Option<Sequence>,
}

/// An account as an app answered it.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// The app's own id.
    pub id: String,
    /// The resource.
    pub resource: Map<String, Value>,
    /// The managed groups that the app shows it in.
    pub groups: BTreeSet<String>,
}

impl Remote {
    /// Whether it can be used; an app that does not say so has a live account (RFC 7643 leaves `active` optional).
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.resource.get("active").and_then(Value::as_bool).unwrap_or(true)
    }

    /// A top-level text attribute; empty when it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.resource.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// What Rollcall manages of it, by path, and its groups: what "verified" stands on.
    #[must_use]
    pub fn managed(&self, desired: &Desired) -> Map<String, Value> {
        let always = ["userName", "externalId", "active"];
        let paths: BTreeSet<&str> = match desired {
            Desired::Present(presence) => presence.attributes.keys().map(String::as_str).chain(always).collect(),
            Desired::Absent => always.into(),
        };
        let shown = |path: &str| mapping::observed(&self.resource, path).map(|value| (path.to_owned(), value));
        let mut out: Map<String, Value> = paths.into_iter().filter_map(shown).collect();
        if !self.groups.is_empty() {
            out.insert("groups".into(), self.groups.iter().cloned().collect());
        }
        out
    }
}

/// What to ask of an app.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Create it with these attributes.
    Create(Attributes),
    /// Change these: desired before, observed after.
    Update(Vec<Changed>),
    /// Put it into a group.
    Enter(String),
    /// Take it out of a group.
    Leave(String),
    /// Set it inactive.
    Deactivate,
    /// Delete it.
    Delete,
}

impl Step {
    /// The word in events and answers.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Create(_) => Operation::Create,
            Self::Update(_) => Operation::Update,
            Self::Enter(_) => Operation::Enter,
            Self::Leave(_) => Operation::Leave,
            Self::Deactivate => Operation::Deactivate,
            Self::Delete => Operation::Delete,
        }
    }
}

/// What follows from desired and observed, in the order in which it is done: whoever leaves can't sign in any more before
/// anything else is done, and leaves the groups before the account is deleted.
#[must_use]
pub fn plan(desired: &Desired, observed: Option<&Remote>, deprovision: Deprovision) -> Vec<Step> {
    let nobody = BTreeSet::new();
    let in_groups = observed.map_or(&nobody, |remote| &remote.groups);
    let leave = |groups: &BTreeSet<String>| in_groups.difference(groups).cloned().map(Step::Leave).collect::<Vec<_>>();
    let mut steps = Vec::new();
    match (desired, observed) {
        (Desired::Present(presence), _) => {
            match observed.map(|remote| differences(&presence.attributes, remote)) {
                None => steps.push(Step::Create(presence.attributes.clone())),
                Some(changes) if changes.is_empty() => {}
                Some(changes) => steps.push(Step::Update(changes)),
            }
            steps.extend(leave(&presence.groups));
            steps.extend(presence.groups.difference(in_groups).cloned().map(Step::Enter));
        }
        (Desired::Absent, None) => {}
        (Desired::Absent, Some(remote)) => {
            if remote.is_active() && deprovision == Deprovision::Deactivate {
                steps.push(Step::Deactivate);
            }
            steps.extend(leave(&nobody));
            if deprovision == Deprovision::Delete {
                steps.push(Step::Delete);
            }
        }
    }
    steps
}

/// What a read-back proves, or how it differs.
///
/// # Errors
/// The kind of drift, and the differences: desired before, observed after.
pub fn judge(
    desired: &Desired,
    observed: Option<&Remote>,
    deprovision: Deprovision,
) -> Result<Target, (DriftKind, Vec<Changed>)> {
    let steps = plan(desired, observed, deprovision);
    if steps.is_empty() {
        return Ok(desired.target());
    }
    let mut kind = DriftKind::Membership;
    let mut changes = Vec::new();
    let group = |name: &str, before: Option<Value>, after: Option<Value>| Changed {
        path: format!("groups[display eq {}]", Value::from(name)),
        before,
        after,
    };
    let there = || Some(Value::Bool(true));
    for step in steps {
        match step {
            Step::Create(_) => kind = DriftKind::Missing,
            Step::Update(differences) => {
                // Many apps keep none: whose account it is we know by our own link.
                let not_kept = |c: &Changed| c.path == "externalId" && c.after.is_none();
                changes.extend(differences.into_iter().filter(|c| !not_kept(c)));
                if changes.is_empty() {
                    continue;
                }
                kind = DriftKind::Attribute;
            }
            Step::Enter(name) => changes.push(group(&name, there(), None)),
            Step::Leave(name) => changes.push(group(&name, None, there())),
            Step::Deactivate | Step::Delete => {
                let active = observed.is_some_and(Remote::is_active);
                let before = active.then_some(Value::Bool(false));
                changes.push(Changed { path: "active".into(), before, after: Some(active.into()) });
            }
        }
    }
    if desired.target() == Target::Absent {
        kind = if is_gone(observed) { DriftKind::Residue } else { DriftKind::Zombie };
    }
    if changes.is_empty() && kind == DriftKind::Membership {
        return Ok(desired.target());
    }
    Err((kind, changes))
}

/// Whether nobody can sign in with an account any more.
#[must_use]
pub fn is_gone(observed: Option<&Remote>) -> bool {
    observed.is_none_or(|remote| !remote.is_active())
}

/// How an account differs from the desired attributes; attributes that Rollcall does not manage don't count.
#[must_use]
pub fn differences(desired: &Attributes, remote: &Remote) -> Vec<Changed> {
    let mut out = Vec::new();
    for (path, want) in desired {
        let same = match path.as_str() {
            "active" => *want == Value::Bool(remote.is_active()),
            _ => mapping::shows(&remote.resource, path, want),
        };
        if !same {
            let before = Some(want.clone()).filter(|value| !value.is_null());
            out.push(Changed { path: path.clone(), before, after: mapping::observed(&remote.resource, path) });
        }
    }
    out
}

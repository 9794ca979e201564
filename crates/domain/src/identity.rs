//! Identities: what a source may do with them, decided from the last event of each.

pub mod authority;
pub mod content;
pub mod group;
pub mod lifecycle;
pub mod name;
pub mod ownership;
pub mod resource;
pub mod statement;
pub mod switch;

pub use statement::{effective_at, started, urgency};

use std::collections::BTreeMap;

use jiff::Timestamp;
use rollcall_scim::{Changed, changed_paths};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::identity::content::Content;
use crate::identity::lifecycle::{Active, Effect, IdentityChange, Lifecycle, Urgency, classify, next};
use crate::identity::name::NameSpace;
use crate::identity::ownership::Ownership;
use crate::identity::statement::{is_active, undated, unhurried, with_active};
use crate::ids::{IdentityId, Sequence, SourceName};
use crate::key_ref::KeyRef;

/// What kind of identity it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IdentityKind {
    /// A person.
    #[default]
    User,
    /// An AI agent.
    Agent,
    /// A service account.
    ServiceAccount,
}

impl IdentityKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::User, Self::Agent, Self::ServiceAccount];

    /// Whether it is one that somebody must answer for.
    #[must_use]
    pub const fn is_machine(self) -> bool {
        match self {
            Self::User => false,
            Self::Agent | Self::ServiceAccount => true,
        }
    }

    /// The name of its resource type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Agent => "Agent",
            Self::ServiceAccount => "ServiceAccount",
        }
    }
}

const ACTOR: &str = "identity:";

const LINK: &str = "link:";

/// How events name someone who acts and is an identity: by its id, so that nothing is left of whoever is erased.
#[must_use]
pub fn actor(id: IdentityId) -> String {
    format!("{ACTOR}{id}")
}

/// Whether events use a name for those who have none of their own: nobody else is called so.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let name = name::name_key(name);
    [ACTOR, LINK].iter().any(|reserved| name.starts_with(reserved))
}

/// How events name whoever acts by a link that was sent to an owner.
#[must_use]
pub fn linked(owner: &str) -> String {
    format!("{LINK}{owner}")
}

/// The identity that an actor is, where events name it as one.
#[must_use]
pub fn identity_of_actor(actor: &str) -> Option<IdentityId> {
    actor.strip_prefix(ACTOR)?.parse().ok()
}

/// One change of one identity, with its state after it.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentityChanged {
    /// Which.
    pub id: IdentityId,
    /// What kind of identity.
    pub kind: IdentityKind,
    /// What it means.
    pub change: IdentityChange,
    /// The lifecycle before; `None`: there was no such identity.
    pub before: Option<Lifecycle>,
    /// The lifecycle after.
    pub after: Lifecycle,
    /// The source removed the resource.
    pub deleted: bool,
    /// The SCIM resource after the change.
    pub resource: Map<String, Value>,
    /// What differs from before.
    pub changed: Vec<Changed>,
    /// When it takes effect; `None`: when it was received.
    pub effective_at: Option<Timestamp>,
    /// Which source set the attributes that have a rule.
    pub provenance: Provenance,
    /// Who answers for it, where it is a machine.
    pub ownership: Ownership,
}

/// What was said of an identity should take effect, and can't: it is not tried again until something else is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectFailed {
    /// Whose.
    pub id: IdentityId,
    /// The statement.
    pub version: Sequence,
    /// When it should have taken effect.
    pub effective_at: Timestamp,
    /// Why it can't.
    pub reason: String,
}

/// A unique name got or lost its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameChanged {
    /// Within what it is unique.
    pub space: NameSpace,
    /// The name as [`name_key`] gives it, or exactly where case counts.
    pub name: String,
    /// The owner's id.
    pub owner: Uuid,
}

/// The state of an identity in a projection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Which.
    pub id: IdentityId,
    /// What kind.
    #[serde(default)]
    pub kind: IdentityKind,
    /// Where it stands.
    pub lifecycle: Lifecycle,
    /// The source removed the resource.
    pub deleted: bool,
    /// The SCIM resource.
    pub resource: Map<String, Value>,
    /// The system of record that changed it last.
    pub source: Option<SourceName>,
    /// The one that created it.
    #[serde(default)]
    pub created_by: Option<SourceName>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// The event that changed it last.
    pub version: Sequence,
    /// Where the key is that seals what is personal about it.
    #[serde(default)]
    pub key: Option<KeyRef>,
    /// Whether what is personal about it is here.
    #[serde(default)]
    pub content: Content,
}

impl Identity {
    /// The name it signs in with.
    #[must_use]
    pub fn user_name(&self) -> &str {
        user_name(&self.resource)
    }

    /// Whether it is there and active: nobody else holds anything.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.lifecycle.has_access() && !self.deleted
    }
}

/// The name that an identity signs in with: the `userName` of a User, the `name` of an Agent; empty when it has none.
#[must_use]
pub fn user_name(resource: &Map<String, Value>) -> &str {
    let name = resource.get("userName").or_else(|| resource.get("name"));
    name.and_then(Value::as_str).unwrap_or_default()
}

/// When a statement takes effect: an emergency does not wait for a date that lies ahead.
fn taken_at(resource: &Map<String, Value>, now: Timestamp) -> Option<Timestamp> {
    let waits = is_active(resource) == Some(true) || urgency(resource) == Urgency::Usual;
    effective_at(resource).filter(|at| waits || *at <= now)
}

fn effect(resource: &Map<String, Value>, now: Timestamp) -> Effect {
    if taken_at(resource, now).is_some_and(|at| at > now) { Effect::Later } else { Effect::Now }
}

/// A resource without a date that was said of another statement: a date belongs to the statement about `active` that it came
/// with, so one that stays while `active` changes is used up.
fn with_own_date(last: &IdentityChanged, resource: Map<String, Value>) -> Map<String, Value> {
    let same_date = effective_at(&resource) == effective_at(&last.resource);
    let said_anew = is_active(&resource).is_some() && is_active(&resource) != is_active(&last.resource);
    let resource = if said_anew && same_date { undated(resource) } else { resource };
    // So does the urgency of a departure end with it.
    if said_anew && is_active(&resource) == Some(true) { unhurried(resource) } else { resource }
}

/// Who answers for an identity, and when it ends: of a machine what its resource says, of people nothing.
#[must_use]
pub fn ownership(kind: IdentityKind, resource: &Map<String, Value>) -> Ownership {
    if kind.is_machine() { Ownership::stated(resource) } else { Ownership::default() }
}

/// A new identity; one whose source does not say is active.
#[must_use]
pub fn create(id: IdentityId, kind: IdentityKind, resource: Map<String, Value>, now: Timestamp) -> IdentityChanged {
    let ended = ownership(kind, &resource).has_ended(now);
    let active = is_active(&resource).unwrap_or(true) && !ended;
    let (resource, active) = with_active(resource, active);
    let after = next(None, active, effect(&resource, now));
    IdentityChanged {
        id,
        kind,
        change: classify(None, after),
        before: None,
        after,
        deleted: false,
        changed: changed_paths(&Map::new(), &resource),
        effective_at: effective_at(&resource),
        ownership: ownership(kind, &resource),
        resource,
        provenance: Provenance::new(),
    }
}

/// The change to a new version of the resource; `None` when nothing differs.
///
/// Where `active` was removed the identity stays what it was: only a word on it makes a joiner or a leaver. A leave that was
/// said before stands all the same, and takes effect at its date.
#[must_use]
pub fn update(last: &IdentityChanged, resource: Map<String, Value>, now: Timestamp) -> Option<IdentityChanged> {
    let mut resource = with_own_date(last, resource);
    let ownership = ownership(last.kind, &resource);
    // Whoever goes on saying so, or says its end anew, does not begin it again by that.
    if ownership.has_ended(now) {
        resource = with_active(resource, false).0;
    }
    let changed = changed_paths(&last.resource, &resource);
    (!changed.is_empty()).then(|| next_of(last, resource, changed, ownership, now))
}

/// The same statement by a source whose word counts from now on; `None`: it counted before.
#[must_use]
pub fn restated(last: &IdentityChanged, provenance: &Provenance, now: Timestamp) -> Option<IdentityChanged> {
    let ownership = ownership(last.kind, &last.resource);
    (last.provenance != *provenance).then(|| next_of(last, last.resource.clone(), Vec::new(), ownership, now))
}

fn next_of(
    last: &IdentityChanged,
    resource: Map<String, Value>,
    changed: Vec<Changed>,
    ownership: Ownership,
    now: Timestamp,
) -> IdentityChanged {
    let effect = effect(&resource, now);
    let after = match is_active(&resource) {
        Some(true) => next(Some(last.after), Active::Yes, effect),
        Some(false) => next(Some(last.after), Active::No, effect),
        None if last.after == Lifecycle::Leaving => next(Some(last.after), Active::No, effect),
        None => last.after,
    };
    IdentityChanged {
        change: classify(Some(last.after), after),
        before: Some(last.after),
        after,
        effective_at: taken_at(&resource, now),
        ownership,
        resource,
        changed,
        ..last.clone()
    }
}

/// What was said before takes effect now; `None` when nothing does.
#[must_use]
pub fn take_effect(last: &IdentityChanged, now: Timestamp) -> Option<IdentityChanged> {
    if last.deleted {
        return None;
    }
    if let Some(end) = last.ownership.ends_at.filter(|end| *end <= now) {
        let after = next(Some(last.after), Active::No, Effect::Now);
        let (resource, _) = with_active(last.resource.clone(), false);
        let changed = changed_paths(&last.resource, &resource);
        return (after != last.after).then(|| IdentityChanged { resource, changed, ..at_its_time(last, after, end) });
    }
    let at = effective_at(&last.resource).filter(|at| *at <= now)?;
    let active = match is_active(&last.resource) {
        Some(true) => Active::Yes,
        Some(false) => Active::No,
        // The word was removed, and the leave that it said was not cancelled by that.
        None if last.after == Lifecycle::Leaving => Active::No,
        None => return None,
    };
    let after = next(Some(last.after), active, Effect::Now);
    (after != last.after).then(|| at_its_time(last, after, at))
}

/// What was said before has made a lifecycle of an identity at a time.
fn at_its_time(last: &IdentityChanged, after: Lifecycle, at: Timestamp) -> IdentityChanged {
    IdentityChanged {
        change: classify(Some(last.after), after),
        before: Some(last.after),
        after,
        effective_at: Some(at),
        changed: Vec::new(),
        ..last.clone()
    }
}

impl IdentityChanged {
    /// Whether it gives access to whoever had none.
    #[must_use]
    pub fn begins(&self) -> bool {
        self.after.has_access() && !self.before.is_some_and(Lifecycle::has_access)
    }
}

/// The same change of a machine for which nobody answers: it does not begin by it. One that has access keeps it: who answers for it then
/// is owed.
#[must_use]
pub fn without_owner(changed: IdentityChanged) -> IdentityChanged {
    if !changed.kind.is_machine() || !changed.begins() {
        return changed;
    }
    let after = changed.before.unwrap_or(Lifecycle::Staged);
    IdentityChanged { change: classify(changed.before, after), after, ..changed }
}

/// When an identity next becomes something else by what was said of it before: `said` is the date of that. A machine also ends, and one
/// that has ended does not begin by an older statement.
#[must_use]
pub fn takes_effect_at(changed: &IdentityChanged, said: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    if changed.deleted {
        return None;
    }
    let has_ended = changed.ownership.has_ended(now);
    let said = said.filter(|_| !has_ended && is_scheduled(changed.after, &changed.resource));
    let end = changed.ownership.ends_at.filter(|_| changed.after.has_access());
    [said, end].into_iter().flatten().min()
}

/// Whether something that was said before has yet to take effect.
#[must_use]
pub fn is_scheduled(lifecycle: Lifecycle, resource: &Map<String, Value>) -> bool {
    match lifecycle {
        Lifecycle::Leaving => true,
        Lifecycle::Staged | Lifecycle::Left => is_active(resource) == Some(true),
        Lifecycle::Active => false,
    }
}

/// The removal of the resource; one that was active leaves by it, at once.
#[must_use]
pub fn delete(last: &IdentityChanged) -> IdentityChanged {
    let (resource, _) = with_active(last.resource.clone(), false);
    let (change, after) = if last.after.has_access() {
        (IdentityChange::Left, Lifecycle::Left)
    } else {
        (IdentityChange::Deleted, last.after)
    };
    IdentityChanged {
        change,
        before: Some(last.after),
        after,
        deleted: true,
        changed: changed_paths(&last.resource, &resource),
        resource,
        effective_at: None,
        ..last.clone()
    }
}

/// Which source set the present value of each attribute that has a rule, by the attribute's path.
pub type Provenance = BTreeMap<String, SourceName>;

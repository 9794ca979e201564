//! What a source says of whether somebody is active, and from when on: what it says outright, and what it is silent about.

use jiff::Timestamp;
use rollcall_scim::LIFECYCLE;
use serde_json::{Map, Value};

use crate::identity::lifecycle::{Active, Urgency};

pub(crate) fn is_active(resource: &Map<String, Value>) -> Option<bool> {
    resource.get("active").and_then(Value::as_bool)
}

pub(crate) fn with_active(mut resource: Map<String, Value>, active: bool) -> (Map<String, Value>, Active) {
    resource.insert("active".into(), active.into());
    (resource, if active { Active::Yes } else { Active::No })
}

/// A new resource as it is meant: one whose source does not say is active.
#[must_use]
pub fn started(resource: Map<String, Value>) -> Map<String, Value> {
    let active = is_active(&resource).unwrap_or(true);
    with_active(resource, active).0
}

/// When a resource's `active` takes effect; `None`: at once.
#[must_use]
pub fn effective_at(resource: &Map<String, Value>) -> Option<Timestamp> {
    resource.get(LIFECYCLE.id)?.get("effectiveAt")?.as_str()?.parse().ok()
}

/// Whether a resource's departure is urgent.
#[must_use]
pub fn urgency(resource: &Map<String, Value>) -> Urgency {
    let urgent = resource.get(LIFECYCLE.id).and_then(|l| l.get("emergency")).and_then(Value::as_bool);
    if urgent == Some(true) { Urgency::Emergency } else { Urgency::Usual }
}

/// Whether a source says something outright, be it what is known already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Word {
    Said,
    Silent,
}

impl Word {
    fn on_active(resource: &Map<String, Value>) -> Self {
        is_active(resource).map_or(Self::Silent, |_| Self::Said)
    }
}

/// A whole new resource as it is meant.
///
/// One without `active` keeps the state it had, so that an incomplete PUT never rehires a leaver, and the date of that state.
#[must_use]
pub fn completed(before: &Map<String, Value>, mut resource: Map<String, Value>) -> Map<String, Value> {
    if let Some(active) = is_active(&resource) {
        return with_active(resource, active).0;
    }
    if let Some(Value::Object(said)) = before.get(LIFECYCLE.id) {
        let kept = resource.entry(LIFECYCLE.id).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(kept) = kept {
            for (name, value) in said {
                kept.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        name_extension(&mut resource, LIFECYCLE.id);
    }
    // Where the word on it was removed none is put there: whoever leaves at a time leaves all the same.
    match is_active(before) {
        Some(active) => with_active(resource, active).0,
        None => resource,
    }
}

/// An extension that a resource has is named in its `schemas`.
fn name_extension(resource: &mut Map<String, Value>, urn: &str) {
    if let Some(Value::Array(schemas)) = resource.get_mut("schemas")
        && !schemas.iter().any(|schema| schema == urn)
    {
        schemas.push(urn.into());
    }
}

/// What a source says of whether somebody is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Says {
    /// Whether it says so outright.
    pub active: Word,
    /// What becomes of a date that was said before, and lies ahead.
    pub date: OldDate,
}

/// What becomes of the date of an earlier statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldDate {
    /// It stands, or another one was said.
    Stands,
    /// A date belongs to the statement that it came with: who says again whether somebody is active, and not when, says that it is so now.
    UsedUp,
}

impl Says {
    /// What `outright` says, which has nothing but what is said, of somebody of whom `before` was known.
    #[must_use]
    pub fn of(outright: &Map<String, Value>, before: &Map<String, Value>, now: Timestamp) -> Self {
        let active = Word::on_active(outright);
        let is_ahead = effective_at(before).is_some_and(|at| at > now);
        let is_used_up = active == Word::Said && effective_at(outright).is_none() && is_ahead;
        Self { active, date: if is_used_up { OldDate::UsedUp } else { OldDate::Stands } }
    }

    /// What a whole resource says.
    #[must_use]
    pub fn whole(resource: &Map<String, Value>) -> Self {
        Self { active: Word::on_active(resource), date: OldDate::Stands }
    }
}

/// A resource that says neither whether somebody is active nor when that takes effect.
#[must_use]
pub fn silent(mut resource: Map<String, Value>) -> Map<String, Value> {
    resource.remove("active");
    undated(resource)
}

/// A resource that does not say that somebody leaves in an emergency.
pub(crate) fn unhurried(resource: Map<String, Value>) -> Map<String, Value> {
    without(resource, "emergency")
}

/// A resource without an attribute of the Lifecycle extension.
fn without(mut resource: Map<String, Value>, attribute: &str) -> Map<String, Value> {
    if let Some(lifecycle) = resource.get_mut(LIFECYCLE.id).and_then(Value::as_object_mut) {
        lifecycle.remove(attribute);
        if lifecycle.is_empty() {
            resource.remove(LIFECYCLE.id);
        }
    }
    resource
}

/// A resource that does not say when it takes effect that somebody is active, or is not.
#[must_use]
pub fn undated(resource: Map<String, Value>) -> Map<String, Value> {
    without(resource, "effectiveAt")
}

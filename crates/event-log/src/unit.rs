//! Events that are appended together or not at all.

use std::collections::BTreeMap;

use rollcall_domain::{NewEvent, Sequence};

use crate::subject::Subject;

/// What the appender believes to be the last event of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The last event has this sequence; 0: the subject has no event.
    Last(Sequence),
    /// It does not matter.
    Any,
}

/// Events that are appended together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Unit {
    pub(crate) events: Vec<(NewEvent, Expect)>,
    /// A condition of an event on another subject, by the place of the event in the unit.
    pub(crate) conditions: BTreeMap<usize, (Subject, Sequence)>,
}

impl Unit {
    /// A unit of one event.
    #[must_use]
    pub fn one(event: NewEvent, expect: Expect) -> Self {
        Self { events: vec![(event, expect)], conditions: BTreeMap::new() }
    }

    /// Adds an event. Only the first of each subject can expect anything.
    pub fn push(&mut self, event: NewEvent, expect: Expect) {
        self.events.push((event, expect));
    }

    /// Adds an event that is appended only while the last event of another subject is still this one; 0: there is none.
    pub fn push_while(&mut self, event: NewEvent, subject: Subject, last: Sequence) {
        self.conditions.insert(self.events.len(), (subject, last));
        self.events.push((event, Expect::Any));
    }

    /// The condition of an event on another subject, by the place of the event in the unit.
    #[must_use]
    pub fn condition(&self, place: usize) -> Option<&(Subject, Sequence)> {
        self.conditions.get(&place)
    }

    /// Its events, each with what it expects of its subject.
    #[must_use]
    pub fn events(&self) -> &[(NewEvent, Expect)] {
        &self.events
    }

    /// How many events it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// Where a unit ended up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The position of its last event.
    pub last: Sequence,
}

//! Events that are appended together or not at all.

use rollcall_domain::{NewEvent, Sequence};

/// What the appender believes to be the last event of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// This one; 0: there is none.
    Last(Sequence),
    /// It does not matter.
    Any,
}

/// Events that are appended together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Unit {
    pub(crate) events: Vec<(NewEvent, Expect)>,
}

impl Unit {
    /// A unit of one event.
    #[must_use]
    pub fn one(event: NewEvent, expect: Expect) -> Self {
        Self { events: vec![(event, expect)] }
    }

    /// Adds an event. Only the first of each subject can expect anything.
    pub fn push(&mut self, event: NewEvent, expect: Expect) {
        self.events.push((event, expect));
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

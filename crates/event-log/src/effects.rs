//! What the effects of a service need of the world around them: the log and the time. Services have the real ones; a
//! simulation stands in for both.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use rollcall_domain::{Recorded, Sequence};

use crate::answer::Answer;
use crate::log::EventLog;
use crate::subject::{NameHash, Subject};
use crate::unit::{Appended, Unit};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A log to append to.
pub trait Log: fmt::Debug + Send + Sync {
    /// Appends a unit, all of it or nothing; see [`EventLog::append`].
    fn append<'a>(&'a self, unit: &'a Unit) -> Answer<'a, Appended>;

    /// The last event of a subject; see [`EventLog::last`].
    fn last<'a>(&'a self, subject: &'a Subject) -> Answer<'a, Option<Recorded>>;

    /// The event at a position; see [`EventLog::event`].
    fn event(&self, at: Sequence) -> Answer<'_, Option<Recorded>>;

    /// How names are hashed in subjects.
    fn names(&self) -> &NameHash;

    /// The position of the last event; see [`EventLog::head`].
    fn head(&self) -> Answer<'_, Sequence>;
}

impl Log for EventLog {
    fn append<'a>(&'a self, unit: &'a Unit) -> Answer<'a, Appended> {
        Box::pin(self.append(unit))
    }

    fn last<'a>(&'a self, subject: &'a Subject) -> Answer<'a, Option<Recorded>> {
        Box::pin(self.last(subject))
    }

    fn event(&self, at: Sequence) -> Answer<'_, Option<Recorded>> {
        Box::pin(self.event(at))
    }

    fn names(&self) -> &NameHash {
        self.names()
    }

    fn head(&self) -> Answer<'_, Sequence> {
        Box::pin(self.head())
    }
}

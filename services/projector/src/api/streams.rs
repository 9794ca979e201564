//! How many answers without an end there are: of each kind, and of each person.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What is streamed. One kind takes no place from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamKind {
    /// Pages of the console that follow the log.
    Page,
    /// Timelines that follow the log.
    Timeline,
    /// Exports.
    Export,
}

/// Those that are open, and the most.
#[derive(Debug)]
pub struct Streams {
    max: usize,
    max_per_person: usize,
    open: Mutex<HashMap<StreamKind, HashMap<String, usize>>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct StreamPlace {
    streams: Arc<Streams>,
    kind: StreamKind,
    person: String,
}

impl Streams {
    /// None yet; so many of each kind, and of each kind so many of one person.
    pub fn new(max: usize, max_per_person: usize) -> Arc<Self> {
        Arc::new(Self { max, max_per_person, open: Mutex::default() })
    }

    /// A place for one more; `None`: there is none.
    pub fn take(self: &Arc<Self>, kind: StreamKind, person: &str) -> Option<StreamPlace> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let people = open.entry(kind).or_default();
        let theirs = people.get(person).copied().unwrap_or_default();
        if people.values().sum::<usize>() >= self.max || theirs >= self.max_per_person {
            return None;
        }
        people.insert(person.to_owned(), theirs + 1);
        Some(StreamPlace { streams: Arc::clone(self), kind, person: person.to_owned() })
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(people) = open.get_mut(&self.kind) else { return };
        if let Some(theirs) = people.get_mut(&self.person) {
            *theirs -= 1;
            if *theirs == 0 {
                people.remove(&self.person);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_the_places_of_others_or_of_another_kind() {
        let streams = Streams::new(3, 2);
        let take = |kind, person| streams.take(kind, person);
        let (first, second) = (take(StreamKind::Page, "vic"), take(StreamKind::Page, "vic"));
        assert!(first.is_some() && second.is_some());
        assert!(take(StreamKind::Page, "vic").is_none(), "two of one person");
        let third = take(StreamKind::Page, "ola");
        assert!(third.is_some() && take(StreamKind::Page, "ada").is_none(), "three in all");
        assert!(take(StreamKind::Export, "vic").is_some(), "another kind");
        drop(first);
        assert!(take(StreamKind::Page, "vic").is_some());
    }
}

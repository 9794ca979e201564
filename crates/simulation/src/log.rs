//! A log in memory that keeps the promises of JetStream, and no others: an append may be slow, may be refused because
//! someone was faster, and may be made without its appender hearing of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::{Event, IdentityId, Recorded, Sequence};
use rollcall_event_log::{
    Answer, Appended, Clock, Expect, Log, LogError, NameHash, Subject, Unit, closed, decode, encode, subject_of,
};
use tokio::sync::watch;
use uuid::Uuid;

use crate::chance::Chance;
use crate::laws::Laws;
use crate::weather::Weather;

/// How long the stream knows an event id (its duplicate window).
const KNOWN_FOR: SignedDuration = SignedDuration::from_secs(120);

#[derive(Debug, Default)]
struct Stream {
    events: Vec<Recorded>,
    last: BTreeMap<String, Sequence>,
    ids: BTreeMap<Uuid, (Timestamp, Sequence)>,
}

/// The log.
pub struct SimLog {
    chance: Chance,
    clock: Clock,
    weather: Weather,
    stream: Mutex<Stream>,
    head: watch::Sender<Sequence>,
    laws: Arc<Laws>,
}

impl fmt::Debug for SimLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimLog at {}", *self.head.borrow())
    }
}

impl SimLog {
    /// An empty one, whose every event is held against the laws.
    pub fn new(chance: Chance, clock: Clock, weather: Weather, laws: Arc<Laws>) -> Self {
        let (stream, head) = (Mutex::default(), watch::Sender::new(Sequence(0)));
        Self { chance, clock, weather, stream, head, laws }
    }

    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of every new event.
    pub fn watch(&self) -> watch::Receiver<Sequence> {
        self.head.subscribe()
    }

    /// Up to so many events after a position.
    pub fn read(&self, after: Sequence, limit: usize) -> Vec<Recorded> {
        let start = usize::try_from(after.0).unwrap_or(usize::MAX);
        self.stream().events.iter().skip(start).take(limit).cloned().collect()
    }

    /// Whoever was erased, and the accounts of theirs that stood for themselves.
    pub fn erased(&self) -> Vec<IdentityId> {
        let everybody = |event: &Recorded| match &event.event {
            Event::IdentityErased(erased) => erased.everybody().collect(),
            _ => Vec::new(),
        };
        self.stream().events.iter().flat_map(everybody).collect()
    }

    async fn send(&self, unit: &Unit) -> Result<Appended, LogError> {
        tokio::time::sleep(self.chance.millis(0..15)).await;
        let unanswered = || LogError::Unacknowledged("the answer is lost".into());
        if self.weather.is_rough() && self.chance.percent(1) {
            return Err(unanswered());
        }
        let last = self.commit(unit)?;
        self.head.send_modify(|head| *head = last.max(*head));
        if self.weather.is_rough() && self.chance.percent(2) {
            return Err(unanswered());
        }
        tokio::time::sleep(self.chance.millis(0..15)).await;
        Ok(Appended { last })
    }

    fn commit(&self, unit: &Unit) -> Result<Sequence, LogError> {
        let now = (self.clock)();
        let mut stream = self.stream();
        stream.ids.retain(|_, (at, _)| now.duration_since(*at) < KNOWN_FOR);
        let known = unit.events().last().and_then(|(event, _)| stream.ids.get(&event.meta.event_id));
        if let Some((_, sequence)) = known {
            return Ok(*sequence);
        }
        for (place, (event, expect)) in unit.events().iter().enumerate() {
            let (subject, expect) = match unit.condition(place) {
                Some((subject, last)) => (subject.clone(), Expect::Last(*last)),
                None => (subject_of(&NameHash::Plain, &event.event, &event.meta), *expect),
            };
            let last = stream.last.get(subject.as_str()).copied().unwrap_or(Sequence(0));
            if let Expect::Last(expected) = expect
                && expected != last
            {
                return Err(LogError::Conflict { subject: subject.to_string(), expected });
            }
        }
        let mut last = Sequence(0);
        for (event, _) in unit.events() {
            let subject = subject_of(&NameHash::Plain, &event.event, &event.meta);
            let (_, payload) = encode(event).ok_or_else(|| LogError::Refused("an unknown event".into()))?;
            last = Sequence(stream.events.len() as u64 + 1);
            // As it is stored and read again, not as it was meant.
            let recorded = decode(last, now, subject.as_str(), &payload);
            self.laws.saw(&recorded);
            if let Event::IdentityErased(erased) = &recorded.event {
                let erased = Arc::new(erased.clone());
                let theirs = |event: &Recorded| erased.everybody().any(|id| event.event.person() == Some(id));
                let theirs = stream.events.iter_mut().filter(|event| theirs(event));
                theirs.for_each(|event| *event = closed(event, &erased));
            }
            stream.last.insert(subject.to_string(), last);
            stream.ids.insert(event.meta.event_id, (now, last));
            stream.events.push(recorded);
        }
        Ok(last)
    }
}

impl Log for SimLog {
    fn append<'a>(&'a self, unit: &'a Unit) -> Answer<'a, Appended> {
        Box::pin(self.send(unit))
    }

    fn last<'a>(&'a self, subject: &'a Subject) -> Answer<'a, Option<Recorded>> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let stream = self.stream();
            let at = stream.last.get(subject.as_str()).and_then(|s| usize::try_from(s.0).ok()?.checked_sub(1));
            Ok(at.and_then(|at| stream.events.get(at)).cloned())
        })
    }

    fn event(&self, at: Sequence) -> Answer<'_, Option<Recorded>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let at = usize::try_from(at.0).ok().and_then(|at| at.checked_sub(1));
            Ok(at.and_then(|at| self.stream().events.get(at).cloned()))
        })
    }

    fn names(&self) -> &NameHash {
        &NameHash::Plain
    }

    fn head(&self) -> Answer<'_, Sequence> {
        Box::pin(async { Ok(*self.head.borrow()) })
    }
}

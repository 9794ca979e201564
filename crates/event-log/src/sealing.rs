//! What is personal is sealed on its way to the log, and opened on its way back.

use std::cell::Cell;
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use rollcall_domain::{Event, KeyRef, NewEvent, Recorded, Sequence};
use rollcall_privacy::EventKey;
use rollcall_proto::EventType;

use crate::decode::{decode_with, sealed_with};
use crate::encode::{encode, encode_sealed, is_personal};
use crate::error::LogError;
use crate::key_ring::{KeyOf, KeyRing};
use crate::subject::{NameHash, Subject};

static PLAIN: NameHash = NameHash::Plain;

/// How what is personal is kept; by default it is readable.
#[derive(Debug, Clone, Default)]
pub struct Sealing {
    ring: Option<Arc<KeyRing>>,
    /// Whoever closes their state must not be kept from it.
    known: Option<Weak<dyn KeyOf>>,
}

impl Sealing {
    /// With the keys of an installation.
    pub const fn with(ring: Arc<KeyRing>) -> Self {
        Self { ring: Some(ring), known: None }
    }

    /// The same, asking someone who knows which key each person has.
    pub fn knowing(mut self, known: Weak<dyn KeyOf>) -> Self {
        self.known = Some(known);
        self
    }

    /// The keys; `None`: nothing is sealed.
    pub const fn ring(&self) -> Option<&Arc<KeyRing>> {
        self.ring.as_ref()
    }

    /// How names are hashed.
    pub fn names(&self) -> &NameHash {
        self.ring.as_ref().map_or(&PLAIN, |ring| ring.names())
    }

    /// An event as it is stored, and its type; `None` for an unknown one.
    ///
    /// # Errors
    /// When its key can't be had.
    pub async fn write(&self, event: &NewEvent, subject: &Subject) -> Result<Option<(EventType, Vec<u8>)>, LogError> {
        let Some(ring) = self.ring.as_ref().filter(|_| is_personal(&event.event)) else {
            return Ok(encode(event));
        };
        let key = match event.event.person() {
            Some(person) => {
                let known = self.known.as_ref().and_then(|known| known.upgrade()?.key_of(person));
                ring.key_of(person, known).await?
            }
            // What somebody wanted of someone who is not there: a key that seals nothing else.
            None if matches!(event.event, Event::ChangeRefused(_)) => ring.new_key().await?,
            None => return Ok(encode(event)),
        };
        Ok(encode_sealed(event, subject, (key.0, &key.1))?)
    }

    /// The key of a stored event, which opens nothing else; `None`: nothing of it is sealed, or its key is not there.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn event_key(&self, stored: &[u8]) -> Result<Option<EventKey>, LogError> {
        let (Some(ring), Some((at, event))) = (&self.ring, sealed_with(stored)) else { return Ok(None) };
        Ok(ring.key(at).await?.map(|key| key.of_event(event)))
    }

    /// A stored event, opened where its key is there.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn read(
        &self,
        sequence: Sequence,
        at: Timestamp,
        subject: &str,
        stored: &[u8],
    ) -> Result<Recorded, LogError> {
        loop {
            let missing: Cell<Option<KeyRef>> = Cell::new(None);
            let recorded = decode_with(sequence, at, subject, stored, &|at, event| {
                let ring = self.ring.as_ref()?;
                match ring.known(at) {
                    Some(key) => key.map(|key| key.of_event(event)),
                    None => {
                        missing.set(Some(at));
                        None
                    }
                }
            });
            let Some(ring) = &self.ring else { return Ok(recorded) };
            if let Event::IdentityErased(erased) = &recorded.event {
                erased.keys.iter().for_each(|key| ring.forget(*key));
            }
            let Some(at) = missing.into_inner() else { return Ok(recorded) };
            // A page that is not there will not be there the next time: what it has sealed stays closed.
            if ring.key(at).await?.is_none() {
                return Ok(recorded);
            }
        }
    }
}

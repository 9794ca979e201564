//! That somebody was erased later, which is why their events don't open.

use std::collections::HashMap;
use std::sync::Arc;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::stream::Stream;
use futures_util::StreamExt as _;
use rollcall_domain::drift::may_be_orphan_id;
use rollcall_domain::governance::erasure::Erased;
use rollcall_domain::{Event, IdentityId, Sequence};

use crate::append::{event_at, last_event};
use crate::error::LogError;
use crate::sealing::Sealing;
use crate::subject::Subject;

/// Erasures that were looked for. It is asked once for each: who is erased while the log is followed was so before their key was
/// destroyed.
#[derive(Debug, Default)]
pub struct Erasures {
    known: HashMap<IdentityId, Option<Arc<Erased>>>,
    /// Up to where the log was looked through for those who stood for accounts of somebody's.
    looked_to: Sequence,
}

impl Erasures {
    /// The erasure of a person, or of whose account this one stood for.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn of(
        &mut self,
        stream: &Stream,
        sealing: &Sealing,
        person: IdentityId,
    ) -> Result<Option<Arc<Erased>>, LogError> {
        if let Some(found) = self.known.get(&person) {
            return Ok(found.clone());
        }
        let last = last_event(stream, &Subject::erased(person), sealing).await?;
        let mut found = last.and_then(|recorded| match recorded.event {
            Event::IdentityErased(erased) => Some(Arc::new(erased)),
            _ => None,
        });
        if found.is_none() && may_be_orphan_id(person) {
            self.look_through(stream, sealing).await?;
            found = self.known.get(&person).cloned().flatten();
        }
        self.known.insert(person, found.clone());
        Ok(found)
    }

    /// Reads the erasures that were not read yet.
    async fn look_through(&mut self, stream: &Stream, sealing: &Sealing) -> Result<(), LogError> {
        let failed = |e: &dyn std::fmt::Display| LogError::Stream(format!("reading the erasures: {e}"));
        let config = OrderedConfig {
            filter_subject: Subject::every_erasure().to_string(),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.looked_to.0 + 1 },
            headers_only: true,
            ..OrderedConfig::default()
        };
        let mut consumer = stream.create_consumer(config).await.map_err(|e| failed(&e))?;
        if consumer.info().await.map_err(|e| failed(&e))?.num_pending == 0 {
            return Ok(());
        }
        let mut messages = consumer.messages().await.map_err(|e| failed(&e))?;
        while let Some(message) = messages.next().await {
            let message = message.map_err(|e| failed(&e))?;
            let info = message.info().map_err(|e| failed(&e))?;
            let (at, pending) = (Sequence(info.stream_sequence), info.pending);
            if let Some(Event::IdentityErased(erased)) = event_at(stream, at, sealing).await?.map(|found| found.event) {
                let erased = Arc::new(erased);
                for id in erased.everybody() {
                    self.known.insert(id, Some(Arc::clone(&erased)));
                }
            }
            self.looked_to = at;
            if pending == 0 {
                break;
            }
        }
        Ok(())
    }
}

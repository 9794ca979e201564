//! Leases: who of several processes does a piece of work. They live beside the log, not on it: nobody asks later who
//! held one.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::kv::{Config, Operation, Store};
use async_nats::jetstream::stream::StorageType;
use futures_util::TryStreamExt as _;

use crate::error::LogError;

const BUCKET: &str = "ROLLCALL_LEASES";

/// How long a lease holds after it was taken or renewed.
pub const TERM: Duration = Duration::from_secs(6);

/// The leases of one holder.
#[derive(Debug, Clone)]
pub struct Leases {
    store: Store,
    holder: String,
}

/// Who has a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// This holder, for another [`TERM`].
    Ours,
    /// Someone else.
    Theirs,
}

fn failed(e: &impl ToString) -> LogError {
    LogError::Stream(format!("leases: {}", e.to_string()))
}

impl Leases {
    pub(crate) async fn open(client: async_nats::Client, replicas: usize, holder: &str) -> Result<Self, LogError> {
        let config = Config {
            bucket: BUCKET.into(),
            description: "Rollcall: who does what".into(),
            history: 1,
            max_age: TERM,
            storage: StorageType::Memory,
            num_replicas: replicas,
            ..Config::default()
        };
        let context = jetstream::new(client);
        let store = match context.get_key_value(BUCKET).await {
            Ok(store) => store,
            Err(_) => context.create_key_value(config).await.map_err(|e| failed(&e))?,
        };
        Ok(Self { store, holder: holder.to_owned() })
    }

    /// Takes a lease that nobody has, or renews one's own.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn hold(&self, name: &str) -> Result<Held, LogError> {
        let value = || bytes::Bytes::from(self.holder.clone());
        let entry = self.store.entry(name).await.map_err(|e| failed(&e))?;
        // Whoever is faster has it: the revision that was read must still be the last one.
        let taken = match entry {
            Some(entry) if entry.operation == Operation::Put && entry.value != self.holder.as_bytes() => false,
            Some(entry) => self.store.update(name, value(), entry.revision).await.is_ok(),
            None => self.store.create(name, value()).await.is_ok(),
        };
        Ok(if taken { Held::Ours } else { Held::Theirs })
    }

    /// Gives up one's own lease; one that is gone already does not matter.
    pub async fn release(&self, name: &str) {
        if let Ok(Some(entry)) = self.store.entry(name).await
            && entry.value == self.holder.as_bytes()
        {
            let _ = self.store.delete_expect_revision(name, Some(entry.revision)).await;
        }
    }

    /// The names of the leases that someone has.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn held(&self) -> Result<Vec<String>, LogError> {
        let keys = self.store.keys().await.map_err(|e| failed(&e))?;
        keys.try_collect().await.map_err(|e| failed(&e))
    }
}

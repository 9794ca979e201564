//! Leases: who of several processes does a piece of work. They live beside the log, not on it: nobody asks later who
//! held one.

use std::time::Duration;

use async_nats::jetstream::kv::{Config, Operation, Store};
use async_nats::jetstream::stream::StorageType;
use async_nats::jetstream::{self, Context};
use futures_util::TryStreamExt as _;

use crate::error::LogError;

const BUCKET: &str = "ROLLCALL_LEASES";

/// How long a lease holds after it was taken or renewed, as the server sees it.
pub const TERM: Duration = Duration::from_secs(6);

/// The leases of one holder.
#[derive(Debug, Clone)]
pub struct Leases {
    context: Context,
    replicas: usize,
    store: Store,
    /// When the bucket was made, in nanoseconds, which tells it from another one of its name.
    made: i128,
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

/// The bucket, and when it was made, in nanoseconds.
async fn bucket(context: &Context, replicas: usize) -> Result<(Store, i128), LogError> {
    let config = Config {
        bucket: BUCKET.into(),
        description: "Rollcall: who does what".into(),
        history: 1,
        max_age: TERM,
        storage: StorageType::Memory,
        num_replicas: replicas,
        ..Config::default()
    };
    let store = match context.get_key_value(BUCKET).await {
        Ok(store) => store,
        Err(_) => context.create_key_value(config).await.map_err(|e| failed(&e))?,
    };
    // What the client knows of a bucket is from when it was opened.
    let made = store.status().await.map_err(|e| failed(&e))?.info.created.unix_timestamp_nanos();
    Ok((store, made))
}

fn failed(e: &impl ToString) -> LogError {
    LogError::Stream(format!("leases: {}", e.to_string()))
}

impl Leases {
    pub(crate) async fn open(client: async_nats::Client, replicas: usize, holder: &str) -> Result<Self, LogError> {
        let context = jetstream::new(client);
        let (store, made) = bucket(&context, replicas).await?;
        Ok(Self { context, replicas, store, made, holder: holder.to_owned() })
    }

    /// Makes sure that there is a bucket. Leases are kept in memory, so that a server that was started again has none;
    /// true: the bucket is another one than at the last look, and who had what is not known to it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn begin_anew(&mut self) -> Result<bool, LogError> {
        let (store, made) = bucket(&self.context, self.replicas).await?;
        self.store = store;
        Ok(std::mem::replace(&mut self.made, made) != made)
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

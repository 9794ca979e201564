//! Leases: who of several processes does a piece of work. They live beside the log, not on it: nobody asks later who
//! held one.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::kv::{Config, Operation, Store};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::StorageType;
use async_nats::jetstream::{self, Context, ErrorCode};
use serde::Deserialize;
use serde_json::json;

use crate::error::LogError;

const BUCKET: &str = "ROLLCALL_LEASES";

/// How long a lease holds after it was taken or renewed, as the server sees it.
pub const TERM: Duration = Duration::from_secs(6);

/// How often leases are renewed, and others looked for: two turns may fail before one's own runs out.
pub const TURN: Duration = Duration::from_secs(2);

/// The leases of one holder.
#[derive(Debug)]
pub struct Leases {
    context: Context,
    replicas: usize,
    store: Store,
    /// When the bucket was made, which tells it from another one of its name.
    made: String,
    holder: String,
    /// What we have written last for each lease that we have.
    revisions: HashMap<String, u64>,
}

/// Who has a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// This holder, for another [`TERM`].
    Ours,
    /// Someone else.
    Theirs,
}

/// Whether the leases are those that they were at the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    /// They are.
    Kept,
    /// Who had what is not known any more: leases are kept in memory, and a server that was started again has none.
    Lost,
}

/// The leases at one moment.
#[derive(Debug)]
pub struct Look {
    /// Whether they are those of the last look.
    pub memory: Remembered,
    /// The names of those that someone has.
    pub held: Vec<String>,
}

/// As the server tells of a bucket's stream, with the subjects in it.
#[derive(Debug, Deserialize)]
struct Bucket {
    created: String,
    state: State,
}

#[derive(Debug, Deserialize)]
struct State {
    #[serde(default)]
    subjects: HashMap<String, u64>,
}

/// The bucket with the keys in it, in one request; none: there is no bucket.
async fn bucket(context: &Context) -> Result<Option<Bucket>, LogError> {
    let subject = format!("STREAM.INFO.KV_{BUCKET}");
    let response = context.request(subject, &json!({ "subjects_filter": format!("$KV.{BUCKET}.>") })).await;
    match response.map_err(|e| failed(&e))? {
        Response::Ok(bucket) => Ok(Some(bucket)),
        Response::Err { error } if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
        Response::Err { error } => Err(failed(&error)),
    }
}

/// The same, made when there is none.
async fn bucket_or_new(context: &Context, replicas: usize) -> Result<Bucket, LogError> {
    if let Some(bucket) = bucket(context).await? {
        return Ok(bucket);
    }
    let config = Config {
        bucket: BUCKET.into(),
        description: "Rollcall: who does what".into(),
        history: 1,
        max_age: TERM,
        storage: StorageType::Memory,
        num_replicas: replicas,
        ..Config::default()
    };
    context.create_key_value(config).await.map_err(|e| failed(&e))?;
    bucket(context).await?.ok_or_else(|| failed(&"they were lost when they were made"))
}

fn failed(e: &impl ToString) -> LogError {
    LogError::Stream(format!("leases: {}", e.to_string()))
}

impl Leases {
    pub(crate) async fn open(client: async_nats::Client, replicas: usize, holder: &str) -> Result<Self, LogError> {
        let context = jetstream::new(client);
        let made = bucket_or_new(&context, replicas).await?.created;
        let store = context.get_key_value(BUCKET).await.map_err(|e| failed(&e))?;
        Ok(Self { context, replicas, store, made, holder: holder.to_owned(), revisions: HashMap::new() })
    }

    /// Looks at the leases, and makes sure that there is a bucket for them.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn look(&mut self) -> Result<Look, LogError> {
        let bucket = bucket_or_new(&self.context, self.replicas).await?;
        let memory = if bucket.created == self.made { Remembered::Kept } else { Remembered::Lost };
        if memory == Remembered::Lost {
            self.revisions.clear();
        }
        self.made = bucket.created;
        let prefix = &self.store.prefix;
        let held = bucket.state.subjects.keys().filter_map(|subject| subject.strip_prefix(prefix)).map(str::to_owned);
        Ok(Look { memory, held: held.collect() })
    }

    /// Takes a lease that nobody has, or renews one's own.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn hold(&mut self, name: &str) -> Result<Held, LogError> {
        // What we have written last must still be the last.
        let renewed = match self.revisions.remove(name) {
            Some(revision) => self.store.update(name, self.value(), revision).await.ok(),
            None => None,
        };
        let taken = match renewed {
            Some(revision) => Some(revision),
            None => self.take(name).await?,
        };
        let Some(revision) = taken else { return Ok(Held::Theirs) };
        self.revisions.insert(name.to_owned(), revision);
        Ok(Held::Ours)
    }

    /// Takes a lease as it is found, unless someone else has it. Whoever is faster has it: the revision that was read must
    /// still be the last one.
    async fn take(&self, name: &str) -> Result<Option<u64>, LogError> {
        let found = self.store.entry(name).await.map_err(|e| failed(&e))?;
        Ok(match found {
            Some(entry) if entry.operation == Operation::Put && entry.value != self.holder.as_bytes() => None,
            Some(entry) => self.store.update(name, self.value(), entry.revision).await.ok(),
            None => self.store.create(name, self.value()).await.ok(),
        })
    }

    fn value(&self) -> bytes::Bytes {
        bytes::Bytes::from(self.holder.clone())
    }

    /// Gives up one's own lease; one that is gone already does not matter.
    pub async fn release(&mut self, name: &str) {
        let revision = match self.revisions.remove(name) {
            Some(revision) => Some(revision),
            None => match self.store.entry(name).await {
                Ok(Some(entry)) if entry.value == self.holder.as_bytes() => Some(entry.revision),
                _ => None,
            },
        };
        // Nothing is left of it, not even the mark of a deletion: a look would take that for a lease. What someone else has
        // written since comes after the revision, and stays.
        if let Some(revision) = revision {
            let subject = format!("{}{name}", self.store.prefix);
            let _ = self.store.stream.purge().filter(subject).sequence(revision + 1).await;
        }
    }
}

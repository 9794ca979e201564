//! The bucket beside the log in which wrapped keys are kept. It can be read as a key-value bucket; it is written as a stream, since
//! what is replaced has to be overwritten on disk, which the key-value API does not offer.

use std::time::Duration;

use async_nats::header::{HeaderMap, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{
    Config, DirectGetErrorKind, DiscardPolicy, LastRawMessageErrorKind, StorageType, Stream,
};
use async_nats::jetstream::{self, Context, ErrorCode};
use serde::Deserialize;
use serde_json::json;

use crate::ack::Ack;
use crate::answer::Answer;
use crate::error::LogError;
use crate::key_ring::{Kept, Pages};

pub(crate) const STREAM: &str = "KV_ROLLCALL_KEYS";
const PREFIX: &str = "$KV.ROLLCALL_KEYS.";

/// How long the server may take to say whether there is a bucket: an account that may not ask gets no answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The bucket on a server.
#[derive(Debug)]
pub struct KeyBucket {
    context: Context,
    stream: Stream,
}

fn failed(e: &impl ToString) -> LogError {
    LogError::Keys(e.to_string())
}

#[derive(Deserialize)]
struct Listed {
    state: State,
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    subjects: std::collections::HashMap<String, u64>,
}

impl KeyBucket {
    /// Whether a server has one. A server that does not say is not taken for one that has none: names would be hashed in two ways.
    pub async fn is_there(client: &async_nats::Client) -> Result<bool, LogError> {
        let context = jetstream::new(client.clone());
        let unknown = |why: String| {
            failed(&format!(
                "it can't be found out whether the log is sealed ({why}): the account needs $JS.API.STREAM.INFO.{STREAM}"
            ))
        };
        match tokio::time::timeout(PATIENCE, context.get_stream(STREAM)).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(e)) => match e.kind() {
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(false),
                _ => Err(unknown(e.to_string())),
            },
            Err(_) => Err(unknown("no answer".into())),
        }
    }

    /// Opens it, and makes it when there is none.
    pub async fn open(client: async_nats::Client, replicas: usize) -> Result<Self, LogError> {
        let context = jetstream::new(client);
        let config = Config {
            name: STREAM.into(),
            description: Some("Rollcall: the keys of people, wrapped".into()),
            subjects: vec![format!("{PREFIX}>")],
            storage: StorageType::File,
            num_replicas: replicas,
            discard: DiscardPolicy::New,
            // What is replaced is deleted by us, so that it is overwritten.
            max_messages_per_subject: -1,
            deny_purge: true,
            allow_direct: true,
            ..Config::default()
        };
        let stream = context.get_or_create_stream(config).await.map_err(|e| failed(&e))?;
        Ok(Self { context, stream })
    }

    async fn put(&self, place: &str, wrapped: Vec<u8>, expected: u64) -> Result<bool, LogError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
        let subject = format!("{PREFIX}{place}");
        let client = self.context.client();
        let answer = client.request_with_headers(subject, headers, wrapped.into()).await.map_err(|e| failed(&e))?;
        let ack: Ack = serde_json::from_slice(&answer.payload).map_err(|e| failed(&e))?;
        match ack.error {
            None => Ok(true),
            Some(error) if error.is_wrong_last_sequence() => Ok(false),
            Some(error) => Err(failed(&error.description)),
        }
    }

    /// Deletes a revision, and has its bytes overwritten on every server that keeps it (JetStream API: STREAM.MSG.DELETE, which
    /// overwrites unless it is told not to).
    async fn overwrite_revision(&self, revision: u64) -> Result<(), LogError> {
        match self.stream.delete_message(revision).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(failed(&format!("revision {revision} could not be overwritten"))),
            Err(e) => Err(failed(&format!("revision {revision} could not be overwritten: {e}"))),
        }
    }

    /// Overwrites what was replaced at a place, also by whoever was killed before they could.
    async fn overwrite_replaced(&self, subject: &str) -> Result<(), LogError> {
        loop {
            let newest = self.stream.get_last_raw_message_by_subject(subject).await.map_err(|e| failed(&e))?.sequence;
            let oldest = self.stream.get_next_raw_message_by_subject(subject).await.map_err(|e| failed(&e))?.sequence;
            if oldest >= newest {
                return Ok(());
            }
            self.overwrite_revision(oldest).await?;
        }
    }

    async fn subjects(&self) -> Result<Vec<(String, u64)>, LogError> {
        let subject = format!("STREAM.INFO.{STREAM}");
        let mut all = Vec::new();
        loop {
            let request = json!({ "subjects_filter": format!("{PREFIX}>"), "offset": all.len() });
            let answer: Response<Listed> =
                self.context.request(subject.clone(), &request).await.map_err(|e| failed(&e))?;
            let page = match answer {
                Response::Ok(listed) => listed.state.subjects,
                Response::Err { error } => return Err(failed(&error)),
            };
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }
}

impl Pages for KeyBucket {
    fn read<'a>(&'a self, place: &'a str) -> Answer<'a, Kept> {
        Box::pin(async move {
            match self.stream.direct_get_last_for_subject(format!("{PREFIX}{place}")).await {
                Ok(message) => Ok(Some((message.payload.to_vec(), message.sequence))),
                // A replica may be a moment behind, and that a key is not there is concluded once and for all: its leader knows.
                Err(e) if e.kind() == DirectGetErrorKind::NotFound => {
                    match self.stream.get_last_raw_message_by_subject(&format!("{PREFIX}{place}")).await {
                        Ok(message) => Ok(Some((message.payload.to_vec(), message.sequence))),
                        Err(e) if e.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                        Err(e) => Err(failed(&format!("reading '{place}': {e}"))),
                    }
                }
                Err(e) => Err(failed(&format!("reading '{place}': {e}"))),
            }
        })
    }

    fn create<'a>(&'a self, place: &'a str, wrapped: Vec<u8>) -> Answer<'a, bool> {
        Box::pin(self.put(place, wrapped, 0))
    }

    fn replace<'a>(&'a self, place: &'a str, wrapped: Vec<u8>, revision: u64) -> Answer<'a, bool> {
        Box::pin(async move {
            let replaced = self.put(place, wrapped, revision).await?;
            if replaced {
                self.overwrite_replaced(&format!("{PREFIX}{place}")).await?;
            }
            Ok(replaced)
        })
    }

    fn overwrite<'a>(&'a self, place: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.overwrite_replaced(&format!("{PREFIX}{place}")).await })
    }

    fn places(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async {
            let subjects = self.subjects().await?;
            Ok(subjects.into_iter().filter_map(|(s, _)| s.strip_prefix(PREFIX).map(str::to_owned)).collect())
        })
    }

    fn sweep(&self) -> Answer<'_, ()> {
        Box::pin(async {
            for (subject, _) in self.subjects().await?.into_iter().filter(|(_, revisions)| *revisions > 1) {
                self.overwrite_replaced(&subject).await?;
            }
            Ok(())
        })
    }
}

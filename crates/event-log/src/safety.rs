//! Whether the server keeps what it acknowledges. JetStream acknowledges before it syncs to disk unless it is told
//! otherwise; Jepsen's report on NATS 2.12.1 (December 2025) lost acknowledged writes that way.

use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType};
use serde::Deserialize;
use url::Url;

/// What to do about a server or stream that is not safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Don't use it.
    Refuse,
    /// Use it, and say so in the log.
    Warn,
}

/// How the server's sync setting is known; NATS does not tell its clients.
#[derive(Debug, Clone)]
pub enum SyncKnowledge {
    /// We started the server ourselves, with `sync_interval: always`.
    Private,
    /// The server's monitoring address.
    Monitoring(Vec<Url>),
    /// It is not.
    Unknown,
}

#[derive(Deserialize)]
struct Varz {
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Deserialize, Default)]
struct JetStream {
    #[serde(default)]
    config: JetStreamConfig,
}

#[derive(Deserialize, Default)]
struct JetStreamConfig {
    #[serde(default)]
    sync_always: bool,
    #[serde(default)]
    sync_interval: u64,
}

/// Why the server's sync setting is unsafe; `None` when it is safe.
pub async fn unsafe_sync(knowledge: &SyncKnowledge) -> Option<String> {
    match knowledge {
        SyncKnowledge::Private => None,
        SyncKnowledge::Unknown => Some(
            "its sync setting is not known: set monitoring_url under [nats] to its monitoring address, and \
             sync_interval: always in its jetstream block"
                .into(),
        ),
        SyncKnowledge::Monitoring(urls) => {
            let mut unread = None;
            let mut read = 0;
            for url in urls {
                match read_varz(url).await {
                    Ok(varz) if varz.jetstream.config.sync_always => read += 1,
                    Ok(varz) => return Some(too_late(url, varz.jetstream.config.sync_interval)),
                    // One of a cluster may be away.
                    Err(reason) => unread = Some(format!("its sync setting can't be read from {url}: {reason}")),
                }
            }
            unread.filter(|_| read == 0)
        }
    }
}

fn too_late(url: &Url, nanoseconds: u64) -> String {
    format!(
        "{url} says that it syncs to disk every {} s, so a crash loses acknowledged events: set sync_interval: always in \
         its jetstream block",
        nanoseconds / 1_000_000_000
    )
}

async fn read_varz(url: &Url) -> Result<Varz, String> {
    let address = url.join("varz").map_err(|e| e.to_string())?;
    let client =
        reqwest::Client::builder().timeout(std::time::Duration::from_secs(5)).build().map_err(|e| e.to_string())?;
    let answer = client.get(address).send().await.and_then(reqwest::Response::error_for_status);
    answer.map_err(|e| e.to_string())?.json().await.map_err(|e| e.to_string())
}

/// What about a stream's settings is unsafe, each with the setting it should have.
pub fn unsafe_settings(config: &Config, replicas: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut want = |holds: bool, what: &str| {
        if !holds {
            out.push(what.to_owned());
        }
    };
    want(config.storage == StorageType::File, "storage is not file");
    want(config.retention == RetentionPolicy::Limits, "retention is not limits");
    want(config.deny_delete, "deny_delete is off");
    want(config.deny_purge, "deny_purge is off");
    want(config.discard == DiscardPolicy::New, "discard is not new");
    want(config.max_age.is_zero(), "max_age drops old events");
    want(config.max_messages < 0 || config.discard == DiscardPolicy::New, "max_msgs drops old events");
    want(config.max_messages_per_subject <= 0, "max_msgs_per_subject drops old events");
    want(!config.no_ack, "no_ack is on");
    want(!config.allow_rollup, "allow_rollup_hdrs is on");
    want(!config.allow_message_ttl, "allow_msg_ttl is on");
    want(config.allow_direct, "allow_direct is off");
    want(config.allow_atomic_publish, "allow_atomic is off");
    want(!matches!(config.persist_mode, Some(PersistenceMode::Async)), "persist_mode is async");
    if config.num_replicas < replicas {
        out.push(format!("it has {} replicas, {replicas} are configured", config.num_replicas));
    }
    out
}

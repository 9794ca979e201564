//! Where the log is, and how it is reached.

use std::path::PathBuf;
use std::time::Duration;

use rollcall_privacy::InstallationKeys;
use secrecy::SecretString;

use crate::safety::{Durability, SyncKnowledge};

/// The name of the stream.
pub(crate) const STREAM: &str = "ROLLCALL";

/// Certificates for the way to the server, as PEM files; without any, the public authorities are believed.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// An authority of one's own.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its key, where the server asks for them.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How to reach the log.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Where, such as `nats://nats:4222`; of a cluster all of them, separated by commas.
    pub url: String,
    /// User and password, when the server asks for them.
    pub credentials: Option<(String, SecretString)>,
    /// Certificates for `tls://` addresses.
    pub tls: Tls,
    /// How many servers keep each event.
    pub replicas: usize,
    /// What to do when the server could lose events.
    pub durability: Durability,
    /// How its sync setting is known.
    pub sync: SyncKnowledge,
    /// What is personal is sealed with keys that these wrap; none: it stays readable.
    pub keys: Option<InstallationKeys>,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds on what the log client does.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long to wait for a server at start.
    pub connect_timeout: Duration,
    /// How long to wait for one acknowledgement.
    pub ack_timeout: Duration,
    /// How often an append without an answer is tried again.
    pub append_retries: usize,
    /// How many appends at once.
    pub appends_in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            ack_timeout: Duration::from_secs(5),
            append_retries: 4,
            appends_in_flight: 256,
        }
    }
}

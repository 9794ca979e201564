//! What can go wrong with the log.

use rollcall_domain::Sequence;

/// A failure of the log, said so that an operator knows what to do.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No server answered.
    #[error("can't reach NATS at {url}: {reason}")]
    Connect {
        /// Where.
        url: String,
        /// What the client said.
        reason: String,
    },
    /// The server could lose what it has acknowledged.
    #[error(
        "refusing to use NATS at {url}: {reason}; fix it, or set durability = \"warn\" under [nats] to accept the risk"
    )]
    Unsafe {
        /// Where.
        url: String,
        /// What is unsafe.
        reason: String,
    },
    /// The stream can't be created or read.
    #[error("stream ROLLCALL: {0}")]
    Stream(String),
    /// Someone else appended to a subject in between.
    #[error("'{subject}' has changed: its last event is not number {expected} any more")]
    Conflict {
        /// The subject.
        subject: String,
        /// What the appender expected; 0: none.
        expected: Sequence,
    },
    /// The append got no answer; it may or may not have happened.
    #[error("the log did not acknowledge the append: {0}")]
    Unacknowledged(String),
    /// The log said no.
    #[error("the log refused the append: {0}")]
    Refused(String),
    /// An event that can never be appended.
    #[error("{kind} would be an event of {bytes} bytes: at most {most} fit into the log")]
    TooLarge {
        /// Its type.
        kind: &'static str,
        /// How large it would be.
        bytes: usize,
        /// How large it may be.
        most: usize,
    },
    /// A unit that can never be appended.
    #[error("a unit of {0} events can't be appended: 1 to 1000 are allowed")]
    UnitSize(usize),
    /// The log could not be saved or restored.
    #[error("the backup: {0}")]
    Backup(String),
    /// The keys of people can't be had.
    #[error("the keys beside the log: {0}")]
    Keys(String),
    /// A key does not open what it should.
    #[error("{0}")]
    Privacy(#[from] rollcall_privacy::PrivacyError),
    /// The log is sealed, and there is no key for it.
    #[error(
        "the log at {url} is sealed with an installation key: name its file under [privacy] as key_file, the same for every service"
    )]
    NoKey {
        /// Where.
        url: String,
    },
    /// The private server did not start.
    #[error("the private nats-server: {0}")]
    PrivateServer(String),
}

impl LogError {
    pub(crate) fn closed() -> Self {
        Self::Stream("the connection was given up".into())
    }
}

//! What can go wrong with a projection.

use std::path::PathBuf;

use rollcall_domain::kv::KvError;

/// A failure of a projection.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// Another process has the folder.
    #[error("{path} is in use by another process: give each process its own data directory, or stop the other one")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder can't be used.
    #[error("{path}: {reason}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The storage failed.
    #[error("projection '{name}': {reason}")]
    Storage {
        /// The projection.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// State could not be read.
    #[error("projection '{name}': {source}")]
    State {
        /// The projection.
        name: &'static str,
        /// Why.
        source: KvError,
    },
    /// The state was built from another log, which had another event there.
    #[error(
        "projection '{name}' holds another event {at} than the log: it belongs to another log; restore that log, or delete \
         {name}'s folder to build it from this one"
    )]
    OtherEvent {
        /// The projection.
        name: &'static str,
        /// How far it is.
        at: u64,
    },
    /// The state was built from another log.
    #[error(
        "projection '{name}' holds event {at}, but the log ends at {head}: it belongs to another log; restore that log, \
         or delete {name}'s folder to build it from this one"
    )]
    OtherLog {
        /// The projection.
        name: &'static str,
        /// How far it is.
        at: u64,
        /// How far the log is.
        head: u64,
    },
    /// The log can't be read.
    #[error("projection '{name}': {source}")]
    Log {
        /// The projection.
        name: &'static str,
        /// Why.
        source: rollcall_event_log::LogError,
    },
    /// An event is waited for that will not come: the projection has stopped.
    #[error("projection '{name}' stopped at event {at}, before it reached {wanted}")]
    Stopped {
        /// The projection.
        name: &'static str,
        /// The event that was waited for.
        wanted: u64,
        /// How far it is.
        at: u64,
    },
    /// A wait for an event took too long.
    #[error("projection '{name}' has not reached event {wanted} in time; it is at {at}")]
    Behind {
        /// The projection.
        name: &'static str,
        /// The event that was waited for.
        wanted: u64,
        /// How far it is.
        at: u64,
    },
}

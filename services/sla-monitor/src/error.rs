//! What can go wrong with the monitor.

use rollcall_domain::kv::KvError;
use rollcall_event_log::LogError;
use rollcall_projection::ProjectionError;

/// The monitor can't work.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// Its projection failed.
    #[error("sla-monitor: {0}")]
    Projection(#[from] ProjectionError),
    /// Its state can't be read.
    #[error("sla-monitor: {0}")]
    State(#[from] KvError),
    /// The log failed.
    #[error("sla-monitor: {0}")]
    Log(#[from] LogError),
    /// It can't keep its name.
    #[error("sla-monitor: its name can't be kept in its folder: {reason}")]
    Name {
        /// Why.
        reason: String,
    },
    /// A client for a sink can't be made.
    #[error("sla-monitor: no HTTP client for alert '{sink}': {reason}")]
    Client {
        /// The sink.
        sink: String,
        /// Why.
        reason: String,
    },
    /// A sink did not accept an alert.
    #[error("alert '{sink}' was not delivered: {reason}")]
    Delivery {
        /// The sink.
        sink: String,
        /// Why.
        reason: String,
    },
}

//! What can go wrong with the provisioner itself; what goes wrong with an app is an event.

use rollcall_domain::kv::KvError;
use rollcall_event_log::LogError;
use rollcall_projection::ProjectionError;

/// The provisioner can't work.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionerError {
    /// Its projection failed.
    #[error("provisioner: {0}")]
    Projection(#[from] ProjectionError),
    /// Its state can't be read.
    #[error("provisioner: {0}")]
    State(#[from] KvError),
    /// The log failed.
    #[error("provisioner: {0}")]
    Log(#[from] LogError),
    /// It can't keep its name.
    #[error("provisioner: its name can't be kept in its folder: {reason}")]
    Name {
        /// Why.
        reason: String,
    },
    /// A client for an app can't be made.
    #[error("provisioner: no HTTP client for app '{app}': {reason}")]
    Client {
        /// The app.
        app: String,
        /// Why.
        reason: String,
    },
}

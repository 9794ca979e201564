//! Why work on an app stopped: because of the app, or because of ourselves.

use crate::app_client::client::Failure;
use crate::error::ProvisionerError;

/// Why.
#[derive(Debug)]
pub enum WorkError {
    /// The app refused, or could not be used: that is an event.
    App(Failure),
    /// Our own log or state failed: that is tried again.
    Ours(ProvisionerError),
}

impl From<Failure> for WorkError {
    fn from(failure: Failure) -> Self {
        Self::App(failure)
    }
}

impl<E: Into<ProvisionerError>> From<E> for WorkError {
    fn from(error: E) -> Self {
        Self::Ours(error.into())
    }
}

//! Why work on an app stopped: because of the app, or because of ourselves.

use crate::client::Failure;
use crate::error::ProvisionerError;

/// Why.
#[derive(Debug)]
pub enum Trouble {
    /// The app refused, or could not be used: that is an event.
    App(Failure),
    /// Our own log or state failed: that is tried again.
    Ours(ProvisionerError),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::App(failure)
    }
}

impl<E: Into<ProvisionerError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Ours(error.into())
    }
}

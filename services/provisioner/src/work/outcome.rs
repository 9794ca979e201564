//! How one attempt to bring an account to what is desired ended.

use std::time::Duration;

use rollcall_domain::access::remote::Remote;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_scim::Changed;

use crate::app_client::client::Failure;

/// How soon an account is looked at again that someone else's is in the way of.
pub const CONTESTED_PAUSE: Duration = Duration::from_millis(500);

/// How one attempt ended.
#[derive(Debug)]
pub enum Outcome {
    /// It was read back as desired.
    Verified,
    /// The app works, and shows something else; or is to be read again after this time.
    Again(Option<Duration>),
    /// The app refused, or could not be used.
    Failed(Failure),
}

/// What one look, change and look again led to.
pub enum Attempt {
    /// It was read back as desired.
    Verified,
    /// The app shows something else.
    Drift(DriftKind, Vec<Changed>, Option<Remote>),
    /// It may still come to be as desired.
    Wait(Duration),
}

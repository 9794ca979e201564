//! What an app's answers mean in a drill.

use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::remote::Remote;

use crate::app_client::client::Failure;

/// Whether the app has answered to what it was asked, however badly: one that is not there, or sends us away, has not.
pub fn is_about_the_step(failure: &Failure) -> bool {
    match (failure.rejection.cause, failure.rejection.status) {
        (RejectionCause::Throttled | RejectionCause::NotConnected, _) => false,
        (RejectionCause::NotScim | RejectionCause::Conflict | RejectionCause::Unmappable, _) => true,
        (_, Some(401 | 408 | 425 | 502..=504)) => false,
        (_, status) => status.is_some(),
    }
}

/// Whether the app says that it deletes no accounts.
pub fn lacks_deletion(failure: &Failure) -> bool {
    matches!(failure.rejection.status, Some(405 | 501))
}

/// What an app has answered, for people.
pub fn in_words(failure: &Failure) -> String {
    let status = failure.rejection.status.map(|status| format!(" ({status})")).unwrap_or_default();
    format!("{}{status}: {}", failure.rejection.cause.name(), failure.rejection.detail)
}

/// What an account must be that was deleted.
pub fn gone(remote: Option<&Remote>) -> Result<(), String> {
    match remote {
        None => Ok(()),
        Some(remote) if remote.is_active() => {
            Err("the app says that it is deleted, and it is still there, active".into())
        }
        Some(_) => Err("the app says that it is deleted, and it is still there, inactive".into()),
    }
}

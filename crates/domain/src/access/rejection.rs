//! Why an app could not be brought to what is desired.

use serde::{Deserialize, Serialize};

/// Why an app could not be brought to what is desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionCause {
    /// It answered that it won't.
    Refused,
    /// It could not be reached.
    Unreachable,
    /// It answered that it has failed (5xx).
    AppError,
    /// It did not answer in time.
    Timeout,
    /// The account belongs to someone else.
    Conflict,
    /// It asked for fewer requests.
    Throttled,
    /// Its answer is not SCIM, or can't be trusted to show what is there.
    NotScim,
    /// It is not in the configuration.
    NotConnected,
    /// Its mapping gives no account that the app could take.
    Unmappable,
    /// Everything that is known to be in it is missing at once, or suddenly much of it in its list.
    Vanished,
    /// Its list can't be believed: it is not written as it should be, or is too old.
    BadList,
}

impl RejectionCause {
    /// The word in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::AppError => "app_error",
            Self::Timeout => "timeout",
            Self::Conflict => "conflict",
            Self::Throttled => "throttled",
            Self::NotScim => "not_scim",
            Self::NotConnected => "not_connected",
            Self::Unmappable => "unmappable",
            Self::Vanished => "vanished",
            Self::BadList => "bad_list",
        }
    }
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Why.
    pub cause: RejectionCause,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The app's answer, cut short.
    pub detail: String,
}

impl Rejection {
    /// Whether this is the same failure as another: its wording does not count.
    #[must_use]
    pub fn repeats(&self, other: &Self) -> bool {
        self.cause == other.cause && self.status == other.status
    }
}

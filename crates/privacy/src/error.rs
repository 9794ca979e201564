//! Why something can't be sealed, opened or wrapped.

/// Why something can't be sealed, opened or wrapped.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PrivacyError {
    /// The text of a key is none.
    #[error("it is no installation key: expected 32 bytes in Base64, as `rollcall keys new` writes them")]
    NotAKey,
    /// What is wrapped is not of a form that this version knows.
    #[error("what is kept at '{place}' is no wrapped key: {reason}")]
    NotWrapped {
        /// Where.
        place: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It was wrapped by a key that we do not have.
    #[error(
        "what is kept at '{place}' is wrapped by installation key {wrapped_by}, and there are {known} here: configure that one, too"
    )]
    OtherKey {
        /// Where.
        place: String,
        /// The id of the key.
        wrapped_by: String,
        /// The ids of those that are configured.
        known: String,
    },
    /// It does not open: it was changed, or moved.
    #[error(
        "what is kept at '{place}' does not open with installation key {wrapped_by}: it was changed, or moved there"
    )]
    Changed {
        /// Where.
        place: String,
        /// The id of the key.
        wrapped_by: String,
    },
    /// The personal part of an event does not open: it was changed, or belongs to another event.
    #[error("the personal part of event {event} does not open: it was changed, or belongs to another event")]
    Tampered {
        /// Of which event.
        event: uuid::Uuid,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

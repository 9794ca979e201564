//! What a stream answers to a message.

use serde::Deserialize;

const WRONG_LAST_SEQUENCE: [u64; 2] = [10071, 10164];

/// The answer.
#[derive(Deserialize)]
pub struct Ack {
    #[serde(default)]
    pub seq: u64,
    pub error: Option<AckError>,
}

/// Why it was not taken.
#[derive(Deserialize)]
pub struct AckError {
    #[serde(default)]
    pub err_code: u64,
    #[serde(default)]
    pub description: String,
}

impl AckError {
    /// Whether the last message of the subject is another one than was expected.
    pub fn is_wrong_last_sequence(&self) -> bool {
        WRONG_LAST_SEQUENCE.contains(&self.err_code)
    }
}

//! Personal data sealed with keys of their own: what is on the log for ever can be erased all the same, by destroying a key.
//!
//! Each person has a data key; each event is sealed with a key that is derived of it and opens nothing else. Data keys lie in pages,
//! which are wrapped by the installation's key. The primitives are AES-256-GCM-SIV (RFC 8452), AES-256-GCM and HMAC-SHA256, from
//! aws-lc-rs.

mod data_key;
mod error;
mod installation_key;
mod name_key;
mod page;

pub use data_key::{DataKey, EventKey, SealedPart};
pub use error::PrivacyError;
pub use installation_key::{InstallationKey, InstallationKeys};
pub use name_key::NameKey;
pub use page::Page;

/// Bytes that nobody can guess.
///
/// # Errors
/// When the system has none.
pub fn random<const N: usize>() -> Result<[u8; N], PrivacyError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| PrivacyError::NoRandomness)?;
    Ok(bytes)
}

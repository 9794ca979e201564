//! The provisioner: brings every account to what is desired over SCIM, and reads it back.
//! A 2xx answer alone is only *applied*; *verified* is what the app shows afterwards.

mod client;
mod error;
mod locate;
mod ownership;
mod service;
mod step;
mod worker;

pub use error::ProvisionerError;
pub use service::{NAME, Provisioner};

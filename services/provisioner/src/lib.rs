//! The provisioner: brings every account to what is desired over SCIM, and reads it back.
//! A 2xx answer alone is only *applied*; *verified* is what the app shows afterwards.

mod breaker;
mod check;
mod client;
mod discovery;
mod error;
mod lease;
mod locate;
mod memberships;
mod nobody;
mod ownership;
mod pages;
mod reconcile;
mod resolver;
mod service;
mod share;
mod step;
mod trouble;
mod worker;

pub use check::check;
pub use error::ProvisionerError;
pub use service::{NAME, Provisioner};

//! The provisioner: brings every account to what is desired over SCIM, and reads it back.
//! A 2xx answer alone is only *applied*; *verified* is what the app shows afterwards.

mod ask;
mod breaker;
mod check;
mod claims;
mod client;
mod control;
mod discovery;
mod error;
mod locate;
mod memberships;
mod nobody;
mod ownership;
mod pages;
mod reconcile;
mod resolver;
mod service;
mod settled;
mod share;
mod step;
mod transport;
mod trouble;
mod worker;

pub use check::check;
pub use client::Failure;
pub use error::ProvisionerError;
pub use service::{Accounts, NAME, Provisioner, Surroundings};
pub use transport::{Exchange, Response, Transport};
pub use worker::Worker;

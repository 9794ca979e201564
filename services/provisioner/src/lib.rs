//! The provisioner: brings every account to what is desired over SCIM, and reads it back.
//! A 2xx answer alone is only *applied*; *verified* is what the app shows afterwards.

mod app_client;
mod app_leases;
mod check;
mod comparison;
mod drill;
mod error;
mod list;
mod search;
mod service;
mod work;

pub use app_client::client::Failure;
pub use app_client::transport::{Exchange, Response, Secrets, Transport};
pub use check::check;
pub use drill::rehearse;
pub use error::ProvisionerError;
pub use list::source::{Looked, Mark, Newest, Source};
pub use service::{Accounts, Provisioner, SimulatedWay, Surroundings};
pub use work::connector::NAME;
pub use work::worker::Worker;

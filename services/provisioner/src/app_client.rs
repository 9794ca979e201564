//! The connection to one app: SCIM over HTTP, what the app can do, and the requests that change it.

pub mod client;
pub mod discovery;
pub mod memberships;
pub mod pages;
pub mod requests;
pub mod resolver;
pub mod resource;
pub mod transport;

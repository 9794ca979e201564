//! The paths under `/scim/v2`.

pub mod discovery;
pub mod request;
pub mod routes;

//! The paths under `/scim/v2`.

pub mod discovery;
pub mod inventories;
pub mod path_form;
pub mod request;
pub mod routes;

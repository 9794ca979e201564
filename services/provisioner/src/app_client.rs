//! The connection to one app: SCIM over HTTP, what the app can do, and the requests that change it.

pub mod client;
pub mod discovery;
pub mod experience;
pub mod late_lists;
pub mod memberships;
pub mod named_groups;
pub mod pages;
pub mod patch;
pub mod patch_form;
pub mod reading;
pub mod remote_group;
pub mod requests;
pub mod resolver;
pub mod resource;
#[cfg(test)]
mod simulated;
pub mod transport;

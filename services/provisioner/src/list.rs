//! Apps that people change, and of which a list of accounts can be read: the list is asked as a SCIM service is, so that it is
//! searched, compared and believed in the same way.

mod answers;
pub mod entries;
pub mod listed;
pub mod snapshot;
pub mod source;

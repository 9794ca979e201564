//! JWTs of an issuer, checked by the keys that it publishes: access tokens at the SCIM door, ID tokens at the console's; and links that are signed.

mod attempts;
mod bounded;
mod jwt;
mod task_link;

pub use attempts::{Attempts, holder_of};
pub use bounded::bounded;
pub use jwt::{JwtVerifier, Rejected};
pub use task_link::{BadLink, TaskLink};

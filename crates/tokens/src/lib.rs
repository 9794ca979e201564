//! JWTs of an issuer, checked by the keys that it publishes: access tokens at the SCIM door, ID tokens at the console's.

mod attempts;
mod bounded;
mod jwt;

pub use attempts::{Attempts, holder_of};
pub use bounded::bounded;
pub use jwt::{JwtVerifier, Rejected};

//! JWTs of an issuer, checked by the keys that it publishes: access tokens at the SCIM door, ID tokens at the console's.

mod bounded;
mod jwt;

pub use bounded::bounded;
pub use jwt::{JwtVerifier, Rejected};

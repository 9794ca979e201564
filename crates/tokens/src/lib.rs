//! JWTs of an issuer, checked by the keys that it publishes: access tokens at the SCIM door, ID tokens at the console's.

mod jwt;

pub use jwt::{JwtVerifier, Rejected};

//! JWTs of an issuer, checked by the keys that it publishes: access tokens at the SCIM door, ID tokens at the console's; links that are signed; and how much somebody may ask of whom nobody knows yet who they are.

mod attempts;
mod bounded;
mod jwt;
mod places;
mod task_link;

pub use attempts::{Attempts, holder_of};
pub use bounded::bounded;
pub use jwt::{JwtVerifier, Rejected};
pub use places::{Place, Places};
pub use task_link::{BadLink, TaskLink};

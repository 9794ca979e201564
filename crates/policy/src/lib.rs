//! Policies as code: [Cedar](https://docs.cedarpolicy.com) over what the SCIM catalogue says of people and agents, own extensions
//! included. A policy that permits `Action::"hold"` gives an entitlement, one that forbids it takes it from everybody it is about,
//! whatever else gives it.
//!
//! | Module | What it is about |
//! |---|---|
//! | [`schema`] | the Cedar schema, made from the SCIM catalogue |
//! | [`source`] | policies as they are written, each with its `@id` |
//! | [`principal`] | identities as policies are asked about them |
//! | [`engine`] | what policies give and forbid |

mod depth;
pub mod engine;
pub mod principal;
pub mod schema;
pub mod source;

pub use engine::{Action, Engine, Head, Resource};
pub use principal::{Kind, Principal};
pub use schema::PolicySchema;
pub use source::{Effect, PolicyMistake, PolicyText, Scope};

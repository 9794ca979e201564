//! The paths under `/v1`: one file for each resource, who may ask, and what each question is answered from.

pub mod api_tokens;
pub mod approvals;
pub mod apps;
pub mod context;
pub mod decisions;
pub mod disclosure;
pub mod drift;
pub mod holds;
pub mod identities;
pub mod latency;
pub mod leavers;
pub mod obligations;
pub mod openapi;
pub mod paging;
pub mod params;
pub mod person;
pub mod plan;
pub mod plan_configuration;
pub mod proofs;
pub mod query;
pub mod router;
pub mod schema;
pub mod sessions;
pub mod streams;
pub mod timeline;
pub mod views;

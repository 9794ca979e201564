//! Governance: what people decide about access, and the record of who did and saw what.

pub mod api_token;
pub mod approval;
pub mod checkpoint;
pub mod configuration;
pub mod disclosure;
pub mod erasure;
pub mod exception;
pub mod hold;
pub mod session;

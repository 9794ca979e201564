//! Access: what an identity must have in each app, what was seen there, and what is owed until both are the same.

pub mod account;
pub mod case;
pub mod credential;
pub mod departure;
pub mod desired;
pub mod entitlement;
pub mod grant;
pub mod handover;
pub mod holding;
pub mod obligation;
pub mod operation;
pub mod outcome;
pub mod owed;
pub mod plan;
pub mod policy;
pub mod reevaluation;
pub mod rejection;
pub mod remote;
pub mod role;
pub mod separation;
pub mod subject;
pub mod task;
pub mod to_do;

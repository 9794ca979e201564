//! Work on one app: bringing each account to what is desired, step by step, and reading it back.

pub mod breaker;
pub mod carry_out;
pub mod claims;
pub mod conflicts;
pub mod connector;
pub mod end_access;
pub mod error;
pub mod left_groups;
pub mod listed;
pub mod orphans;
pub mod outcome;
pub mod recovery;
pub mod settled;
pub mod step;
pub mod unanswered;
pub mod verify;
pub mod worker;

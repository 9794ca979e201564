//! Finding an account in an app, and what may be believed when it is not found.

pub mod control;
pub mod controls;
pub mod locate;
pub mod look;
pub mod ownership;
pub mod recognition;
pub mod sampled;
pub mod wanted;

//! Alerts: the conditions that somebody must be told of, the message, and its delivery to each sink.

pub mod condition;
pub mod delivery;
pub mod left_out;
pub mod message;
pub mod sinks;
pub mod told_here;

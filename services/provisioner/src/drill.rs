//! Drills: an account of Rollcall's own, a canary, goes through an app, and shows what the app does of what it is asked. Nothing but
//! the canary is touched.

mod answers;
mod canary;
mod cleaning;
mod course;
mod rehearsal;
mod schedule;
mod sight;

pub use rehearsal::rehearse;
pub use schedule::Drills;

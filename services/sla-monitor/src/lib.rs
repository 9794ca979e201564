//! The SLA monitor: watches the clock of every obligation, measures change-to-access latency, and tells people about
//! leavers whose access is not gone in time. It needs no provisioner to be alive for that.

mod alerts;
mod error;
mod measure;
mod service;
mod sinks;
mod steady;
mod told;
mod watch;
mod wrong;

pub use error::MonitorError;
pub use rollcall_event_log::Clock;
pub use service::{Clocks, Monitor, NAME};
pub use steady::{Reading, Steady};
pub use watch::{Word, bring_into_effect, say, words};
pub use wrong::{News, Rules, Surroundings, Wrong, news, wrong};

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
pub use service::{Clock, Monitor, NAME};
pub use watch::{Word, words};
pub use wrong::{News, Rules, Surroundings, Wrong, news, wrong};

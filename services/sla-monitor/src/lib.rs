//! The SLA monitor: watches the clock of every obligation, measures change-to-access latency, and tells people about
//! leavers whose access is not gone in time. It needs no provisioner to be alive for that.

mod alerts;
mod clock_check;
mod deadlines;
mod error;
mod measure;
mod meta;
mod over_age;
mod service;

pub use alerts::condition::{AlertChange, AlertCondition, Rules, Surroundings, changes, conditions};
pub use alerts::left_out::is_left_out;
pub use clock_check::{Reading, SteadyClock};
pub use deadlines::{DueEvent, append_due, bring_into_effect, due_events, reevaluate};
pub use error::MonitorError;
pub use meta::NAME;
pub use rollcall_event_log::Clock;
pub use service::{Clocks, Monitor};

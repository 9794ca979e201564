//! The SLA monitor: watches the clock of every obligation, measures change-to-access latency, and tells people about
//! leavers whose access is not gone in time. It needs no provisioner to be alive for that.

mod alerts;
mod error;
mod measure;
mod overdue;
mod service;
mod webhook;

pub use error::MonitorError;
pub use service::{Clock, Monitor, NAME};

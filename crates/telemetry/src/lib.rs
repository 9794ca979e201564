//! Tracing and OpenTelemetry: set-up, trace context across the log and HTTP, metric names.

mod causes;
mod context;
pub mod http;
pub mod metrics;
pub mod openmetrics;
mod setup;

pub use causes::causes;
pub use context::{TraceParts, adopt, adopt_headers, current, inject_headers};
pub use setup::{Guard, Otlp, SetupError, init, prometheus_text};

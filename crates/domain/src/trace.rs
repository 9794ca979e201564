//! The trace that a change belongs to (W3C Trace Context).

use serde::{Deserialize, Serialize};

/// W3C trace context, empty when there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TraceContext {
    pub traceparent: String,
    pub tracestate: String,
}

//! Who appends, when, and in which trace.

use jiff::Timestamp;
use rollcall_domain::{EventMeta, SourceName, TraceContext};
use uuid::Uuid;

fn trace() -> TraceContext {
    let rollcall_telemetry::TraceParts { traceparent, tracestate } = rollcall_telemetry::current();
    TraceContext { traceparent, tracestate }
}

/// What one of our services appends because of an event.
#[must_use]
pub fn by_service(service: &str, correlation_id: &str, causation_id: Option<Uuid>) -> EventMeta {
    EventMeta {
        event_id: Uuid::now_v7(),
        occurred_at: Timestamp::now(),
        actor: service.to_owned(),
        source: None,
        reason: String::new(),
        correlation_id: correlation_id.to_owned(),
        causation_id,
        trace: trace(),
        quirks: Vec::new(),
    }
}

/// What a source's request leads to.
#[must_use]
pub fn by_request(source: &SourceName, reason: &str, correlation_id: &str) -> EventMeta {
    EventMeta {
        actor: source.to_string(),
        source: Some(source.clone()),
        reason: reason.to_owned(),
        ..by_service("", correlation_id, None)
    }
}

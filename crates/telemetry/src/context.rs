//! W3C trace context in and out: one trace from the request through the event to the app and back.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// A trace context as text, empty when there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TraceParts {
    pub traceparent: String,
    pub tracestate: String,
}

/// The context of the current span.
#[must_use]
pub fn current() -> TraceParts {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carrier);
    TraceParts {
        traceparent: carrier.remove("traceparent").unwrap_or_default(),
        tracestate: carrier.remove("tracestate").unwrap_or_default(),
    }
}

/// Makes a span, not entered yet, part of a trace; fills its `trace_id` field, so that logs show it.
pub fn adopt(span: &Span, parts: &TraceParts) {
    if !parts.traceparent.is_empty() {
        let carrier = HashMap::from([
            ("traceparent".to_owned(), parts.traceparent.clone()),
            ("tracestate".to_owned(), parts.tracestate.clone()),
        ]);
        // A context that does not parse starts a trace of its own.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
    }
    let context = span.context();
    let id = context.span().span_context().trace_id();
    span.record("trace_id", tracing::field::display(id));
}

/// Makes a span part of the trace that a request came with.
pub fn adopt_headers(span: &Span, headers: &HeaderMap) {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    adopt(span, &TraceParts { traceparent: text("traceparent"), tracestate: text("tracestate") });
}

/// Puts the context of the current span into the headers of a request.
pub fn inject_headers(headers: &mut HeaderMap) {
    let parts = current();
    for (name, value) in [("traceparent", parts.traceparent), ("tracestate", parts.tracestate)] {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(&value)) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

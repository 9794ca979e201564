//! An OTLP collector that keeps the spans it gets.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message as _;

/// A span that arrived.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct SeenSpan {
    pub service: String,
    pub name: String,
    pub trace_id: String,
    pub attributes: Vec<(String, String)>,
}

impl SeenSpan {
    /// Whether it says this about itself.
    #[must_use]
    pub fn says(&self, name: &str, value: &str) -> bool {
        self.attributes.iter().any(|(n, v)| n == name && v == value)
    }
}

/// The collector.
pub struct Collector {
    /// For `telemetry.otlp_endpoint`.
    pub endpoint: String,
    spans: Arc<Mutex<Vec<SeenSpan>>>,
}

fn text(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let value = |kv: &KeyValue| match kv.value.as_ref().and_then(|v| v.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|kv| (kv.key.clone(), value(kv))).collect()
}

fn spans(body: &[u8]) -> Result<Vec<SeenSpan>, prost::DecodeError> {
    let mut out = Vec::new();
    for resource in ExportTraceServiceRequest::decode(body)?.resource_spans {
        let about = text(resource.resource.as_ref().map_or(&[], |r| r.attributes.as_slice()));
        let service = about.iter().find(|(name, _)| name == "service.name").map(|(_, v)| v.clone()).unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let trace_id = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
            let attributes = text(&span.attributes);
            out.push(SeenSpan { service: service.clone(), name: span.name, trace_id, attributes });
        }
    }
    Ok(out)
}

impl Collector {
    /// Starts one.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start() -> anyhow::Result<Self> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&seen);
        let traces = move |body: Bytes| async move {
            let Ok(new) = spans(&body) else { return StatusCode::BAD_REQUEST };
            keep.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
            StatusCode::OK
        };
        let router = Router::new().route("/v1/traces", post(traces)).route("/v1/metrics", post(|| async {}));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { endpoint, spans: seen })
    }

    /// All that was seen so far, as text.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:?}", self.spans.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The spans of one trace so far.
    #[must_use]
    pub fn trace(&self, id: &str) -> Vec<SeenSpan> {
        let seen = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|span| span.trace_id == id).cloned().collect()
    }
}

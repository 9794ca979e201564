//! Starting and stopping telemetry.

use std::sync::OnceLock;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// Telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The OTLP exporter does not accept its settings.
    #[error("the OTLP exporter for {endpoint} can't be made: {reason}")]
    Otlp {
        /// Where to.
        endpoint: String,
        /// What it said.
        reason: String,
    },
    /// The metrics exporter failed to start.
    #[error("the metrics exporter can't be made: {0}")]
    Metrics(String),
    /// The process already has a log subscriber.
    #[error("logging can't be started: {0}")]
    Logging(String),
    /// The log filter is not valid.
    #[error("ROLLCALL_LOG is not a log filter: {0}")]
    Filter(String),
}

/// Where traces and metrics are pushed to.
#[derive(Debug, Clone)]
pub struct Otlp {
    /// The base address, such as `http://collector:4318`.
    pub endpoint: String,
}

/// Flushes what is not exported yet when it is dropped.
#[derive(Debug)]
pub struct Guard {
    tracer: SdkTracerProvider,
    meter: SdkMeterProvider,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A collector that is gone must not keep the process from stopping.
        let _ = self.tracer.shutdown();
        let _ = self.meter.shutdown();
    }
}

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(Registry::new)
}

/// The metrics of this process as Prometheus text.
#[must_use]
pub fn prometheus_text() -> String {
    TextEncoder::new().encode_to_string(&registry().gather()).unwrap_or_default()
}

/// Starts logs on stderr (JSON, level from `ROLLCALL_LOG`, `info` without it), traces and metrics, the last two also
/// pushed when `otlp` says where to. Call it once, outside an async runtime.
///
/// # Errors
/// When an exporter does not accept its settings or the process already has a log subscriber.
pub fn init(service: &str, otlp: Option<&Otlp>) -> Result<Guard, SetupError> {
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let mut tracer = SdkTracerProvider::builder().with_resource(resource.clone());
    let prometheus = opentelemetry_prometheus::exporter()
        .with_registry(registry().clone())
        .without_counter_suffixes()
        .without_units()
        .scope_info_enabled(false)
        .build()
        .map_err(|e| SetupError::Metrics(e.to_string()))?;
    let mut meter = SdkMeterProvider::builder().with_resource(resource).with_reader(prometheus);
    if let Some(Otlp { endpoint }) = otlp {
        let failed = |reason: String| SetupError::Otlp { endpoint: endpoint.clone(), reason };
        let base = endpoint.trim_end_matches('/');
        let spans = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{base}/v1/traces"))
            .build()
            .map_err(|e| failed(e.to_string()))?;
        let metrics = MetricExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{base}/v1/metrics"))
            .build()
            .map_err(|e| failed(e.to_string()))?;
        tracer = tracer.with_batch_exporter(spans);
        meter = meter.with_periodic_exporter(metrics);
    }
    let (tracer, meter) = (tracer.build(), meter.build());
    global::set_meter_provider(meter.clone());

    let default = "info,opentelemetry=warn,opentelemetry_sdk=warn,async_nats=warn,hyper=warn,reqwest=warn";
    let directives = std::env::var("ROLLCALL_LOG").unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::try_new(&directives).map_err(|e| SetupError::Filter(e.to_string()))?;
    let logs = fmt::layer().json().with_writer(std::io::stderr).with_current_span(true).with_span_list(false);
    let traces = tracing_opentelemetry::layer().with_tracer(tracer.tracer("rollcall"));
    tracing_subscriber::registry()
        .with(filter)
        .with(logs)
        .with(traces)
        .try_init()
        .map_err(|e| SetupError::Logging(e.to_string()))?;
    Ok(Guard { tracer, meter })
}

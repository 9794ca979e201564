//! `/healthz`, `/readyz` and `/metrics`: open to all, and without anything secret.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rollcall_domain::Sequence;
use rollcall_event_log::EventLog;
use rollcall_projection::Store;
use rollcall_telemetry::openmetrics;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

/// What readiness looks at.
pub struct Health {
    pub log: EventLog,
    /// Where the log was when the process started: a service that has not read so far knows too little.
    pub head: Sequence,
    /// When all of it was ready for the first time.
    pub ready_since: OnceLock<Instant>,
    pub services: Vec<Watched>,
    pub fronts: Fronts,
}

/// What is served, and where to ask whether it is.
pub struct Fronts {
    /// As everyone meets it, its bounds included.
    pub router: Router,
    pub probes: Vec<&'static str>,
}

/// How long one of them may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

impl Fronts {
    /// Why someone who asks now would wait; `None` when nobody would.
    async fn obstacle(&self) -> Option<String> {
        let ask = |path: &'static str| async move {
            let request = Request::get(path).body(Body::empty()).ok()?;
            let answer = tokio::time::timeout(PATIENCE, self.router.clone().oneshot(request)).await;
            match answer {
                Ok(Ok(_)) => None,
                Err(_) => Some(format!("{path} gave no answer within {} s", PATIENCE.as_secs())),
            }
        };
        futures_util::future::join_all(self.probes.iter().copied().map(ask)).await.into_iter().flatten().next()
    }
}

/// One service.
pub struct Watched {
    pub name: &'static str,
    pub store: Arc<Store>,
    pub condition: Option<Condition>,
    /// Where it was when the process started, and when that was.
    pub began: (Sequence, Instant),
}

/// Something that has to be true.
pub struct Condition {
    pub holds: watch::Receiver<bool>,
    /// What is said while it does not.
    pub otherwise: &'static str,
}

impl Watched {
    /// How long it takes until it has read everything, at the pace so far; `None`: there is none yet.
    fn seconds_left(&self, head: Sequence) -> Option<u64> {
        let (from, since) = self.began;
        let (at, lasted) = (self.store.cursor(), since.elapsed().as_secs());
        let done = at.0.checked_sub(from.0).filter(|done| *done > 0)?;
        Some((head.0.saturating_sub(at.0)).saturating_mul(lasted).div_ceil(done))
    }

    /// Why it is not ready; `None` when it is.
    fn obstacle(&self, health: &Health) -> Option<String> {
        let at = self.store.cursor();
        if !health.log.is_connected() {
            Some("the event log can't be reached".into())
        } else if at < health.head {
            let left = self.seconds_left(health.head).map(|s| format!(", about {s} s left")).unwrap_or_default();
            Some(format!("catching up: at event {at} of {}{left}", health.head))
        } else {
            self.condition.as_ref().filter(|c| !*c.holds.borrow()).map(|c| c.otherwise.into())
        }
    }
}

impl Health {
    /// Waits until every service is ready for the first time.
    pub async fn wait(&self) {
        for service in &self.services {
            let mut store = service.store.watch();
            let _ = store.wait_for(|at| *at >= self.head).await;
            if let Some(condition) = &service.condition {
                let _ = condition.holds.clone().wait_for(|holds| *holds).await;
            }
        }
        self.ready_since.get_or_init(Instant::now);
    }
}

/// The paths.
pub fn router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    let mut services = serde_json::Map::new();
    let mut all = true;
    for service in &health.services {
        let obstacle = service.obstacle(&health);
        all &= obstacle.is_none();
        services.insert(
            service.name.into(),
            json!({
                "ready": obstacle.is_none(), "reason": obstacle, "at": service.store.cursor(), "of": health.head,
                "seconds_left": service.seconds_left(health.head).filter(|_| obstacle.is_some()),
            }),
        );
    }
    let obstacle = health.fronts.obstacle().await;
    all &= obstacle.is_none();
    let status = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let since = health.ready_since.get().map(|since| since.elapsed().as_secs());
    let answer =
        json!({ "ready": all, "reason": obstacle, "since_seconds": since, "services": Value::Object(services) });
    (status, Json(answer)).into_response()
}

async fn metrics(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accept.contains("application/openmetrics-text") {
        let text = openmetrics::from_prometheus(&rollcall_telemetry::prometheus_text());
        return ([(header::CONTENT_TYPE, openmetrics::CONTENT_TYPE)], text).into_response();
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], rollcall_telemetry::prometheus_text()).into_response()
}

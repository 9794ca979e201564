//! Who is told: a local receiver that keeps every request, and can be made to refuse.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::any;
use serde_json::Value;

/// One request.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub text: String,
}

impl Received {
    /// Its body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

#[derive(Default)]
struct Inner {
    received: Vec<Received>,
    answer: StatusCode,
}

/// A receiver.
pub struct Receiver {
    /// Its address.
    pub url: String,
    inner: Arc<Mutex<Inner>>,
}

impl Receiver {
    /// Starts one that takes everything.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_on("127.0.0.1").await
    }

    /// The same on another address of this machine, such as one that containers can reach.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start_on(host: &str) -> anyhow::Result<Self> {
        let inner = Arc::new(Mutex::new(Inner { answer: StatusCode::ACCEPTED, ..Inner::default() }));
        let router = Router::new().fallback(any(receive)).with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind((host, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, inner })
    }

    /// What it has received.
    pub fn all(&self) -> Vec<Received> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).received.clone()
    }

    /// Answers so from now on; nothing is kept while it is a refusal.
    pub fn answer(&self, status: StatusCode) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).answer = status;
    }
}

async fn receive(State(inner): State<Arc<Mutex<Inner>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
    if inner.answer.is_success() {
        let text = String::from_utf8_lossy(&body).into_owned();
        inner.received.push(Received { path: uri.path().to_owned(), headers, text });
    }
    inner.answer
}

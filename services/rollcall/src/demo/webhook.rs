//! A local receiver of alerts.

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use serde_json::Value;
use tokio::sync::watch;

/// Keeps every alert it gets.
pub struct Receiver {
    pub url: String,
    received: watch::Receiver<Vec<Value>>,
}

impl Receiver {
    /// Listens on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let (sender, received) = watch::channel(Vec::new());
        let router = Router::new().route("/alerts", post(receive)).with_state(sender);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("no free port")?;
        let url = format!("http://{}/alerts", listener.local_addr().context("no address")?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        println!("  alerts go to a webhook at {url}");
        Ok(Self { url, received })
    }

    /// The first alert that an identity is overdue with this status, if it has come.
    pub fn find(&self, identity: &str, status: &str) -> Option<Value> {
        let about = |alert: &&Value| {
            alert.pointer("/identity/id").and_then(Value::as_str) == Some(identity)
                && alert.get("alert").and_then(Value::as_str) == Some("LeaverOverdue")
                && alert.get("status").and_then(Value::as_str) == Some(status)
        };
        self.received.borrow().iter().find(about).cloned()
    }
}

/// A CloudEvent: the alert is its data.
async fn receive(State(all): State<watch::Sender<Vec<Value>>>, body: Bytes) {
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    all.send_modify(|all| all.push(event.get("data").cloned().unwrap_or_default()));
}

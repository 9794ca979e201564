//! A local receiver of alerts.

use anyhow::Context as _;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
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

    /// The first alert about an identity with this status, if it has come.
    pub fn find(&self, identity: &str, status: &str) -> Option<Value> {
        let about = |alert: &&Value| {
            alert.pointer("/identity/id").and_then(Value::as_str) == Some(identity)
                && alert.get("status").and_then(Value::as_str) == Some(status)
        };
        self.received.borrow().iter().find(about).cloned()
    }
}

async fn receive(State(all): State<watch::Sender<Vec<Value>>>, Json(alert): Json<Value>) {
    all.send_modify(|all| all.push(alert));
}

//! An app with a way of its own: in front of a real one, it shows display names that it composes itself.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

/// The most of a request or an answer that is passed on.
const MAX_BODY: usize = 1 << 20;

struct Front {
    /// The real app, without a path.
    origin: String,
    http: reqwest::Client,
}

/// Starts it in front of the app at an origin such as `http://127.0.0.1:8080`; its own origin.
pub async fn start(origin: String) -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("no free port")?;
    let own = format!("http://{}", listener.local_addr().context("no free port")?);
    let front = Arc::new(Front { origin, http: reqwest::Client::new() });
    let router = Router::new().fallback(pass_on).with_state(front);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(own)
}

async fn pass_on(State(front): State<Arc<Front>>, request: Request) -> Response {
    front.pass_on(request).await.unwrap_or_else(|e| (StatusCode::BAD_GATEWAY, format!("{e:#}")).into_response())
}

impl Front {
    async fn pass_on(&self, request: Request) -> anyhow::Result<Response> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut asked = self.http.request(parts.method, format!("{}{path}", self.origin));
        for name in [header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT] {
            if let Some(value) = parts.headers.get(&name) {
                asked = asked.header(name, value);
            }
        }
        let answer = asked.body(to_bytes(body, MAX_BODY).await?).send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await?;
        let Ok(mut resource) = serde_json::from_slice::<Value>(&bytes) else {
            return Ok((status, Body::from(bytes)).into_response());
        };
        compose(&mut resource);
        Ok((status, [(header::CONTENT_TYPE, "application/scim+json")], resource.to_string()).into_response())
    }
}

/// `Ada Lovelace` is shown as `Lovelace, Ada`, whatever was sent.
fn compose(resource: &mut Value) {
    for one in resource.get_mut("Resources").and_then(Value::as_array_mut).into_iter().flatten() {
        compose(one);
    }
    let name = |part: &str| resource.get("name").and_then(|name| name.get(part)).and_then(Value::as_str);
    let Some(composed) = name("familyName").zip(name("givenName")).map(|(family, given)| format!("{family}, {given}"))
    else {
        return;
    };
    if let Some(fields) = resource.as_object_mut() {
        fields.insert("displayName".to_owned(), composed.into());
    }
}

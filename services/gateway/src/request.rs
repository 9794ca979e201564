//! What a request carries besides its path.

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;
use rollcall_domain::{EventMeta, SourceName};
use rollcall_event_log::by_request;
use rollcall_scim::{ScimError, ScimType};
use serde_json::Value;
use uuid::Uuid;

use crate::error::Refusal;

/// How much of a body that is too large is still taken in, as a multiple of the bound: a client that is cut off while it
/// sends may never see why.
const DRAIN: usize = 16;

/// What a path names, refused in SCIM's form.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Refusal))]
pub struct Path<T>(pub T);

/// What a query asks, refused in SCIM's form.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Refusal))]
pub struct Query<T>(pub T);

/// A body within a bound.
async fn read_body(body: Body, max_bytes: usize) -> Result<Vec<u8>, Refusal> {
    let mut chunks = body.into_data_stream();
    let (mut read, mut seen) = (Vec::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ScimError::status(400, "the body broke off"))?;
        seen = seen.saturating_add(chunk.len());
        if seen <= max_bytes {
            read.extend_from_slice(&chunk);
        } else if seen > max_bytes.saturating_mul(DRAIN) {
            break;
        }
    }
    if seen > max_bytes {
        return Err(ScimError::status(413, format!("the body is larger than {max_bytes} bytes")).into());
    }
    Ok(read)
}

/// The JSON of a body, within a bound.
pub async fn read_json(headers: &HeaderMap, body: Body, max_bytes: usize) -> Result<Value, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(kind.as_str(), "application/scim+json" | "application/json" | "") {
        let detail = format!("content type '{kind}' is not application/scim+json");
        return Err(ScimError::status(415, detail).into());
    }
    let body = read_body(body, max_bytes).await?;
    serde_json::from_slice(&body)
        .map_err(|e| ScimError::bad_request(ScimType::InvalidSyntax, format!("the body is not valid JSON: {e}")).into())
}

/// Who asks, why, and as part of what.
#[derive(Debug, Clone)]
pub struct Context {
    source: SourceName,
    reason: String,
    correlation_id: String,
}

impl Context {
    /// Takes the correlation id from `X-Correlation-Id` or `X-Request-Id` and the reason from `Rollcall-Reason`, when
    /// the client sends them and they are short and printable.
    pub fn new(source: SourceName, operation: &str, headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?.trim();
            (!value.is_empty() && value.len() <= 200).then(|| value.to_owned())
        };
        let correlation_id = text("x-correlation-id").or_else(|| text("x-request-id"));
        Self {
            source,
            reason: text("rollcall-reason").unwrap_or_else(|| format!("SCIM {operation}")),
            correlation_id: correlation_id.unwrap_or_else(|| Uuid::now_v7().to_string()),
        }
    }

    /// For one event.
    pub fn meta(&self) -> EventMeta {
        by_request(&self.source, &self.reason, &self.correlation_id)
    }
}

/// The address that resources are under, ending in `/scim/v2`.
pub fn base(public_url: Option<&str>, headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    match public_url {
        Some(url) => format!("{}/scim/v2", url.trim_end_matches('/')),
        None => {
            let scheme = text("x-forwarded-proto").filter(|s| matches!(*s, "http" | "https")).unwrap_or("http");
            format!("{scheme}://{}/scim/v2", text("host").unwrap_or("localhost"))
        }
    }
}

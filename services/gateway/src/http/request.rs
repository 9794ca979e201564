//! What a request carries besides its path.

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;
use rollcall_scim::{ScimError, parse_json};
use serde_json::Value;

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
pub async fn read_body(body: Body, max_bytes: usize) -> Result<Vec<u8>, Refusal> {
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
    Ok(parse_json(&body)?)
}

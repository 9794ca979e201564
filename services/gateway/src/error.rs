//! What can go wrong, and how SCIM says it (RFC 7644 §3.12).

use std::borrow::Cow;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rollcall_domain::SourceName;
use rollcall_domain::kv::KvError;
use rollcall_event_log::LogError;
use rollcall_projection::ProjectionError;
use rollcall_scim::{ScimError, ScimType};
use tracing::error;

/// The gateway can't work.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Its projection failed.
    #[error("gateway: {0}")]
    Projection(#[from] ProjectionError),
    /// Its state can't be read.
    #[error("gateway: {0}")]
    State(#[from] KvError),
    /// The log failed.
    #[error("gateway: {0}")]
    Log(#[from] LogError),
    /// The client for the projector can't be made.
    #[error("gateway: no HTTP client: {0}")]
    Client(String),
}

/// A request that is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Scim(#[from] ScimError),
    #[error("{0}")]
    Unauthorized(Cow<'static, str>),
    #[error("{0}")]
    Log(#[from] LogError),
    #[error("{0}")]
    State(#[from] KvError),
    #[error("{0}")]
    Behind(#[from] ProjectionError),
    #[error("{0} changed too often at the same time: send the request again")]
    Contention(&'static str),
    #[error("source {source_name} sends more than {per_second} requests in a second: wait {seconds} s")]
    TooMany { source_name: SourceName, per_second: u32, seconds: u64 },
    #[error(
        "source {source_name} has more than {most} requests under way (server.max_requests_in_flight_per_source): wait for some of them"
    )]
    TooManyAtOnce { source_name: SourceName, most: usize },
    #[error("too many tokens that are no source's came from your address: wait {seconds} s")]
    TooManyGuesses { seconds: u64 },
}

impl Refusal {
    /// There is no such resource.
    pub fn not_found(kind: &str, id: &str) -> Self {
        Self::Scim(ScimError::status(404, format!("there is no {kind} '{id}'")))
    }
}

impl From<PathRejection> for Refusal {
    fn from(rejection: PathRejection) -> Self {
        Self::Scim(ScimError::bad_request(ScimType::InvalidValue, rejection.body_text()))
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::Scim(ScimError::bad_request(ScimType::InvalidValue, rejection.body_text()))
    }
}

impl Refusal {
    /// The error in SCIM's words; what went wrong on our side is logged.
    pub fn into_scim(self) -> ScimError {
        let unavailable = |detail: String| ScimError::status(503, detail);
        match self {
            Self::Scim(error) => error,
            Self::Unauthorized(detail) => ScimError::status(401, detail.into_owned()),
            // It will never fit: whoever tries again would try for ever.
            Self::Log(e @ LogError::TooLarge { .. }) => ScimError::status(413, e.to_string()),
            Self::Log(e) => {
                error!(error = %e, "the log can't be used");
                unavailable(
                    "the event log can't be reached: nothing has changed that was not confirmed; try again".into(),
                )
            }
            Self::State(e) => {
                error!(error = %e, "the state can't be read");
                ScimError::status(500, "the directory can't be read")
            }
            Self::Behind(e) => unavailable(format!("the directory is not up to date yet: {e}")),
            contention @ Self::Contention(_) => unavailable(contention.to_string()),
            Self::TooMany { .. } | Self::TooManyAtOnce { .. } | Self::TooManyGuesses { .. } => {
                ScimError::status(429, self.to_string())
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let wait = match &self {
            Self::TooMany { seconds, .. } | Self::TooManyGuesses { seconds } => *seconds,
            _ => 1,
        };
        let error = self.into_scim();
        let mut response = scim_response(StatusCode::from_u16(error.status).unwrap_or_default(), error.body());
        let headers = response.headers_mut();
        match error.status {
            401 => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rollcall\""));
            }
            413 => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            429 | 503 => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
            }
            _ => {}
        }
        response
    }
}

/// A SCIM answer.
pub fn scim_response(status: StatusCode, body: serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/scim+json")], body.to_string()).into_response()
}

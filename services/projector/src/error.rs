//! What can go wrong, and how it is answered (RFC 9457).

use std::path::PathBuf;

use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use problem_details::ProblemDetails;
use rollcall_domain::kv::KvError;
use rollcall_event_log::LogError;
use rollcall_projection::ProjectionError;
use rollcall_proof::ProofError;
use tracing::error;

/// The projector can't work.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// Its projection failed.
    #[error("projector: {0}")]
    Projection(#[from] ProjectionError),
    /// A key can't be used, or a checkpoint can't be made.
    #[error("projector: {0}")]
    Proof(#[from] ProofError),
    /// The key that was made can't be kept.
    #[error("projector: the signing key {path}: {reason}", path = path.display())]
    Key {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A checkpoint can't be given to who keeps it.
    #[error("projector: the checkpoint can't be published at {place}: {reason}")]
    Publish {
        /// Where.
        place: String,
        /// Why.
        reason: String,
    },
    /// There can be no HTTP client.
    #[error("projector: no HTTP client: {0}")]
    Client(String),
    /// The log can't be reached.
    #[error("projector: {0}")]
    Log(#[from] LogError),
    /// The state can't be read.
    #[error("projector: {0}")]
    State(#[from] KvError),
}

/// How a request that is not answered with what it asked for is answered (RFC 9457).
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "describes what problem_details writes")]
pub struct ProblemBody {
    title: String,
    status: u16,
    detail: String,
}

/// The problems that any path may answer with.
#[derive(utoipa::IntoResponses)]
#[allow(dead_code, reason = "describes ApiError")]
pub enum Problem {
    /// A parameter or the body is wrong; the detail names it.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(#[to_schema] ProblemBody),
    /// No token, or not one of the configuration's.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] ProblemBody),
    /// The token's role may not.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] ProblemBody),
    /// What the path names is not there.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] ProblemBody),
    /// More requests than the token, or the address, may make in a while.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(#[to_schema] ProblemBody),
    /// The log can't be reached, or the state is behind.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] ProblemBody),
}

/// A request that is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Unauthorized(&'static str),
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{detail}")]
    TooMany { detail: &'static str, seconds: u64 },
    #[error("there is no {0}")]
    NotFound(String),
    #[error("too many streams are open: try again later")]
    Busy,
    #[error("an entry can't be written: {0}")]
    Unwritable(String),
    #[error("the work stopped unexpectedly")]
    Stopped,
    #[error("{0}")]
    State(#[from] KvError),
    #[error("{0}")]
    Proof(#[from] ProofError),
    #[error("{0}")]
    Behind(#[from] ProjectionError),
    #[error("{0}")]
    Log(#[from] LogError),
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::BadRequest(rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::State(_) | Self::Stopped | Self::Proof(_) | Self::Unwritable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Behind(_) | Self::Log(_) | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        if status.is_server_error() {
            error!(error = %self, "a request failed");
        }
        let problem = ProblemDetails::from_status_code(status).with_detail(self.to_string());
        let mut response = problem.into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = axum::http::HeaderValue::from_static("Bearer realm=\"rollcall\"");
            response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, challenge);
        }
        if let Self::TooMany { seconds, .. } = self {
            response.headers_mut().insert(axum::http::header::RETRY_AFTER, axum::http::HeaderValue::from(seconds));
        }
        response
    }
}

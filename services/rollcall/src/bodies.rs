//! Bodies of those of whom nobody knows yet who they are. They are read before the request takes a place among the others, so
//! many at once and so many of one address: whoever sends them slowly keeps nobody else out.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use problem_details::ProblemDetails;
use rollcall_tokens::Places;

/// Whose bodies are read, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// Whoever answers knows who sends them before it reads them.
    Known,
    /// Another process judges who sends them: those who say that they are somebody are read first.
    Claimed { most_bytes: usize },
    /// Anyone can send them.
    Anyone { most_bytes: usize },
}

/// The places of those that are read.
#[derive(Debug, Clone)]
pub struct Reading {
    pub bodies: Bodies,
    pub places: Arc<Places>,
}

/// Reads the body, and then passes the request on.
pub async fn read_first(State(reading): State<Reading>, request: Request, next: Next) -> Response {
    let claims = [header::AUTHORIZATION, header::COOKIE].iter().any(|name| request.headers().contains_key(name));
    let most = match reading.bodies {
        _ if request.body().is_end_stream() => return next.run(request).await,
        Bodies::Anyone { most_bytes } => most_bytes,
        Bodies::Claimed { most_bytes } if claims => most_bytes,
        Bodies::Claimed { .. } | Bodies::Known => return next.run(request).await,
    };
    let Some(ConnectInfo(client)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() else {
        return problem(StatusCode::BAD_REQUEST, "nothing says where the request comes from".to_owned());
    };
    let Some(_place) = reading.places.take(client.ip()) else {
        let mut response =
            problem(StatusCode::TOO_MANY_REQUESTS, "too many bodies are being read at once: try again".to_owned());
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        return response;
    };
    let (head, body) = request.into_parts();
    match axum::body::to_bytes(body, most).await {
        Ok(body) => next.run(Request::from_parts(head, Body::from(body))).await,
        Err(_) => problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than {most} bytes, or did not arrive in time"),
        ),
    }
}

fn problem(status: StatusCode, detail: String) -> Response {
    ProblemDetails::from_status_code(status).with_detail(detail).into_response()
}

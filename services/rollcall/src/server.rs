//! The one public address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, middleware};
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use futures_util::{StreamExt as _, stream};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use ipnet::IpNet;
use problem_details::ProblemDetails;
use rollcall_config::ServerConfig;
use rollcall_tokens::Places;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tracing::warn;

use crate::bodies::{Bodies, Reading, read_first};
use crate::connections::{self, Bounded};

/// How long open requests may take once the process is told to stop.
pub const DRAIN: Duration = Duration::from_secs(10);

/// How often a certificate is read again: it is renewed while we run.
const RENEW: Duration = Duration::from_secs(60);

/// How long the head of a request may take to arrive, how long a connection may be idle, and how long a handshake may take.
const HEAD: Duration = Duration::from_secs(30);

/// The most requests at once on one connection of HTTP/2.
const MAX_STREAMS: u32 = 64;

/// Serves until `stop`, and then what is open; with TLS when there are a certificate and a key.
///
/// # Errors
/// When the certificate can't be read, or the listener fails.
pub async fn serve(
    listener: TcpListener,
    config: &ServerConfig,
    router: Router,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let connections = Places::new(config.max_connections, config.max_connections_per_address);
    let write_timeout = config.write_timeout;
    let handle = axum_server::Handle::new();
    let ending = handle.clone();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let Some((certificate, key)) = config.tls.clone() else {
        tokio::spawn(async move {
            stop.cancelled().await;
            ending.graceful_shutdown(Some(DRAIN));
        });
        let mut server = axum_server::from_tcp(listener.into_std()?)?.acceptor(Bounded {
            inner: NoDelayAcceptor,
            connections,
            write_timeout,
        });
        bounded(server.http_builder());
        // Without TLS nothing says beforehand that HTTP/2 is meant: it would only be more requests on one connection.
        let plain = server.http_builder().clone().http1_only();
        *server.http_builder() = plain;
        return Ok(tokio::spawn(server.handle(handle).serve(service)));
    };
    let read = RustlsConfig::from_pem_file(&certificate, &key).await;
    let certificates = read.with_context(|| format!("{} and its key can't be used", certificate.display()))?;
    let renewed = certificates.clone();
    tokio::spawn(async move {
        let mut every = tokio::time::interval(RENEW);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = every.tick() => {
                    if let Err(error) = renewed.reload_from_pem_file(&certificate, &key).await {
                        warn!(%error, file = %certificate.display(), "the certificate can't be read again");
                    }
                }
            }
        }
        ending.graceful_shutdown(Some(DRAIN));
    });
    let inner = RustlsAcceptor::new(certificates).handshake_timeout(HEAD).acceptor(NoDelayAcceptor);
    let acceptor = Bounded { inner, connections, write_timeout };
    let mut server = axum_server::from_tcp(listener.into_std()?)?.acceptor(acceptor);
    bounded(server.http_builder());
    Ok(tokio::spawn(server.handle(handle).serve(service)))
}

/// Bounds what one connection can hold.
fn bounded(http: &mut Builder<TokioExecutor>) {
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    http.http2().timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS).keep_alive_interval(HEAD);
}

/// Everything that this process serves, each part with as many requests at once as `max_requests_in_flight`, so that one can't
/// take another's. A body has `body_timeout` to arrive, and nothing keeps an answer that does not say for how long it may.
pub fn router(parts: Vec<(Router, Bodies)>, config: &ServerConfig) -> Router {
    let (most, body_timeout) = (config.max_requests_in_flight, config.body_timeout);
    let trusted: Arc<[IpNet]> = config.trusted_proxies.clone().into();
    let apart = parts.into_iter().map(|(part, bodies)| {
        // One address gets an eighth of what all of them get, who get half of the places.
        let places = Places::new((most / 2).max(1), (most / 16).max(1));
        part.layer(GlobalConcurrencyLimitLayer::new(most))
            .layer(middleware::from_fn_with_state(Reading { bodies, places }, read_first))
    });
    let unless_said = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    apart
        .fold(Router::new(), Router::merge)
        .method_not_allowed_fallback(wrong_method)
        .fallback(nothing_here)
        .layer(middleware::from_fn(rollcall_telemetry::http::observe))
        .layer(middleware::map_request(move |request| in_time(request, body_timeout)))
        .layer(middleware::map_request(move |request: Request| {
            std::future::ready(connections::with_client(request, &trusted))
        }))
        .layer(unless_said(header::CACHE_CONTROL, "no-store"))
        .layer(unless_said(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
}

/// Gives a body a time by which all of it must be there: whoever sends it a byte a minute holds a place for ever.
async fn in_time(request: Request, limit: Duration) -> Request {
    request.map(|body| {
        if body.is_end_stream() {
            return body;
        }
        let late = || std::io::Error::new(std::io::ErrorKind::TimedOut, "the body did not arrive in time");
        // From when it is asked for: whoever waits for a place is not late.
        let parts = stream::unfold(Some((body.into_data_stream(), None)), move |body| async move {
            let (mut body, until) = body?;
            let until = until.unwrap_or_else(|| Instant::now() + limit);
            match tokio::time::timeout_at(until, body.next()).await {
                Ok(Some(part)) => Some((part.map_err(std::io::Error::other), Some((body, Some(until))))),
                Ok(None) => None,
                Err(_) => Some((Err(late()), None)),
            }
        });
        Body::from_stream(parts)
    })
}

fn problem(status: StatusCode, detail: String) -> Response {
    ProblemDetails::from_status_code(status).with_detail(detail).into_response()
}

async fn nothing_here(uri: Uri) -> Response {
    problem(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()))
}

async fn wrong_method(request: Request) -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, format!("{} is not possible at {}", request.method(), request.uri().path()))
}

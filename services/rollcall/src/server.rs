//! The one public address.

use std::future::IntoFuture as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use axum::{Router, middleware};
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use problem_details::ProblemDetails;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;
use tracing::{debug, warn};

/// How long open requests may take once the process is told to stop.
pub const DRAIN: Duration = Duration::from_secs(10);

/// How often a certificate is read again: it is renewed while we run.
const RENEW: Duration = Duration::from_secs(60);

/// What is written is sent at once: an answer in two parts must not wait for the first to be acknowledged.
fn at_once(connection: &mut TcpStream) {
    if let Err(error) = connection.set_nodelay(true) {
        debug!(%error, "a connection may be slow");
    }
}

/// Serves until `stop`, and then what is open; with TLS when there are a certificate and a key.
///
/// # Errors
/// When the certificate can't be read, or the listener fails.
pub async fn serve(
    listener: TcpListener,
    tls: Option<&(PathBuf, PathBuf)>,
    router: Router,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let Some((certificate, key)) = tls.cloned() else {
        let serving = axum::serve(listener.tap_io(at_once), router).with_graceful_shutdown(stop.cancelled_owned());
        return Ok(tokio::spawn(serving.into_future()));
    };
    let read = RustlsConfig::from_pem_file(&certificate, &key).await;
    let config = read.with_context(|| format!("{} and its key can't be used", certificate.display()))?;
    let handle = axum_server::Handle::new();
    let (ending, renewed) = (handle.clone(), config.clone());
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
    let acceptor = RustlsAcceptor::new(config).acceptor(NoDelayAcceptor);
    let server = axum_server::from_tcp(listener.into_std()?)?.acceptor(acceptor).handle(handle);
    Ok(tokio::spawn(server.serve(router.into_make_service())))
}

/// Everything that this process serves; `health` is never kept waiting by the rest.
pub fn router(parts: Vec<Router>, health: Router, max_in_flight: usize) -> Router {
    let busy = parts
        .into_iter()
        .fold(Router::new(), Router::merge)
        .method_not_allowed_fallback(wrong_method)
        .fallback(nothing_here)
        .layer(middleware::from_fn(rollcall_telemetry::http::observe))
        .layer(GlobalConcurrencyLimitLayer::new(max_in_flight));
    busy.merge(health)
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

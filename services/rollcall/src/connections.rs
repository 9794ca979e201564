//! How many connections there may be, in all and from one address: each costs memory and a file.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::Request;
use axum::extract::connect_info::ConnectInfo;
use axum::http::HeaderMap;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use rollcall_tokens::{Place, Places};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;
use tower::Layer as _;

/// Accepts a connection only while there is a place for it.
#[derive(Debug, Clone)]
pub struct Bounded<A> {
    pub inner: A,
    pub connections: Arc<Places>,
    /// How long whoever reads an answer may take none of it.
    pub write_timeout: Duration,
}

impl<A, S> Accept<TcpStream, S> for Bounded<A>
where
    A: Accept<TcpStream, S>,
    A::Future: Send + 'static,
    A::Stream: AsyncRead + AsyncWrite + Send + 'static,
    A::Service: Send + 'static,
{
    type Stream = Pin<Box<TimeoutStream<A::Stream>>>;
    type Service = AddExtension<A::Service, Arc<Place>>;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let place = stream.peer_addr().map(|peer| self.connections.take(peer.ip()));
        let Ok(Some(place)) = place else {
            return Box::pin(async { Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many connections")) });
        };
        let accepted = self.inner.accept(stream, service);
        let write_timeout = self.write_timeout;
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(write_timeout));
            // What serves the connection lives as long as it does.
            Ok((Box::pin(stream), Extension(Arc::new(place)).layer(service)))
        })
    }
}

/// Who is behind the connection that a request came over: where a proxy that is trusted says whom it passes on, that one.
pub fn with_client(mut request: Request, trusted: &[IpNet]) -> Request {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    if let Some(peer) = peer.filter(|_| !trusted.is_empty()) {
        let client = client(peer.ip().to_canonical(), request.headers(), trusted);
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(client, peer.port())));
    }
    request
}

/// The last one in the chain that is no trusted proxy: everything before it anybody can have written.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut client = peer;
    let chain = headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    for said in chain.collect::<Vec<_>>().into_iter().rev() {
        if !is_trusted(&client) {
            break;
        }
        let Ok(address) = said.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn only_a_trusted_proxy_says_whom_it_passes_on() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let headers =
            |chain: &str| HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), chain.parse().unwrap())]);
        let (proxy, someone) = (IpAddr::from([10, 0, 0, 9]), IpAddr::from([203, 0, 113, 7]));
        assert_eq!(client(proxy, &headers("203.0.113.7"), &trusted), someone);
        assert_eq!(
            client(proxy, &headers("198.51.100.1, 203.0.113.7, 10.0.0.3"), &trusted),
            someone,
            "the first is a lie"
        );
        assert_eq!(client(someone, &headers("198.51.100.1"), &trusted), someone, "nobody trusts them");
        assert_eq!(client(proxy, &headers("nonsense"), &trusted), proxy);
        assert_eq!(client(proxy, &HeaderMap::new(), &trusted), proxy);
    }
}

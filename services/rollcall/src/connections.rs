//! How many connections, or bodies that are read, there may be, in all and from one address: each costs memory.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::Request;
use axum::extract::connect_info::ConnectInfo;
use axum::http::HeaderMap;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use rollcall_tokens::holder_of;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;
use tower::Layer as _;

/// What there is of them, and the most.
#[derive(Debug)]
pub struct Connections {
    max: usize,
    max_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection, until it is dropped.
#[derive(Debug)]
pub struct Place {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    /// None yet.
    pub fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self { max, max_per_address, open: Mutex::default() })
    }

    /// A place, while there is one for this address.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = holder_of(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = open.by_address.get(&address).copied().unwrap_or_default();
        if open.all >= self.max || theirs >= self.max_per_address {
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, theirs + 1);
        Some(Place { connections: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(theirs) = open.by_address.get_mut(&self.address) {
            *theirs -= 1;
            if *theirs == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// Accepts a connection only while there is a place for it.
#[derive(Debug, Clone)]
pub struct Bounded<A> {
    pub inner: A,
    pub connections: Arc<Connections>,
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
    fn places_are_bounded_in_all_and_by_address_and_given_back() {
        let connections = Connections::new(3, 2);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = connections.take(one).unwrap();
        let _second = connections.take(one).unwrap();
        assert!(connections.take(one).is_none(), "two of one address");
        let _third = connections.take(other).unwrap();
        assert!(connections.take(other).is_none(), "three in all");
        drop(first);
        assert!(connections.take(other).is_some());
        assert_eq!(connections.open.lock().unwrap().all, 2);
    }

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
